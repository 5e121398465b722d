/* SPDX-License-Identifier: MIT */
#include "app/view.h"
#include "app/links.h"

/* A client that asks again: soon at first, later less often. */
#define POLL_AFTER_MIN_MS INT64_C(2000)
#define POLL_AFTER_MAX_MS INT64_C(30000)
#define POLL_AFTER_PER_PLACE_MS INT64_C(1000)

/* Why a job ended without a video, for people. */
static const struct {
	const char *code;
	const char *text[LANG_MAX];
} job_errors[] = {
	{ "content_policy",
	    { "The prompt or picture was refused by the content rules",
		"İstem veya görsel, içerik kurallarına takıldı",
		"Las normas de contenido rechazaron el texto o la imagen" } },
	{ "image_rejected",
	    { "The picture could not be used", "Görsel kullanılamadı",
		"No se pudo usar la imagen" } },
	{ "input_rejected",
	    { "The request could not be carried out as it is",
		"İstek bu haliyle gerçekleştirilemedi",
		"La solicitud no se pudo llevar a cabo tal cual" } },
	{ "canceled", { "Cancelled", "İptal edildi", "Cancelado" } },
	{ "timeout",
	    { "It took too long, your credits are back",
		"Çok uzun sürdü, kredileriniz iade edildi",
		"Tardó demasiado, tus créditos han vuelto" } },
};

static const char *
job_error_text(const char *code, enum lang lang)
{
	static const char *const otherwise[LANG_MAX] = {
		[LANG_EN] = "The video could not be made, your credits are "
			    "back",
		[LANG_TR] = "Video oluşturulamadı, kredileriniz iade edildi",
		[LANG_ES] = "No se pudo crear el vídeo, tus créditos han "
			    "vuelto",
	};

	for (size_t i = 0; i < sizeof(job_errors) / sizeof(job_errors[0]); i++)
		if (strcmp(job_errors[i].code, code) == 0)
			return job_errors[i].text[lang];
	return otherwise[lang];
}

/* Who stands far back in a queue need not ask soon. */
static int64_t
poll_after_ms(const struct job *job, int64_t now_ms)
{
	int64_t after_ms = (now_ms - job->created_at_ms) / 4;

	if (job->queue_position > 0 &&
	    after_ms < job->queue_position * POLL_AFTER_PER_PLACE_MS)
		after_ms = job->queue_position * POLL_AFTER_PER_PLACE_MS;
	if (after_ms < POLL_AFTER_MIN_MS)
		return POLL_AFTER_MIN_MS;
	return after_ms > POLL_AFTER_MAX_MS ? POLL_AFTER_MAX_MS : after_ms;
}

/* A link to one of a job's files; null while it is not there. */
static void
write_file_url(const struct app *app, const struct request *req,
    struct json_writer *w, const char *member, const char *bucket,
    const struct job *job, struct str name)
{
	struct buf url;

	if (job->state != JOB_COMPLETED || name.len == 0) {
		json_null(w, member);
		return;
	}
	buf_init(&url, CONFIG_VALUE_BYTES_MAX + LINK_PATH_BYTES_MAX);
	links_write_url(app, bucket, name.ptr, req->now_ms, &url);
	json_str(w, member, buf_str(&url));
	buf_free(&url);
}

static void
write_error(const struct request *req, struct json_writer *w,
    const struct job *job)
{
	if (job->error_code[0] == '\0') {
		json_null(w, "error_code");
		json_null(w, "error_message");
		return;
	}
	json_text(w, "error_code", job->error_code);
	json_text(w, "error_message",
	    job_error_text(job->error_code, req->lang));
}

void
view_job(const struct app *app, const struct request *req,
    struct json_writer *w, const struct job *job, bool is_detail)
{
	json_uuid(w, "job_id", &job->id);
	json_text(w, "status", job_public_status(job->state));
	json_str(w, "prompt", job->prompt);
	json_text(w, "model_name", job->model_name);
	json_int64(w, "credits_used", job->cost_credits);
	json_int64(w, "credits_refunded", job->refunded_credits);
	write_file_url(app, req, w, "video_url", "videos", job,
	    job->video_name);
	write_file_url(app, req, w, "thumbnail_url", "thumbnails", job,
	    job->poster_name);
	write_error(req, w, job);
	if (is_detail) {
		if (job->queue_position >= 0)
			json_int64(w, "queue_position", job->queue_position);
		else
			json_null(w, "queue_position");
		if (job_is_over(job->state))
			json_null(w, "poll_after_ms");
		else
			json_int64(w, "poll_after_ms",
			    poll_after_ms(job, req->now_ms));
	}
	json_time(w, "created_at", job->created_at_ms);
	json_time(w, "completed_at", job->completed_at_ms);
}

static void
text_or_null(struct json_writer *w, const char *name, const char *value)
{
	json_text(w, name, value[0] == '\0' ? NULL : value);
}

static void
write_user(struct json_writer *w, const struct account *account,
    unsigned members)
{
	if (members & VIEW_USER_ID)
		json_uuid(w, "id", &account->id);
	if (members & VIEW_USER_EMAIL)
		text_or_null(w, "email", account->email);
	/* The id of the device is a secret and is answered to nobody. */
	if (members & VIEW_USER_DEVICE_ID)
		json_null(w, "device_id");
	if (members & VIEW_USER_APPLE_SUB)
		text_or_null(w, "apple_sub", account->apple_sub);
	if (members & VIEW_USER_IS_GUEST)
		json_bool(w, "is_guest", account->is_guest);
	if (members & VIEW_USER_TIER)
		json_text(w, "tier", account->is_premium ? "premium" : "free");
	if (members & VIEW_USER_CREDITS_REMAINING)
		json_int64(w, "credits_remaining", account->credits_remaining);
	if (members & VIEW_USER_CREDITS_TOTAL)
		json_int64(w, "credits_total", account->credits_total);
	if (members & VIEW_USER_INITIAL_GRANT_CLAIMED)
		json_bool(w, "initial_grant_claimed",
		    strcmp(account->grant_state, "pending") != 0);
	if (members & VIEW_USER_LANGUAGE)
		json_text(w, "language", account->language);
	if (members & VIEW_USER_THEME_PREFERENCE)
		json_text(w, "theme_preference", account->theme_preference);
	if (members & VIEW_USER_APP_ACCOUNT_TOKEN)
		json_uuid(w, "app_account_token", &account->app_account_token);
	if (members & VIEW_USER_CREATED_AT)
		json_time(w, "created_at", account->created_at_ms);
	if (members & VIEW_USER_UPDATED_AT)
		json_time(w, "updated_at", account->updated_at_ms);
}

void
view_user(struct json_writer *w, const struct account *account,
    unsigned members)
{
	json_begin_object(w, NULL);
	write_user(w, account, members);
	json_end_object(w);
}

void
view_profile(struct json_writer *w, const char *name,
    const struct account *account)
{
	json_begin_object(w, name);
	write_user(w, account, ~0U);
	json_end_object(w);
}

static void
write_apple_identity(struct json_writer *w, const struct account *account)
{
	json_begin_array(w, "identities");
	if (account->apple_sub[0] != '\0') {
		json_begin_object(w, NULL);
		json_text(w, "id", account->apple_sub);
		json_uuid(w, "identity_id", &account->id);
		json_uuid(w, "user_id", &account->id);
		json_text(w, "provider", "apple");
		json_begin_object(w, "identity_data");
		json_text(w, "sub", account->apple_sub);
		json_end_object(w);
		json_time(w, "created_at", account->created_at_ms);
		json_time(w, "updated_at", account->updated_at_ms);
		json_end_object(w);
	}
	json_end_array(w);
}

void
view_auth_user(struct json_writer *w, const char *name,
    const struct account *account)
{
	json_begin_object(w, name);
	json_uuid(w, "id", &account->id);
	json_text(w, "aud", "authenticated");
	json_text(w, "role", "authenticated");
	json_text(w, "email", account->email);
	json_text(w, "phone", "");
	json_begin_object(w, "app_metadata");
	if (account->apple_sub[0] != '\0') {
		json_text(w, "provider", "apple");
		json_begin_array(w, "providers");
		json_text(w, NULL, "apple");
		json_end_array(w);
	}
	json_end_object(w);
	json_raw(w, "user_metadata", str_from(account->user_metadata));
	write_apple_identity(w, account);
	json_time(w, "created_at", account->created_at_ms);
	json_time(w, "updated_at", account->updated_at_ms);
	json_time(w, "last_sign_in_at", account->created_at_ms);
	json_bool(w, "is_anonymous", account->is_guest);
	json_end_object(w);
}

static void
write_texts(struct json_writer *w, const char *name,
    const struct model_setting *setting)
{
	json_begin_object(w, name);
	json_bool(w, "required", false);
	json_text(w, "default", setting->value[setting->standard]);
	json_begin_array(w, "options");
	for (size_t i = 0; i < setting->count; i++)
		json_text(w, NULL, setting->value[i]);
	json_end_array(w);
	json_end_object(w);
}

static void
write_numbers(struct json_writer *w, const char *name,
    const struct model_setting *setting)
{
	int64_t number;

	json_begin_object(w, name);
	json_bool(w, "required", false);
	if (str_to_int64(str_from(setting->value[setting->standard]), 1, 60,
		&number))
		json_int64(w, "default", number);
	json_begin_array(w, "options");
	for (size_t i = 0; i < setting->count; i++)
		if (str_to_int64(str_from(setting->value[i]), 1, 60, &number))
			json_int64(w, NULL, number);
	json_end_array(w);
	json_end_object(w);
}

static void
write_required_fields(struct json_writer *w, const struct model *model)
{
	json_begin_object(w, "required_fields");
	json_bool(w, "requires_prompt", true);
	json_bool(w, "requires_image", model->requires_image);
	json_bool(w, "requires_settings", true);
	json_begin_object(w, "settings");
	write_numbers(w, "duration", &model->setting[SETTING_DURATION]);
	write_texts(w, "resolution", &model->setting[SETTING_RESOLUTION]);
	write_texts(w, "aspect_ratio", &model->setting[SETTING_ASPECT_RATIO]);
	json_end_object(w);
	json_end_object(w);
}

void
view_model(struct json_writer *w, const struct model *model, unsigned members)
{
	json_begin_object(w, NULL);
	if (members & VIEW_ID)
		json_uuid(w, "id", &model->id);
	if (members & VIEW_NAME)
		json_text(w, "name", model->name);
	if (members & VIEW_CATEGORY)
		json_text(w, "category", model->category);
	if (members & VIEW_THUMBNAIL_URL)
		text_or_null(w, "thumbnail_url", model->thumbnail_url);
	if (members & VIEW_IS_FEATURED)
		json_bool(w, "is_featured", model->is_featured);
	if (members & VIEW_DESCRIPTION)
		text_or_null(w, "description", model->description);
	if (members & VIEW_COST)
		json_int64(w, "cost_per_generation",
		    model->cost_per_generation_credits);
	if (members & VIEW_IS_ACTIVE)
		json_bool(w, "is_active", model->is_active);
	if (members & VIEW_IS_AVAILABLE)
		json_bool(w, "is_available", model->is_available);
	if (members & VIEW_REQUIRED_FIELDS)
		write_required_fields(w, model);
	json_end_object(w);
}

void
view_theme(struct json_writer *w, const struct theme *theme, unsigned members)
{
	json_begin_object(w, NULL);
	if (members & VIEW_ID)
		json_uuid(w, "id", &theme->id);
	if (members & VIEW_NAME)
		json_text(w, "name", theme->name);
	if (members & VIEW_DESCRIPTION)
		text_or_null(w, "description", theme->description);
	if (members & VIEW_THUMBNAIL_URL)
		text_or_null(w, "thumbnail_url", theme->thumbnail_url);
	if (members & VIEW_PROMPT)
		json_text(w, "prompt", theme->prompt);
	if (members & VIEW_IS_FEATURED)
		json_bool(w, "is_featured", theme->is_featured);
	if (members & VIEW_IS_AVAILABLE)
		json_bool(w, "is_available", theme->is_available);
	if (members & VIEW_DEFAULT_SETTINGS) {
		/* The app cannot read a null in here: absent is absent. */
		json_begin_object(w, "default_settings");
		if (theme->default_duration_s > 0)
			json_int64(w, "duration", theme->default_duration_s);
		if (theme->default_resolution[0] != '\0')
			json_text(w, "resolution", theme->default_resolution);
		if (theme->default_aspect_ratio[0] != '\0')
			json_text(w, "aspect_ratio",
			    theme->default_aspect_ratio);
		json_end_object(w);
	}
	if (members & VIEW_CREATED_AT)
		json_time(w, "created_at", theme->created_at_ms);
	json_end_object(w);
}

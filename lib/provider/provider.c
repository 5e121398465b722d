/* SPDX-License-Identifier: MIT */
#include "provider/provider.h"

#include <assert.h>
#include <time.h>

/* Nobody is asked to wait longer; the caller has a limit of its own. */
#define RETRY_AFTER_MAX_S INT64_C(86400)

const char *
provider_code_name(enum provider_code code)
{
	static const char *const names[PROVIDER_CODE_MAX] = {
		[PROVIDER_CODE_NONE] = "none",
		[PROVIDER_CODE_CONTENT] = "content_policy",
		[PROVIDER_CODE_IMAGE] = "image_rejected",
		[PROVIDER_CODE_INPUT] = "input_rejected",
		[PROVIDER_CODE_BUSY] = "provider_busy",
		[PROVIDER_CODE_TIMEOUT] = "generation_timeout",
		[PROVIDER_CODE_AUTH] = "provider_auth",
		[PROVIDER_CODE_LOCKED] = "provider_locked",
		[PROVIDER_CODE_MODEL_GONE] = "model_gone",
		[PROVIDER_CODE_CANCELED] = "canceled",
		[PROVIDER_CODE_EXPIRED] = "result_expired",
		[PROVIDER_CODE_NOT_FOUND] = "not_found",
		[PROVIDER_CODE_PROTOCOL] = "provider_protocol",
		[PROVIDER_CODE_PROVIDER] = "provider_error",
	};

	assert(code < PROVIDER_CODE_MAX);
	return names[code];
}

const struct provider *
provider_for(const struct config *config, const char *company)
{
	/* Who configures a company wants it, not the stand-in. */
	if (strcmp(company, "fal") == 0 &&
	    config_is_set(config, CONFIG_FAL_KEY))
		return &provider_fal;
	if (strcmp(company, "replicate") == 0 &&
	    config_is_set(config, CONFIG_REPLICATE_TOKEN))
		return &provider_replicate;
	return config_is_sandbox(config) ? &provider_sandbox : NULL;
}

struct provider_times
provider_times(const struct provider *provider, const struct config *config)
{
	struct provider_times times = provider->times;

	/* The stand-in knows its own. */
	if (provider == &provider_sandbox)
		return times;
	times.start_timeout_ms =
	    config_number(config, CONFIG_PROVIDER_START_TIMEOUT_S) * 1000;
	times.run_timeout_ms =
	    config_number(config, CONFIG_PROVIDER_RUN_TIMEOUT_S) * 1000;
	times.told_within_ms =
	    config_number(config, CONFIG_PROVIDER_TOLD_WITHIN_S) * 1000;
	times.poll_first_ms =
	    config_number(config, CONFIG_PROVIDER_POLL_FIRST_MS);
	times.poll_max_ms = config_number(config, CONFIG_PROVIDER_POLL_MAX_MS);
	return times;
}

bool
provider_base(const struct config *config, enum config_key key,
    const char *standard, char base[PROVIDER_URL_BYTES])
{
	struct str url = str_from(
	    config_is_set(config, key) ? config_text(config, key) : standard);

	while (str_ends_with(url, STR("/")))
		url.len--;
	return str_copy(url, base, PROVIDER_URL_BYTES);
}

bool
provider_download_call(const struct config *config, const char *video_url,
    struct provider_call *call)
{
	struct str rest = str_from(config_text(config, CONFIG_MEDIA_HOSTS));

	provider_call_init(call, "GET");
	while (rest.len > 0) {
		struct str host;

		(void)str_cut(rest, ',', &host, &rest);
		if (fetch_url_has_host(video_url, str_trim(host)))
			return str_copy(str_from(video_url), call->url,
			    sizeof(call->url));
	}
	return false;
}

bool
provider_call_header(struct provider_call *call, const char *name,
    const char *value)
{
	for (size_t i = 0; i + 1 < FETCH_HEADERS_MAX; i++) {
		char *line = call->header[i];
		int n;

		if (line[0] != '\0')
			continue;
		n = snprintf(line, PROVIDER_URL_BYTES, "%s: %s", name, value);
		if (n > 0 && n < PROVIDER_URL_BYTES &&
		    strpbrk(line, "\r\n") == NULL)
			return true;
		line[0] = '\0';
		return false;
	}
	return false;
}

bool
provider_lists(const char *list, const char *name)
{
	struct str rest = str_from(list);

	while (rest.len > 0) {
		struct str item;

		(void)str_cut(rest, ',', &item, &rest);
		if (str_equal(str_trim(item), str_from(name)))
			return true;
	}
	return false;
}

static bool
read_date(struct str text, int64_t *ret_s)
{
	char date[64];
	struct tm parts = { 0 };

	if (!str_copy(text, date, sizeof(date)) ||
	    strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &parts) == NULL)
		return false;
	*ret_s = (int64_t)timegm(&parts);
	return true;
}

bool
provider_server_time(const struct fetch_response *response, int64_t *ret_s)
{
	struct str date;

	return fetch_header(response, "Date", &date) && read_date(date, ret_s);
}

int64_t
provider_retry_after_ms(const struct fetch_response *response)
{
	struct str text, date;
	int64_t wait_s, then_s, now_s;

	if (!fetch_header(response, "Retry-After", &text))
		return 0;
	if (str_to_int64(text, 0, RETRY_AFTER_MAX_S, &wait_s))
		return wait_s * 1000;
	/* A date is one of their clock, and so is the answer's own. */
	if (!fetch_header(response, "Date", &date) ||
	    !read_date(text, &then_s) || !read_date(date, &now_s) ||
	    then_s <= now_s || then_s - now_s > RETRY_AFTER_MAX_S)
		return 0;
	return (then_s - now_s) * 1000;
}

enum provider_class
provider_fail(struct provider_error *ret_error, enum provider_class class,
    enum provider_code code, const struct fetch_response *response)
{
	*ret_error = (struct provider_error){
		.class = class,
		.code = code,
		.retry_after_ms = provider_retry_after_ms(response),
		.http_status = response->status,
		.is_unbilled = response->status >= 500,
	};
	return class;
}

bool
provider_submit_failed(const struct fetch_response *response,
    struct provider_error *ret_error)
{
	enum provider_class class = PROVIDER_FAIL_OPERATOR;
	enum provider_code code = PROVIDER_CODE_PROTOCOL;
	const int status = response->status;

	if (response->phase == FETCH_NOT_SENT) {
		class = PROVIDER_RETRY_CALL;
		code = PROVIDER_CODE_PROVIDER;
	} else if (response->phase == FETCH_MAYBE_SENT || status >= 500 ||
	    status == 408 || status == 425) {
		/* A gateway's 5xx says nothing about what stands behind it. */
		class = PROVIDER_UNKNOWN;
		code = PROVIDER_CODE_PROVIDER;
	} else if (status / 100 == 2 || status == 400 || status == 403 ||
	    status == 404 || status == 413 || status == 422) {
		return false;
	} else if (status == 429) {
		class = PROVIDER_RETRY_CALL;
		code = PROVIDER_CODE_BUSY;
	} else if (status == 401 || status == 402) {
		code = PROVIDER_CODE_AUTH;
	}
	(void)provider_fail(ret_error, class, code, response);
	/* All but the unknown were turned away at the door. */
	ret_error->is_unbilled = class != PROVIDER_UNKNOWN;
	return true;
}

bool
provider_read_failed(const struct fetch_response *response,
    struct provider_error *ret_error)
{
	enum provider_code code = PROVIDER_CODE_PROVIDER;
	const int status = response->status;

	if (response->phase == FETCH_ANSWERED) {
		if (status == 429)
			code = PROVIDER_CODE_BUSY;
		else if (status >= 401 && status <= 403)
			code = PROVIDER_CODE_AUTH;
		else if (status / 100 == 3)
			code = PROVIDER_CODE_PROTOCOL;
		else if (status != 408 && status != 425)
			return false;
	}
	(void)provider_fail(ret_error, PROVIDER_RETRY_CALL, code, response);
	return true;
}

/* Letters, digits and what ids and paths have between them. */
bool
provider_is_plain(struct str text, const char *others)
{
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && strchr(others, c) == NULL)
			return false;
	}
	return text.len > 0;
}

static void
write_duration(struct json_writer *w, const struct provider_job *job)
{
	char text[32];

	if (job->duration_format[0] == '\0') {
		json_int64(w, "duration", job->duration_s);
		return;
	}
	(void)snprintf(text, sizeof(text), "%lld%s", (long long)job->duration_s,
	    strcmp(job->duration_format, "%ds") == 0 ? "s" : "");
	json_text(w, "duration", text);
}

/* Is this member given, and one that the endpoint takes? */
static bool
is_wanted(const struct provider_job *job, const char *name, const char *value)
{
	return value != NULL && value[0] != '\0' &&
	    !provider_lists(job->omits, name);
}

void
provider_write_input(struct json_writer *w, const char *name,
    const struct provider_job *job)
{
	json_begin_object(w, name);
	json_text(w, "prompt", job->prompt);
	if (job->image_url != NULL)
		json_text(w, job->image_field, job->image_url);
	if (is_wanted(job, "duration", "x"))
		write_duration(w, job);
	if (is_wanted(job, "aspect_ratio", job->aspect_ratio))
		json_text(w, "aspect_ratio", job->aspect_ratio);
	if (is_wanted(job, "resolution", job->resolution))
		json_text(w, "resolution", job->resolution);
	if (is_wanted(job, "generate_audio", "x"))
		json_bool(w, "generate_audio", job->has_audio);
	if (is_wanted(job, "seed", "x"))
		json_int64(w, "seed", job->seed);
	json_end_object(w);
}

void
provider_call_init(struct provider_call *call, const char *method)
{
	*call = (struct provider_call){ .method = method };
	buf_init(&call->body, PROVIDER_BODY_BYTES_MAX);
}

void
provider_call_free(struct provider_call *call)
{
	buf_free(&call->body);
}

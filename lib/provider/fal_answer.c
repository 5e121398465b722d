/* SPDX-License-Identifier: MIT */
#include "provider/fal_answer.h"

struct verdict {
	const char *type;
	enum provider_class class;
	enum provider_code code;
};

/* detail[].type of errors that a model reports. */
static const struct verdict details[] = {
	{ "content_policy_violation", PROVIDER_FAIL_USER,
	    PROVIDER_CODE_CONTENT },
	/* Mostly a silent refusal; it sometimes succeeds when repeated. */
	{ "no_media_generated", PROVIDER_RETRY_ATTEMPT, PROVIDER_CODE_CONTENT },
	{ "image_too_small", PROVIDER_FAIL_USER, PROVIDER_CODE_IMAGE },
	{ "image_too_large", PROVIDER_FAIL_USER, PROVIDER_CODE_IMAGE },
	{ "image_load_error", PROVIDER_FAIL_USER, PROVIDER_CODE_IMAGE },
	{ "file_too_large", PROVIDER_FAIL_USER, PROVIDER_CODE_IMAGE },
	{ "face_detection_error", PROVIDER_FAIL_USER, PROVIDER_CODE_IMAGE },
	{ "unsupported_image_format", PROVIDER_FAIL_USER, PROVIDER_CODE_IMAGE },
	{ "unsupported_video_format", PROVIDER_FAIL_USER, PROVIDER_CODE_IMAGE },
	/* The link is one of ours: it ran out, or cannot be reached. */
	{ "file_download_error", PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_IMAGE },
	{ "internal_server_error", PROVIDER_RETRY_ATTEMPT,
	    PROVIDER_CODE_PROVIDER },
	{ "downstream_service_unavailable", PROVIDER_RETRY_ATTEMPT,
	    PROVIDER_CODE_PROVIDER },
	{ "generation_timeout", PROVIDER_RETRY_ATTEMPT, PROVIDER_CODE_TIMEOUT },
};

/* error_type of requests that did not come to an end. */
static const struct verdict requests[] = {
	{ "request_timeout", PROVIDER_RETRY_ATTEMPT, PROVIDER_CODE_TIMEOUT },
	{ "startup_timeout", PROVIDER_RETRY_ATTEMPT, PROVIDER_CODE_TIMEOUT },
	{ "client_cancelled", PROVIDER_FAIL_USER, PROVIDER_CODE_CANCELED },
	{ "bad_request", PROVIDER_FAIL_OPERATOR, PROVIDER_CODE_INPUT },
};

static bool
look_up(const struct verdict *verdicts, size_t count, struct str type,
    struct provider_error *error)
{
	for (size_t i = 0; i < count; i++) {
		if (!str_equal(type, str_from(verdicts[i].type)))
			continue;
		error->class = verdicts[i].class;
		error->code = verdicts[i].code;
		return true;
	}
	return false;
}

bool
fal_read_video(const struct json *output, struct provider_status *status)
{
	const struct json *video = json_member(output, "video");
	struct str text;

	if (!json_to_int64(json_member(video, "file_size"), 0, JSON_INT_MAX,
		&status->video_bytes))
		status->video_bytes = 0;
	return json_to_str(json_member(video, "url"), &text) && text.len > 0 &&
	    str_copy(text, status->video_url, sizeof(status->video_url));
}

/* Is one of the words of a detail's loc ["body","prompt"] this? */
static bool
is_about(const struct json *detail, struct str name)
{
	const struct json *at = json_first(json_member(detail, "loc"));
	struct str word;

	for (; at != NULL; at = json_next(at))
		if (json_to_str(at, &word) && str_equal(word, name))
			return true;
	return false;
}

static void
read_detail(const struct json *detail, const struct fal_context *context,
    struct provider_error *error)
{
	struct str type = { 0 };

	(void)json_to_str(json_member(detail, "type"), &type);
	if (look_up(details, sizeof(details) / sizeof(details[0]), type, error))
		return;
	if (str_equal(type, STR("downstream_service_error"))) {
		/* It is sent with status 400, whoever is to blame. */
		error->class = context->is_retryable ? PROVIDER_RETRY_ATTEMPT :
						       PROVIDER_FAIL_USER;
		error->code = context->is_retryable ? PROVIDER_CODE_PROVIDER :
						      PROVIDER_CODE_INPUT;
	} else if (str_starts_with(type, STR("video_duration_"))) {
		error->class = PROVIDER_FAIL_USER;
		error->code = PROVIDER_CODE_IMAGE;
	} else if (context->http_status >= 500) {
		error->class = PROVIDER_RETRY_ATTEMPT;
		error->code = PROVIDER_CODE_PROVIDER;
	} else {
		const bool is_too_long =
		    str_equal(type, STR("sequence_too_long")) ||
		    str_equal(type, STR("string_too_long"));

		/* The request is of our making, but the prompt is not. */
		error->class = is_too_long && is_about(detail, STR("prompt")) ?
		    PROVIDER_FAIL_USER :
		    PROVIDER_FAIL_OPERATOR;
		error->code = PROVIDER_CODE_INPUT;
	}
}

static void
read_request_error(struct str type, struct provider_error *error)
{
	if (look_up(requests, sizeof(requests) / sizeof(requests[0]), type,
		error))
		return;
	/* runner_* and the like, after their own ten retries. */
	error->class = PROVIDER_RETRY_ATTEMPT;
	error->code = PROVIDER_CODE_PROVIDER;
}

bool
fal_read_error(const struct json *body, const struct fal_context *context,
    struct provider_error *ret_error)
{
	const struct json *detail = json_member(body, "detail");
	struct provider_error error = {
		.http_status = context->http_status,
		.is_unbilled = context->http_status >= 500,
	};
	struct str type = context->error_type;

	(void)json_to_str(json_member(body, "error_type"), &type);
	if (json_first(detail) != NULL)
		read_detail(json_first(detail), context, &error);
	else if (type.len > 0)
		read_request_error(type, &error);
	else if (context->http_status == 413 || context->http_status == 422) {
		error.class = PROVIDER_FAIL_OPERATOR;
		error.code = PROVIDER_CODE_INPUT;
	} else
		return false;
	if (error.class == PROVIDER_RETRY_ATTEMPT && context->is_final)
		error.class = PROVIDER_FAIL_OPERATOR;
	*ret_error = error;
	return true;
}

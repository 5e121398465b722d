/* SPDX-License-Identifier: MIT */
/*
 * /_sandbox/ -- the video company of sandbox mode, as seen from its outside.
 *
 *	POST requests            submit
 *	GET  requests/ID         how it is
 *	GET  attempts/ID         was this attempt accepted?
 *	PUT  requests/ID/cancel  take it out of the queue
 *
 * The bodies are in provider/sandbox.h.  Only the worker comes here, through
 * a unix socket of nginx, which serves /_sandbox/files/ itself.
 */

#include "app/app.h"
#include "provider/sandbox.h"
#include "provider/sandbox_server.h"

static void
write_accepted(struct response *res, const struct uuid *id)
{
	char status_url[sizeof(SANDBOX_URL SANDBOX_REQUESTS) + UUID_TEXT_BYTES];
	char cancel_url[sizeof(status_url) + sizeof(SANDBOX_CANCEL)];
	char text[UUID_TEXT_BYTES];

	uuid_format(id, text);
	(void)snprintf(status_url, sizeof(status_url),
	    SANDBOX_URL SANDBOX_REQUESTS "%s", text);
	(void)snprintf(cancel_url, sizeof(cancel_url), "%s" SANDBOX_CANCEL,
	    status_url);
	json_begin_object(&res->json, NULL);
	json_uuid(&res->json, "request_id", id);
	json_text(&res->json, "status_url", status_url);
	json_text(&res->json, "cancel_url", cancel_url);
	json_end_object(&res->json);
}

static enum err
submit(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field fields[] = {
		{ "attempt_id", JSON_UUID,
		    offsetof(struct sandbox_order, attempt_id), 0,
		    JSON_REQUIRED },
		{ "prompt", JSON_STR, offsetof(struct sandbox_order, prompt), 0,
		    JSON_REQUIRED },
		{ "aspect_ratio", JSON_STR,
		    offsetof(struct sandbox_order, aspect_ratio), 0,
		    JSON_OPTIONAL },
		{ "resolution", JSON_STR,
		    offsetof(struct sandbox_order, resolution), 0,
		    JSON_OPTIONAL },
		{ "duration_s", JSON_INT64,
		    offsetof(struct sandbox_order, duration_s), 0,
		    JSON_REQUIRED },
	};
	struct sandbox_order order = { 0 };
	struct str bad_field;
	enum err err;

	if (!json_read(json_parse(req->arena, req->body), fields,
		sizeof(fields) / sizeof(fields[0]), JSON_IGNORE_UNKNOWN, &order,
		&bad_field))
		return ERR_INVALID_REQUEST;
	err = sandbox_submit(&app->config, &order, req->now_ms);
	if (err)
		return err;
	write_accepted(res, &order.attempt_id);
	return OK;
}

static enum err
status(struct app *app, const struct request *req, struct response *res,
    const struct sandbox_request *request)
{
	static const char *const words[] = {
		[PROVIDER_QUEUED] = SANDBOX_STATUS_QUEUED,
		[PROVIDER_RUNNING] = SANDBOX_STATUS_RUNNING,
		[PROVIDER_DONE] = SANDBOX_STATUS_DONE,
		[PROVIDER_FAILED] = SANDBOX_STATUS_FAILED,
	};
	const enum provider_state state = sandbox_state(request, req->now_ms);
	char url[sizeof(SANDBOX_URL SANDBOX_FILES) + SANDBOX_VIDEO_NAME_BYTES];
	char name[SANDBOX_VIDEO_NAME_BYTES];

	if (state == PROVIDER_DONE &&
	    !sandbox_video_make(&app->config, &request->video))
		return ERR_SERVICE_UNAVAILABLE;
	json_begin_object(&res->json, NULL);
	json_text(&res->json, "status", words[state]);
	if (state == PROVIDER_QUEUED)
		json_int64(&res->json, "queue_position", 0);
	if (state == PROVIDER_DONE) {
		sandbox_video_name(&request->video, name);
		(void)snprintf(url, sizeof(url), SANDBOX_URL SANDBOX_FILES "%s",
		    name);
		json_text(&res->json, "video_url", url);
	}
	if (state == PROVIDER_FAILED)
		json_str(&res->json, "code", request->failure);
	json_end_object(&res->json);
	return OK;
}

/* Takes `prefix` off the front and `suffix` off the end, and wants a UUID. */
static bool
parse_id(struct str tail, struct str prefix, struct str suffix,
    struct uuid *ret_id)
{
	if (!str_starts_with(tail, prefix) || !str_ends_with(tail, suffix) ||
	    tail.len < prefix.len + suffix.len)
		return false;
	return uuid_parse((struct str){ tail.ptr + prefix.len,
			      tail.len - prefix.len - suffix.len },
	    ret_id);
}

static enum err
sandbox_provider(struct app *app, const struct request *req,
    struct response *res)
{
	const bool is_get = req->method == HTTP_GET;
	const struct str suffix = is_get ? STR("") : STR(SANDBOX_CANCEL);
	struct sandbox_request request;
	struct uuid id;
	bool is_attempt;
	enum err err;

	if (req->method == HTTP_POST)
		return str_equal(req->tail, STR("requests")) ?
		    submit(app, req, res) :
		    ERR_NOT_FOUND;
	is_attempt =
	    is_get && parse_id(req->tail, STR(SANDBOX_ATTEMPTS), suffix, &id);
	if (!is_attempt &&
	    !parse_id(req->tail, STR(SANDBOX_REQUESTS), suffix, &id))
		return ERR_NOT_FOUND;
	err = sandbox_lookup(&app->config, req->arena, &id, &request);
	if (err)
		return err;
	if (is_attempt) {
		write_accepted(res, &id);
		return OK;
	}
	if (is_get && req->now_ms < request.silent_until_ms)
		return ERR_SERVICE_UNAVAILABLE;
	if (!is_get) {
		err = sandbox_cancel(&app->config, &request, req->now_ms);
		if (err)
			return err;
	}
	return status(app, req, res, &request);
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "sandbox-provider",
		.path = "/_sandbox/",
		.methods = HTTP_GET | HTTP_POST | HTTP_PUT,
		.auth = AUTH_NONE,
		.dialect = DIALECT_FUNCTIONS,
		.body = BODY_RAW,
		.body_bytes_max = PROVIDER_BODY_BYTES_MAX,
		.processes = 4, /* one may be busy making a video */
		.read_timeout_s = 25, /* ffmpeg is stopped after 20 */
		.is_sandbox_only = true,
		.is_read_only = true,
		.handle = sandbox_provider,
	};

	return app_serve(&endpoint, argc, argv);
}

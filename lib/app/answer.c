/* SPDX-License-Identifier: MIT */
#include "app/answer.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "wire/http.h"

#include <sodium.h>

/* The version of GoTrue's error body that we speak (supabase-js needs it). */
#define AUTH_API_VERSION "2024-01-01"

/* How long a client waits before it repeats what we could not do. */
#define RETRY_SOON_S 2

void
answer_init(struct response *res, struct buf *body)
{
	buf_clear(body);
	*res = (struct response){
		.status = 200,
		.body = *body,
		.spool_fd = -1,
		.content_type = "application/json",
		.cache_control = "no-store",
		.code = "ok",
	};
}

void
answer_forget_spool(struct response *res)
{
	cleanup_fd(&res->spool_fd);
	res->spool_fd = -1;
	res->spool_bytes = 0;
}

/*
 * The numeric families of the first apps: 4xxx is for the client to mend, 5xxx
 * for us, 6xxx for a company between us (docs/decisions/0015).
 */
static const char *
error_number(int status, const char *code)
{
	static const struct {
		int status;
		const char *code; /* NULL: all others of this status */
		const char *number;
	} rows[] = {
		{ 400, "invalid_transaction", "ERR_6003" },
		{ 400, "unknown_product", "ERR_6003" },
		{ 403, "device_rejected", "ERR_6002" },
		{ 409, "purchase_belongs_to_other_account", "ERR_6003" },
		{ 400, NULL, "ERR_4001" },
		{ 401, NULL, "ERR_4002" },
		{ 402, NULL, "ERR_4003" },
		{ 403, NULL, "ERR_4004" },
		{ 404, NULL, "ERR_4005" },
		{ 405, NULL, "ERR_4006" },
		{ 409, NULL, "ERR_4007" },
		{ 422, NULL, "ERR_4007" },
		{ 413, NULL, "ERR_4008" },
		{ 415, NULL, "ERR_4008" },
		{ 429, NULL, "ERR_4009" },
		{ 502, NULL, "ERR_6001" },
		{ 503, NULL, "ERR_5002" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == status &&
		    (rows[i].code == NULL || strcmp(rows[i].code, code) == 0))
			return rows[i].number;
	return "ERR_5001";
}

static void
write_functions(struct response *res, const struct request *req, int status,
    const char *code, const char *text)
{
	struct json_writer w = json_writer(&res->body);

	json_begin_object(&w, NULL);
	json_text(&w, "error", text);
	json_text(&w, "code", code);
	json_text(&w, "error_code", error_number(status, code));
	json_str(&w, "request_id", req->request_id);
	if (res->has_shortfall) {
		json_int64(&w, "credits_remaining", res->credits_remaining);
		json_int64(&w, "credits_required", res->credits_required);
	}
	json_end_object(&w);
}

static void
write_auth(struct response *res, const char *code, const char *text)
{
	struct json_writer w = json_writer(&res->body);

	/* Both spellings: either one is fatal for one of the clients. */
	json_begin_object(&w, NULL);
	json_text(&w, "code", code);
	json_text(&w, "error_code", code);
	json_text(&w, "message", text);
	json_text(&w, "msg", text);
	json_end_object(&w);
	res->has_auth_version = true;
}

static void
write_rest(struct response *res, const char *code, const char *text)
{
	struct json_writer w = json_writer(&res->body);

	json_begin_object(&w, NULL);
	json_text(&w, "code", code);
	json_null(&w, "details");
	json_null(&w, "hint");
	json_text(&w, "message", text);
	json_end_object(&w);
}

static const char *
storage_error(const char *code)
{
	static const char *const names[][2] = {
		{ "AccessDenied", "Unauthorized" },
		{ "NoSuchKey", "not_found" },
		{ "NoSuchBucket", "Bucket not found" },
		{ "ResourceAlreadyExists", "Duplicate" },
		{ "EntityTooLarge", "Payload too large" },
		{ "InvalidMimeType", "invalid_mime_type" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i][0], code) == 0)
			return names[i][1];
	return code;
}

static void
write_storage(struct response *res, int status, const char *code,
    const char *text)
{
	struct json_writer w = json_writer(&res->body);
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", status);
	json_begin_object(&w, NULL);
	json_text(&w, "statusCode", number);
	json_text(&w, "error", storage_error(code));
	json_text(&w, "message", text);
	json_text(&w, "code", code);
	json_end_object(&w);
}

void
answer_special(struct response *res, const struct endpoint *endpoint,
    const struct request *req, int status, const char *code, const char *text)
{
	buf_clear(&res->body);
	answer_forget_spool(res);
	res->status = status;
	res->code = code;
	res->content_type = "application/json";
	res->cache_control = "no-store";
	res->etag[0] = '\0';
	res->accel_path[0] = '\0';
	res->disposition[0] = '\0';
	res->content_range[0] = '\0';
	switch (endpoint->dialect) {
	case DIALECT_FUNCTIONS:
		write_functions(res, req, status, code, text);
		break;
	case DIALECT_AUTH:
		write_auth(res, code, text);
		break;
	case DIALECT_REST:
		write_rest(res, code, text);
		break;
	case DIALECT_STORAGE:
		write_storage(res, status, code, text);
		break;
	}
	if ((status == 503 || status == 502) && res->retry_after_s == 0)
		res->retry_after_s = RETRY_SOON_S;
}

/* An error as an area of the API calls it; status 0 = as the table says. */
struct translation {
	enum err err;
	int status;
	const char *code;
};

static const struct translation auth_words[] = {
	{ ERR_INVALID_JSON, 400, "bad_json" },
	{ ERR_INVALID_REQUEST, 400, "validation_failed" },
	{ ERR_UNAUTHORIZED, 403, "bad_jwt" },
	{ ERR_TOKEN_EXPIRED, 403, "bad_jwt" },
	{ ERR_USER_BANNED, 403, "user_banned" },
	{ ERR_RATE_LIMITED, 429, "over_request_rate_limit" },
	{ ERR_INTERNAL, 500, "unexpected_failure" },
};

static const struct translation rest_words[] = {
	{ ERR_INVALID_JSON, 400, "PGRST102" },
	{ ERR_INVALID_REQUEST, 400, "PGRST100" },
	{ ERR_UNAUTHORIZED, 401, "PGRST301" },
	{ ERR_TOKEN_EXPIRED, 401, "PGRST301" },
	{ ERR_FORBIDDEN, 403, "42501" },
	{ ERR_NOT_FOUND, 404, "PGRST205" },
	{ ERR_METHOD_NOT_ALLOWED, 405, "PGRST117" },
};

static const struct translation storage_words[] = {
	{ ERR_INVALID_REQUEST, 400, "InvalidKey" },
	{ ERR_UNAUTHORIZED, 403, "AccessDenied" },
	{ ERR_TOKEN_EXPIRED, 403, "AccessDenied" },
	{ ERR_FORBIDDEN, 403, "AccessDenied" },
	{ ERR_NOT_FOUND, 404, "NoSuchKey" },
	{ ERR_PAYLOAD_TOO_LARGE, 413, "EntityTooLarge" },
	{ ERR_UNSUPPORTED_MEDIA_TYPE, 415, "InvalidMimeType" },
};

static const struct translation *
translate(enum dialect dialect, enum err err)
{
	const struct translation *words = NULL;
	size_t count = 0;

	switch (dialect) {
	case DIALECT_FUNCTIONS:
		break;
	case DIALECT_AUTH:
		words = auth_words;
		count = sizeof(auth_words) / sizeof(auth_words[0]);
		break;
	case DIALECT_REST:
		words = rest_words;
		count = sizeof(rest_words) / sizeof(rest_words[0]);
		break;
	case DIALECT_STORAGE:
		words = storage_words;
		count = sizeof(storage_words) / sizeof(storage_words[0]);
		break;
	}
	for (size_t i = 0; i < count; i++)
		if (words[i].err == err)
			return &words[i];
	return NULL;
}

void
answer_error(struct response *res, const struct endpoint *endpoint,
    const struct request *req, enum err err)
{
	const struct translation *word = translate(endpoint->dialect, err);

	if (err == ERR_METHOD_NOT_ALLOWED)
		res->allow = endpoint->methods;
	answer_special(res, endpoint, req,
	    word == NULL ? err_status(err) : word->status,
	    word == NULL ? err_code(err) : word->code,
	    err_text(err, req->lang));
}

enum err
app_refuse_method(const struct endpoint *endpoint, const struct request *req)
{
	return endpoint->has == NULL || endpoint->has(req->tail) ?
	    ERR_METHOD_NOT_ALLOWED :
	    ERR_NOT_FOUND;
}

static bool
header(struct buf *head, const char *name, const char *value)
{
	if (value[0] == '\0')
		return true;
	if (!http_header_value_ok(str_from(value))) {
		log_line(LOG_ERROR, "bad_header", "name", name);
		return false;
	}
	buf_appendf(head, "%s: %s\r\n", name, value);
	return true;
}

bool
answer_head(const struct response *res, struct buf *head)
{
	bool ok;

	buf_appendf(head, "Status: %d %s\r\n", res->status,
	    http_reason(res->status));
	ok = header(head, "Cache-Control", res->cache_control) &&
	    header(head, "ETag", res->etag) &&
	    header(head, "X-Accel-Redirect", res->accel_path) &&
	    header(head, "Content-Disposition", res->disposition) &&
	    header(head, "Content-Range", res->content_range);
	if (res->status != 204 && res->status != 304)
		ok = ok && header(head, "Content-Type", res->content_type);
	if (res->retry_after_s > 0)
		buf_appendf(head, "Retry-After: %lld\r\n",
		    (long long)res->retry_after_s);
	if (res->limit_max > 0)
		buf_appendf(head,
		    "X-RateLimit-Limit: %lld\r\n"
		    "X-RateLimit-Remaining: %lld\r\n"
		    "X-RateLimit-Reset: %lld\r\n",
		    (long long)res->limit_max, (long long)res->limit_remaining,
		    (long long)res->limit_reset_s);
	if (res->is_replay)
		buf_append(head, STR("X-Idempotent-Replay: true\r\n"));
	if (res->has_auth_version)
		buf_append(head,
		    STR("X-Supabase-Api-Version: " AUTH_API_VERSION "\r\n"));
	if (res->allow != 0) {
		buf_append(head, STR("Allow: "));
		http_methods_format(res->allow, head);
		buf_append(head, STR("\r\n"));
	}
	/* The router takes the length of a file from the file. */
	if (res->accel_path[0] == '\0' && res->status != 204 &&
	    res->status != 304)
		buf_appendf(head, "Content-Length: %zu\r\n",
		    res->spool_bytes + res->body.len);
	buf_append(head, STR("\r\n"));
	return ok && !head->failed;
}

enum err
app_error(const struct app *app, const struct request *req,
    struct response *res, int status, const char *code, const char *text)
{
	answer_special(res, app->endpoint, req, status, code, text);
	return OK;
}

void
app_etag(struct response *res)
{
	uint8_t hash[16];
	char hex[sizeof(hash) * 2 + 1];

	(void)crypto_generichash(hash, sizeof(hash),
	    (const unsigned char *)res->body.ptr, res->body.len, NULL, 0);
	(void)sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	(void)snprintf(res->etag, sizeof(res->etag), "\"%s\"", hex);
}

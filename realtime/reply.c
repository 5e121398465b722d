/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include "app/answer.h"
#include "base/log.h"

/* When to come again if all places of an address are taken. */
#define WAIT_FOR_ROOM_S 10

/* An error is told as the functions do. */
static const struct endpoint as_function = {
	.name = "realtime",
	.dialect = DIALECT_FUNCTIONS,
};

const struct endpoint *
reply_endpoint(void)
{
	return &as_function;
}

void
reply_begin(struct reply_head *h, struct lws *wsi, int status,
    const char *content_type, unsigned long long length)
{
	h->wsi = wsi;
	h->p = h->bytes + LWS_PRE;
	h->failed =
	    lws_add_http_common_headers(wsi, (unsigned)status, content_type,
		length, &h->p, h->bytes + sizeof(h->bytes) - 1) != 0;
}

static void
head_add(struct reply_head *h, const char *name, const char *value)
{
	h->failed = h->failed ||
	    lws_add_http_header_by_name(h->wsi, (const unsigned char *)name,
		(const unsigned char *)value, (int)strlen(value), &h->p,
		h->bytes + sizeof(h->bytes) - 1) != 0;
}

static void
head_add_int64(struct reply_head *h, const char *name, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	head_add(h, name, text);
}

bool
reply_send(struct reply_head *h)
{
	head_add(h, "cache-control:", "no-store");
	return !h->failed &&
	    lws_finalize_write_http_header(h->wsi, h->bytes + LWS_PRE, &h->p,
		h->bytes + sizeof(h->bytes) - 1) == 0;
}

/* What a limit or an outage says besides. */
static void
head_add_wait(struct reply_head *h, const struct response *res)
{
	if (res->retry_after_s > 0)
		head_add_int64(h, "retry-after:", res->retry_after_s);
	if (res->limit_max == 0)
		return;
	head_add_int64(h, "x-ratelimit-limit:", res->limit_max);
	head_add_int64(h, "x-ratelimit-remaining:", res->limit_remaining);
	head_add_int64(h, "x-ratelimit-reset:", res->limit_reset_s);
}

int
reply_refuse(struct engine *engine, struct lws *wsi, const struct request *req,
    enum err err)
{
	struct response res;
	struct reply_head head;
	unsigned char *body;
	struct log log;

	buf_clear(&engine->text);
	answer_init(&res, &engine->text);
	answer_error(&res, &as_function, req, err);
	if (err == ERR_RATE_LIMITED) {
		/* Somebody of that address has to go first. */
		res.limit_max = config_number(&engine->app.config,
		    CONFIG_STREAMS_PER_ADDRESS_MAX);
		res.limit_reset_s = WAIT_FOR_ROOM_S;
		res.retry_after_s = WAIT_FOR_ROOM_S;
	}
	reply_begin(&head, wsi, res.status, "application/json", res.body.len);
	head_add_wait(&head, &res);
	if (reply_send(&head)) {
		/* The library writes before what it is given. */
		body = arena_alloc(&engine->arena, LWS_PRE + res.body.len);
		memcpy(body + LWS_PRE, res.body.ptr, res.body.len);
		(void)lws_write(wsi, body + LWS_PRE, res.body.len,
		    LWS_WRITE_HTTP_FINAL);
	}
	engine->text = res.body;
	log = log_begin(LOG_INFO, "stream");
	log_str(&log, "request_id", req->request_id);
	log_int64(&log, "status", res.status);
	log_text(&log, "code", res.code);
	log_end(&log);
	return -1;
}

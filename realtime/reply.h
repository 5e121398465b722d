/* SPDX-License-Identifier: MIT */
#ifndef REALTIME_REPLY_H
#define REALTIME_REPLY_H

#include "engine.h"

#include <libwebsockets.h>

/* What is answered in plain HTTP: heads of streams, and refusals. */

#define REPLY_HEAD_BYTES_MAX 1024

struct reply_head {
	struct lws *wsi;
	unsigned char bytes[LWS_PRE + REPLY_HEAD_BYTES_MAX];
	unsigned char *p;
	bool failed;
};

/* content_type may be NULL; length as lws_add_http_common_headers() has it. */
void reply_begin(struct reply_head *h, struct lws *wsi, int status,
    const char *content_type, unsigned long long length);
bool reply_send(struct reply_head *h);

/* Answers an error as the functions do; -1, what a callback then returns. */
int reply_refuse(struct engine *engine, struct lws *wsi,
    const struct request *req, enum err err);

/* As which endpoint the engine tells its errors. */
const struct endpoint *reply_endpoint(void);

#endif

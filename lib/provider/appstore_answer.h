/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APPSTORE_ANSWER_H
#define PROVIDER_APPSTORE_ANSWER_H

#include "provider/appstore_api.h"
#include "wire/fetch.h"
#include "wire/json.h"

/*
 * Between our requests and the App Store Server API's bytes, without the
 * network; provider/appstore_api.h is the door.
 */

/* A page of 20 notifications of 25 kB each takes a quarter of this. */
#define APPSTORE_ANSWER_BYTES_MAX ((size_t)2 * 1024 * 1024)

/*
 * What an answer means.  Apple's codes decide where we know them, the HTTP
 * status everywhere else: bodies may be missing or a gateway's.  For a 2xx
 * *ret_body is the JSON in it, or NULL.
 */
struct appstore_answer
appstore_read_answer(struct arena *arena, const struct fetch_response *response,
    int64_t now_ms, const struct json **ret_body);

/* The text member `name` of an answer; false when it is no such answer. */
bool appstore_read_text(const struct json *body, const char *name,
    struct str *ret_text);

/* Pages; false when the answer is not one. */
bool appstore_read_notifications(struct arena *arena, const struct json *body,
    struct appstore_page *ret_page);
bool appstore_read_refunds(struct arena *arena, const struct json *body,
    struct appstore_page *ret_page);

/* How the last attempt to send a test went; "" when there was none. */
bool appstore_read_attempt(const struct json *body, struct str *ret_result);

/* Bodies of ours. */
void appstore_write_consumption(const struct appstore_consumption *consumption,
    struct buf *body);
void appstore_write_query(const struct appstore_query *query, struct buf *body);

/* The claims of a bearer token: for five minutes, this bundle alone. */
void appstore_write_claims(const struct config *config, int64_t now_ms,
    struct buf *claims);

#endif

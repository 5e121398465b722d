/* SPDX-License-Identifier: MIT */
#include "provider/appstore_answer.h"

#include <assert.h>

/* Apple takes an hour; a request takes seconds. */
#define BEARER_LIFE_S 300

/* When Apple limits us without saying until when, and the most we believe. */
#define RETRY_MS (INT64_C(60) * 1000)
#define RETRY_MS_MAX (INT64_C(3600) * 1000)

/* Smaller numbers are seconds from now, as everybody but Apple has them. */
#define RETRY_SECONDS_MAX INT64_C(1000000000)

const char *
appstore_outcome_name(enum appstore_outcome outcome)
{
	static const char *const names[] = {
		[APPSTORE_DONE] = "done",
		[APPSTORE_NOT_FOUND] = "not_found",
		[APPSTORE_REFUSED] = "refused",
		[APPSTORE_TRY_LATER] = "try_later",
		[APPSTORE_RATE_LIMITED] = "rate_limited",
		[APPSTORE_UNAUTHORIZED] = "unauthorized",
	};

	return names[outcome];
}

static enum appstore_outcome
outcome_of(int status, int64_t error_code)
{
	switch (error_code) {
	case 4040002: /* account, app, transaction not found: ask again */
	case 4040004:
	case 4040006:
	case 5000001:
		return APPSTORE_TRY_LATER;
	case 4290000:
		return APPSTORE_RATE_LIMITED;
	default:
		break;
	}
	if (status >= 200 && status < 300)
		return APPSTORE_DONE;
	if (status == 401)
		return APPSTORE_UNAUTHORIZED;
	if (status == 404)
		return APPSTORE_NOT_FOUND;
	if (status == 429)
		return APPSTORE_RATE_LIMITED;
	/* A gateway gave up waiting for our request. */
	if (status == 408)
		return APPSTORE_TRY_LATER;
	return status >= 400 && status < 500 ? APPSTORE_REFUSED :
					       APPSTORE_TRY_LATER;
}

/* Apple's Retry-After is a date in UNIX milliseconds. */
static int64_t
retry_at(const struct fetch_response *response, int64_t now_ms)
{
	int64_t at_ms = now_ms + RETRY_MS;
	struct str text;

	if (fetch_header(response, "Retry-After", &text) &&
	    str_to_int64(str_trim(text), 0, INT64_MAX / 1000, &at_ms) &&
	    at_ms <= RETRY_SECONDS_MAX)
		at_ms = now_ms + at_ms * 1000;
	if (at_ms <= now_ms)
		return now_ms + 1000;
	return at_ms > now_ms + RETRY_MS_MAX ? now_ms + RETRY_MS_MAX : at_ms;
}

struct appstore_answer
appstore_read_answer(struct arena *arena, const struct fetch_response *response,
    int64_t now_ms, const struct json **ret_body)
{
	struct appstore_answer answer = { .outcome = APPSTORE_TRY_LATER };
	const struct json *body;

	*ret_body = NULL;
	if (response->phase != FETCH_ANSWERED)
		return answer;
	body = json_parse(arena, response->body);
	answer.http_status = response->status;
	if (response->status >= 200 && response->status < 300)
		*ret_body = body;
	else
		(void)json_to_int64(json_member(body, "errorCode"), 1,
		    JSON_INT_MAX, &answer.error_code);
	answer.outcome = outcome_of(response->status, answer.error_code);
	if (answer.outcome == APPSTORE_RATE_LIMITED)
		answer.retry_at_ms = retry_at(response, now_ms);
	return answer;
}

bool
appstore_read_text(const struct json *body, const char *name,
    struct str *ret_text)
{
	struct str text;

	if (!json_to_str(json_member(body, name), &text) || text.len == 0)
		return false;
	*ret_text = text;
	return true;
}

/* `member` is NULL when the items themselves are the texts. */
static bool
read_items(struct arena *arena, const struct json *items, const char *member,
    struct appstore_page *page)
{
	struct str *item;
	size_t count = 0;

	/* Apple leaves an empty list out. */
	if (items == NULL || json_is_null(items))
		return true;
	if (!json_is_array(items))
		return false;
	for (const struct json *i = json_first(items); i; i = json_next(i))
		count++;
	item = arena_alloc(arena, (count + 1) * sizeof(*item));
	page->item = item;
	for (const struct json *i = json_first(items); i; i = json_next(i))
		if (!json_to_str(member == NULL ? i : json_member(i, member),
			&item[page->count++]))
			return false;
	return true;
}

static bool
read_page(struct arena *arena, const struct json *body, const char *items,
    const char *member, const char *cursor, struct appstore_page *ret_page)
{
	struct appstore_page page = { 0 };
	const struct json *more = json_member(body, "hasMore");
	const struct json *next = json_member(body, cursor);

	if (!json_is_object(body) ||
	    !read_items(arena, json_member(body, items), member, &page) ||
	    (more != NULL && !json_to_bool(more, &page.has_more)) ||
	    (next != NULL && !json_is_null(next) &&
		!json_to_str(next, &page.cursor)) ||
	    page.cursor.len > APPSTORE_CURSOR_BYTES_MAX ||
	    (page.has_more && page.cursor.len == 0))
		return false;
	*ret_page = page;
	return true;
}

bool
appstore_read_notifications(struct arena *arena, const struct json *body,
    struct appstore_page *ret_page)
{
	return read_page(arena, body, "notificationHistory", "signedPayload",
	    "paginationToken", ret_page);
}

bool
appstore_read_refunds(struct arena *arena, const struct json *body,
    struct appstore_page *ret_page)
{
	return read_page(arena, body, "signedTransactions", NULL, "revision",
	    ret_page);
}

bool
appstore_read_attempt(const struct json *body, struct str *ret_result)
{
	const struct json *attempts = json_member(body, "sendAttempts");
	int64_t latest_ms = -1;
	struct str result = STR("");

	if (!json_is_object(body))
		return false;
	for (const struct json *a = json_first(attempts); a; a = json_next(a)) {
		struct str text;
		int64_t at_ms;

		if (!json_to_int64(json_member(a, "attemptDate"), 0,
			JSON_INT_MAX, &at_ms) ||
		    !json_to_str(json_member(a, "sendAttemptResult"), &text))
			return false;
		if (at_ms > latest_ms) {
			latest_ms = at_ms;
			result = text;
		}
	}
	*ret_result = result;
	return true;
}

void
appstore_write_consumption(const struct appstore_consumption *consumption,
    struct buf *body)
{
	static const char *const deliveries[] = {
		[APPSTORE_DELIVERED] = "DELIVERED",
		[APPSTORE_UNDELIVERED_QUALITY_ISSUE] =
		    "UNDELIVERED_QUALITY_ISSUE",
		[APPSTORE_UNDELIVERED_WRONG_ITEM] = "UNDELIVERED_WRONG_ITEM",
		[APPSTORE_UNDELIVERED_SERVER_OUTAGE] =
		    "UNDELIVERED_SERVER_OUTAGE",
		[APPSTORE_UNDELIVERED_OTHER] = "UNDELIVERED_OTHER",
	};
	static const char *const preferences[] = {
		[APPSTORE_DECLINE] = "DECLINE",
		[APPSTORE_GRANT_FULL] = "GRANT_FULL",
		[APPSTORE_GRANT_PRORATED] = "GRANT_PRORATED",
	};
	const int64_t percentage = consumption->consumption_percentage;
	struct json_writer w = json_writer(body);

	assert(percentage >= APPSTORE_ABSENT);
	assert(percentage <= APPSTORE_WHOLE);
	assert(consumption->delivery == APPSTORE_DELIVERED || percentage <= 0);
	assert(consumption->preference != APPSTORE_GRANT_PRORATED ||
	    (percentage > 0 && percentage < APPSTORE_WHOLE));
	json_begin_object(&w, NULL);
	json_bool(&w, "customerConsented", true);
	json_text(&w, "deliveryStatus", deliveries[consumption->delivery]);
	json_bool(&w, "sampleContentProvided",
	    consumption->sample_content_provided);
	if (percentage != APPSTORE_ABSENT)
		json_int64(&w, "consumptionPercentage", percentage);
	if (consumption->preference != APPSTORE_NO_PREFERENCE)
		json_text(&w, "refundPreference",
		    preferences[consumption->preference]);
	json_end_object(&w);
}

void
appstore_write_query(const struct appstore_query *query, struct buf *body)
{
	struct json_writer w = json_writer(body);

	json_begin_object(&w, NULL);
	json_int64(&w, "startDate", query->start_ms);
	json_int64(&w, "endDate", query->end_ms);
	if (query->only_failures)
		json_bool(&w, "onlyFailures", true);
	if (query->transaction_id.len > 0)
		json_str(&w, "transactionId", query->transaction_id);
	json_end_object(&w);
}

void
appstore_write_claims(const struct config *config, int64_t now_ms,
    struct buf *claims)
{
	struct json_writer w = json_writer(claims);

	json_begin_object(&w, NULL);
	json_text(&w, "iss", config_text(config, CONFIG_APPSTORE_ISSUER_ID));
	json_int64(&w, "iat", now_ms / 1000);
	json_int64(&w, "exp", now_ms / 1000 + BEARER_LIFE_S);
	json_text(&w, "aud", "appstoreconnect-v1");
	json_text(&w, "bid", appstore_bundle_id(config));
	json_end_object(&w);
}

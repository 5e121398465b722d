/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_APPSTORE_API_H
#define PROVIDER_APPSTORE_API_H

#include "provider/appstore.h"

/*
 * The App Store Server API: for looking up and repairing, never for trust,
 * because what it answers is signed and verified like anything else.
 *
 * Each call waits for the network, at most 5 seconds a request, and is sent
 * once: when to try again is the caller's to decide, by the outcome.  All
 * processes together keep to half of Apple's rates; past that a call is
 * RATE_LIMITED without having been sent.
 *
 * In sandbox mode without RENDIO_APPSTORE_KEY_FILE a stand-in answers from
 * what `rendio sandbox purchase` sold.
 */

enum appstore_outcome {
	APPSTORE_DONE, /* the ret_ arguments are written */
	/*
	 * This environment does not know it.  A fresh purchase may be known a
	 * few minutes later; otherwise final.
	 */
	APPSTORE_NOT_FOUND,
	APPSTORE_REFUSED, /* final: the request is wrong, see error_code */
	/* Apple's trouble, or the network's: again later, with a backoff. */
	APPSTORE_TRY_LATER,
	APPSTORE_RATE_LIMITED, /* not before retry_at_ms */
	/*
	 * Our key, its kind, our clock or the bundle id.  Does not go away by
	 * itself; an error is in the log.
	 */
	APPSTORE_UNAUTHORIZED,
};

/* A stable word for logs. */
const char *appstore_outcome_name(enum appstore_outcome outcome);

struct appstore_answer {
	enum appstore_outcome outcome;
	int http_status; /* 0 = no answer */
	int64_t error_code; /* Apple's seven digits; 0 = none given */
	int64_t retry_at_ms; /* when RATE_LIMITED; UNIX milliseconds */
};

/* Tokens, revisions: opaque texts of Apple. */
#define APPSTORE_CURSOR_BYTES_MAX ((size_t)1024)

/*
 * Looks a transaction up by its bare id, in production and, when it is not
 * known there, in the sandbox; before production has ever answered us a 401
 * there means the same.  What comes back is verified and has that id.  A
 * proof that fails to verify is TRY_LATER, and logged as an error.
 */
struct appstore_answer appstore_get_transaction(const struct config *config,
    struct arena *arena, struct str transaction_id, int64_t now_ms,
    struct str *ret_signed_transaction,
    struct appstore_transaction *ret_transaction);

enum appstore_delivery {
	APPSTORE_DELIVERED,
	APPSTORE_UNDELIVERED_QUALITY_ISSUE,
	APPSTORE_UNDELIVERED_WRONG_ITEM,
	APPSTORE_UNDELIVERED_SERVER_OUTAGE,
	APPSTORE_UNDELIVERED_OTHER,
};

enum appstore_refund_preference {
	APPSTORE_NO_PREFERENCE,
	APPSTORE_DECLINE,
	APPSTORE_GRANT_FULL,
	APPSTORE_GRANT_PRORATED,
};

/*
 * The answer to a CONSUMPTION_REQUEST.  It can only be given with the
 * customer's consent, and says so to Apple.
 */
struct appstore_consumption {
	enum appstore_delivery delivery;
	bool sample_content_provided;
	/*
	 * 0 to APPSTORE_WHOLE; 0 unless DELIVERED; APPSTORE_ABSENT for an
	 * auto-renewable subscription, where Apple knows; between the two ends
	 * with GRANT_PRORATED.
	 */
	int64_t consumption_percentage;
	enum appstore_refund_preference preference;
};

struct appstore_answer appstore_send_consumption(const struct config *config,
    enum appstore_environment environment, struct str transaction_id,
    const struct appstore_consumption *consumption, int64_t now_ms);

/* Lives in the arena, which should have APPSTORE_ARENA_BYTES. */
struct appstore_page {
	const struct str *item; /* JWS, not yet verified; at most 20 so far */
	size_t count;
	bool has_more;
	/* Where the next page begins: pagination token, or revision. */
	struct str cursor;
};

/*
 * Notifications that Apple sent, or tried to, from start_ms up to end_ms
 * (both within the last 180 days), oldest page first.  `cursor` is "" for the
 * first page, else the one of the page before; everything else stays the
 * same from page to page.
 */
struct appstore_query {
	enum appstore_environment environment;
	int64_t start_ms;
	int64_t end_ms;
	bool only_failures;
	struct str transaction_id; /* "" = all */
};

struct appstore_answer
appstore_notification_history(const struct config *config, struct arena *arena,
    const struct appstore_query *query, struct str cursor, int64_t now_ms,
    struct appstore_page *ret_page);

/*
 * The refunds granted to the payer of any one of his transactions.  The
 * cursor of the last page, kept, makes the next call tell only what is new.
 */
struct appstore_answer
appstore_refund_history(const struct config *config, struct arena *arena,
    enum appstore_environment environment, struct str transaction_id,
    struct str cursor, int64_t now_ms, struct appstore_page *ret_page);

/*
 * Asks for a TEST notification, and how its sending went.  The result is
 * Apple's word: SUCCESS, TIMED_OUT, TLS_ISSUE, ...; "" when it was not tried
 * yet.  NOT_FOUND of the first means that no URL is configured at Apple.
 */
struct appstore_answer appstore_request_test(const struct config *config,
    struct arena *arena, enum appstore_environment environment, int64_t now_ms,
    struct str *ret_token);
struct appstore_answer appstore_test_status(const struct config *config,
    struct arena *arena, enum appstore_environment environment,
    struct str token, int64_t now_ms, struct str *ret_result);

/* Does the stand-in answer? */
bool appstore_is_stand_in(const struct config *config);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_CONSUMPTION_H
#define DOMAIN_CONSUMPTION_H

#include "domain/purchases.h"

/*
 * Consumption: Apple asks how much of a purchase was used before it decides
 * about a refund.  It is told the truth, once a question, and only if the
 * user has consented to that and not withdrawn it; otherwise nothing at all.
 */

/* Apple waits this long for an answer. */
#define CONSUMPTION_WAIT_MS (INT64_C(12) * 3600 * 1000)

/* The version of the words that a user agreed to. */
#define CONSENT_VERSION_BYTES 65

struct consent {
	bool is_given;
	char text_version[CONSENT_VERSION_BYTES];
	int64_t created_at_ms;
};

/*
 * Notes what a user says, and to which words; what was said before stays.
 * Saying the same again changes nothing.  In a transaction of its own.
 * Errors: ERR_UNAUTHORIZED when there is no such user (any more).
 */
enum err consents_set(struct db *db, const struct uuid *user_id,
    const struct consent *consent, int64_t now_ms, struct consent *ret_consent);

/*
 * Apple asks.  The same question again, while it waits, is the same question.
 * The caller holds a write transaction and has noted the purchase.
 */
enum err consumption_ask(struct db *db, const struct purchase_fact *fact,
    const char *reason, int64_t asked_at_ms, int64_t now_ms);

/* Apple has decided.  The caller holds a write transaction. */
enum err consumption_close(struct db *db, const struct purchase_fact *fact);

/* What is to be told. */
struct consumption_answer {
	struct uuid purchase_id;
	bool is_sandbox;
	char transaction_id[PURCHASE_ID_BYTES];
	bool is_delivered;
	bool had_sample; /* free credits came before */
	bool has_consumed; /* not of a subscription: Apple knows the time */
	int64_t consumed_millipercent;
	int64_t tries_count;
};

/*
 * Takes the next question that is to be answered now, and moves its time to
 * `lease_ms` later, in a transaction of its own.  Those without a consent, and
 * those that came too late, are put aside on the way.
 */
enum err consumption_take(struct db *db, int64_t now_ms, int64_t lease_ms,
    bool *ret_found, struct consumption_answer *ret_answer);

/* What Apple said to it. */
struct consumption_outcome {
	bool is_final;
	bool is_accepted;
	int http_status;
	int64_t error_code;
	int64_t next_try_at_ms; /* unless it is final */
};

enum err
consumption_told(struct db *db, const struct consumption_answer *answer,
    const struct consumption_outcome *outcome, int64_t now_ms);

#endif

/* SPDX-License-Identifier: MIT */
#include "app/purchasing.h"
#include "base/arena.h"

/* From this the time between two questions doubles, up to that. */
#define ASK_AGAIN_MS (INT64_C(15) * 1000)
#define ASK_AGAIN_MAX_MS (INT64_C(3600) * 1000)

/*
 * A purchase that is new may be unknown to Apple's store for some minutes; what
 * is unknown for a day was invented.
 */
#define UNKNOWN_AFTER_MS (INT64_C(24) * 3600 * 1000)

struct finding {
	enum err err;
	enum lookup_end end;
	int64_t again_at_ms;
};

static int64_t
wait_ms(int64_t tries_count)
{
	int64_t ms = ASK_AGAIN_MS;

	for (int64_t i = 0; i < tries_count && ms < ASK_AGAIN_MAX_MS; i++)
		ms *= 2;
	return ms < ASK_AGAIN_MAX_MS ? ms : ASK_AGAIN_MAX_MS;
}

/* Nothing more is to be asked: the rest is between us and the user. */
static bool
is_settled(enum err err)
{
	return err != ERR_SERVICE_UNAVAILABLE && err != ERR_INTERNAL &&
	    err != ERR_CONFLICT;
}

static enum err
credit(const struct config *config, struct db *db, const struct uuid *user_id,
    const struct appstore_transaction *transaction, int64_t now_ms,
    struct purchase_receipt *receipt)
{
	const struct purchase_policy policy = purchasing_policy(config);
	struct purchase_fact fact;

	if (!purchasing_fact(transaction, &fact))
		return ERR_INVALID_TRANSACTION;
	return purchases_post(db, user_id, &fact, &policy, now_ms, receipt);
}

static struct finding
judge_unfound(const struct config *config, const struct lookup *lookup,
    const struct appstore_answer *answer, int64_t now_ms)
{
	struct finding finding = { .err = ERR_SERVICE_UNAVAILABLE,
		.end = LOOKUP_LATER,
		.again_at_ms = now_ms + wait_ms(lookup->tries_count) };

	/* Our own store knows what it sold; Apple's may be late. */
	if (answer->outcome == APPSTORE_REFUSED ||
	    (answer->outcome == APPSTORE_NOT_FOUND &&
		(appstore_is_stand_in(config) ||
		    now_ms - lookup->created_at_ms > UNKNOWN_AFTER_MS))) {
		finding.err = ERR_INVALID_TRANSACTION;
		finding.end = LOOKUP_UNKNOWN;
	}
	if (answer->outcome == APPSTORE_RATE_LIMITED &&
	    answer->retry_at_ms > finding.again_at_ms)
		finding.again_at_ms = answer->retry_at_ms;
	return finding;
}

enum err
purchasing_look_up(const struct config *config, struct db *db,
    const struct lookup *lookup, int64_t now_ms,
    struct appstore_answer *ret_answer, struct purchase_receipt *ret_receipt)
{
	const struct str id = str_from(lookup->transaction_id);
	struct appstore_transaction transaction;
	struct appstore_answer answer;
	struct finding finding;
	struct arena arena;
	struct str jws;

	arena_init(&arena, APPSTORE_ARENA_BYTES);
	answer = appstore_get_transaction(config, &arena, id, now_ms, &jws,
	    &transaction);
	finding = judge_unfound(config, lookup, &answer, now_ms);
	if (answer.outcome == APPSTORE_DONE) {
		finding.err = credit(config, db, &lookup->user_id, &transaction,
		    now_ms, ret_receipt);
		if (is_settled(finding.err))
			finding.end = LOOKUP_FOUND;
	}
	arena_free(&arena);
	/* To ask once more does no harm, so a failure here is none. */
	(void)lookups_end(db, &lookup->user_id, id, finding.end,
	    finding.again_at_ms);
	*ret_answer = answer;
	return finding.err;
}

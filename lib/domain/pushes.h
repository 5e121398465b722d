/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_PUSHES_H
#define DOMAIN_PUSHES_H

#include "base/lang.h"
#include "store/db.h"

/*
 * Pushes: telling a phone whose app sleeps that a video is ready, or failed.
 *
 * A phone belongs to a session, so signing out, a ban, a merge and the end of
 * an account need nothing of their own.  Messages are made out of the events,
 * which are read in order; each waits in its row until Apple took it, its
 * phone is gone, or nobody cares any more.
 */

/* Apple's tokens are 64 hexadecimal digits so far, and may grow. */
#define PUSH_TOKEN_CHARS_MIN 64
#define PUSH_TOKEN_BYTES 201

/* Phones and tablets of one person; the longest registered give way. */
#define PUSH_TOKENS_PER_USER_MAX 10

/* "Your video is ready" an hour late is no help. */
#define PUSH_LIFE_MS (INT64_C(3600) * 1000)

struct push_token {
	bool is_sandbox;
	char token[PUSH_TOKEN_BYTES]; /* lower-case */
};

/* Registers it for this session, taking it from any other. */
enum err pushes_register(struct db *db, const struct uuid *user_id,
    const struct uuid *session_id, const struct push_token *token,
    int64_t now_ms);

/* Forgets the phones of a user.  The caller holds a write transaction. */
enum err pushes_forget_user(struct db *db, const struct uuid *user_id);

/*
 * Writes down what the next events call for; *ret_more when there are more of
 * them.  The first time it begins with what happens from then on.
 */
enum err pushes_make(struct db *db, int64_t now_ms, bool *ret_more);

struct push {
	struct push_token to;
	struct uuid job_id;
	int64_t tries_count; /* before this one */
	int64_t created_at_ms;
	enum lang lang;
	bool is_completed; /* else it failed */
	bool is_charge_kept;
};

/* Takes up to `max` that are due; nobody else takes them for lease_ms. */
enum err pushes_take(struct db *db, int64_t now_ms, int64_t lease_ms,
    struct push *ret_pushes, size_t max, size_t *ret_count);

/* It was taken, or never will be. */
enum err pushes_done(struct db *db, const struct push *push);

/* It is to be tried again then. */
enum err
pushes_later(struct db *db, const struct push *push, int64_t next_try_at_ms);

/*
 * The phone is gone, says Apple, since then (0 = now): it is forgotten with
 * all that was to be told it, unless it was registered later.
 */
enum err
pushes_token_dead(struct db *db, const struct push *push, int64_t since_ms);

/* Deletes up to `limit` phones without a session and messages past their life. */
enum err pushes_purge(struct db *db, int64_t now_ms, int64_t limit);

#endif

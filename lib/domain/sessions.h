/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_SESSIONS_H
#define DOMAIN_SESSIONS_H

#include "store/db.h"

/*
 * Sessions: one row from sign-in to sign-out, however often it is refreshed.
 *
 * A refresh token names its session and a counter (version 2 of GoTrue's
 * scheme).  The row holds the present counter, so racing refreshes converge on
 * one token, the direct parent is accepted again (its answer may have been
 * lost), and anything older is a stolen copy and ends the session.
 */

#define SESSION_SALT_BYTES 16

/* A user's oldest sessions end when there are more than this. */
#define SESSIONS_PER_USER_MAX 10

/* A session that was not refreshed for this long is over. */
#define SESSION_IDLE_MAX_MS (INT64_C(180) * 24 * 3600 * 1000)

/* Refreshes this close together get the same token. */
#define SESSION_REUSE_MS INT64_C(10000)

struct session {
	struct uuid id;
	struct uuid user_id;
	uint8_t refresh_salt[SESSION_SALT_BYTES];
	int64_t refresh_counter;
	int64_t created_at_ms;
	bool is_oauth;
	bool is_guest; /* of its user */
};

/* How the user came in; the word for it in a token's amr claim. */
enum session_method { SESSION_ANONYMOUS, SESSION_OAUTH, SESSION_OPERATOR };

/* Opens a session. The caller holds a write transaction. */
enum err sessions_create(struct db *db, const struct uuid *user_id,
    enum session_method method, int64_t now_ms, struct session *ret_session);

/* What every request with a token asks. */
enum session_verdict {
	SESSION_ALIVE,
	SESSION_GONE, /* logged out, ended, never was */
	SESSION_BANNED,
	SESSION_NO_USER, /* the account was deleted */
};

enum err sessions_check(struct db *db, const struct uuid *session_id,
    const struct uuid *user_id, enum session_verdict *ret_verdict,
    enum lang *ret_lang);

/* Errors: ERR_NOT_FOUND. */
enum err sessions_get(struct db *db, const struct uuid *session_id,
    struct session *ret_session);

/* The session that was used last.  Errors: ERR_NOT_FOUND. */
enum err sessions_newest(struct db *db, struct session *ret_session);

enum refresh_verdict {
	REFRESH_OK, /* *session is current: issue its token */
	REFRESH_GONE, /* no such session */
	REFRESH_REUSED, /* an old token: the session was ended */
	REFRESH_MALFORMED, /* a counter that was never given out */
	REFRESH_EXPIRED,
	REFRESH_BANNED,
};

/*
 * Presents the counter of a refresh token whose authenticity the caller has
 * checked.  In a transaction of its own; a verdict other than OK is committed
 * too.
 */
enum err sessions_refresh(struct db *db, const struct uuid *session_id,
    int64_t counter, int64_t now_ms, enum refresh_verdict *ret_verdict,
    struct session *ret_session);

/* A session as an operator may see it. */
struct session_summary {
	struct uuid id;
	char method[12];
	int64_t created_at_ms;
	int64_t refreshed_at_ms;
	int64_t refreshes_count;
};

/* The sessions of a user, the latest used first. */
enum err sessions_list(struct db *db, const struct uuid *user_id,
    struct session_summary ret_sessions[SESSIONS_PER_USER_MAX],
    size_t *ret_count);

/* Which sessions a user ends, seen from the one that asks. */
enum session_scope { SESSION_THIS, SESSION_OTHERS, SESSION_ALL };

/* Signs out, in a transaction of its own; what has ended stays so. */
enum err sessions_log_out(struct db *db, const struct uuid *user_id,
    const struct uuid *session_id, enum session_scope scope, int64_t now_ms);

/* Ends all sessions of a user. The caller holds a write transaction. */
enum err
sessions_end_all(struct db *db, const struct uuid *user_id, int64_t now_ms);

/* Deletes up to `limit` sessions that have been idle for too long. */
enum err sessions_purge(struct db *db, int64_t now_ms, int64_t limit);

#endif

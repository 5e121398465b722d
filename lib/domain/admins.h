/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_ADMINS_H
#define DOMAIN_ADMINS_H

#include "domain/admin_log.h"

/*
 * Admins: who may run this from a browser.  They have nothing to do with
 * users: other tables, other tokens, two factors, short sessions.
 *
 * What proves a password or a code is the caller's matter (app/admin_auth.h);
 * here is what is kept, and that no code counts twice.
 *
 * Functions that change something do so in a transaction of their own, with
 * their entry in the admin log.
 */

/* An encoded Argon2id hash, and a sealed secret, with room. */
#define ADMIN_HASH_BYTES 129
#define ADMIN_SEALED_BYTES_MAX 128

#define ADMIN_TOKEN_HASH_BYTES 32

/* A session that was not used for this long is over, and none is older. */
#define ADMIN_SESSION_IDLE_MS (INT64_C(15) * 60 * 1000)
#define ADMIN_SESSION_LIFE_MS (INT64_C(8) * 3600 * 1000)

struct admin {
	struct uuid id;
	char name[ADMIN_NAME_BYTES];
	char password_hash[ADMIN_HASH_BYTES];
	uint8_t sealed[ADMIN_SEALED_BYTES_MAX]; /* the secret of codes */
	size_t sealed_bytes;
	bool is_disabled;
	int64_t signed_in_at_ms; /* -1 = never */
	int64_t created_at_ms;
};

/* 1 to 64 of a-z 0-9 . _ @ - */
bool admins_name_ok(struct str name);

/* Adds `admin` (name, hash, secret). Errors: ERR_CONFLICT: the name is taken. */
enum err admins_add(struct db *db, const struct admin_actor *actor,
    const struct admin *admin, int64_t now_ms);

/*
 * Gives a new password and secret, ends all sessions, lifts a disabling.
 * Errors: ERR_NOT_FOUND.
 */
enum err admins_reset(struct db *db, const struct admin_actor *actor,
    const struct admin *admin, int64_t now_ms);

/* Ends all sessions; no more sign-in. Errors: ERR_NOT_FOUND. */
enum err admins_disable(struct db *db, const struct admin_actor *actor,
    struct str name, int64_t now_ms);

/* Errors: ERR_NOT_FOUND. */
enum err admins_find(struct db *db, struct str name, struct admin *ret_admin);

typedef void admins_each(void *arg, const struct admin *admin);
enum err admins_list(struct db *db, admins_each *each, void *arg);

/*
 * Opens a session for an admin as it was found, whose password and code of
 * this step were right.  Errors: ERR_UNAUTHORIZED when the step or a later one
 * was taken already, or the admin was disabled or reset meanwhile.
 */
enum err admins_sign_in(struct db *db, const struct admin *admin,
    int64_t totp_step, const uint8_t token_hash[ADMIN_TOKEN_HASH_BYTES],
    const char *address, int64_t now_ms);

/*
 * Whose session is this?  Marks it as used.  Errors: ERR_UNAUTHORIZED when
 * there is none, it is over, or its admin was disabled.
 */
enum err admins_check_session(struct db *db,
    const uint8_t token_hash[ADMIN_TOKEN_HASH_BYTES], int64_t now_ms,
    struct admin_actor *ret_actor, int64_t *ret_ends_at_ms);

/* Ends this session. */
enum err admins_sign_out(struct db *db, const struct admin_actor *actor,
    const uint8_t token_hash[ADMIN_TOKEN_HASH_BYTES], int64_t now_ms);

#endif

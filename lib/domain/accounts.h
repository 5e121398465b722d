/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_ACCOUNTS_H
#define DOMAIN_ACCOUNTS_H

#include "store/db.h"

/*
 * Accounts: who a user is.
 *
 * A row of users outlives the account it was: ledger entries and purchases
 * point to it.  A deleted account has no session, and those of a banned one open
 * nothing, so nobody can act for it.
 */

enum account_status { ACCOUNT_ACTIVE, ACCOUNT_BANNED, ACCOUNT_DELETED };

#define ACCOUNT_TEXT_BYTES 256

/* What a client may keep with an account, as JSON; the schema says so too. */
#define ACCOUNT_METADATA_BYTES_MAX 16384

struct account {
	struct uuid id;
	enum account_status status;
	bool is_guest;
	bool is_premium;
	char email[ACCOUNT_TEXT_BYTES]; /* "" = none */
	char apple_sub[ACCOUNT_TEXT_BYTES]; /* "" = not linked */
	char language[3];
	char theme_preference[8];
	char grant_state[16];
	char user_metadata[ACCOUNT_METADATA_BYTES_MAX + 1]; /* an object */
	struct uuid app_account_token;
	int64_t credits_remaining;
	int64_t credits_total;
	int64_t created_at_ms;
	int64_t updated_at_ms;
};

/* Errors: ERR_USER_NOT_FOUND. */
enum err accounts_get(struct db *db, const struct uuid *user_id,
    struct account *ret_account);

/* Makes a guest. The caller holds a write transaction. */
enum err accounts_create_guest(struct db *db, enum lang lang, int64_t now_ms,
    struct uuid *ret_user_id);

/* What users may change of their account; "" leaves a setting as it is. */
struct account_settings {
	char language[3];
	char theme_preference[8];
};

/* Are these a setting's values? */
bool accounts_language_ok(struct str language);
bool accounts_theme_preference_ok(struct str theme_preference);

/*
 * Changes the settings in a transaction of its own; the values are ok.
 * Errors: ERR_UNAUTHORIZED when the account was banned or deleted meanwhile.
 */
enum err accounts_change_settings(struct db *db, const struct uuid *user_id,
    const struct account_settings *settings, int64_t now_ms,
    struct account *ret_account);

/*
 * Replaces the metadata, which must still be what `account` says.  Errors:
 * ERR_CONFLICT when it is not: read again and repeat.
 */
enum err accounts_set_metadata(struct db *db, const struct account *account,
    struct str metadata, int64_t now_ms);

/*
 * Bans, or lifts a ban, in a transaction of its own.  From then on the sessions
 * open nothing; their tokens are told why until the ban is lifted, and are
 * worth nothing afterwards.  Errors: ERR_USER_NOT_FOUND.
 */
enum err accounts_set_banned(struct db *db, const struct uuid *user_id,
    bool banned, int64_t now_ms);

#endif

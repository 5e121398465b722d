/* SPDX-License-Identifier: MIT */
#include "domain/accounts.h"
#include "domain/events.h"
#include "domain/pushes.h"
#include "domain/sessions.h"

#include <assert.h>

static enum account_status
parse_status(struct str text)
{
	if (str_equal(text, STR("active")))
		return ACCOUNT_ACTIVE;
	return str_equal(text, STR("banned")) ? ACCOUNT_BANNED :
						ACCOUNT_DELETED;
}

enum err
accounts_get(struct db *db, const struct uuid *user_id,
    struct account *ret_account)
{
	static const char sql[] =
	    "SELECT id, status, is_guest, tier, email, apple_sub, language,"
	    " theme_preference, grant_state, app_account_token,"
	    " credits_remaining, credits_total, created_at_ms, updated_at_ms,"
	    " user_metadata FROM users WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct account *a = ret_account;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_USER_NOT_FOUND;

	*a = (struct account){
		.id = db_column_uuid(stmt, 0),
		.status = parse_status(db_column_str(stmt, 1)),
		.is_guest = db_column_bool(stmt, 2),
		.is_premium = str_equal(db_column_str(stmt, 3), STR("premium")),
		.app_account_token = db_column_uuid(stmt, 9),
		.credits_remaining = db_column_int64(stmt, 10),
		.credits_total = db_column_int64(stmt, 11),
		.created_at_ms = db_column_int64(stmt, 12),
		.updated_at_ms = db_column_int64(stmt, 13),
	};
	(void)str_copy(db_column_str(stmt, 4), a->email, sizeof(a->email));
	(void)str_copy(db_column_str(stmt, 5), a->apple_sub,
	    sizeof(a->apple_sub));
	(void)str_copy(db_column_str(stmt, 6), a->language,
	    sizeof(a->language));
	(void)str_copy(db_column_str(stmt, 7), a->theme_preference,
	    sizeof(a->theme_preference));
	(void)str_copy(db_column_str(stmt, 8), a->grant_state,
	    sizeof(a->grant_state));
	(void)str_copy(db_column_str(stmt, 14), a->user_metadata,
	    sizeof(a->user_metadata));
	return OK;
}

enum err
accounts_create_guest(struct db *db, enum lang lang, int64_t now_ms,
    struct uuid *ret_user_id)
{
	static const char sql[] =
	    "INSERT INTO users (id, language, app_account_token,"
	    " created_at_ms, updated_at_ms) VALUES (?1, ?2, ?3, ?4, ?4)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct uuid id = uuid_random();
	const struct uuid token = uuid_random();
	enum err err;

	assert(db_in_transaction(db));
	db_bind_uuid(stmt, 1, &id);
	db_bind_text(stmt, 2, lang_name(lang));
	db_bind_uuid(stmt, 3, &token);
	db_bind_int64(stmt, 4, now_ms);
	err = db_run(stmt);
	if (err == OK)
		*ret_user_id = id;
	return err;
}

bool
accounts_language_ok(struct str language)
{
	enum lang lang;

	return lang_parse(language, &lang);
}

bool
accounts_theme_preference_ok(struct str theme_preference)
{
	return str_equal(theme_preference, STR("system")) ||
	    str_equal(theme_preference, STR("light")) ||
	    str_equal(theme_preference, STR("dark"));
}

struct change {
	const struct uuid *user_id;
	const struct account_settings *settings;
	int64_t now_ms;
	struct account account;
};

static enum err
change_settings(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE users SET language = COALESCE(?2, language),"
	    " theme_preference = COALESCE(?3, theme_preference),"
	    " updated_at_ms = ?4 WHERE id = ?1 AND status = 'active'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct change *change = arg;
	const struct account_settings *settings = change->settings;
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, change->user_id);
	if (settings->language[0] != '\0')
		db_bind_text(stmt, 2, settings->language);
	if (settings->theme_preference[0] != '\0')
		db_bind_text(stmt, 3, settings->theme_preference);
	db_bind_int64(stmt, 4, change->now_ms);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	if (changes == 0)
		return ERR_UNAUTHORIZED;
	return accounts_get(db, change->user_id, &change->account);
}

enum err
accounts_change_settings(struct db *db, const struct uuid *user_id,
    const struct account_settings *settings, int64_t now_ms,
    struct account *ret_account)
{
	struct change change = { .user_id = user_id,
		.settings = settings,
		.now_ms = now_ms };
	const enum err err = db_transaction(db, change_settings, &change);

	if (err == OK)
		*ret_account = change.account;
	return err;
}

struct metadata_change {
	const struct account *account;
	struct str metadata;
	int64_t now_ms;
};

static enum err
set_metadata(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE users SET user_metadata = ?3, updated_at_ms = ?4"
	    " WHERE id = ?1 AND user_metadata = ?2 AND status = 'active'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct metadata_change *change = arg;
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, &change->account->id);
	db_bind_text(stmt, 2, change->account->user_metadata);
	db_bind_str(stmt, 3, change->metadata);
	db_bind_int64(stmt, 4, change->now_ms);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? OK : ERR_CONFLICT;
}

enum err
accounts_set_metadata(struct db *db, const struct account *account,
    struct str metadata, int64_t now_ms)
{
	struct metadata_change change = { account, metadata, now_ms };

	assert(metadata.len <= ACCOUNT_METADATA_BYTES_MAX);
	return db_transaction(db, set_metadata, &change);
}

struct ban {
	const struct uuid *user_id;
	bool banned;
	int64_t now_ms;
};

/*
 * The sessions of who is banned open nothing, but stay to say so; with the ban
 * they end.
 */
static enum err
settle_sessions(struct db *db, const struct ban *ban)
{
	enum err err;

	if (!ban->banned)
		return sessions_end_all(db, ban->user_id, ban->now_ms);
	err = pushes_forget_user(db, ban->user_id);
	if (err == OK)
		err = events_append(db, EVENT_SESSION, ban->user_id, NULL,
		    ban->now_ms);
	return err;
}

static enum err
set_banned(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE users SET status = ?2, updated_at_ms = ?3"
	    " WHERE id = ?1 AND status = ?4";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct ban *ban = arg;
	struct account account;
	int64_t changes;
	enum err err;

	err = accounts_get(db, ban->user_id, &account);
	if (err == OK && account.status == ACCOUNT_DELETED)
		err = ERR_USER_NOT_FOUND;
	if (err != OK)
		return err;
	db_bind_uuid(stmt, 1, ban->user_id);
	db_bind_text(stmt, 2, ban->banned ? "banned" : "active");
	db_bind_int64(stmt, 3, ban->now_ms);
	db_bind_text(stmt, 4, ban->banned ? "active" : "banned");
	err = db_run_changes(stmt, &changes);
	/* Who is banned, or not, already: nothing changes. */
	return err != OK || changes == 0 ? err : settle_sessions(db, ban);
}

enum err
accounts_set_banned(struct db *db, const struct uuid *user_id, bool banned,
    int64_t now_ms)
{
	struct ban ban = { user_id, banned, now_ms };

	return db_transaction(db, set_banned, &ban);
}

/* SPDX-License-Identifier: MIT */
#include "domain/devices.h"
#include "domain/accounts.h"
#include "domain/credits.h"

#include <assert.h>

struct device {
	bool is_known;
	bool has_user;
	struct uuid user_id;
	bool had_gift;
	bool is_marking;
};

static enum err
read_device(struct db *db, const struct device_entry *entry,
    struct device *device)
{
	static const char sql[] =
	    "SELECT user_id, granted_user_id, is_marking FROM devices"
	    " WHERE id_hash = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_blob(stmt, 1, entry->id_hash, DEVICE_HASH_BYTES);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*device = (struct device){ .is_known = found };
	if (found) {
		device->has_user = !db_column_is_null(stmt, 0);
		device->user_id = db_column_uuid(stmt, 0);
		device->had_gift = !db_column_is_null(stmt, 1);
		device->is_marking = db_column_bool(stmt, 2);
	}
	return OK;
}

static enum err
note_device(struct db *db, const struct device_entry *entry)
{
	static const char sql[] =
	    "INSERT INTO devices (id_hash, user_id, created_at_ms, seen_at_ms,"
	    " is_marking) VALUES (?1, ?2, ?3, ?3, ?5)"
	    " ON CONFLICT (id_hash) DO UPDATE SET user_id = excluded.user_id,"
	    " seen_at_ms = excluded.seen_at_ms,"
	    " is_marking = excluded.is_marking,"
	    " accounts_count = devices.accounts_count + ?4";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_blob(stmt, 1, entry->id_hash, DEVICE_HASH_BYTES);
	db_bind_uuid(stmt, 2, &entry->session.user_id);
	db_bind_int64(stmt, 3, entry->now_ms);
	db_bind_int64(stmt, 4, entry->is_new ? 1 : 0);
	db_bind_bool(stmt, 5, entry->is_pending && entry->is_verified);
	return db_run(stmt);
}

static enum err
set_grant_state(struct db *db, const struct uuid *user_id, const char *state)
{
	static const char sql[] =
	    "UPDATE users SET grant_state = ?2 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	db_bind_text(stmt, 2, state);
	return db_run(stmt);
}

/* May this device come back to the account it had? Fills *account if so. */
static enum err
find_account(struct db *db, const struct device_entry *entry,
    const struct device *device, struct account *account, bool *ret_found)
{
	enum err err;

	*ret_found = false;
	if (!entry->is_secret || !device->has_user)
		return OK;
	err = accounts_get(db, &device->user_id, account);
	if (err != OK)
		return err;
	if (account->status == ACCOUNT_BANNED)
		return ERR_USER_BANNED;
	*ret_found = account->status == ACCOUNT_ACTIVE && account->is_guest;
	if (*ret_found && !entry->is_verified)
		return ERR_SERVICE_UNAVAILABLE;
	return OK;
}

static enum err
enter(struct db *db, void *arg)
{
	struct device_entry *entry = arg;
	struct account account = { 0 };
	struct device device;
	struct uuid user_id;
	bool is_back, is_gift_open;
	enum err err;

	err = read_device(db, entry, &device);
	if (err != OK)
		return err;
	err = find_account(db, entry, &device, &account, &is_back);
	if (err != OK)
		return err;
	entry->is_new = !is_back;
	user_id = account.id;
	if (!is_back)
		err = accounts_create_guest(db, entry->lang, entry->now_ms,
		    &user_id);
	if (err == OK)
		err = sessions_create(db, &user_id, SESSION_ANONYMOUS,
		    entry->now_ms, &entry->session);
	if (err != OK)
		return err;
	is_gift_open = !device.had_gift &&
	    (!is_back || strcmp(account.grant_state, "pending") == 0);
	/*
	 * Apple's bit says that this phone had its gift, unless we were about
	 * to set it for this very account and never came to the end.
	 */
	entry->is_pending = is_gift_open &&
	    (!entry->is_verified || !entry->had_gift ||
		(is_back && device.is_marking));
	entry->credits_remaining = is_back ? account.credits_remaining : 0;
	err = note_device(db, entry);
	if (err == OK && !entry->is_pending && (!is_back || is_gift_open))
		err = set_grant_state(db, &user_id, "already_claimed");
	return err;
}

enum err
devices_enter(struct db *db, struct device_entry *entry)
{
	return db_transaction(db, enter, entry);
}

struct gift {
	const struct device_entry *entry;
	int64_t amount_credits;
	bool given;
	int64_t balance;
};

/* Marks the device and the account; false if either had the gift before. */
static enum err
claim(struct db *db, const struct device_entry *entry, bool *ret_claimed)
{
	static const char device_sql[] =
	    "UPDATE devices SET granted_user_id = ?2"
	    " WHERE id_hash = ?1 AND granted_user_id IS NULL";
	static const char user_sql[] =
	    "UPDATE users SET grant_state = 'granted'"
	    " WHERE id = ?1 AND grant_state = 'pending'";
	CLEANUP(db_release) struct db_stmt *device = db_prepare(db, device_sql);
	CLEANUP(db_release) struct db_stmt *user = db_prepare(db, user_sql);
	int64_t users, devices = 0;
	enum err err;

	db_bind_uuid(user, 1, &entry->session.user_id);
	err = db_run_changes(user, &users);
	if (err != OK)
		return err;
	db_bind_blob(device, 1, entry->id_hash, DEVICE_HASH_BYTES);
	db_bind_uuid(device, 2, &entry->session.user_id);
	if (users == 1)
		err = db_run_changes(device, &devices);
	if (err != OK)
		return err;
	if (users == 1 && devices == 0)
		err = set_grant_state(db, &entry->session.user_id,
		    "already_claimed");
	*ret_claimed = devices == 1;
	return err;
}

static enum err
grant(struct db *db, void *arg)
{
	struct gift *gift = arg;
	const struct uuid *user_id = &gift->entry->session.user_id;
	enum err err;

	err = claim(db, gift->entry, &gift->given);
	if (err != OK)
		return err;
	if (gift->given && gift->amount_credits > 0)
		err = credits_grant(db, user_id, gift->amount_credits,
		    gift->entry->now_ms);
	if (err != OK)
		return err;
	return credits_balance(db, user_id, &gift->balance);
}

enum err
devices_grant(struct db *db, const struct device_entry *entry,
    int64_t amount_credits, bool *ret_given, int64_t *ret_balance)
{
	struct gift gift = { .entry = entry, .amount_credits = amount_credits };
	const enum err err = db_transaction(db, grant, &gift);

	if (err != OK)
		return err;
	*ret_given = gift.given;
	*ret_balance = gift.balance;
	return OK;
}

static enum err
unmark(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE devices SET is_marking = 0 WHERE id_hash = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct device_entry *entry = arg;

	db_bind_blob(stmt, 1, entry->id_hash, DEVICE_HASH_BYTES);
	return db_run(stmt);
}

enum err
devices_unmark(struct db *db, struct device_entry *entry)
{
	return db_transaction(db, unmark, entry);
}

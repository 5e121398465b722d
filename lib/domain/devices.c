/* SPDX-License-Identifier: MIT */
#include "domain/devices.h"
#include "domain/accounts.h"
#include "domain/credits.h"

#include <assert.h>

struct device {
	bool has_user;
	struct uuid user_id;
	bool had_gift;
	bool is_marking;
	int64_t accounts_count;
	int64_t rejections_count;
	int64_t bit_changes_count;
};

static enum err
read_device(struct db *db, const struct device_entry *entry,
    struct device *device)
{
	static const char sql[] =
	    "SELECT user_id, granted_user_id, is_marking, accounts_count,"
	    " rejections_count, bit_changes_count FROM devices WHERE id_hash = "
	    "?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_blob(stmt, 1, entry->id_hash, DEVICE_HASH_BYTES);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	*device = (struct device){ 0 };
	if (found) {
		device->has_user = !db_column_is_null(stmt, 0);
		device->user_id = db_column_uuid(stmt, 0);
		device->had_gift = !db_column_is_null(stmt, 1);
		device->is_marking = db_column_bool(stmt, 2);
		device->accounts_count = db_column_int64(stmt, 3);
		device->rejections_count = db_column_int64(stmt, 4);
		device->bit_changes_count = db_column_int64(stmt, 5);
	}
	return OK;
}

/*
 * A bit that differs from what was last seen or set here is strange, unless
 * the device is marked: then nobody knows what became of it.
 */
static enum err
note_device(struct db *db, const struct device_entry *entry)
{
	static const char sql[] =
	    "INSERT INTO devices (id_hash, user_id, is_marking, grant_bit,"
	    " created_at_ms, seen_at_ms)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?5)"
	    " ON CONFLICT (id_hash) DO UPDATE SET user_id = excluded.user_id,"
	    " seen_at_ms = excluded.seen_at_ms,"
	    " accounts_count = devices.accounts_count + ?6,"
	    " bit_changes_count = devices.bit_changes_count +"
	    "  (devices.is_marking = 0 AND COALESCE("
	    "   devices.grant_bit <> excluded.grant_bit, 0)),"
	    " grant_bit = COALESCE(excluded.grant_bit, devices.grant_bit),"
	    " is_marking = devices.is_marking | excluded.is_marking";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_blob(stmt, 1, entry->id_hash, DEVICE_HASH_BYTES);
	db_bind_uuid(stmt, 2, &entry->session.user_id);
	db_bind_bool(stmt, 3, entry->must_set_bit);
	if (entry->is_verified)
		db_bind_bool(stmt, 4, entry->had_gift);
	db_bind_int64(stmt, 5, entry->now_ms);
	db_bind_int64(stmt, 6, entry->is_new ? 1 : 0);
	return db_run(stmt);
}

/* Only from pending: what was decided stays. */
static enum err
settle_grant_state(struct db *db, const struct uuid *user_id, const char *state,
    int64_t *ret_changes)
{
	static const char sql[] =
	    "UPDATE users SET grant_state = ?2 WHERE id = ?1"
	    " AND grant_state = 'pending' AND status = 'active'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	db_bind_text(stmt, 2, state);
	return db_run_changes(stmt, ret_changes);
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

static bool
is_suspect(const struct device_entry *entry, const struct device *device)
{
	return device->rejections_count > entry->limits.rejections_max ||
	    device->bit_changes_count > entry->limits.bit_changes_max;
}

/* `account` is NULL for a new one. */
static enum device_gift
decide(const struct device_entry *entry, const struct device *device,
    const struct account *account)
{
	if (device->had_gift)
		return GIFT_ALREADY_CLAIMED;
	if (account != NULL && strcmp(account->grant_state, "withheld") == 0)
		return GIFT_WITHHELD;
	if (account != NULL && strcmp(account->grant_state, "pending") != 0)
		return GIFT_ALREADY_CLAIMED;
	if (account == NULL &&
	    device->accounts_count >= entry->limits.accounts_max)
		return GIFT_WITHHELD;
	if (entry->had_gift && !device->is_marking)
		return GIFT_ALREADY_CLAIMED;
	return is_suspect(entry, device) ? GIFT_WITHHELD : GIFT_PENDING;
}

/* What was decided of the present account, and of the one it replaces. */
static enum err
write_decision(struct db *db, const struct device_entry *entry,
    const struct device *device, bool was_pending)
{
	int64_t changes;
	enum err err = OK;

	if (was_pending && entry->gift != GIFT_PENDING)
		err = settle_grant_state(db, &entry->session.user_id,
		    entry->gift == GIFT_WITHHELD ? "withheld" :
						   "already_claimed",
		    &changes);
	/* The device comes back to the new account only. */
	if (err == OK && entry->is_new && device->has_user)
		err = settle_grant_state(db, &device->user_id,
		    "already_claimed", &changes);
	return err;
}

static enum err
enter(struct db *db, void *arg)
{
	struct device_entry *entry = arg;
	struct account account = { 0 };
	struct device device;
	struct uuid user_id;
	bool is_back;
	enum err err;

	err = read_device(db, entry, &device);
	if (err != OK)
		return err;
	err = find_account(db, entry, &device, &account, &is_back);
	if (err != OK)
		return err;
	entry->is_new = !is_back;
	entry->credits_remaining = is_back ? account.credits_remaining : 0;
	entry->gift = decide(entry, &device, is_back ? &account : NULL);
	entry->must_set_bit = entry->gift == GIFT_PENDING &&
	    entry->is_verified && !entry->had_gift && !entry->must_wait;
	user_id = account.id;
	if (!is_back)
		err = accounts_create_guest(db, entry->lang, entry->now_ms,
		    &user_id);
	if (err == OK)
		err = sessions_create(db, &user_id, SESSION_ANONYMOUS,
		    entry->now_ms, &entry->session);
	if (err == OK)
		err = note_device(db, entry);
	if (err == OK)
		err = write_decision(db, entry, &device,
		    !is_back || strcmp(account.grant_state, "pending") == 0);
	return err;
}

enum err
devices_enter(struct db *db, struct device_entry *entry)
{
	assert(!entry->had_gift || entry->is_verified);
	assert(entry->limits.accounts_max > 0);
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
	static const char sql[] =
	    "UPDATE devices SET granted_user_id = ?2, grant_bit = 1,"
	    " is_marking = 0"
	    " WHERE id_hash = ?1 AND granted_user_id IS NULL"
	    " AND EXISTS (SELECT 1 FROM users WHERE id = ?2"
	    "  AND grant_state = 'pending' AND status = 'active')";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t devices, users;
	enum err err;

	db_bind_blob(stmt, 1, entry->id_hash, DEVICE_HASH_BYTES);
	db_bind_uuid(stmt, 2, &entry->session.user_id);
	err = db_run_changes(stmt, &devices);
	if (err == OK)
		err = settle_grant_state(db, &entry->session.user_id,
		    devices == 1 ? "granted" : "already_claimed", &users);
	if (err == OK)
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
devices_grant(struct db *db, struct device_entry *entry, int64_t amount_credits)
{
	struct gift gift = { .entry = entry, .amount_credits = amount_credits };
	enum err err;

	assert(entry->is_verified);
	assert(!entry->must_wait);
	err = db_transaction(db, grant, &gift);
	if (err != OK)
		return err;
	entry->gift = gift.given ? GIFT_GRANTED : GIFT_ALREADY_CLAIMED;
	entry->credits_remaining = gift.balance;
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
devices_unmark(struct db *db, const struct device_entry *entry)
{
	struct device_entry copy = *entry;

	return db_transaction(db, unmark, &copy);
}

struct rejection {
	const uint8_t *id_hash;
	int64_t now_ms;
};

static enum err
note_rejection(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE devices SET rejections_count = rejections_count + 1,"
	    " seen_at_ms = ?2 WHERE id_hash = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct rejection *rejection = arg;

	db_bind_blob(stmt, 1, rejection->id_hash, DEVICE_HASH_BYTES);
	db_bind_int64(stmt, 2, rejection->now_ms);
	return db_run(stmt);
}

enum err
devices_note_rejection(struct db *db, const uint8_t id_hash[DEVICE_HASH_BYTES],
    int64_t now_ms)
{
	struct rejection rejection = { id_hash, now_ms };

	return db_transaction(db, note_rejection, &rejection);
}

enum err
devices_pending_count(struct db *db, int64_t *ret_count)
{
	static const char sql[] =
	    "SELECT COUNT(*) FROM users"
	    " WHERE grant_state = 'pending' AND status = 'active'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	err = db_step(stmt, &found);
	if (err == OK)
		*ret_count = db_column_int64(stmt, 0);
	return err;
}

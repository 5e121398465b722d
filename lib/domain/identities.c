/* SPDX-License-Identifier: MIT */
#include "domain/identities.h"
#include "domain/accounts.h"
#include "domain/deletions.h"
#include "domain/merges.h"

#include <assert.h>

/* Takes a token's only use; false when it was taken before. */
static enum err
take_use(struct db *db, const struct identity *identity, bool *ret_ok)
{
	static const char sql[] =
	    "INSERT INTO used_identity_tokens (hash, expires_at_ms)"
	    " VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t changes;
	enum err err;

	db_bind_blob(stmt, 1, identity->hash, IDENTITY_HASH_BYTES);
	db_bind_int64(stmt, 2, identity->expires_at_ms);
	err = db_run_changes(stmt, &changes);
	if (err == OK)
		*ret_ok = changes == 1;
	return err;
}

struct owner {
	bool is_known;
	struct uuid id;
};

/* The account of an Apple ID.  Errors: ERR_USER_BANNED. */
static enum err
find_owner(struct db *db, const char *sub, struct owner *owner)
{
	static const char sql[] =
	    "SELECT id, status FROM users WHERE apple_sub = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_text(stmt, 1, sub);
	err = db_step(stmt, &owner->is_known);
	if (err != OK || !owner->is_known)
		return err;
	owner->id = db_column_uuid(stmt, 0);
	return str_equal(db_column_str(stmt, 1), STR("banned")) ?
	    ERR_USER_BANNED :
	    OK;
}

static void
bind_email(struct db_stmt *stmt, int index, const char *email)
{
	if (email[0] == '\0')
		db_bind_null(stmt, index);
	else
		db_bind_text(stmt, index, email);
}

/* Makes a guest the identity's account; false when it is no guest. */
static enum err
upgrade(struct db *db, const struct identity_entry *entry,
    const struct uuid *user_id, bool *ret_ok)
{
	static const char sql[] =
	    "UPDATE users SET is_guest = 0, apple_sub = ?2, email = ?3,"
	    " updated_at_ms = ?4"
	    " WHERE id = ?1 AND is_guest = 1 AND status = 'active'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	db_bind_text(stmt, 2, entry->identity->sub);
	bind_email(stmt, 3, entry->identity->email);
	db_bind_int64(stmt, 4, entry->now_ms);
	err = db_run_changes(stmt, &changes);
	if (err == OK)
		*ret_ok = changes == 1;
	return err;
}

/* An address that Apple tells now is the one that counts. */
static enum err
note_email(struct db *db, const struct identity *identity)
{
	static const char sql[] =
	    "UPDATE users SET email = ?2"
	    " WHERE apple_sub = ?1 AND COALESCE(email, '') <> ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	if (identity->email[0] == '\0')
		return OK;
	db_bind_text(stmt, 1, identity->sub);
	db_bind_text(stmt, 2, identity->email);
	return db_run(stmt);
}

static enum err
open_session(struct db *db, struct identity_entry *entry,
    const struct uuid *user_id)
{
	const enum err err = note_email(db, entry->identity);

	if (err != OK)
		return err;
	entry->verdict = IDENTITY_OK;
	return sessions_create(db, user_id, SESSION_OAUTH, entry->now_ms,
	    &entry->session);
}

/* True, with the verdict set, when this token may not be used (again). */
static enum err
refuse_replay(struct db *db, struct identity_entry *entry, bool *ret_refused)
{
	bool ok = true;
	enum err err = OK;

	if (entry->identity->is_single_use)
		err = take_use(db, entry->identity, &ok);
	if (err == OK && !ok)
		entry->verdict = IDENTITY_REPLAYED;
	*ret_refused = !ok;
	return err;
}

/* A free gift is a phone's, and here is none. */
static enum err
withhold_gift(struct db *db, const struct uuid *user_id)
{
	static const char sql[] =
	    "UPDATE users SET grant_state = 'withheld' WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	return db_run(stmt);
}

static enum err
make_account(struct db *db, const struct identity_entry *entry,
    struct uuid *ret_user_id)
{
	bool ok;
	enum err err;

	err =
	    accounts_create_guest(db, entry->lang, entry->now_ms, ret_user_id);
	if (err == OK)
		err = withhold_gift(db, ret_user_id);
	if (err == OK)
		err = upgrade(db, entry, ret_user_id, &ok);
	return err;
}

static enum err
sign_in(struct db *db, void *arg)
{
	struct identity_entry *entry = arg;
	struct owner owner;
	bool is_done, is_refused;
	enum err err;

	err = find_owner(db, entry->identity->sub, &owner);
	if (err == OK)
		err = refuse_replay(db, entry, &is_refused);
	if (err != OK || is_refused)
		return err;
	is_done = owner.is_known;
	if (!is_done && entry->user_id != NULL) {
		owner.id = *entry->user_id;
		err = upgrade(db, entry, &owner.id, &is_done);
	}
	if (err == OK && !is_done)
		err = make_account(db, entry, &owner.id);
	return err == OK ? open_session(db, entry, &owner.id) : err;
}

enum err
identities_sign_in(struct db *db, struct identity_entry *entry)
{
	return db_transaction(db, sign_in, entry);
}

static enum err
find_guest(struct db *db, const struct uuid *user_id, bool *ret_is_guest)
{
	static const char sql[] = "SELECT 1 FROM users WHERE id = ?1"
				  " AND is_guest = 1 AND status = 'active'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	return db_step(stmt, ret_is_guest);
}

static enum err
link_account(struct db *db, void *arg)
{
	struct identity_entry *entry = arg;
	struct owner owner;
	bool is_guest, is_refused;
	enum err err;

	err = find_owner(db, entry->identity->sub, &owner);
	if (err == ERR_USER_BANNED)
		err = OK; /* that account's ban is not this user's */
	if (err == OK)
		err = find_guest(db, entry->user_id, &is_guest);
	if (err != OK)
		return err;
	/* The token stays unused: its owner may now sign in or merge by it. */
	entry->verdict = IDENTITY_TAKEN;
	if (owner.is_known || !is_guest)
		return OK;
	err = refuse_replay(db, entry, &is_refused);
	if (err != OK || is_refused)
		return err;
	err = upgrade(db, entry, entry->user_id, &is_guest);
	return err == OK ? open_session(db, entry, entry->user_id) : err;
}

enum err
identities_link(struct db *db, struct identity_entry *entry)
{
	assert(entry->user_id != NULL);
	return db_transaction(db, link_account, entry);
}

static enum err
merge(struct db *db, void *arg)
{
	struct identity_entry *entry = arg;
	struct owner owner;
	bool is_guest, is_refused;
	enum err err;

	/* Racing twins meet here: one merges, the rest find no guest. */
	err = find_guest(db, entry->user_id, &is_guest);
	if (err == OK && !is_guest)
		err = ERR_CONFLICT;
	if (err == OK)
		err = find_owner(db, entry->identity->sub, &owner);
	if (err == OK)
		err = refuse_replay(db, entry, &is_refused);
	if (err != OK || is_refused)
		return err;
	if (owner.is_known) {
		err = merges_run(db, entry->user_id, &owner.id,
		    entry->counts_sandbox, entry->now_ms);
	} else {
		owner.id = *entry->user_id;
		err = upgrade(db, entry, &owner.id, &is_guest);
	}
	return err == OK ? open_session(db, entry, &owner.id) : err;
}

enum err
identities_merge(struct db *db, struct identity_entry *entry)
{
	assert(entry->user_id != NULL);
	return db_transaction(db, merge, entry);
}

struct note {
	const struct identity *identity;
	enum identity_news news;
	int64_t now_ms;
};

static enum err
set_email(struct db *db, const struct note *note, const struct uuid *user_id)
{
	static const char sql[] =
	    "UPDATE users SET email = ?2, updated_at_ms = ?3 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	bind_email(stmt, 2, note->identity->email);
	db_bind_int64(stmt, 3, note->now_ms);
	return db_run(stmt);
}

/* The consent is withdrawn at Apple: there is nothing left to revoke. */
static enum err
forget_consent(struct db *db, const struct uuid *user_id)
{
	static const char sql[] = "DELETE FROM apple_tokens WHERE user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	return db_run(stmt);
}

static enum err
unlink_account(struct db *db, const struct note *note,
    const struct uuid *user_id)
{
	static const char sql[] =
	    "UPDATE users SET apple_sub = NULL, email = NULL, is_guest = 1,"
	    " updated_at_ms = ?2 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, user_id);
	db_bind_int64(stmt, 2, note->now_ms);
	return db_run(stmt);
}

static enum err
notify(struct db *db, void *arg)
{
	const struct note *note = arg;
	struct owner owner = { .is_known = false };
	bool is_first = false;
	enum err err;

	err = take_use(db, note->identity, &is_first);
	if (err == OK && is_first)
		err = find_owner(db, note->identity->sub, &owner);
	if (err == ERR_USER_BANNED)
		err = OK; /* it is theirs all the same */
	if (err != OK || !is_first || !owner.is_known)
		return err;
	if (note->news == IDENTITY_EMAIL)
		return set_email(db, note, &owner.id);
	err = forget_consent(db, &owner.id);
	if (err == OK)
		err = sessions_end_all(db, &owner.id, note->now_ms);
	if (err == OK && note->news == IDENTITY_GONE)
		err = unlink_account(db, note, &owner.id);
	return err;
}

enum err
identities_notify(struct db *db, const struct identity *identity,
    enum identity_news news, int64_t now_ms)
{
	struct note note = { identity, news, now_ms };

	return db_transaction(db, notify, &note);
}

struct keeping {
	const struct uuid *user_id;
	const struct identity_consent *consent;
	int64_t now_ms;
};

static enum err
keep_consent(struct db *db, void *arg)
{
	static const char sql[] =
	    "INSERT INTO apple_tokens (user_id, client_id, sealed,"
	    " created_at_ms) SELECT id, ?2, ?3, ?4 FROM users"
	    " WHERE id = ?1 AND (apple_sub IS NOT NULL"
	    "  OR (status = 'deleted' AND merged_into_id IS NULL))"
	    " ON CONFLICT (user_id) DO UPDATE SET"
	    " client_id = excluded.client_id, sealed = excluded.sealed,"
	    " created_at_ms = excluded.created_at_ms";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct keeping *k = arg;
	enum err err;

	db_bind_uuid(stmt, 1, k->user_id);
	db_bind_text(stmt, 2, k->consent->client_id);
	db_bind_blob(stmt, 3, k->consent->sealed, k->consent->sealed_bytes);
	db_bind_int64(stmt, 4, k->now_ms);
	err = db_run(stmt);
	return err == OK ? deletions_owe_consent(db, k->user_id, k->now_ms) :
			   err;
}

enum err
identities_keep_consent(struct db *db, const struct uuid *user_id,
    const struct identity_consent *consent, int64_t now_ms)
{
	struct keeping k = { user_id, consent, now_ms };

	return db_transaction(db, keep_consent, &k);
}

enum err
identities_get_consent(struct db *db, const struct uuid *user_id,
    struct identity_consent *ret_consent)
{
	static const char sql[] =
	    "SELECT client_id, sealed FROM apple_tokens WHERE user_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct str sealed;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_NOT_FOUND;
	sealed = db_column_blob(stmt, 1);
	if (sealed.len > IDENTITY_SEALED_BYTES_MAX ||
	    !str_copy(db_column_str(stmt, 0), ret_consent->client_id,
		sizeof(ret_consent->client_id)))
		return ERR_INTERNAL;
	memcpy(ret_consent->sealed, sealed.ptr, sealed.len);
	ret_consent->sealed_bytes = sealed.len;
	return OK;
}

struct purge {
	int64_t now_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM used_identity_tokens WHERE hash IN"
	    " (SELECT hash FROM used_identity_tokens WHERE expires_at_ms <= ?1"
	    " ORDER BY expires_at_ms LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct purge *what = arg;

	db_bind_int64(stmt, 1, what->now_ms);
	db_bind_int64(stmt, 2, what->limit);
	return db_run(stmt);
}

enum err
identities_purge(struct db *db, int64_t now_ms, int64_t limit)
{
	struct purge what = { now_ms, limit };

	return db_transaction(db, purge, &what);
}

/* SPDX-License-Identifier: MIT */
#include "domain/consumption.h"

struct saying {
	const struct uuid *user_id;
	const struct consent *consent;
	int64_t now_ms;
	int64_t number; /* of what was said last; 0 = nothing */
	struct consent said;
};

static enum err
read_last(struct db *db, struct saying *s)
{
	static const char sql[] =
	    "SELECT number, is_given, text_version, created_at_ms"
	    " FROM consents WHERE user_id = ?1 ORDER BY number DESC LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	s->number = 0;
	db_bind_uuid(stmt, 1, s->user_id);
	err = db_step(stmt, &found);
	if (err != OK || !found)
		return err;
	s->number = db_column_int64(stmt, 0);
	s->said.is_given = db_column_bool(stmt, 1);
	(void)str_copy(db_column_str(stmt, 2), s->said.text_version,
	    sizeof(s->said.text_version));
	s->said.created_at_ms = db_column_int64(stmt, 3);
	return OK;
}

/* Only for somebody who is there. */
static enum err
append(struct db *db, const struct saying *s)
{
	static const char sql[] =
	    "INSERT INTO consents (user_id, number, is_given, text_version,"
	    " created_at_ms) SELECT id, ?2, ?3, ?4, ?5 FROM users"
	    " WHERE id = ?1 AND status = 'active'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t changes;
	enum err err;

	db_bind_uuid(stmt, 1, s->user_id);
	db_bind_int64(stmt, 2, s->number + 1);
	db_bind_bool(stmt, 3, s->consent->is_given);
	db_bind_text(stmt, 4, s->consent->text_version);
	db_bind_int64(stmt, 5, s->now_ms);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? OK : ERR_UNAUTHORIZED;
}

static enum err
say(struct db *db, void *arg)
{
	struct saying *s = arg;
	enum err err;

	err = read_last(db, s);
	if (err != OK)
		return err;
	if (s->number > 0 && s->said.is_given == s->consent->is_given &&
	    strcmp(s->said.text_version, s->consent->text_version) == 0)
		return OK;
	err = append(db, s);
	if (err != OK)
		return err;
	s->said = *s->consent;
	s->said.created_at_ms = s->now_ms;
	return OK;
}

enum err
consents_set(struct db *db, const struct uuid *user_id,
    const struct consent *consent, int64_t now_ms, struct consent *ret_consent)
{
	struct saying s = { .user_id = user_id,
		.consent = consent,
		.now_ms = now_ms };
	const enum err err = db_transaction(db, say, &s);

	if (err == OK)
		*ret_consent = s.said;
	return err;
}

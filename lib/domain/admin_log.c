/* SPDX-License-Identifier: MIT */
#include "domain/admin_log.h"

#include <assert.h>

const struct admin_actor admin_console = { .is_console = true,
	.name = "console" };

static void
bind_value(struct db_stmt *stmt, int index, struct str value)
{
	if (value.len > ADMIN_VALUE_BYTES_MAX) {
		value.len = ADMIN_VALUE_BYTES_MAX;
		/* Not in the middle of a character. */
		while (value.len > 0 &&
		    ((unsigned char)value.ptr[value.len] & 0xc0) == 0x80)
			value.len--;
	}
	if (value.ptr == NULL)
		db_bind_null(stmt, index);
	else
		db_bind_str(stmt, index, value);
}

enum err
admin_log_append(struct db *db, const struct admin_actor *actor,
    const struct admin_act *act, int64_t now_ms, int64_t *ret_number)
{
	static const char sql[] =
	    "INSERT INTO admin_log (admin_id, actor, address, action, user_id,"
	    " subject_id, field, old_value, new_value, credits, reason,"
	    " undoes_number, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
	    " ?8, ?9, ?10, ?11, ?12, ?13) RETURNING number";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	assert(db_in_transaction(db));
	assert(act->reason.len <= ADMIN_REASON_BYTES_MAX);
	db_bind_uuid(stmt, 1, actor->is_console ? NULL : &actor->id);
	db_bind_text(stmt, 2, actor->name);
	db_bind_text(stmt, 3, actor->address);
	db_bind_text(stmt, 4, act->action);
	db_bind_uuid(stmt, 5, act->user_id);
	db_bind_uuid(stmt, 6, act->subject_id);
	db_bind_str(stmt, 7, act->field.ptr == NULL ? STR("") : act->field);
	bind_value(stmt, 8, act->old_value);
	bind_value(stmt, 9, act->new_value);
	db_bind_int64(stmt, 10, act->credits);
	db_bind_str(stmt, 11, act->reason.ptr == NULL ? STR("") : act->reason);
	if (act->undoes_number > 0)
		db_bind_int64(stmt, 12, act->undoes_number);
	else
		db_bind_null(stmt, 12);
	db_bind_int64(stmt, 13, now_ms);
	err = db_step(stmt, &found);
	if (err == OK && ret_number != NULL)
		*ret_number = db_column_int64(stmt, 0);
	return err;
}

enum err
admin_log_list(struct db *db, int64_t before, int64_t limit,
    admin_log_each *each, void *arg)
{
	static const char sql[] =
	    "SELECT l.number, l.actor, l.address, l.action, l.user_id,"
	    " l.subject_id, l.field, l.old_value, l.new_value, l.credits,"
	    " l.reason, l.undoes_number, u.number, l.created_at_ms"
	    " FROM admin_log l"
	    " LEFT JOIN admin_log u ON u.undoes_number = l.number"
	    " WHERE l.number < ?1 ORDER BY l.number DESC LIMIT ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, before);
	db_bind_int64(stmt, 2, limit);
	while ((err = db_step(stmt, &found)) == OK && found)
		each(arg,
		    &(const struct admin_log_entry){
			.number = db_column_int64(stmt, 0),
			.actor = db_column_str(stmt, 1),
			.address = db_column_str(stmt, 2),
			.action = db_column_str(stmt, 3),
			.has_user = !db_column_is_null(stmt, 4),
			.user_id = db_column_uuid(stmt, 4),
			.has_subject = !db_column_is_null(stmt, 5),
			.subject_id = db_column_uuid(stmt, 5),
			.field = db_column_str(stmt, 6),
			.old_value = db_column_str(stmt, 7),
			.new_value = db_column_str(stmt, 8),
			.credits = db_column_int64(stmt, 9),
			.reason = db_column_str(stmt, 10),
			.undoes_number = db_column_int64(stmt, 11),
			.undone_by_number = db_column_int64(stmt, 12),
			.created_at_ms = db_column_int64(stmt, 13),
		    });
	return err;
}

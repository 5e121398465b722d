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

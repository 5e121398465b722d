/* SPDX-License-Identifier: MIT */
#include "domain/sections.h"

static void
read_row(struct db_stmt *stmt, const struct section *section,
    const struct section_reader *reader)
{
	reader->begin_row(reader->arg);
	for (int i = 0;
	     i < SECTION_COLUMNS_MAX && section->column[i].name != NULL; i++) {
		struct section_value value = {
			.name = section->column[i].name,
			.type = section->column[i].type,
			.is_null = db_column_is_null(stmt, i),
		};

		switch (value.type) {
		case SECTION_TEXT:
			value.text = db_column_str(stmt, i);
			break;
		case SECTION_ID:
			value.id = db_column_uuid(stmt, i);
			break;
		case SECTION_NUMBER:
		case SECTION_FLAG:
		case SECTION_TIME:
			value.number = db_column_int64(stmt, i);
			break;
		}
		reader->value(reader->arg, &value);
	}
	reader->end_row(reader->arg);
}

static void
bind(struct db_stmt *stmt, int index, const struct section_param *param)
{
	switch (param->type) {
	case SECTION_TEXT:
		db_bind_str(stmt, index, param->text);
		break;
	case SECTION_ID:
		db_bind_uuid(stmt, index, param->id);
		break;
	case SECTION_NUMBER:
	case SECTION_FLAG:
	case SECTION_TIME:
		db_bind_int64(stmt, index, param->number);
		break;
	}
}

enum err
sections_read(struct db *db, const struct section *section,
    const struct section_param *params, size_t params_count,
    const struct section_reader *reader, size_t *ret_rows)
{
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, section->sql);
	size_t rows = 0;
	bool found;
	enum err err;

	reader->begin_section(reader->arg, section->name);
	for (size_t i = 0; i < params_count; i++)
		bind(stmt, (int)i + 1, &params[i]);
	for (; (err = db_step(stmt, &found)) == OK && found; rows++)
		read_row(stmt, section, reader);
	reader->end_section(reader->arg);
	if (err == OK)
		*ret_rows = rows;
	return err;
}

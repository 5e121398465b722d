/* SPDX-License-Identifier: MIT */
#include "app/section_writer.h"

static struct json_writer *
writer_of(void *arg)
{
	return ((struct section_writer *)arg)->w;
}

static void
begin_section(void *arg, const char *name)
{
	json_begin_array(writer_of(arg), name);
}

static void
end_section(void *arg)
{
	json_end_array(writer_of(arg));
}

static void
begin_row(void *arg)
{
	json_begin_object(writer_of(arg), NULL);
}

static void
end_row(void *arg)
{
	const struct section_writer *writer = arg;

	json_end_object(writer->w);
	if (writer->row_written != NULL)
		writer->row_written(writer->arg);
}

static void
write_value(void *arg, const struct section_value *value)
{
	struct json_writer *w = writer_of(arg);

	if (value->is_null) {
		json_null(w, value->name);
		return;
	}
	switch (value->type) {
	case SECTION_TEXT:
		json_str(w, value->name, value->text);
		break;
	case SECTION_NUMBER:
		json_int64(w, value->name, value->number);
		break;
	case SECTION_FLAG:
		json_bool(w, value->name, value->number != 0);
		break;
	case SECTION_ID:
		json_uuid(w, value->name, &value->id);
		break;
	case SECTION_TIME:
		json_time(w, value->name, value->number);
		break;
	}
}

struct section_reader
section_writer_reader(struct section_writer *writer)
{
	return (struct section_reader){ writer, begin_section, begin_row,
		write_value, end_row, end_section };
}

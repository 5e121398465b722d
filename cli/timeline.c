/* SPDX-License-Identifier: MIT */
/* rendio user timeline -- all that happened to a user, the newest first. */

#include "cli.h"

#include "app/section_writer.h"
#include "base/clock.h"
#include "domain/accounts.h"
#include "domain/admin_views.h"

/* What support looks back on; the pages for admins go on from there. */
#define TIMELINE_ROWS_MAX 200

static void
begin_section(void *arg, const char *name)
{
	(void)arg;
	(void)name;
}

static void
do_nothing(void *arg)
{
	(void)arg;
}

static void
end_line(void *arg)
{
	(void)arg;
	(void)putchar('\n');
}

/* What is not there is left out; a number says what it is one of. */
static void
print_value(void *arg, const struct section_value *value)
{
	char text[CLOCK_TEXT_BYTES + UUID_TEXT_BYTES];

	(void)arg;
	if (value->is_null)
		return;
	switch (value->type) {
	case SECTION_TEXT:
		(void)printf("%.*s  ", (int)value->text.len, value->text.ptr);
		break;
	case SECTION_TIME:
		clock_format(value->number, text);
		(void)printf("%s  ", text);
		break;
	case SECTION_ID:
		uuid_format(&value->id, text);
		(void)printf("%s  ", text);
		break;
	case SECTION_NUMBER:
	case SECTION_FLAG:
		(void)printf("%s %lld  ", value->name,
		    (long long)value->number);
		break;
	}
}

static enum err
read_timeline(const struct state *state, const struct uuid *id,
    const struct section_reader *reader)
{
	struct account account;
	const struct admin_view_call call = {
		.view = ADMIN_VIEW_USER_TIMELINE,
		.param = { { SECTION_ID, .id = id },
		    { SECTION_NUMBER, .number = TIMELINE_ROWS_MAX },
		    { SECTION_NUMBER, .number = 0 } },
		.params_count = 3,
	};
	const enum err err = accounts_get(state->db, id, &account);

	return err == OK ? admin_views_read(state->db, &call, 1, reader) : err;
}

int
user_timeline_command(const struct args *args)
{
	const struct section_reader lines = { NULL, begin_section, do_nothing,
		print_value, end_line, do_nothing };
	struct buf out;
	struct json_writer w = json_writer(&out);
	struct section_writer writer = { .w = &w };
	const struct section_reader json = section_writer_reader(&writer);
	struct state state;
	struct uuid id;
	enum err err;

	if (!uuid_parse(str_from(args->arg[0]), &id))
		return cli_misuse("not an id", args->arg[0]);
	cli_open(&state, STATE_READ);
	buf_init(&out, CLI_OUTPUT_BYTES_MAX);
	json_begin_object(&w, NULL);
	err = read_timeline(&state, &id, args->is_json ? &json : &lines);
	json_end_object(&w);
	state_close(&state);
	if (err == OK && args->is_json)
		return cli_print(&out);
	buf_free(&out);
	return err == OK ? CLI_OK : cli_fail_err(err);
}

/* SPDX-License-Identifier: MIT */
/* rendio user sessions, rendio user logout -- who is signed in as a user. */

#include "cli.h"

#include "base/clock.h"
#include "domain/accounts.h"
#include "domain/acts.h"
#include "domain/sessions.h"

static int
print_json(const struct session_summary *sessions, size_t count)
{
	struct buf out;
	struct json_writer w = json_writer(&out);

	buf_init(&out, CLI_OUTPUT_BYTES_MAX);
	json_begin_array(&w, NULL);
	for (size_t i = 0; i < count; i++) {
		json_begin_object(&w, NULL);
		json_uuid(&w, "id", &sessions[i].id);
		json_text(&w, "method", sessions[i].method);
		json_time(&w, "created_at", sessions[i].created_at_ms);
		json_time(&w, "refreshed_at", sessions[i].refreshed_at_ms);
		json_int64(&w, "refreshes", sessions[i].refreshes_count);
		json_end_object(&w);
	}
	json_end_array(&w);
	return cli_print(&out);
}

static int
print_text(const struct session_summary *sessions, size_t count)
{
	char id[UUID_TEXT_BYTES], created_at[CLOCK_TEXT_BYTES];
	char refreshed_at[CLOCK_TEXT_BYTES];

	for (size_t i = 0; i < count; i++) {
		uuid_format(&sessions[i].id, id);
		clock_format(sessions[i].created_at_ms, created_at);
		clock_format(sessions[i].refreshed_at_ms, refreshed_at);
		(void)printf("%s  %-9s  since %s, refreshed %s\n", id,
		    sessions[i].method, created_at, refreshed_at);
	}
	return CLI_OK;
}

int
user_sessions_command(const struct args *args)
{
	struct session_summary sessions[SESSIONS_PER_USER_MAX];
	struct account account;
	struct state state;
	struct uuid id;
	size_t count = 0;
	enum err err;

	if (!uuid_parse(str_from(args->arg[0]), &id))
		return cli_misuse("not an id", args->arg[0]);
	cli_open(&state, STATE_READ);
	err = accounts_get(state.db, &id, &account);
	if (err == OK)
		err = sessions_list(state.db, &id, sessions, &count);
	state_close(&state);
	if (err != OK)
		return cli_fail_err(err);
	return args->is_json ? print_json(sessions, count) :
			       print_text(sessions, count);
}

int
user_logout_command(const struct args *args)
{
	struct state state;
	struct uuid id;
	enum err err;

	if (!uuid_parse(str_from(args->arg[0]), &id))
		return cli_misuse("not an id", args->arg[0]);
	cli_open(&state, STATE_WRITE);
	err = acts_log_out(state.db, &admin_console, &id, clock_now_ms());
	state_close(&state);
	if (err != OK)
		return cli_fail_err(err);
	cli_log_action("user_logout", &id);
	return CLI_OK;
}

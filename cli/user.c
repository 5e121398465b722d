/* SPDX-License-Identifier: MIT */
/* rendio user -- shows, credits, bans and unbans one user. */

#include "cli.h"

#include "base/clock.h"
#include "domain/accounts.h"
#include "domain/acts.h"
#include "domain/credits.h"

static const char *const status_names[] = {
	[ACCOUNT_ACTIVE] = "active",
	[ACCOUNT_BANNED] = "banned",
	[ACCOUNT_DELETED] = "deleted",
};

static bool
parse_id(const struct args *args, struct uuid *ret_id)
{
	return uuid_parse(str_from(args->arg[0]), ret_id);
}

static int
print_json(const struct account *a)
{
	struct buf out;
	struct json_writer w = json_writer(&out);

	buf_init(&out, CLI_OUTPUT_BYTES_MAX);
	json_begin_object(&w, NULL);
	json_uuid(&w, "id", &a->id);
	json_text(&w, "status", status_names[a->status]);
	json_bool(&w, "is_guest", a->is_guest);
	json_bool(&w, "is_premium", a->is_premium);
	json_text(&w, "email", a->email[0] == '\0' ? NULL : a->email);
	json_bool(&w, "is_linked_to_apple", a->apple_sub[0] != '\0');
	json_text(&w, "language", a->language);
	json_text(&w, "grant", a->grant_state);
	json_int64(&w, "credits_remaining", a->credits_remaining);
	json_int64(&w, "credits_total", a->credits_total);
	json_time(&w, "created_at", a->created_at_ms);
	json_time(&w, "updated_at", a->updated_at_ms);
	json_end_object(&w);
	return cli_print(&out);
}

static int
print_text(const struct account *a)
{
	char id[UUID_TEXT_BYTES], created_at[CLOCK_TEXT_BYTES];

	uuid_format(&a->id, id);
	clock_format(a->created_at_ms, created_at);
	(void)printf("id        %s\n"
		     "status    %s%s%s\n"
		     "email     %s\n"
		     "language  %s\n"
		     "gift      %s\n"
		     "credits   %lld of %lld\n"
		     "created   %s\n",
	    id, status_names[a->status], a->is_guest ? ", guest" : "",
	    a->is_premium ? ", premium" : "",
	    a->email[0] == '\0' ? "-" : a->email, a->language, a->grant_state,
	    (long long)a->credits_remaining, (long long)a->credits_total,
	    created_at);
	return CLI_OK;
}

int
user_show_command(const struct args *args)
{
	struct state state;
	struct account account;
	struct uuid id;
	enum err err;

	if (!parse_id(args, &id))
		return cli_misuse("not an id", args->arg[0]);
	cli_open(&state, STATE_READ);
	err = accounts_get(state.db, &id, &account);
	state_close(&state);
	if (err != OK)
		return cli_fail_err(err);
	return args->is_json ? print_json(&account) : print_text(&account);
}

int
user_grant_command(const struct args *args)
{
	struct act_receipt receipt;
	struct state state;
	struct uuid id;
	int64_t credits;
	enum err err;

	if (!parse_id(args, &id))
		return cli_misuse("not an id", args->arg[0]);
	if (!str_to_int64(str_from(args->arg[1]), -CREDITS_AMOUNT_MAX,
		CREDITS_AMOUNT_MAX, &credits) ||
	    credits == 0)
		return cli_misuse("not a number of credits from -10000 to"
				  " 10000 except 0",
		    args->arg[1]);
	if (args->reason == NULL || args->reason[0] == '\0' ||
	    strlen(args->reason) > CREDITS_REASON_BYTES_MAX ||
	    !str_is_utf8(str_from(args->reason)))
		return cli_misuse("--reason must say why, in up to 255 bytes",
		    args->reason == NULL ? "nothing" : args->reason);
	cli_open(&state, STATE_WRITE);
	err = acts_adjust(state.db, &admin_console, &id, credits, args->reason,
	    0, clock_now_ms(), &receipt);
	state_close(&state);
	if (err != OK)
		return cli_fail_err(err);
	cli_log_action("user_grant", &id);
	(void)printf("credits_remaining %lld\n", (long long)receipt.balance);
	return CLI_OK;
}

static int
set_banned(const struct args *args, bool banned)
{
	struct state state;
	struct uuid id;
	enum err err;

	if (!parse_id(args, &id))
		return cli_misuse("not an id", args->arg[0]);
	cli_open(&state, STATE_WRITE);
	err = acts_set_banned(state.db, &admin_console, &id, banned, "",
	    clock_now_ms());
	state_close(&state);
	if (err != OK)
		return cli_fail_err(err);
	cli_log_action(banned ? "user_ban" : "user_unban", &id);
	return CLI_OK;
}

int
user_ban_command(const struct args *args)
{
	return set_banned(args, true);
}

int
user_unban_command(const struct args *args)
{
	return set_banned(args, false);
}

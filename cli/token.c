/* SPDX-License-Identifier: MIT */
/*
 * rendio token -- mints an access token for a user, for development and
 * support.  It is a session like any other: a ban or the user's sign-out from
 * everywhere ends it.
 */

#include "cli.h"

#include "app/tokens.h"
#include "base/clock.h"
#include "domain/accounts.h"
#include "domain/admin_log.h"

/* As long as the configuration allows for anybody's tokens. */
#define TTL_S_MAX 604800

struct minting {
	struct uuid user_id;
	int64_t now_ms;
	struct session session;
};

static enum err
mint(struct db *db, void *arg)
{
	struct minting *m = arg;
	struct account account;
	enum err err;

	err = accounts_get(db, &m->user_id, &account);
	if (err != OK)
		return err;
	if (account.status == ACCOUNT_BANNED)
		return ERR_USER_BANNED;
	if (account.status == ACCOUNT_DELETED)
		return ERR_USER_NOT_FOUND;
	err = sessions_create(db, &m->user_id, SESSION_OPERATOR, m->now_ms,
	    &m->session);
	if (err == OK)
		err = admin_log_append(db, &admin_console,
		    &(const struct admin_act){ .action = "token",
			.user_id = &m->user_id },
		    m->now_ms, NULL);
	if (err == OK)
		err = sessions_get(db, &m->session.id, &m->session);
	return err;
}

int
token_command(const struct args *args)
{
	struct minting m = { .now_ms = clock_now_ms() };
	struct state state;
	struct buf out;
	int64_t ttl_s = 0;
	enum err err;

	if (!uuid_parse(str_from(args->arg[0]), &m.user_id))
		return cli_misuse("not an id", args->arg[0]);
	if (args->ttl_s != NULL &&
	    !str_to_int64(str_from(args->ttl_s), 1, TTL_S_MAX, &ttl_s))
		return cli_misuse("not a number of seconds from 1 to 604800",
		    args->ttl_s);
	cli_open(&state, STATE_WRITE);
	if (args->ttl_s == NULL)
		ttl_s = config_number(&state.config, CONFIG_ACCESS_TOKEN_TTL_S);
	err = db_transaction(state.db, mint, &m);
	if (err != OK) {
		state_close(&state);
		return cli_fail_err(err);
	}
	buf_init(&out, JWT_BYTES_MAX);
	tokens_write_access(&state.keys,
	    config_text(&state.config, CONFIG_PUBLIC_URL), &m.session, ttl_s,
	    m.now_ms, &out);
	state_close(&state);
	/* Before it is shown: a token that somebody has was logged. */
	cli_log_action("token", &m.user_id);
	return cli_print(&out);
}

/* SPDX-License-Identifier: MIT */
/*
 * rendio sandbox -- what a phone or a company would send, for trying things
 * in sandbox mode.
 */

#include "cli.h"

#include "base/clock.h"
#include "provider/appleid.h"
#include "provider/devicecheck.h"

static int
print_token(const struct state *state, const char *name)
{
	struct buf out;
	int status = CLI_OK;

	if (!config_is_sandbox(&state->config))
		return cli_fail("RENDIO_MODE is live: only a phone can make"
				" its device token");
	buf_init(&out, DEVICECHECK_TOKEN_BYTES_MAX);
	if (devicecheck_sandbox_token(state->keys.sandbox, str_from(name),
		&out))
		(void)printf("%s\n", out.ptr);
	else
		status =
		    cli_misuse("a name is 1 to 64 of [A-Za-z0-9._-]", name);
	buf_free(&out);
	return status;
}

int
sandbox_device_command(const struct args *args)
{
	struct state state;
	int status;

	cli_open(&state, STATE_READ);
	status = print_token(&state, args->arg[0]);
	state_close(&state);
	return status;
}

static int
print_identity(const struct state *state, const struct args *args)
{
	struct buf out;
	int status = CLI_OK;

	if (!config_is_sandbox(&state->config))
		return cli_fail("RENDIO_MODE is live: only Apple can make"
				" an identity token");
	buf_init(&out, 16384);
	if (appleid_sandbox_token(&state->config, str_from(args->arg[0]),
		str_from(args->nonce), clock_now_ms(), &out))
		(void)printf("%s\n", out.ptr);
	else
		status = cli_misuse("a sub is 1 to 64 of [A-Za-z0-9._-]",
		    args->arg[0]);
	buf_free(&out);
	return status;
}

int
sandbox_identity_command(const struct args *args)
{
	struct state state;
	int status;

	cli_open(&state, STATE_READ);
	status = print_identity(&state, args);
	state_close(&state);
	return status;
}

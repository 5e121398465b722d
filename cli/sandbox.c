/* SPDX-License-Identifier: MIT */
/*
 * rendio sandbox -- what a phone or a company would send, for trying things
 * in sandbox mode.
 */

#include "cli.h"

#include "base/clock.h"
#include "provider/appleid.h"
#include "provider/appstore_sandbox.h"
#include "provider/devicecheck.h"
#include "wire/jws.h"

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

static bool
read_type(const char *name, enum appstore_product_type *ret_type)
{
	static const char *const names[] = {
		[APPSTORE_CONSUMABLE] = "consumable",
		[APPSTORE_NON_CONSUMABLE] = "non-consumable",
		[APPSTORE_AUTO_RENEWABLE] = "subscription",
		[APPSTORE_NON_RENEWING] = "non-renewing",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0) {
			*ret_type = (enum appstore_product_type)i;
			return true;
		}
	return false;
}

static int
print_sale(const struct state *state, const struct appstore_sale *sale)
{
	struct buf out;

	if (!config_is_sandbox(&state->config))
		return cli_fail("RENDIO_MODE is live: only Apple sells");
	buf_init(&out, APPSTORE_JWS_BYTES_MAX);
	if (appstore_sandbox_sell(&state->config, sale, clock_now_ms(), &out))
		return cli_print(&out);
	buf_free(&out);
	return cli_fail("nothing can be sold here (run `rendio init`)");
}

int
sandbox_purchase_command(const struct args *args)
{
	struct appstore_sale sale = {
		.has_user_id = args->user != NULL,
		.product_id = str_from(args->product),
		.type = APPSTORE_CONSUMABLE,
		.quantity = 1,
	};
	struct state state;
	int status;

	if (args->user != NULL &&
	    !uuid_parse(str_from(args->user), &sale.user_id))
		return cli_misuse("--user is not an id", args->user);
	if (sale.product_id.len == 0 || !str_is_utf8(sale.product_id))
		return cli_misuse("--product", "is wanted");
	if (args->quantity != NULL &&
	    !str_to_int64(str_from(args->quantity), 1, APPSTORE_QUANTITY_MAX,
		&sale.quantity))
		return cli_misuse("--quantity is not 1 to 10", args->quantity);
	if (args->type != NULL && !read_type(args->type, &sale.type))
		return cli_misuse("--type is consumable, non-consumable, "
				  "subscription or "
				  "non-renewing",
		    args->type);
	cli_open(&state, STATE_READ);
	status = print_sale(&state, &sale);
	state_close(&state);
	return status;
}

/* An id, or the transaction that `sandbox purchase` printed. */
static struct str
read_transaction_id(struct arena *arena, struct str text)
{
	struct str id = text;
	struct jws jws;

	if (jws_parse(arena, text, &jws) == JWS_OK)
		(void)json_to_str(json_member(jws.payload, "transactionId"),
		    &id);
	return id;
}

static int
print_notification(const struct state *state, struct appstore_event *event)
{
	struct arena arena;
	struct buf out;
	bool ok;

	if (!config_is_sandbox(&state->config))
		return cli_fail("RENDIO_MODE is live: only Apple refunds");
	arena_init(&arena, APPSTORE_ARENA_BYTES);
	buf_init(&out, APPSTORE_JWS_BYTES_MAX);
	event->transaction_id =
	    read_transaction_id(&arena, event->transaction_id);
	ok = appstore_sandbox_notify(&state->config, &arena, event,
	    clock_now_ms(), &out);
	arena_free(&arena);
	if (ok)
		return cli_print(&out);
	buf_free(&out);
	return cli_fail("`rendio sandbox purchase` never sold this here");
}

int
sandbox_refund_command(const struct args *args)
{
	struct appstore_event event = {
		.transaction_id = str_from(args->arg[0]),
		.type = args->type == NULL ? "REFUND" : args->type,
		.percentage = APPSTORE_WHOLE,
	};
	struct state state;
	int64_t percent;
	int status;

	if (args->percent != NULL) {
		if (!str_to_int64(str_from(args->percent), 0, 100, &percent))
			return cli_misuse("--percent is not 0 to 100",
			    args->percent);
		event.percentage = percent * (APPSTORE_WHOLE / 100);
	}
	cli_open(&state, STATE_READ);
	status = print_notification(&state, &event);
	state_close(&state);
	return status;
}

/* SPDX-License-Identifier: MIT */
/* rendio product -- lists and changes what the App Store sells for us. */

#include "cli.h"

#include "base/clock.h"
#include "domain/acts.h"
#include "domain/credits.h"

static const char *
kind_name(const struct product *product)
{
	return product->kind == PURCHASE_SUBSCRIPTION ? "subscription" :
							"consumable";
}

static enum err
write_product(void *arg, const struct product *product)
{
	struct json_writer *w = arg;

	json_begin_object(w, NULL);
	json_text(w, "id", product->id);
	json_text(w, "kind", kind_name(product));
	json_int64(w, "credits", product->credits);
	json_end_object(w);
	return OK;
}

static enum err
print_product(void *arg, const struct product *product)
{
	(void)arg;
	(void)printf("%-12s %6lld  %s\n", kind_name(product),
	    (long long)product->credits, product->id);
	return OK;
}

static enum err
list_products(const struct state *state, struct json_writer *w)
{
	return products_list(state->db,
	    w != NULL ? write_product : print_product, w);
}

int
product_list_command(const struct args *args)
{
	return cli_list(args, list_products);
}

/* "credits=25", or "credits_per_period=50" of a subscription. */
static bool
read_credits(struct str text, struct product *product)
{
	struct str name, value;

	if (!str_cut(text, '=', &name, &value))
		return false;
	if (str_equal(name, STR("credits_per_period")))
		product->kind = PURCHASE_SUBSCRIPTION;
	else if (str_equal(name, STR("credits")))
		product->kind = PURCHASE_CONSUMABLE;
	else
		return false;
	return str_to_int64(value,
	    product->kind == PURCHASE_SUBSCRIPTION ? 0 : 1, CREDITS_AMOUNT_MAX,
	    &product->credits);
}

int
product_set_command(const struct args *args)
{
	const struct str id = str_from(args->arg[0]);
	struct product product = { .credits = 0 };
	struct state state;
	enum err err;

	if (!products_id_ok(id) ||
	    !str_copy(id, product.id, sizeof(product.id)))
		return cli_misuse("not a product's id of the App Store",
		    args->arg[0]);
	if (!read_credits(str_from(args->arg[1]), &product))
		return cli_misuse("neither credits=1..10000 nor"
				  " credits_per_period=0..10000",
		    args->arg[1]);
	cli_open(&state, STATE_WRITE);
	err = acts_set_product(state.db, &admin_console, &product,
	    clock_now_ms());
	state_close(&state);
	if (err == ERR_CONFLICT)
		return cli_fail("a product is a consumable or a subscription,"
				" not both: remove it first");
	if (err != OK)
		return cli_fail_err(err);
	cli_log_action("product_set", NULL);
	return CLI_OK;
}

int
product_remove_command(const struct args *args)
{
	struct state state;
	enum err err;

	cli_open(&state, STATE_WRITE);
	err = acts_remove_product(state.db, &admin_console,
	    str_from(args->arg[0]), clock_now_ms());
	state_close(&state);
	if (err == ERR_NOT_FOUND)
		return cli_fail("there is no such product");
	if (err != OK)
		return cli_fail_err(err);
	cli_log_action("product_remove", NULL);
	return CLI_OK;
}

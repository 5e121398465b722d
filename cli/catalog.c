/* SPDX-License-Identifier: MIT */
#include "catalog.h"

#include "base/clock.h"

int
catalog_set_fields(const struct args *args, catalog_edit *edit,
    const char *action)
{
	struct act_field fields[CATALOG_FIELDS_MAX];
	const size_t count = (size_t)args->count - 1;
	struct state state;
	struct uuid id;
	size_t bad = 0;
	enum err err;

	if (!uuid_parse(str_from(args->arg[0]), &id))
		return cli_misuse("not an id", args->arg[0]);
	for (size_t i = 0; i < count; i++)
		if (!str_cut(str_from(args->arg[i + 1]), '=', &fields[i].name,
			&fields[i].value))
			return cli_misuse("not KEY=VALUE", args->arg[i + 1]);
	cli_open(&state, STATE_WRITE);
	err = edit(state.db, &admin_console, &id, fields, count, clock_now_ms(),
	    &bad);
	state_close(&state);
	if (err == ERR_INVALID_REQUEST)
		return cli_misuse("no such field, or not a value for it;"
				  " nothing was set",
		    args->arg[bad + 1]);
	if (err == ERR_CONFLICT)
		return cli_fail("cost_per_generation follows from this model's"
				" prices by the second: set"
				" price.RESOLUTION.audio or .silent");
	if (err != OK)
		return cli_fail_err(err);
	cli_log_action(action, &id);
	return CLI_OK;
}

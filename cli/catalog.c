/* SPDX-License-Identifier: MIT */
#include "catalog.h"

int
catalog_set_fields(const struct args *args, catalog_set *set,
    const char *action)
{
	struct state state;
	struct str field, value;
	struct uuid id;
	enum err err = OK;
	int i;

	if (!uuid_parse(str_from(args->arg[0]), &id))
		return cli_misuse("not an id", args->arg[0]);
	for (i = 1; i < args->count; i++)
		if (!str_cut(str_from(args->arg[i]), '=', &field, &value))
			return cli_misuse("not KEY=VALUE", args->arg[i]);
	cli_open(&state, STATE_WRITE);
	for (i = 1; i < args->count; i++) {
		(void)str_cut(str_from(args->arg[i]), '=', &field, &value);
		err = set(state.db, &id, field, value);
		if (err != OK)
			break;
		cli_log_action(action, &id);
	}
	state_close(&state);
	if (err == ERR_INVALID_REQUEST)
		return cli_misuse("no such field, or not a value for it; the"
				  " fields before it were set",
		    args->arg[i]);
	if (err == ERR_CONFLICT)
		return cli_fail("cost_per_generation follows from this model's"
				" prices by the second: set"
				" price.RESOLUTION.audio or .silent");
	return err == OK ? CLI_OK : cli_fail_err(err);
}

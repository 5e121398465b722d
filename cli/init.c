/* SPDX-License-Identifier: MIT */
#include "cli.h"

/*
 * rendio init -- makes what is missing of an installation.  It may run again
 * at any time, also beside a running system.
 */
int
init_command(const struct args *args)
{
	struct buf problem;
	int status = CLI_OK;

	(void)args;
	buf_init(&problem, 8192);
	if (!state_init(&problem))
		status = cli_fail(problem.ptr);
	buf_free(&problem);
	return status;
}

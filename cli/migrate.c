/* SPDX-License-Identifier: MIT */
#include "cli.h"

/* rendio migrate -- brings the database to the newest schema. */
int
migrate_command(const struct args *args)
{
	struct buf problem;
	int64_t from, to;
	int status = CLI_OK;

	(void)args;
	buf_init(&problem, 8192);
	if (state_migrate(&from, &to, &problem))
		(void)printf("schema %lld -> %lld\n", (long long)from,
		    (long long)to);
	else
		status = cli_fail(problem.ptr);
	buf_free(&problem);
	return status;
}

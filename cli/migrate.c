/* SPDX-License-Identifier: MIT */
#include "cli.h"

static int
check(struct buf *problem)
{
	if (!state_fits(problem))
		return cli_fail(problem->ptr);
	(void)printf("these programs can work with the database\n");
	return CLI_OK;
}

static int
migrate(struct buf *problem)
{
	int64_t from, to;

	if (!state_migrate(&from, &to, problem))
		return cli_fail(problem->ptr);
	(void)printf("schema %lld -> %lld\n", (long long)from, (long long)to);
	return CLI_OK;
}

/*
 * rendio migrate [--check] -- brings the database to the newest schema, or
 * only says whether that is needed before these programs can work with it.
 */
int
migrate_command(const struct args *args)
{
	struct buf problem;
	int status;

	buf_init(&problem, 8192);
	status = args->is_check ? check(&problem) : migrate(&problem);
	buf_free(&problem);
	return status;
}

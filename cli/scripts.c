/* SPDX-License-Identifier: MIT */
/*
 * rendio setup, rendio bucket -- what they do is files, packages, services and
 * programs of the system, which a script does best: deploy/setup and
 * deploy/bucket, beside this program when installed.
 */

#include "cli.h"

#include <errno.h>
#include <unistd.h>

#define SCRIPT_DIRECTORY_BYTES 4000

bool
cli_find_script(const char *name, char ret_path[CLI_SCRIPT_PATH_BYTES])
{
	static const char *const places[] = { "", "/../deploy" };
	char directory[SCRIPT_DIRECTORY_BYTES];
	const ssize_t n =
	    readlink("/proc/self/exe", directory, sizeof(directory) - 1);

	if (n <= 0)
		return false;
	directory[n] = '\0';
	*strrchr(directory, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (snprintf(ret_path, CLI_SCRIPT_PATH_BYTES, "%s%s/%s",
			directory, places[i], name) < CLI_SCRIPT_PATH_BYTES &&
		    access(ret_path, X_OK) == 0)
			return true;
	return false;
}

static int
become(const char *name, const struct args *args)
{
	char path[CLI_SCRIPT_PATH_BYTES];

	if (!cli_find_script(name, path))
		return cli_fail("a program that belongs beside this one is "
				"missing");
	/* The word before the first is our own name. */
	(void)execv(path, args->arg - 1);
	return cli_fail(strerror(errno));
}

int
setup_command(const struct args *args)
{
	return become("setup", args);
}

int
bucket_command(const struct args *args)
{
	return become("bucket", args);
}

/* SPDX-License-Identifier: MIT */
/*
 * rendio setup -- makes an installed system ready.  What it does is files,
 * packages and services of the system, which a script does best: deploy/setup,
 * beside this program when installed.
 */

#include "cli.h"

#include <errno.h>
#include <unistd.h>

#define SETUP_PATH_BYTES 4096

int
setup_command(const struct args *args)
{
	static const char *const places[] = { "/setup", "/../deploy/setup" };
	char directory[SETUP_PATH_BYTES], path[SETUP_PATH_BYTES + 32];
	const ssize_t n =
	    readlink("/proc/self/exe", directory, sizeof(directory) - 1);
	char *slash;

	if (n <= 0)
		return cli_fail(strerror(errno));
	directory[n] = '\0';
	slash = strrchr(directory, '/');
	*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", directory,
		    places[i]);
		if (access(path, X_OK) == 0)
			/* The word before the first is our own name. */
			(void)execv(path, args->arg - 1);
	}
	return cli_fail("the program setup is not beside this one");
}

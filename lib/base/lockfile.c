/* SPDX-License-Identifier: MIT */
#include "base/lockfile.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCKFILE_NAP_NS 2000000L

bool
lockfile_take(const char *path, int64_t wait_ms, int *ret_fd)
{
	const int64_t until_us = clock_monotonic_us() + wait_ms * 1000;
	const struct timespec nap = { 0, LOCKFILE_NAP_NS };
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if ((errno != EWOULDBLOCK && errno != EINTR) ||
		    clock_monotonic_us() >= until_us) {
			(void)close(fd);
			return false;
		}
		(void)nanosleep(&nap, NULL);
	}
	*ret_fd = fd;
	return true;
}

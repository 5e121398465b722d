/* SPDX-License-Identifier: MIT */
/*
 * slow-sync.so, for LD_PRELOAD: a disk as cheap servers have it, on which a sync
 * takes at least 3 ms more than on this one.
 */

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SYNC_NS 3000000L

static void
wait_for_disk(void)
{
	const struct timespec time = { 0, SYNC_NS };

	(void)nanosleep(&time, NULL);
}

int
fsync(int fd)
{
	wait_for_disk();
	return (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	wait_for_disk();
	return (int)syscall(SYS_fdatasync, fd);
}

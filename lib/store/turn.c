/* SPDX-License-Identifier: MIT */
#include "store/turn.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>
#include <unistd.h>

/*
 * flock() has no time-out, but a signal ends its sleep.  One that comes a
 * moment too early would be lost, so it comes again and again.
 */
#define TURN_LOOK_US 100000

static void
wake(int signal)
{
	(void)signal;
}

int
turn_open(const char *path)
{
	struct sigaction action = { .sa_handler = wake };

	if (sigaction(SIGALRM, &action, NULL) != 0)
		return -1;
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

void
turn_close(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static void
wake_every(long us)
{
	const struct itimerval timer = { .it_interval = { 0, us },
		.it_value = { 0, us } };

	(void)setitimer(ITIMER_REAL, &timer, NULL);
}

bool
turn_take(int fd, int64_t wait_ms)
{
	const int64_t until_us = clock_monotonic_us() + wait_ms * 1000;
	bool taken;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	wake_every(TURN_LOOK_US);
	do
		taken = flock(fd, LOCK_EX) == 0;
	while (!taken && errno == EINTR && clock_monotonic_us() < until_us);
	wake_every(0);
	return taken;
}

void
turn_pass(int fd)
{
	if (fd >= 0)
		(void)flock(fd, LOCK_UN);
}

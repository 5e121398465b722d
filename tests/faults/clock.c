/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* In place of the C library's: the clock is ahead by what the plan says. */

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	const int status = (int)syscall(SYS_clock_gettime, clock, now);

	if (status == 0 && clock == CLOCK_REALTIME && fault_plan != NULL)
		now->tv_sec += fault_plan->clock_ms / 1000;
	return status;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec precise;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &precise) != 0)
		return -1;
	*now = (struct timeval){ precise.tv_sec, precise.tv_nsec / 1000 };
	return 0;
}

time_t
time(time_t *ret_now)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return -1;
	if (ret_now != NULL)
		*ret_now = now.tv_sec;
	return now.tv_sec;
}

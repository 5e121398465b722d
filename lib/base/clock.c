/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <assert.h>

int64_t
clock_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
clock_monotonic_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Writes the last `width` digits of value. */
static void
put_digits(char *at, int width, int value)
{
	while (width-- > 0) {
		at[width] = (char)('0' + value % 10);
		value /= 10;
	}
}

void
clock_format(int64_t time_ms, char text[CLOCK_TEXT_BYTES])
{
	const time_t seconds = (time_t)(time_ms / 1000);
	struct tm tm;

	assert(time_ms >= 0);
	assert(time_ms <= CLOCK_MS_MAX);
	(void)gmtime_r(&seconds, &tm);
	memcpy(text, "0000-00-00T00:00:00.000Z", CLOCK_TEXT_BYTES);
	put_digits(text, 4, tm.tm_year + 1900);
	put_digits(text + 5, 2, tm.tm_mon + 1);
	put_digits(text + 8, 2, tm.tm_mday);
	put_digits(text + 11, 2, tm.tm_hour);
	put_digits(text + 14, 2, tm.tm_min);
	put_digits(text + 17, 2, tm.tm_sec);
	put_digits(text + 20, 3, (int)(time_ms % 1000));
}

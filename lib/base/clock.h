/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT_BYTES 25 /* "2026-01-31T12:34:56.789Z" and a NUL */

/* The latest time that has a four-digit year. */
#define CLOCK_MS_MAX INT64_C(253402300799999)

/* Milliseconds since 1970, UTC: for what is stored. It may step. */
int64_t clock_now_ms(void);

/* Microseconds that never step: for intervals and deadlines of this boot. */
int64_t clock_monotonic_us(void);

/*
 * The one form of a date that we send (ISO 8601, UTC, three digits, Z).
 * 0 <= time_ms <= CLOCK_MS_MAX.
 */
void clock_format(int64_t time_ms, char text[CLOCK_TEXT_BYTES]);

#endif

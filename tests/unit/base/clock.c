/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
dates_have_one_form(void **state)
{
	static const struct {
		int64_t time_ms;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1, "1970-01-01T00:00:00.001Z" },
		{ 999, "1970-01-01T00:00:00.999Z" },
		{ 1000, "1970-01-01T00:00:01.000Z" },
		{ INT64_C(951782400000), "2000-02-29T00:00:00.000Z" },
		{ INT64_C(1769862896789), "2026-01-31T12:34:56.789Z" },
		{ INT64_C(4107542399999), "2100-02-28T23:59:59.999Z" },
		{ INT64_C(4107542400000), "2100-03-01T00:00:00.000Z" },
		{ CLOCK_MS_MAX - 1, "9999-12-31T23:59:59.998Z" },
		{ CLOCK_MS_MAX, "9999-12-31T23:59:59.999Z" },
	};
	char text[CLOCK_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		clock_format(cases[i].time_ms, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void
now_is_after_this_was_written_and_goes_on(void **state)
{
	const int64_t start_us = clock_monotonic_us();
	const struct timespec pause = { .tv_nsec = 2000000 };

	(void)state;
	assert_true(clock_now_ms() > INT64_C(1735689600000));
	assert_true(clock_now_ms() < CLOCK_MS_MAX);
	assert_int_equal(nanosleep(&pause, NULL), 0);
	assert_true(clock_monotonic_us() - start_us >= 2000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_have_one_form),
		cmocka_unit_test(now_is_after_this_was_written_and_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "wire/totp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* The secret of RFC 4226, appendix D, and RFC 6238, appendix B. */
static const uint8_t secret[TOTP_SECRET_BYTES] = "1234567890123456789"
						 "0";

static void
codes_are_those_of_rfc_4226(void **state)
{
	static const char *const codes[] = { "755224", "287082", "359152",
		"969429", "338314", "254676", "287922", "162583", "399871",
		"520489" };
	char code[TOTP_CODE_BYTES];

	(void)state;
	for (int64_t i = 0; i < 10; i++) {
		totp_code(secret, i, code);
		assert_string_equal(code, codes[i]);
	}
}

/* Its codes have eight digits; ours are the last six of them. */
static void
times_have_the_codes_of_rfc_6238(void **state)
{
	static const struct {
		int64_t time_s;
		const char *code;
	} cases[] = { { 59, "287082" }, { 1111111109, "081804" },
		{ 1111111111, "050471" }, { 1234567890, "005924" },
		{ 2000000000, "279037" }, { 20000000000, "353130" } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const int64_t now_ms = cases[i].time_s * 1000;
		int64_t step = -1;

		assert_true(
		    totp_check(secret, str_from(cases[i].code), now_ms, &step));
		assert_int_equal(step, cases[i].time_s / 30);
	}
}

static void
a_code_counts_one_step_early_and_late_and_no_further(void **state)
{
	const int64_t step = 37037037;
	char code[TOTP_CODE_BYTES];
	int64_t found;

	(void)state;
	totp_code(secret, step, code);
	for (int64_t away = -3; away <= 3; away++) {
		found = -1;
		assert_int_equal(totp_check(secret, str_from(code),
				     (step + away) * TOTP_STEP_MS, &found),
		    away >= -1 && away <= 1);
		assert_int_equal(found, away >= -1 && away <= 1 ? step : -1);
	}
}

static void
what_is_no_code_does_not_count(void **state)
{
	static const char *const texts[] = { "", "0", "28708", "2870820",
		"287082 ", "28708x", "000000" };
	int64_t found = -1;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(
		    totp_check(secret, str_from(texts[i]), 59000, &found));
	assert_false(
	    totp_check(secret, (struct str){ "28\0082", 6 }, 59000, &found));
	assert_int_equal(found, -1);
}

static void
a_secret_is_written_in_base32(void **state)
{
	char text[TOTP_SECRET_TEXT_BYTES];

	(void)state;
	totp_format_secret(secret, text);
	assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_are_those_of_rfc_4226),
		cmocka_unit_test(times_have_the_codes_of_rfc_6238),
		cmocka_unit_test(
		    a_code_counts_one_step_early_and_late_and_no_further),
		cmocka_unit_test(what_is_no_code_does_not_count),
		cmocka_unit_test(a_secret_is_written_in_base32),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

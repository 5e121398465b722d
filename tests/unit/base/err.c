/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
every_error_has_a_status_a_code_and_its_texts(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_MAX; i++) {
		const enum err err = (enum err)i;
		const char *code = err_code(err);

		if (err == OK)
			assert_int_equal(err_status(err), 200);
		else
			assert_in_range(err_status(err), 400, 599);
		assert_non_null(code);
		assert_in_range(strlen(code), 2, 64);
		assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz_"),
		    strlen(code));
		for (int lang = 0; lang < LANG_MAX; lang++) {
			const char *text = err_text(err, (enum lang)lang);

			assert_non_null(text);
			assert_true(text[0] != '\0');
			assert_true(str_is_utf8(str_from(text)));
		}
	}
}

static void
no_two_errors_share_a_code(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_MAX; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(err_code((enum err)i),
			    err_code((enum err)j));
}

static void
clients_know_these_by_heart(void **state)
{
	(void)state;
	assert_int_equal(OK, 0);
	assert_int_equal(err_status(ERR_INSUFFICIENT_CREDITS), 402);
	assert_string_equal(err_code(ERR_INSUFFICIENT_CREDITS),
	    "insufficient_credits");
	assert_string_equal(err_text(ERR_INSUFFICIENT_CREDITS, LANG_EN),
	    "Insufficient credits");
	assert_int_equal(err_status(ERR_IDEMPOTENCY_KEY_REUSED), 422);
	assert_int_equal(err_status(ERR_INTERNAL), 500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_a_status_a_code_and_its_texts),
		cmocka_unit_test(no_two_errors_share_a_code),
		cmocka_unit_test(clients_know_these_by_heart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

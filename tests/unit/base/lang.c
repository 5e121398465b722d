/* SPDX-License-Identifier: MIT */
#include "base/lang.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
names_are_read_exactly(void **state)
{
	(void)state;
	for (int i = 0; i < LANG_MAX; i++) {
		enum lang lang = LANG_MAX;

		assert_true(
		    lang_parse(str_from(lang_name((enum lang)i)), &lang));
		assert_int_equal(lang, i);
		assert_false(lang_parse(STR("EN"), &lang));
		assert_false(lang_parse(STR("en-US"), &lang));
		assert_false(lang_parse(STR("de"), &lang));
		assert_false(lang_parse(STR(""), &lang));
		assert_int_equal(lang, i);
	}
}

static void
the_best_acceptable_language_is_chosen(void **state)
{
	static const struct {
		const char *header;
		enum lang lang;
	} cases[] = {
		{ "", LANG_EN },
		{ "tr", LANG_TR },
		{ "TR-tr", LANG_TR },
		{ "es-419", LANG_ES },
		{ "de, fr;q=0.9", LANG_EN },
		{ "de;q=1, es;q=0.1", LANG_ES },
		{ "en;q=0.8, tr;q=0.9", LANG_TR },
		{ "en;q=0.9, tr;q=0.8", LANG_EN },
		{ "en;q=0.001, es;q=0.002", LANG_ES },
		{ "en;q=0.1,tr;q=1.000", LANG_TR },
		{ "es , tr", LANG_ES },
		{ "tr;q=0", LANG_EN },
		{ "es;q=0, tr;q=0.1", LANG_TR },
		{ "tr; Q=0.5, en;q=0.4", LANG_TR },
		{ "*", LANG_EN },
		/* A weight that is none takes its language out. */
		{ "tr;q=2", LANG_EN },
		{ "tr;q=", LANG_EN },
		{ "tr;q=0.1234", LANG_EN },
		{ "tr;q=0.x", LANG_EN },
		{ "tr;q=-1", LANG_EN },
		{ "tr;level=1", LANG_EN },
		{ ",,;;,-,;q=1", LANG_EN },
		{ "trx", LANG_EN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(lang_negotiate(str_from(cases[i].header)),
		    cases[i].lang);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read_exactly),
		cmocka_unit_test(the_best_acceptable_language_is_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

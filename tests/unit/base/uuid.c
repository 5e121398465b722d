/* SPDX-License-Identifier: MIT */
#include "base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define TEXT "00112233-4455-6677-8899-aabbccddeeff"

static void
what_is_read_in_any_case_is_written_in_lower_case(void **state)
{
	char text[UUID_TEXT_BYTES];
	struct uuid lower, upper;

	(void)state;
	assert_true(uuid_parse(STR(TEXT), &lower));
	assert_true(
	    uuid_parse(STR("00112233-4455-6677-8899-AABBCCDDEEFF"), &upper));
	assert_true(uuid_equal(&lower, &upper));
	for (size_t i = 0; i < UUID_BYTES; i++)
		assert_int_equal(lower.bytes[i], 0x11 * i);
	uuid_format(&upper, text);
	assert_string_equal(text, TEXT);
}

static void
any_other_form_is_refused(void **state)
{
	struct uuid before, uuid;
	char text[] = TEXT;

	(void)state;
	assert_true(uuid_parse(STR(TEXT), &before));
	uuid = before;
	assert_false(uuid_parse(STR(""), &uuid));
	assert_false(uuid_parse(STR(TEXT "0"), &uuid));
	assert_false(uuid_parse((struct str){ text, 35 }, &uuid));
	assert_false(
	    uuid_parse(STR("{0112233-4455-6677-8899-aabbccddeef}"), &uuid));
	assert_false(
	    uuid_parse(STR("00112233445566778899aabbccddeeff----"), &uuid));
	/* Every byte but one of its kind, in every place. */
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		const char kept = text[i];

		for (int c = 0; c < 256; c++) {
			const bool hex =
			    strchr("0123456789abcdefABCDEF", c) != NULL &&
			    c != 0;

			text[i] = (char)c;
			if (kept == '-' ? c != '-' : !hex)
				assert_false(
				    uuid_parse((struct str){ text, 36 },
					&uuid));
		}
		text[i] = kept;
	}
	assert_true(uuid_equal(&uuid, &before));
}

static void
random_ones_are_version_4_and_differ(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		const struct uuid a = uuid_random(), b = uuid_random();

		assert_int_equal(uuid_version(&a), 4);
		assert_int_equal(a.bytes[8] & 0xc0, 0x80);
		assert_false(uuid_equal(&a, &b));
	}
}

static void
sortable_ones_are_version_7_and_sort_by_time(void **state)
{
	struct uuid before = uuid_sortable(0);

	(void)state;
	for (int64_t ms = 1; ms < INT64_C(1) << 47; ms = ms * 3 + 1) {
		const struct uuid uuid = uuid_sortable(ms);
		int64_t read = 0;

		assert_int_equal(uuid_version(&uuid), 7);
		assert_int_equal(uuid.bytes[8] & 0xc0, 0x80);
		assert_true(memcmp(before.bytes, uuid.bytes, UUID_BYTES) < 0);
		for (size_t i = 0; i < 6; i++)
			read = read << 8 | uuid.bytes[i];
		assert_true(read == ms);
		before = uuid;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_is_read_in_any_case_is_written_in_lower_case),
		cmocka_unit_test(any_other_form_is_refused),
		cmocka_unit_test(random_ones_are_version_4_and_differ),
		cmocka_unit_test(sortable_ones_are_version_7_and_sort_by_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "wire/multipart.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define TYPE "multipart/form-data; boundary="
#define FIELD "Content-Disposition: form-data; name=\"a\""

static struct multipart form;
static struct multipart_part part;

static void
parts_are_read_in_order(void **state)
{
	(void)state;
	assert_true(multipart_begin(&form, STR(TYPE "x"),
	    STR("--x\r\n" FIELD "\r\n\r\n3600\r\n"
		"--x\r\nContent-Disposition: form-data; name=\"\"; "
		"filename=\"b;=.jpg\"\r\ncontent-type: image/jpeg\r\n\r\n"
		"\r\n--y\r\n--\r\n--x--\r\n")));
	assert_int_equal(multipart_next(&form, &part), MULTIPART_PART);
	assert_true(str_equal(part.name, STR("a")));
	assert_false(part.has_filename);
	assert_true(str_equal(part.body, STR("3600")));
	assert_int_equal(multipart_next(&form, &part), MULTIPART_PART);
	assert_int_equal(part.name.len, 0);
	assert_true(part.has_filename);
	assert_true(str_equal(part.content_type, STR("image/jpeg")));
	assert_true(str_equal(part.body, STR("\r\n--y\r\n--")));
	assert_int_equal(multipart_next(&form, &part), MULTIPART_END);
}

static void
a_body_may_be_empty(void **state)
{
	(void)state;
	assert_true(multipart_begin(&form, STR(TYPE "\"a b\"; q=1"),
	    STR("--a b\r\n" FIELD "\r\n\r\n\r\n--a b--")));
	assert_int_equal(multipart_next(&form, &part), MULTIPART_PART);
	assert_int_equal(part.body.len, 0);
	assert_int_equal(multipart_next(&form, &part), MULTIPART_END);
}

static void
a_boundary_has_1_to_70_characters_of_its_alphabet(void **state)
{
	char type[128], body[128];

	(void)state;
	for (int n = 0; n <= 71; n++) {
		(void)snprintf(type, sizeof(type), TYPE "%.*s", n,
		    "0123456789012345678901234567890123456789"
		    "01234567890123456789012345678901");
		(void)snprintf(body, sizeof(body), "--%s--",
		    type + sizeof(TYPE) - 1);
		assert_int_equal(multipart_begin(&form, str_from(type),
				     str_from(body)),
		    n >= 1 && n <= 70);
	}
	assert_false(multipart_begin(&form, STR(TYPE "a\tb"), STR("--a\tb--")));
	assert_false(multipart_begin(&form, STR(TYPE "\"a \""), STR("--a --")));
	assert_false(
	    multipart_begin(&form, STR(TYPE "a; boundary=a"), STR("--a--")));
	assert_false(
	    multipart_begin(&form, STR("multipart/form-data"), STR("--a--")));
	assert_false(multipart_begin(&form, STR("multipart/mixed; boundary=a"),
	    STR("--a--")));
	assert_false(multipart_begin(&form, STR(TYPE "a"), STR("x--a--")));
}

static void
a_form_that_is_broken_is_bad(void **state)
{
	static const char *const bodies[] = {
		"--x",
		"--x\r\n",
		"--xy\r\n",
		"--x\r\n" FIELD "\r\n\r\nbody",
		"--x\r\n" FIELD "\r\n\r\nbody\r\n--",
		"--x\r\n" FIELD "\r\nbody\r\n--x--",
		"--x\r\n\r\n\r\nbody\r\n--x--",
		"--x\r\nno colon\r\n\r\nbody\r\n--x--",
		"--x\r\n" FIELD "\r\n" FIELD "\r\n\r\nbody\r\n--x--",
		"--x\r\nContent-Disposition: attachment\r\n\r\n.\r\n--x--",
		("--x\r\nContent-Disposition: form-data; name=\"a\r\n\r\n"
		 ".\r\n--x--"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		assert_true(
		    multipart_begin(&form, STR(TYPE "x"), str_from(bodies[i])));
		assert_int_equal(multipart_next(&form, &part), MULTIPART_BAD);
	}
}

static void
a_form_has_16_parts_at_most(void **state)
{
	(void)state;
	for (int count = 15; count <= 17; count++) {
		struct buf body;
		int parts = 0;
		enum multipart_step step;

		buf_init(&body, 8192);
		for (int i = 0; i < count; i++)
			buf_append(&body, STR("--x\r\n" FIELD "\r\n\r\n.\r\n"));
		buf_append(&body, STR("--x--\r\n"));
		assert_true(
		    multipart_begin(&form, STR(TYPE "x"), buf_str(&body)));
		while ((step = multipart_next(&form, &part)) == MULTIPART_PART)
			parts++;
		assert_int_equal(step,
		    count <= MULTIPART_PARTS_MAX ? MULTIPART_END :
						   MULTIPART_BAD);
		assert_int_equal(parts, count < 16 ? count : 16);
		buf_free(&body);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_read_in_order),
		cmocka_unit_test(a_body_may_be_empty),
		cmocka_unit_test(
		    a_boundary_has_1_to_70_characters_of_its_alphabet),
		cmocka_unit_test(a_form_that_is_broken_is_bad),
		cmocka_unit_test(a_form_has_16_parts_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

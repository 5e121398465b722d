/* SPDX-License-Identifier: MIT */
#include "app/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *
attached(struct str name)
{
	static struct response res;

	app_attach(&res, name);
	assert_true(http_header_value_ok(str_from(res.disposition)));
	return res.disposition;
}

static void
an_object_is_sent_from_its_place(void **state)
{
	const struct media media = {
		.id = { { 0xab, [15] = 0x7f } },
		.bucket = "videos",
		.content_type = "video/mp4",
	};
	struct response res = { .status = 200 };

	(void)state;
	app_send_media(&res, &media);
	assert_string_equal(res.accel_path,
	    "/_media/videos/7f/ab000000-0000-0000-0000-00000000007f");
	assert_string_equal(res.content_type, "video/mp4");
	assert_string_equal(res.cache_control, "private, max-age=3600");
}

static void
plain_names_stand_as_they_are(void **state)
{
	(void)state;
	assert_string_equal(attached(STR("")), "attachment");
	assert_string_equal(attached(STR("my-clip_1.mp4")),
	    "attachment; filename=\"my-clip_1.mp4\"");
}

static void
other_names_are_escaped(void **state)
{
	(void)state;
	assert_string_equal(attached(STR("a b.mp4")),
	    "attachment; filename*=UTF-8''a%20b.mp4");
	assert_string_equal(attached(STR("\"; x=\"\r\nY: 1")),
	    "attachment; filename*=UTF-8''%22%3B%20x%3D%22%0D%0AY%3A%201");
	assert_string_equal(attached(STR("../../\xc3\xbc")),
	    "attachment; filename*=UTF-8''..%2F..%2F%C3%BC");
	assert_string_equal(attached(STR("100%")),
	    "attachment; filename*=UTF-8''100%25");
}

static void
a_name_too_long_for_its_header_is_left_out(void **state)
{
	const size_t plain_max = sizeof(((struct response *)0)->disposition) -
	    sizeof("attachment; filename=\"\"");
	const size_t escaped_max =
	    (sizeof(((struct response *)0)->disposition) -
		sizeof("attachment; filename*=UTF-8''")) /
	    3;
	char name[4096];

	(void)state;
	memset(name, 'a', sizeof(name));
	for (size_t n = plain_max - 1; n <= plain_max + 1; n++)
		assert_int_equal(strcmp(attached((struct str){ name, n }),
				     "attachment") == 0,
		    n > plain_max);
	assert_string_equal(attached((struct str){ name, sizeof(name) }),
	    "attachment");
	memset(name, ' ', sizeof(name));
	for (size_t n = escaped_max - 1; n <= escaped_max + 1; n++)
		assert_int_equal(strcmp(attached((struct str){ name, n }),
				     "attachment") == 0,
		    n > escaped_max);
}

static void
append(struct response *res, struct str text)
{
	buf_append(&res->body, text);
}

static void
a_large_answer_is_spooled_up_to_its_limit(void **state)
{
	struct app app = { 0 };
	struct response res = { .spool_fd = -1 };
	struct buf problem;
	char seen[16] = "";
	char dir[] = "/tmp/rendio-unit-XXXXXX", tmp[64], setting[64];

	(void)state;
	buf_init(&problem, 1024);
	assert_non_null(mkdtemp(dir));
	(void)snprintf(setting, sizeof(setting), "RENDIO_STATE_DIR=%s", dir);
	assert_true(
	    config_parse(&app.config, str_from(setting), NULL, &problem));
	(void)snprintf(tmp, sizeof(tmp), "%s/tmp", dir);
	assert_int_equal(mkdir(tmp, 0700), 0);
	buf_init(&res.body, 64);
	append(&res, STR("abc"));
	assert_true(app_spool(&app, &res, 7));
	assert_int_equal(res.body.len, 0);
	append(&res, STR("def"));
	assert_true(app_spool(&app, &res, 7));
	append(&res, STR("gh"));
	assert_false(app_spool(&app, &res, 7)); /* 8 of 7 */
	buf_clear(&res.body);
	append(&res, STR("g"));
	assert_true(app_spool(&app, &res, 7)); /* 7 of 7 */
	assert_true(app_spool(&app, &res, 7));
	assert_int_equal(res.spool_bytes, 7);
	assert_int_equal(pread(res.spool_fd, seen, sizeof(seen), 0), 7);
	assert_string_equal(seen, "abcdefg");
	/* It has no name, so nothing is left behind. */
	assert_int_equal(close(res.spool_fd), 0);
	assert_int_equal(rmdir(tmp), 0);
	res.spool_fd = -1;
	res.spool_bytes = 0;
	assert_false(app_spool(&app, &res, 7)); /* no place for it */
	assert_int_equal(rmdir(dir), 0);
	buf_free(&res.body);
	config_free(&app.config);
	buf_free(&problem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_sent_from_its_place),
		cmocka_unit_test(plain_names_stand_as_they_are),
		cmocka_unit_test(other_names_are_escaped),
		cmocka_unit_test(a_name_too_long_for_its_header_is_left_out),
		cmocka_unit_test(a_large_answer_is_spooled_up_to_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

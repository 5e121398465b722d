/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

/* Standard error as a pipe, so that a test can read what was logged. */
struct capture {
	int read_fd;
	int stderr_fd;
	char line[8192];
};

static int
setup(void **state)
{
	static struct capture capture;
	int fds[2];

	if (pipe(fds) != 0)
		return -1;
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	capture.read_fd = fds[0];
	capture.stderr_fd = dup(STDERR_FILENO);
	(void)dup2(fds[1], STDERR_FILENO);
	(void)close(fds[1]);
	log_program("test");
	*state = &capture;
	return 0;
}

static int
teardown(void **state)
{
	struct capture *capture = *state;

	(void)dup2(capture->stderr_fd, STDERR_FILENO);
	(void)close(capture->stderr_fd);
	(void)close(capture->read_fd);
	return 0;
}

/* All that was logged since the last call, terminated. */
static const char *
logged(struct capture *capture)
{
	const ssize_t n =
	    read(capture->read_fd, capture->line, sizeof(capture->line) - 1);

	capture->line[n < 0 ? 0 : n] = '\0';
	return capture->line;
}

/* What follows the time, which differs each time. */
#define TIME_FIELD_BYTES (sizeof("{\"time\":\"2026-01-31T12:34:56.789Z\"") - 1)

static void
an_event_is_one_line_with_its_fields(void **state)
{
	static const struct uuid uuid = { { 1, 2, 3 } };
	struct log log = log_begin(LOG_WARNING, "request");
	const char *line;

	log_text(&log, "code", "ok");
	log_text(&log, "absent", NULL);
	log_str(&log, "path", STR("/a"));
	log_int64(&log, "ms", -12);
	log_uuid(&log, "user", &uuid);
	assert_string_equal(logged(*state), "");
	log_end(&log);
	line = logged(*state);
	assert_memory_equal(line, "{\"time\":\"2", 10);
	assert_string_equal(line + TIME_FIELD_BYTES,
	    ",\"level\":\"warning\",\"program\":\"test\","
	    "\"event\":\"request\",\"code\":\"ok\",\"absent\":\"\","
	    "\"path\":\"/a\",\"ms\":-12,"
	    "\"user\":\"01020300-0000-0000-0000-000000000000\"}\n");
}

static void
the_short_form_has_one_field(void **state)
{
	log_line(LOG_ERROR, "start", "problem", "no such file");
	assert_string_equal(logged(*state) + TIME_FIELD_BYTES,
	    ",\"level\":\"error\",\"program\":\"test\",\"event\":\"start\","
	    "\"problem\":\"no such file\"}\n");
}

static void
no_value_can_forge_a_line_or_a_field(void **state)
{
	log_line(LOG_INFO, "e", "v", "a\"b\\c\r\n{\x1b[0m\x7f\xc3\xbc");
	assert_non_null(strstr(logged(*state),
	    ",\"v\":\"a\\\"b\\\\c\\u000d\\u000a{\\u001b[0m\\u007f\xc3\xbc\"}"
	    "\n"));
	log_line(LOG_INFO, "e", "v", "bad \xff\xc3 bytes");
	assert_non_null(strstr(logged(*state), ",\"v\":\"bad ?? bytes\"}\n"));
}

static void
a_long_value_is_cut_between_characters(void **state)
{
	char value[LOG_TEXT_BYTES_MAX + 2];
	struct log log;

	memset(value, 'a', sizeof(value));
	for (size_t n = LOG_TEXT_BYTES_MAX - 1; n <= LOG_TEXT_BYTES_MAX + 1;
	     n++) {
		const char *line;
		const size_t cut =
		    n > LOG_TEXT_BYTES_MAX ? LOG_TEXT_BYTES_MAX : n;

		log = log_begin(LOG_INFO, "e");
		log_str(&log, "v", (struct str){ value, n });
		log_end(&log);
		line = strstr(logged(*state), "\"v\":\"");
		assert_non_null(line);
		assert_int_equal(strspn(line + 5, "a"), cut);
		assert_string_equal(line + 5 + cut, "\"}\n");
	}
	/* A character of two bytes over the edge goes as a whole. */
	memcpy(value + LOG_TEXT_BYTES_MAX - 1, "\xc3\xbc", 2);
	log = log_begin(LOG_INFO, "e");
	log_str(&log, "v", (struct str){ value, LOG_TEXT_BYTES_MAX + 1 });
	log_end(&log);
	assert_non_null(strstr(logged(*state), "aaa\"}\n"));
}

static void
a_full_line_loses_its_tail_and_stays_whole(void **state)
{
	char value[LOG_TEXT_BYTES_MAX];
	struct log log = log_begin(LOG_INFO, "e");
	const char *line;
	size_t length;

	memset(value, 'a', sizeof(value));
	for (int i = 0; i < 20; i++)
		log_str(&log, "v", (struct str){ value, sizeof(value) });
	log_int64(&log, "lost", 1);
	log_end(&log);
	line = logged(*state);
	length = strlen(line);
	assert_in_range(length, LOG_LINE_BYTES_MAX - LOG_TEXT_BYTES_MAX - 8,
	    LOG_LINE_BYTES_MAX + 2);
	assert_string_equal(line + length - 4, "a\"}\n");
	assert_null(strstr(line, "lost"));
	assert_ptr_equal(strchr(line, '\n'), line + length - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    an_event_is_one_line_with_its_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(the_short_form_has_one_field,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    no_value_can_forge_a_line_or_a_field, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_long_value_is_cut_between_characters, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_full_line_loses_its_tail_and_stays_whole, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

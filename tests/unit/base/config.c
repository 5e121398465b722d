/* SPDX-License-Identifier: MIT */
#include "base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

struct fixture {
	struct config config;
	struct buf problem;
};

static int
setup(void **state)
{
	static struct fixture fixture;

	fixture.config = (struct config){ 0 };
	buf_init(&fixture.problem, 1024);
	*state = &fixture;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;

	config_free(&fixture->config);
	buf_free(&fixture->problem);
	return 0;
}

/* Parses anew; each test may do so many times. */
static bool
parse(struct fixture *f, const char *file, char *const *environment)
{
	config_free(&f->config);
	buf_clear(&f->problem);
	return config_parse(&f->config, str_from(file), environment,
	    &f->problem);
}

static void
accepts(struct fixture *f, const char *file, enum config_key key,
    const char *value)
{
	assert_true(parse(f, file, NULL));
	assert_int_equal(f->problem.len, 0);
	assert_string_equal(config_text(&f->config, key), value);
}

static void
refuses(struct fixture *f, const char *file, const char *problem)
{
	assert_false(parse(f, file, NULL));
	assert_string_equal(f->problem.ptr, problem);
}

static void
without_any_key_the_defaults_hold(void **state)
{
	struct fixture *f = *state;

	assert_true(parse(f, "", NULL));
	assert_true(config_is_sandbox(&f->config));
	assert_int_equal(config_number(&f->config, CONFIG_PORT), 8443);
	assert_string_equal(config_text(&f->config, CONFIG_PUBLIC_URL),
	    "https://127.0.0.1:8443");
	assert_string_equal(config_text(&f->config, CONFIG_MEDIA_HOSTS),
	    "*.fal.media");
	assert_false(config_is_set(&f->config, CONFIG_FAL_KEY));
	assert_true(config_is_set(&f->config, CONFIG_MODE));
	assert_string_equal(config_name(CONFIG_PORT), "RENDIO_PORT");
}

static void
the_public_url_follows_the_port_unless_given(void **state)
{
	accepts(*state, "RENDIO_PORT=9000\n", CONFIG_PUBLIC_URL,
	    "https://127.0.0.1:9000");
	accepts(*state, "RENDIO_PORT=9000\nRENDIO_PUBLIC_URL=https://a.b",
	    CONFIG_PUBLIC_URL, "https://a.b");
	/* Links are made by putting a path after it. */
	accepts(*state, "RENDIO_PUBLIC_URL=https://a.b//\n", CONFIG_PUBLIC_URL,
	    "https://a.b");
}

static void
lines_may_have_comments_blanks_and_quotes(void **state)
{
	accepts(*state,
	    "# RENDIO_FAL_USER_ID=no\r\n\n \t\n"
	    "  RENDIO_FAL_USER_ID =\t a=b # c \r\n",
	    CONFIG_FAL_USER_ID, "a=b # c");
	accepts(*state, "RENDIO_FAL_USER_ID=\" a \"", CONFIG_FAL_USER_ID,
	    " a ");
	accepts(*state, "RENDIO_FAL_USER_ID=\"", CONFIG_FAL_USER_ID, "\"");
	accepts(*state, "RENDIO_FAL_USER_ID=\"\"", CONFIG_FAL_USER_ID, "");
	accepts(*state, "RENDIO_FAL_USER_ID=a\nRENDIO_FAL_USER_ID=b",
	    CONFIG_FAL_USER_ID, "b");
}

static void
an_unknown_key_is_named_with_the_nearest_one(void **state)
{
	refuses(*state, "\nRENDIO_PROT=1\n",
	    "unknown key RENDIO_PROT, did you mean RENDIO_PORT? (line 2)");
	refuses(*state, "RENDIO_ENTIRELY_DIFFERENT_WORDS=1",
	    "unknown key RENDIO_ENTIRELY_DIFFERENT_WORDS (line 1)");
	refuses(*state, "PORT=1", "unknown key PORT (line 1)");
	refuses(*state, "rendio_port=1", "unknown key rendio_port (line 1)");
	refuses(*state, "\xff=1", "unknown key (not text) (line 1)");
	/* Only secrets have a file form of their own. */
	refuses(*state, "RENDIO_PORT_FILE=/x",
	    "unknown key RENDIO_PORT_FILE, did you mean RENDIO_PORT? "
	    "(line 1)");
}

static void
a_line_without_an_equals_sign_is_named(void **state)
{
	refuses(*state, "RENDIO_PORT=1\nRENDIO_MODE",
	    "line 2 is not KEY=value");
}

static void
numbers_keep_their_bounds(void **state)
{
	struct fixture *f = *state;
	static const char problem[] =
	    "RENDIO_PORT must be a number from 1 to 65535 (line 1)";

	refuses(f, "RENDIO_PORT=0", problem);
	assert_true(parse(f, "RENDIO_PORT=1", NULL));
	assert_true(parse(f, "RENDIO_PORT=2", NULL));
	assert_true(parse(f, "RENDIO_PORT=65534", NULL));
	assert_true(parse(f, "RENDIO_PORT=65535", NULL));
	assert_int_equal(config_number(&f->config, CONFIG_PORT), 65535);
	refuses(f, "RENDIO_PORT=65536", problem);
	refuses(f, "RENDIO_PORT=", problem);
	refuses(f, "RENDIO_PORT=08443", problem);
	refuses(f, "RENDIO_PORT=8443x", problem);
}

static void
the_mode_is_one_of_two_words(void **state)
{
	struct fixture *f = *state;

	assert_true(parse(f, "RENDIO_MODE=live", NULL));
	assert_false(config_is_sandbox(&f->config));
	refuses(f, "RENDIO_MODE=Live", "RENDIO_MODE must be sandbox or live");
	refuses(f, "RENDIO_MODE=", "RENDIO_MODE must be sandbox or live");
}

static void
a_value_is_a_line_of_bounded_length(void **state)
{
	static const char key[] = "RENDIO_FAL_USER_ID=";
	static char injected[] = "RENDIO_FAL_USER_ID=a\r\nX-Header: b";
	char *const two_lines[] = { injected, NULL };
	struct fixture *f = *state;
	char file[sizeof(key) + CONFIG_VALUE_BYTES_MAX + 1];

	for (size_t n = CONFIG_VALUE_BYTES_MAX - 1;
	     n <= CONFIG_VALUE_BYTES_MAX + 1; n++) {
		memset(file, 'a', sizeof(file));
		memcpy(file, key, sizeof(key) - 1);
		file[sizeof(key) - 1 + n] = '\0';
		assert_int_equal(parse(f, file, NULL),
		    n <= CONFIG_VALUE_BYTES_MAX);
	}
	refuses(f, "RENDIO_FAL_USER_ID=\xff",
	    "RENDIO_FAL_USER_ID is too long or not a line of text (line 1)");
	refuses(f, "RENDIO_FAL_USER_ID=a\x1b[0m",
	    "RENDIO_FAL_USER_ID is too long or not a line of text (line 1)");
	config_free(&f->config);
	assert_false(config_parse(&f->config, STR("RENDIO_FAL_USER_ID=a\0b"),
	    NULL, &f->problem));
	assert_false(parse(f, "", two_lines));
	assert_string_equal(f->problem.ptr,
	    "RENDIO_FAL_USER_ID is too long or not a line of text");
}

static void
the_environment_wins_over_the_file(void **state)
{
	static char path[] = "PATH=/bin", port[] = "RENDIO_PORT=2",
		    config[] = "RENDIO_CONFIG=/somewhere",
		    odd[] = "no equals sign", prot[] = "RENDIO_PROT=3";
	char *const good[] = { path, port, config, odd, NULL };
	char *const bad[] = { port, prot, NULL };
	struct fixture *f = *state;

	assert_true(parse(f, "RENDIO_PORT=1", good));
	assert_int_equal(config_number(&f->config, CONFIG_PORT), 2);
	assert_false(parse(f, "RENDIO_PORT=1", bad));
	assert_string_equal(f->problem.ptr,
	    "unknown key RENDIO_PROT, did you mean RENDIO_PORT?");
}

/* A file in a directory of its own; both go away with remove_files(). */
static char directory[] = "/tmp/config-XXXXXX";
static char path[64];

static int
make_directory(void **state)
{
	memcpy(directory, "/tmp/config-XXXXXX", sizeof(directory));
	if (mkdtemp(directory) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/rendio.conf", directory);
	return setup(state);
}

static int
remove_directory(void **state)
{
	(void)unlink(path);
	(void)rmdir(directory);
	return teardown(state);
}

static void
write_file(const char *content, size_t n)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

static void
a_secret_may_stand_in_a_file(void **state)
{
	struct fixture *f = *state;
	char file[128];

	(void)snprintf(file, sizeof(file), "RENDIO_FAL_KEY_FILE=%s", path);
	refuses(f, file, "RENDIO_FAL_KEY_FILE cannot be read (line 1)");
	write_file(" secret \r\n\n", 11);
	accepts(f, file, CONFIG_FAL_KEY, " secret ");
	write_file("a\0b", 3);
	refuses(f, file,
	    "RENDIO_FAL_KEY is too long or not a line of text (line 1)");
	refuses(f, "RENDIO_FAL_KEY_FILE=/",
	    "RENDIO_FAL_KEY_FILE cannot be read (line 1)");
	/* A device without an end is a file that is too long. */
	refuses(f, "RENDIO_FAL_KEY_FILE=/dev/zero",
	    "RENDIO_FAL_KEY_FILE cannot be read (line 1)");
}

static void
a_small_file_is_read_up_to_the_ceiling(void **state)
{
	struct buf content;

	(void)state;
	for (size_t n = 9; n <= 11; n++) {
		write_file("0123456789\n", n);
		buf_init(&content, 10);
		errno = 0;
		assert_int_equal(config_read_file(path, false, &content),
		    n <= 10);
		assert_int_equal(errno, n <= 10 ? 0 : EFBIG);
		buf_free(&content);
	}
	buf_init(&content, 100);
	assert_true(config_read_file(path, true, &content));
	assert_true(str_equal(buf_str(&content), STR("0123456789")));
	buf_free(&content);
}

static void
loading_reads_the_named_file_or_the_standard_one(void **state)
{
	struct fixture *f = *state;

	write_file("RENDIO_PORT=1234", 16);
	assert_int_equal(setenv("RENDIO_CONFIG", path, 1), 0);
	assert_true(config_load(&f->config, &f->problem));
	assert_int_equal(config_number(&f->config, CONFIG_PORT), 1234);
	config_free(&f->config);

	assert_int_equal(unsetenv("RENDIO_CONFIG"), 0);
	assert_int_equal(setenv("RENDIO_STATE_DIR", directory, 1), 0);
	assert_true(config_load(&f->config, &f->problem));
	assert_int_equal(config_number(&f->config, CONFIG_PORT), 1234);
	assert_string_equal(config_text(&f->config, CONFIG_STATE_DIR),
	    directory);
	config_free(&f->config);

	/* The standard one may be missing, a named one may not. */
	assert_int_equal(unlink(path), 0);
	assert_true(config_load(&f->config, &f->problem));
	config_free(&f->config);
	assert_int_equal(setenv("RENDIO_CONFIG", path, 1), 0);
	assert_false(config_load(&f->config, &f->problem));
	assert_non_null(strstr(f->problem.ptr, path));
	assert_int_equal(unsetenv("RENDIO_CONFIG"), 0);
	assert_int_equal(unsetenv("RENDIO_STATE_DIR"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define FILE_TEST(name) \
	cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_any_key_the_defaults_hold),
		TEST(the_public_url_follows_the_port_unless_given),
		TEST(lines_may_have_comments_blanks_and_quotes),
		TEST(an_unknown_key_is_named_with_the_nearest_one),
		TEST(a_line_without_an_equals_sign_is_named),
		TEST(numbers_keep_their_bounds),
		TEST(the_mode_is_one_of_two_words),
		TEST(a_value_is_a_line_of_bounded_length),
		TEST(the_environment_wins_over_the_file),
		FILE_TEST(a_secret_may_stand_in_a_file),
		FILE_TEST(a_small_file_is_read_up_to_the_ceiling),
		FILE_TEST(loading_reads_the_named_file_or_the_standard_one),
	};

	/* Whatever the machine has configured is not ours to test. */
	if (clearenv() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "app/state.h"

#include "store/migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	char dir[64];
	struct buf problem;
};

static int
set_up(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;

	*f = (struct fixture){ .dir = "/tmp/rendio-unit-XXXXXX" };
	buf_init(&f->problem, 1024);
	*state = f;
	return mkdtemp(f->dir) == NULL ||
		setenv("RENDIO_STATE_DIR", f->dir, 1) != 0 ?
	    -1 :
	    0;
}

static int
remove_one(const char *path, const struct stat *info, int type,
    struct FTW *place)
{
	(void)info, (void)type, (void)place;
	return remove(path);
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	buf_free(&f->problem);
	return nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
init(struct fixture *f)
{
	if (!state_init(&f->problem))
		fail_msg("%s", f->problem.ptr);
}

static mode_t
mode_of(const struct fixture *f, const char *name)
{
	char path[128];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void
a_new_installation_is_complete_and_opens(void **state)
{
	struct fixture *f = *state;
	struct state s;

	init(f);
	assert_true(state_open(&s, STATE_WRITE, &f->problem));
	assert_non_null(s.db);
	assert_string_equal(config_text(&s.config, CONFIG_STATE_DIR), f->dir);
	assert_int_equal(strlen(s.keys.anon_key), 64);
	state_close(&s);
	assert_int_equal(f->problem.len, 0);
}

static void
secrets_and_the_database_are_for_us_alone(void **state)
{
	struct fixture *f = *state;
	static const char *const files[] = { "keys/jwt", "keys/refresh",
		"keys/device", "keys/storage", "keys/webhook", "keys/sandbox",
		"keys/admin", "rendio.db" };
	static const char *const directories[] = { "keys", "tmp",
		"sandbox/requests", "sandbox/devices" };

	(void)umask(0);
	init(f);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		assert_int_equal(mode_of(f, files[i]), 0600);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]);
	     i++)
		assert_int_equal(mode_of(f, directories[i]), 0700);
	/* The router enters these. */
	assert_int_equal(mode_of(f, "run"), 0750);
	assert_int_equal(mode_of(f, "sandbox/files"), 0750);
	assert_int_equal(mode_of(f, "media/videos"), 0750);
	assert_int_equal(mode_of(f, "media/thumbnails"), 0750);
	(void)umask(022);
}

static void
doing_it_again_keeps_keys_modes_and_data(void **state)
{
	struct fixture *f = *state;
	struct state first, again;
	char path[128];

	init(f);
	assert_true(state_open(&first, STATE_READ, &f->problem));
	(void)snprintf(path, sizeof(path), "%s/log", f->dir);
	assert_int_equal(chmod(path, 0711), 0);
	init(f);
	assert_int_equal(mode_of(f, "log"), 0711);
	assert_true(state_open(&again, STATE_READ, &f->problem));
	assert_memory_equal(&first.keys, &again.keys, sizeof(first.keys));
	state_close(&first);
	state_close(&again);
}

static void
without_an_installation_nothing_opens_and_the_fix_is_named(void **state)
{
	struct fixture *f = *state;
	struct state s;

	assert_false(state_open(&s, STATE_READ, &f->problem));
	state_close(&s);
	assert_non_null(strstr(f->problem.ptr, "rendio init"));
}

static void
a_state_directory_below_nothing_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/no/such", f->dir);
	assert_int_equal(setenv("RENDIO_STATE_DIR", path, 1), 0);
	assert_false(state_init(&f->problem));
	assert_non_null(strstr(f->problem.ptr, path));
}

static void
a_schema_that_is_not_ours_is_refused_with_the_way_out(void **state)
{
	struct fixture *f = *state;
	const int64_t ours = (int64_t)migrations_count;
	struct db *db;
	struct state s;
	int64_t from, to;

	init(f);
	assert_int_equal(db_open(f->dir, DB_READ_WRITE, false, &db), OK);
	assert_int_equal(db_set_version(db, ours + 1), OK);
	assert_int_equal(db_script(db,
			     "UPDATE schema_state SET compatible_from ="
			     " (SELECT user_version FROM pragma_user_version)"),
	    OK);
	assert_false(state_open(&s, STATE_READ, &f->problem));
	state_close(&s);
	assert_non_null(strstr(f->problem.ptr, "newer"));
	buf_clear(&f->problem);
	assert_false(state_migrate(&from, &to, &f->problem));
	assert_non_null(strstr(f->problem.ptr, "newer"));
	buf_clear(&f->problem);
	assert_int_equal(db_set_version(db, ours - 1), OK);
	db_close(db);
	assert_false(state_open(&s, STATE_READ, &f->problem));
	state_close(&s);
	assert_non_null(strstr(f->problem.ptr, "rendio migrate"));
}

static void
migrating_tells_from_where_to_where(void **state)
{
	struct fixture *f = *state;
	int64_t from = -1, to = -1;

	assert_true(state_migrate(&from, &to, &f->problem));
	assert_int_equal(from, 0);
	assert_int_equal(to, migrations_count);
	assert_true(state_migrate(&from, &to, &f->problem));
	assert_int_equal(from, migrations_count);
}

static void
a_database_can_be_examined_whatever_its_state(void **state)
{
	struct fixture *f = *state;
	struct state_database d;

	state_examine(f->dir, &d);
	assert_false(d.is_open);
	assert_non_null(d.engine);
	init(f);
	state_examine(f->dir, &d);
	assert_true(d.is_open);
	assert_true(d.is_whole);
	assert_int_equal(d.version, d.newest_version);
	assert_true(d.log_bytes > 0);
}

static void
the_log_is_emptied_once_it_has_grown(void **state)
{
	struct fixture *f = *state;
	struct state s;
	int64_t bytes;

	init(f);
	assert_true(state_open(&s, STATE_WRITE, &f->problem));
	bytes = db_log_bytes(s.db);
	assert_true(bytes > 0);
	state_checkpoint_if(&s, bytes);
	assert_int_equal(db_log_bytes(s.db), bytes);
	state_checkpoint_if(&s, bytes - 1);
	assert_int_equal(db_log_bytes(s.db), 0);
	state_close(&s);
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_installation_is_complete_and_opens),
		TEST(secrets_and_the_database_are_for_us_alone),
		TEST(doing_it_again_keeps_keys_modes_and_data),
		TEST(
		    without_an_installation_nothing_opens_and_the_fix_is_named),
		TEST(a_state_directory_below_nothing_is_refused),
		TEST(a_schema_that_is_not_ours_is_refused_with_the_way_out),
		TEST(migrating_tells_from_where_to_where),
		TEST(a_database_can_be_examined_whatever_its_state),
		TEST(the_log_is_emptied_once_it_has_grown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

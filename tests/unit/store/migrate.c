/* SPDX-License-Identifier: MIT */
#define UNBROKEN
#include "../domain/fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A directory without a database. */
static int
set_up_empty(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ .dir = "/tmp/rendio-unit-XXXXXX" };
	*state = &fixture;
	return mkdtemp(fixture.dir) == NULL ? -1 : 0;
}

static struct db *
open_new(const struct fixture *f)
{
	struct db *db = NULL;

	assert_int_equal(db_open(f->dir, DB_READ_WRITE, true, &db), OK);
	return db;
}

static int64_t
version_of(struct db *db)
{
	int64_t version = -1;

	assert_int_equal(db_version(db, &version), OK);
	return version;
}

static void
migrations_are_numbered_from_one_without_gaps(void **state)
{
	(void)state;
	assert_true(migrations_count > 0);
	for (size_t i = 0; i < migrations_count; i++) {
		assert_int_equal(migrations[i].number, i + 1);
		assert_true(migrations[i].name[0] != '\0');
		assert_true(migrations[i].sql[0] != '\0');
	}
}

static void
an_empty_database_comes_to_the_newest_schema_with_its_seed(void **state)
{
	struct fixture *f = *state;
	int64_t from = -1, to = -1;

	f->db = open_new(f);
	assert_int_equal(version_of(f->db), 0);
	assert_int_equal(migrate_check(f->db), ERR_CONFLICT);
	assert_int_equal(migrate(f->db, &from, &to), OK);
	assert_int_equal(from, 0);
	assert_int_equal(to, migrations_count);
	assert_int_equal(version_of(f->db), migrations_count);
	assert_int_equal(migrate_check(f->db), OK);
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM models", NULL), 8);
}

static void
migrating_again_changes_nothing(void **state)
{
	struct fixture *f = *state;
	int64_t from = -1, to = -1;

	f->db = open_new(f);
	assert_int_equal(migrate(f->db, &from, &to), OK);
	assert_int_equal(migrate(f->db, &from, &to), OK);
	assert_int_equal(from, migrations_count);
	assert_int_equal(to, migrations_count);
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM products", NULL),
	    3);
}

static void
what_the_owner_removed_from_the_seed_does_not_come_back(void **state)
{
	struct fixture *f = *state;
	int64_t from, to;

	f->db = open_new(f);
	assert_int_equal(migrate(f->db, &from, &to), OK);
	assert_int_equal(db_script(f->db,
			     "DELETE FROM products;"
			     "UPDATE models SET name = 'Mine'"),
	    OK);
	assert_int_equal(migrate(f->db, &from, &to), OK);
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM products", NULL),
	    0);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM models"
			     " WHERE name = 'Mine'",
			     NULL),
	    8);
}

static void
a_newer_database_is_refused_and_not_touched(void **state)
{
	struct fixture *f = *state;
	int64_t from = -1, to = -1;

	f->db = open_new(f);
	assert_int_equal(migrate(f->db, &from, &to), OK);
	from = to = -1;
	assert_int_equal(db_set_version(f->db, (int64_t)migrations_count + 1),
	    OK);
	assert_int_equal(migrate(f->db, &from, &to), ERR_CONFLICT);
	assert_int_equal(from, -1);
	assert_int_equal(to, -1);
	assert_int_equal(version_of(f->db), migrations_count + 1);
}

static void
a_migration_that_fails_leaves_the_schema_before_it(void **state)
{
	struct fixture *f = *state;
	int64_t from, to;

	/* Something stands where the second migration wants to build. */
	f->db = open_new(f);
	assert_int_equal(db_script(f->db, "CREATE TABLE themes (id INTEGER)"),
	    OK);
	assert_int_not_equal(migrate(f->db, &from, &to), OK);
	assert_int_equal(version_of(f->db), 1);
	assert_int_equal(number_of(f,
			     "SELECT COUNT(*) FROM sqlite_master"
			     " WHERE name = 'models'",
			     NULL),
	    0);
	assert_int_equal(db_script(f->db, "DROP TABLE themes"), OK);
	assert_int_equal(migrate(f->db, &from, &to), OK);
	assert_int_equal(from, 1);
	assert_int_equal(migrate_check(f->db), OK);
}

static void
many_may_migrate_at_once_and_one_does_the_work(void **state)
{
	struct fixture *f = *state;
	enum { PROCESSES = 8 };
	bool ok = false;

	for (int i = 0; i < PROCESSES; i++) {
		const pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			int64_t from = -1, to = -1;
			struct db *db = NULL;
			const bool done =
			    db_open(f->dir, DB_READ_WRITE, true, &db) == OK &&
			    migrate(db, &from, &to) == OK &&
			    to == (int64_t)migrations_count &&
			    migrate_check(db) == OK;

			db_close(db);
			_exit(done ? 0 : 1);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status = 0;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	f->db = open_new(f);
	assert_int_equal(migrate_check(f->db), OK);
	assert_int_equal(number_of(f, "SELECT COUNT(*) FROM products", NULL),
	    3);
	assert_int_equal(db_integrity(f->db, &ok), OK);
	assert_true(ok);
}

#define EMPTY(function) \
	cmocka_unit_test_setup_teardown(function, set_up_empty, tear_down)

static int
hold_schema(const struct fixture *f, int64_t schema)
{
	struct flock range = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = schema,
		.l_len = 1,
	};
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/run/schema.lock", f->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
	return fd;
}

static void
make_run(const struct fixture *f)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/run", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void
a_newer_schema_is_worked_with_if_it_says_so(void **state)
{
	struct fixture *f = *state;
	const int64_t newer = (int64_t)migrations_count + 1;
	int64_t from = -1, to = -1;

	f->db = open_new(f);
	assert_int_equal(migrate(f->db, &from, &to), OK);
	assert_int_equal(db_set_version(f->db, newer), OK);
	assert_int_equal(migrate_check(f->db), OK);
	assert_int_equal(db_script(f->db,
			     "UPDATE schema_state SET compatible_from ="
			     " (SELECT user_version FROM pragma_user_version)"),
	    OK);
	assert_int_equal(migrate_check(f->db), ERR_CONFLICT);
	/* It is never migrated by who does not know it. */
	assert_int_equal(migrate(f->db, &from, &to), ERR_CONFLICT);
}

static void
programs_that_could_not_live_with_it_keep_a_migration_away(void **state)
{
	struct fixture *f = *state;
	int64_t schema = -1;
	int program, other, alone = -1;

	f->db = open_new(f);
	make_run(f);
	assert_int_equal(migrate_enter(f->dir, &program, &schema), OK);
	assert_int_equal(migrate_enter(f->dir, &other, &schema), OK);
	assert_int_equal(migrate_alone(f->db, f->dir, &alone, &schema), OK);
	(void)close(alone);
	(void)close(other);
	(void)close(program);

	/* A program of the first schema, as the kernel sees it. */
	program = hold_schema(f, 1);
	assert_int_equal(migrate_alone(f->db, f->dir, &alone, &schema),
	    ERR_CONFLICT);
	assert_int_equal(schema, 1);
	(void)close(program);
	assert_int_equal(migrate_alone(f->db, f->dir, &alone, &schema), OK);
	(void)close(alone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(migrations_are_numbered_from_one_without_gaps),
		EMPTY(
		    an_empty_database_comes_to_the_newest_schema_with_its_seed),
		EMPTY(migrating_again_changes_nothing),
		EMPTY(what_the_owner_removed_from_the_seed_does_not_come_back),
		EMPTY(a_newer_database_is_refused_and_not_touched),
		EMPTY(a_newer_schema_is_worked_with_if_it_says_so),
		EMPTY(
		    programs_that_could_not_live_with_it_keep_a_migration_away),
		EMPTY(a_migration_that_fails_leaves_the_schema_before_it),
		EMPTY(many_may_migrate_at_once_and_one_does_the_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

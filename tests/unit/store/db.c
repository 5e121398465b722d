/* SPDX-License-Identifier: MIT */
#define UNBROKEN
#include "../domain/fixture.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* The limits that db.c keeps: a writer's wait, and a checkpoint's. */
#define WRITER_WAIT_MS 5000
#define CHECKPOINT_WAIT_MS 100

static const char count_sql[] = "SELECT COUNT(*) FROM products";

static enum err
insert_product(struct db *db, const char *id)
{
	static const char sql[] =
	    "INSERT INTO products (id, credits) VALUES (?1, 1)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, id);
	return db_run(stmt);
}

static enum err
insert_x(struct db *db, void *arg)
{
	(void)arg;
	assert_true(db_in_transaction(db));
	return insert_product(db, "x");
}

static enum err
insert_x_and_fail(struct db *db, void *arg)
{
	const enum err err = insert_product(db, "x");

	return err != OK ? err : *(const enum err *)arg;
}

static enum err
insert_x_twice(struct db *db, void *arg)
{
	const enum err err = insert_x(db, arg);

	return err != OK ? err : insert_product(db, "x");
}

static struct db *
open_other(const struct fixture *f, enum db_access access)
{
	struct db *db = NULL;

	assert_int_equal(db_open(f->dir, access, false, &db), OK);
	return db;
}

static int64_t
products(struct db *db)
{
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, count_sql);
	bool found;

	assert_int_equal(db_step(stmt, &found), OK);
	return db_column_int64(stmt, 0);
}

static void
a_database_that_is_not_there_is_not_made_by_opening_it(void **state)
{
	const struct fixture *f = *state;
	char dir[80], path[128];
	struct db *db = NULL;

	(void)snprintf(dir, sizeof(dir), "%s/media", f->dir);
	assert_int_equal(db_open(dir, DB_READ_WRITE, false, &db),
	    ERR_SERVICE_UNAVAILABLE);
	assert_int_equal(db_open(dir, DB_READ_ONLY, false, &db),
	    ERR_SERVICE_UNAVAILABLE);
	assert_null(db);
	(void)snprintf(path, sizeof(path), "%s/rendio.db", dir);
	assert_int_not_equal(access(path, F_OK), 0);
	db_close(NULL);
}

static void
a_transaction_commits_all_or_nothing(void **state)
{
	const struct fixture *f = *state;
	enum err reason = ERR_CONFLICT;

	assert_int_equal(db_transaction(f->db, insert_x_and_fail, &reason),
	    ERR_CONFLICT);
	assert_false(db_in_transaction(f->db));
	assert_int_equal(products(f->db), 3);
	assert_int_equal(db_transaction(f->db, insert_x_twice, NULL),
	    ERR_INTERNAL);
	assert_int_equal(products(f->db), 3);
	assert_int_equal(db_transaction(f->db, insert_x, NULL), OK);
	assert_int_equal(products(f->db), 4);
	/* What was refused is as good as new afterwards. */
	assert_int_equal(db_transaction(f->db, insert_x, NULL), ERR_INTERNAL);
	assert_int_equal(products(f->db), 4);
}

/* What the engine does when the disk is full, seen from within. */
static enum err
insert_after_the_end(struct db *db, void *arg)
{
	(void)arg;
	assert_int_equal(insert_product(db, "x"), OK);
	assert_int_equal(db_script(db, "ROLLBACK"), OK);
	return insert_product(db, "y");
}

static void
nothing_is_written_on_after_the_engine_gave_up(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(db_transaction(f->db, insert_after_the_end, NULL),
	    ERR_SERVICE_UNAVAILABLE);
	assert_int_equal(products(f->db), 3);
	assert_int_equal(db_transaction(f->db, insert_x, NULL), OK);
	assert_int_equal(products(f->db), 4);
}

static void
a_read_only_connection_reads_everything_and_writes_nothing(void **state)
{
	const struct fixture *f = *state;
	struct db *db = open_other(f, DB_READ_ONLY);
	int64_t version = 0;
	bool ok = false;

	assert_int_equal(products(db), 3);
	assert_int_equal(db_version(db, &version), OK);
	assert_int_equal(version, migrations_count);
	assert_int_equal(migrate_check(db), OK);
	assert_int_equal(db_is_marked(db, &ok), OK);
	assert_true(ok);
	ok = false;
	assert_int_equal(db_integrity(db, &ok), OK);
	assert_true(ok);

	assert_int_not_equal(db_transaction(db, insert_x, NULL), OK);
	assert_int_not_equal(db_script(db, "DELETE FROM products"), OK);
	assert_int_not_equal(db_script(db, "DROP TABLE products"), OK);
	assert_int_not_equal(db_script(db, "PRAGMA user_version = 1"), OK);
	assert_int_not_equal(db_script(db, "PRAGMA application_id = 1"), OK);
	assert_int_not_equal(db_script(db, "PRAGMA journal_mode = DELETE"), OK);
	assert_int_not_equal(db_script(db, "ATTACH ':memory:' AS other"), OK);
	assert_int_equal(products(db), 3);
	db_close(db);
}

static void
a_write_outside_of_a_transaction_ends_the_process(void **state)
{
	struct fixture *f = *state;
	const pid_t child = fork();
	int status = 0;

	if (child == 0) {
		(void)prctl(PR_SET_DUMPABLE, 0);
		(void)close(STDERR_FILENO);
		/* A connection does not cross a fork: it has its own. */
		f->db = open_other(f, DB_READ_WRITE);
		(void)signal(SIGABRT, SIG_DFL);
		(void)insert_product(f->db, "x");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_int_equal(products(f->db), 3);
}

static void
values_come_back_as_they_were_bound(void **state)
{
	const struct fixture *f = *state;
	static const char sql[] =
	    "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(f->db, sql);
	const char nul[] = { 'a', '\0', 'b' };
	struct uuid uuid;
	bool found = false;

	db_bind_int64(stmt, 1, INT64_MIN);
	db_bind_int64(stmt, 2, INT64_MAX);
	db_bind_bool(stmt, 3, true);
	db_bind_text(stmt, 4, "şarkı");
	db_bind_text(stmt, 5, NULL);
	db_bind_blob(stmt, 6, nul, sizeof(nul));
	db_bind_uuid(stmt, 7, &f->ada);
	db_bind_uuid(stmt, 8, NULL);
	db_bind_str(stmt, 9, (struct str){ NULL, 0 });
	db_bind_null(stmt, 10);
	assert_int_equal(db_step(stmt, &found), OK);
	assert_true(found);
	assert_true(db_column_int64(stmt, 0) == INT64_MIN);
	assert_true(db_column_int64(stmt, 1) == INT64_MAX);
	assert_true(db_column_bool(stmt, 2));
	assert_true(str_equal(db_column_str(stmt, 3), STR("şarkı")));
	assert_string_equal(db_column_str(stmt, 3).ptr, "şarkı");
	assert_true(db_column_is_null(stmt, 4));
	assert_string_equal(db_column_str(stmt, 4).ptr, "");
	assert_true(str_equal(db_column_blob(stmt, 5),
	    (struct str){ nul, sizeof(nul) }));
	uuid = db_column_uuid(stmt, 6);
	assert_true(uuid_equal(&uuid, &f->ada));
	assert_true(db_column_is_null(stmt, 7));
	uuid = db_column_uuid(stmt, 7);
	assert_true(uuid_equal(&uuid, &(struct uuid){ { 0 } }));
	assert_false(db_column_is_null(stmt, 8));
	assert_int_equal(db_column_str(stmt, 8).len, 0);
	assert_true(db_column_is_null(stmt, 9));
	assert_int_equal(db_step(stmt, &found), OK);
	assert_false(found);
}

static void
a_mistake_in_binding_is_told_by_the_step_and_then_forgotten(void **state)
{
	const struct fixture *f = *state;
	static const char sql[] = "SELECT ?1";

	for (int times = 0; times < 2; times++) {
		CLEANUP(db_release)
		struct db_stmt *stmt = db_prepare(f->db, sql);
		bool found;

		db_bind_int64(stmt, 2, 1);
		assert_int_equal(db_step(stmt, &found), ERR_INTERNAL);
		assert_int_equal(db_run(stmt), ERR_INTERNAL);
	}
	for (int times = 0; times < 2; times++) {
		CLEANUP(db_release)
		struct db_stmt *stmt = db_prepare(f->db, sql);
		bool found = false;

		db_bind_int64(stmt, 1, 7);
		assert_int_equal(db_step(stmt, &found), OK);
		assert_int_equal(db_column_int64(stmt, 0), 7);
	}
}

static void
a_released_statement_keeps_no_values(void **state)
{
	const struct fixture *f = *state;
	static const char sql[] = "SELECT ?1";

	for (int times = 0; times < 2; times++) {
		CLEANUP(db_release)
		struct db_stmt *stmt = db_prepare(f->db, sql);
		bool found = false;

		if (times == 0)
			db_bind_int64(stmt, 1, 7);
		assert_int_equal(db_step(stmt, &found), OK);
		assert_int_equal(db_column_is_null(stmt, 0), times == 1);
	}
}

static void
a_statement_may_be_used_inside_of_itself(void **state)
{
	const struct fixture *f = *state;
	static const char sql[] = "SELECT id FROM products ORDER BY id";
	CLEANUP(db_release) struct db_stmt *outer = db_prepare(f->db, sql);
	int rows = 0;
	bool found;

	while (db_step(outer, &found) == OK && found) {
		CLEANUP(db_release)
		struct db_stmt *inner = db_prepare(f->db, sql);
		bool inner_found;

		assert_int_equal(db_step(inner, &inner_found), OK);
		assert_true(inner_found);
		rows++;
	}
	assert_int_equal(rows, 3);
}

static void
what_could_not_be_prepared_is_tried_again(void **state)
{
	const struct fixture *f = *state;
	static const char sql[] = "SELECT COUNT(*) FROM later";
	bool found = false;

	for (int times = 0; times < 2; times++) {
		CLEANUP(db_release)
		struct db_stmt *stmt = db_prepare(f->db, sql);

		db_bind_int64(stmt, 1, 1);
		assert_int_equal(db_step(stmt, &found), ERR_INTERNAL);
	}
	assert_int_equal(db_script(f->db, "CREATE TABLE later (id INTEGER)"),
	    OK);
	assert_int_equal(number_of(f, sql, NULL), 0);
}

static void
statements_are_counted_however_many_rows_they_have(void **state)
{
	const struct fixture *f = *state;
	static const char sql[] = "SELECT id FROM themes";
	const int64_t before = db_statements_run(f->db);

	assert_int_equal(products(f->db), 3);
	assert_int_equal(db_statements_run(f->db), before + 1);
	{
		CLEANUP(db_release)
		struct db_stmt *stmt = db_prepare(f->db, sql);

		assert_int_equal(db_run(stmt), OK);
	}
	assert_int_equal(db_statements_run(f->db), before + 2);
}

static enum err
count_changes(struct db *db, void *arg)
{
	static const char sql[] = "UPDATE products SET credits = 5"
				  " WHERE credits > ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_int64(stmt, 1, 25);
	return db_run_changes(stmt, arg);
}

static void
changes_are_those_of_this_statement(void **state)
{
	const struct fixture *f = *state;
	int64_t changes = -1;

	assert_int_equal(db_transaction(f->db, count_changes, &changes), OK);
	assert_int_equal(changes, 2);
	assert_int_equal(db_transaction(f->db, count_changes, &changes), OK);
	assert_int_equal(changes, 0);
}

struct look {
	struct db *other;
	int64_t before;
	int64_t after;
};

static enum err
look_twice(struct db *db, void *arg)
{
	struct look *look = arg;

	look->before = products(db);
	assert_int_equal(db_transaction(look->other, insert_x, NULL), OK);
	look->after = products(db);
	return OK;
}

static void
a_snapshot_sees_one_moment_and_stops_nobody(void **state)
{
	const struct fixture *f = *state;
	struct look look = { .other = open_other(f, DB_READ_WRITE) };

	assert_int_equal(db_snapshot(f->db, look_twice, &look), OK);
	assert_int_equal(look.before, 3);
	assert_int_equal(look.after, 3);
	assert_int_equal(products(f->db), 4);
	db_close(look.other);
}

static enum err
look_from_within(struct db *db, void *arg)
{
	struct look *look = arg;

	if (db_snapshot(db, look_twice, look) != OK)
		return ERR_INTERNAL;
	/* The inner one's end did not move the moment. */
	return products(db) == look->after ? OK : ERR_INTERNAL;
}

static void
a_snapshot_within_another_sees_the_same_moment(void **state)
{
	const struct fixture *f = *state;
	struct look look = { .other = open_other(f, DB_READ_WRITE) };

	assert_int_equal(db_snapshot(f->db, look_from_within, &look), OK);
	assert_int_equal(look.before, 3);
	assert_int_equal(look.after, 3);
	assert_int_equal(products(f->db), 4);
	db_close(look.other);
}

static enum err
try_other(struct db *db, void *arg)
{
	struct look *look = arg;
	const int64_t began_us = clock_monotonic_us();

	(void)db;
	assert_int_equal(db_transaction(look->other, insert_x, NULL),
	    ERR_SERVICE_UNAVAILABLE);
	look->after = (clock_monotonic_us() - began_us) / 1000;
	return OK;
}

static void
a_writer_that_waits_in_vain_gives_up_in_time(void **state)
{
	const struct fixture *f = *state;
	struct look look = { .other = open_other(f, DB_READ_WRITE) };

	assert_int_equal(db_transaction(f->db, try_other, &look), OK);
	assert_in_range(look.after, WRITER_WAIT_MS, WRITER_WAIT_MS * 2);
	assert_false(db_in_transaction(look.other));
	assert_int_equal(db_transaction(look.other, insert_x, NULL), OK);
	db_close(look.other);
}

static enum err
add_one(struct db *db, void *arg)
{
	static const char read_sql[] =
	    "SELECT credits FROM products ORDER BY id LIMIT 1";
	static const char write_sql[] =
	    "UPDATE products SET credits = ?1 WHERE id ="
	    " (SELECT MIN(id) FROM products)";
	CLEANUP(db_release) struct db_stmt *read = db_prepare(db, read_sql);
	CLEANUP(db_release) struct db_stmt *write = db_prepare(db, write_sql);
	bool found;
	enum err err;

	(void)arg;
	err = db_step(read, &found);
	if (err != OK)
		return err;
	db_bind_int64(write, 1, db_column_int64(read, 0) + 1);
	return db_run(write);
}

static void
writers_queue_and_no_increment_is_lost(void **state)
{
	const struct fixture *f = *state;
	enum { WRITERS = 6, TIMES = 50 };
	static const char sql[] =
	    "SELECT credits FROM products ORDER BY id LIMIT 1";
	const int64_t before = number_of(f, sql, NULL);

	for (int i = 0; i < WRITERS; i++) {
		const pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			struct db *db = NULL;
			bool ok =
			    db_open(f->dir, DB_READ_WRITE, false, &db) == OK;

			for (int times = 0; ok && times < TIMES; times++)
				ok = db_transaction(db, add_one, NULL) == OK;
			db_close(db);
			_exit(ok ? 0 : 1);
		}
	}
	for (int i = 0; i < WRITERS; i++) {
		int status = 0;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(number_of(f, sql, NULL), before + WRITERS * TIMES);
}

static void
a_checkpoint_empties_the_log_and_loses_nothing(void **state)
{
	const struct fixture *f = *state;

	assert_true(db_log_bytes(f->db) > 0);
	assert_int_equal(db_transaction(f->db, insert_x, NULL), OK);
	assert_int_equal(db_checkpoint(f->db), OK);
	assert_int_equal(db_log_bytes(f->db), 0);
	assert_int_equal(products(f->db), 4);
}

static void
closing_leaves_the_log_to_the_checkpointer(void **state)
{
	struct fixture *f = *state;
	int64_t bytes;

	bytes = db_log_bytes(f->db);
	assert_true(bytes > 0);
	db_close(f->db);
	f->db = open_other(f, DB_READ_WRITE);
	assert_int_equal(db_log_bytes(f->db), bytes);
	assert_int_equal(products(f->db), 3);
}

static enum err
checkpoint_behind_a_reader(struct db *db, void *arg)
{
	struct look *look = arg;
	int64_t began_us;

	look->before = products(db);
	assert_int_equal(db_transaction(look->other, insert_x, NULL), OK);
	began_us = clock_monotonic_us();
	assert_int_equal(db_checkpoint(look->other), ERR_CONFLICT);
	look->after = (clock_monotonic_us() - began_us) / 1000;
	assert_int_equal(products(db), look->before);
	return OK;
}

static void
a_checkpoint_behind_a_long_reader_gives_up_soon(void **state)
{
	const struct fixture *f = *state;
	struct look look = { .other = open_other(f, DB_READ_WRITE) };

	/* While it waits, writers wait: it must not be for long. */
	assert_int_equal(db_snapshot(f->db, checkpoint_behind_a_reader, &look),
	    OK);
	assert_in_range(look.after, CHECKPOINT_WAIT_MS,
	    CHECKPOINT_WAIT_MS * 10);
	assert_int_equal(db_checkpoint(look.other), OK);
	db_close(look.other);
}

static void
references_to_what_is_not_there_are_refused_and_found(void **state)
{
	const struct fixture *f = *state;
	bool ok = false;

	assert_int_not_equal(db_script(f->db,
				 "INSERT INTO events (user_id, kind,"
				 " created_at_ms) VALUES (zeroblob(16),"
				 " 'balance', 0)"),
	    OK);
	assert_int_equal(db_integrity(f->db, &ok), OK);
	assert_true(ok);
	damage(f,
	    "INSERT INTO events (user_id, kind, created_at_ms)"
	    " VALUES (zeroblob(16), 'balance', 0)");
	assert_int_equal(db_integrity(f->db, &ok), OK);
	assert_false(ok);
}

static void
a_double_quoted_word_is_never_taken_for_a_text(void **state)
{
	const struct fixture *f = *state;

	assert_int_not_equal(db_script(f->db,
				 "SELECT * FROM users WHERE id = \"nothing\""),
	    OK);
}

static void
the_engine_names_itself(void **state)
{
	(void)state;
	assert_true(str_starts_with(str_from(db_engine()), STR("SQLite 3.")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_database_that_is_not_there_is_not_made_by_opening_it),
		TEST(a_transaction_commits_all_or_nothing),
		TEST(nothing_is_written_on_after_the_engine_gave_up),
		TEST(
		    a_read_only_connection_reads_everything_and_writes_nothing),
		TEST(a_write_outside_of_a_transaction_ends_the_process),
		TEST(values_come_back_as_they_were_bound),
		TEST(
		    a_mistake_in_binding_is_told_by_the_step_and_then_forgotten),
		TEST(a_released_statement_keeps_no_values),
		TEST(a_statement_may_be_used_inside_of_itself),
		TEST(what_could_not_be_prepared_is_tried_again),
		TEST(statements_are_counted_however_many_rows_they_have),
		TEST(changes_are_those_of_this_statement),
		TEST(a_snapshot_sees_one_moment_and_stops_nobody),
		TEST(a_snapshot_within_another_sees_the_same_moment),
		TEST(a_writer_that_waits_in_vain_gives_up_in_time),
		TEST(writers_queue_and_no_increment_is_lost),
		TEST(a_checkpoint_empties_the_log_and_loses_nothing),
		TEST(closing_leaves_the_log_to_the_checkpointer),
		TEST(a_checkpoint_behind_a_long_reader_gives_up_soon),
		TEST(references_to_what_is_not_there_are_refused_and_found),
		TEST(a_double_quoted_word_is_never_taken_for_a_text),
		TEST(the_engine_names_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#define UNBROKEN
#include "../domain/fixture.h"

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

static int64_t
products(struct db *db)
{
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, count_sql);
	bool found;

	assert_int_equal(db_step(stmt, &found), OK);
	return db_column_int64(stmt, 0);
}

/* A batch: x, then what fails, then y; and how the batch itself ends. */
struct batch {
	enum err end;
	bool
	    loses_all; /* the engine rolls back by itself, as when it is full */
	enum err last; /* what the part after that was told */
};

static enum err
insert_y(struct db *db, void *arg)
{
	(void)arg;
	return insert_product(db, "y");
}

static enum err
roll_back(struct db *db, void *arg)
{
	(void)arg;
	assert_int_equal(db_script(db, "ROLLBACK"), OK);
	return ERR_SERVICE_UNAVAILABLE;
}

static enum err
run_batch(struct db *db, void *arg)
{
	struct batch *batch = arg;
	enum err reason = ERR_CONFLICT;

	assert_int_equal(db_transaction(db, insert_x, NULL), OK);
	assert_false(db_in_transaction(db));
	assert_int_equal(db_transaction(db, insert_x_twice, NULL),
	    ERR_INTERNAL);
	assert_int_equal(db_transaction(db, insert_x_and_fail, &reason),
	    ERR_INTERNAL);
	if (batch->loses_all)
		assert_int_equal(db_transaction(db, roll_back, NULL),
		    ERR_SERVICE_UNAVAILABLE);
	batch->last = db_transaction(db, insert_y, NULL);
	return batch->end;
}

static void
of_a_batch_a_part_fails_alone(void **state)
{
	const struct fixture *f = *state;
	struct db *other = NULL;
	struct batch batch = { .end = OK };

	assert_int_equal(db_open(f->dir, DB_READ_ONLY, false, &other), OK);
	assert_int_equal(db_batch(f->db, run_batch, &batch), OK);
	assert_int_equal(batch.last, OK);
	assert_int_equal(products(other), 5);
	/* And afterwards a transaction is one again. */
	assert_int_equal(db_transaction(f->db, insert_x, NULL), ERR_INTERNAL);
	assert_int_equal(products(other), 5);
	db_close(other);
}

static void
of_a_batch_that_fails_nothing_is_left(void **state)
{
	const struct fixture *f = *state;
	struct batch batch = { .end = ERR_CONFLICT };

	assert_int_equal(db_batch(f->db, run_batch, &batch), ERR_CONFLICT);
	assert_int_equal(products(f->db), 3);
	assert_int_equal(db_transaction(f->db, insert_x, NULL), OK);
	assert_int_equal(products(f->db), 4);
}

static void
a_batch_that_the_engine_gave_up_is_gone_whole(void **state)
{
	const struct fixture *f = *state;
	struct batch batch = { .end = OK, .loses_all = true };

	assert_int_equal(db_batch(f->db, run_batch, &batch),
	    ERR_SERVICE_UNAVAILABLE);
	assert_int_equal(batch.last, ERR_SERVICE_UNAVAILABLE);
	assert_int_equal(products(f->db), 3);
}

static enum err
write_beside(struct db *db, void *arg)
{
	struct db *other = arg;

	/* Nobody has written yet, so somebody else may. */
	assert_int_equal(products(db), 3);
	assert_int_equal(db_transaction(other, insert_y, NULL), OK);
	assert_int_equal(products(db), 4);
	return db_transaction(db, insert_x, NULL);
}

static void
a_batch_holds_nobody_up_until_it_writes(void **state)
{
	const struct fixture *f = *state;
	struct db *other = NULL;

	assert_int_equal(db_open(f->dir, DB_READ_WRITE, false, &other), OK);
	assert_int_equal(db_batch(f->db, write_beside, other), OK);
	assert_int_equal(products(other), 5);
	db_close(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(of_a_batch_a_part_fails_alone),
		TEST(of_a_batch_that_fails_nothing_is_left),
		TEST(a_batch_that_the_engine_gave_up_is_gone_whole),
		TEST(a_batch_holds_nobody_up_until_it_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

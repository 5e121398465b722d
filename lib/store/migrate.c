/* SPDX-License-Identifier: MIT */
#include "store/migrate.h"

struct migration_step {
	int64_t from;
	bool is_done;
};

/* Once: what the owner edits or retires afterwards must not come back. */
static enum err
seed(struct db *db)
{
	bool is_marked;
	enum err err;

	err = db_is_marked(db, &is_marked);
	if (err != OK || is_marked)
		return err;
	err = db_script(db, seed_sql);
	return err == OK ? db_mark(db) : err;
}

/* One migration a transaction: another process may have done it meanwhile. */
static enum err
run_next(struct db *db, void *arg)
{
	struct migration_step *step = arg;
	enum err err;

	err = db_version(db, &step->from);
	if (err != OK)
		return err;
	if (step->from > (int64_t)migrations_count)
		return ERR_CONFLICT;
	step->is_done = step->from == (int64_t)migrations_count;
	if (step->is_done)
		return seed(db);
	err = db_script(db, migrations[step->from].sql);
	if (err == OK)
		err = db_set_version(db, step->from + 1);
	return err;
}

enum err
migrate(struct db *db, int64_t *ret_from, int64_t *ret_to)
{
	struct migration_step step = { 0 };
	int64_t first = -1;
	enum err err;

	do {
		err = db_transaction(db, run_next, &step);
		if (err != OK)
			return err;
		if (first < 0)
			first = step.from;
	} while (!step.is_done);

	*ret_from = first;
	*ret_to = (int64_t)migrations_count;
	return OK;
}

enum err
migrate_check(struct db *db)
{
	int64_t version;
	enum err err;

	err = db_version(db, &version);
	if (err != OK)
		return err;
	return version == (int64_t)migrations_count ? OK : ERR_CONFLICT;
}

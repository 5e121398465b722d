/* SPDX-License-Identifier: MIT */
#ifndef STORE_MIGRATE_H
#define STORE_MIGRATE_H

#include "store/db.h"

/*
 * Migrations: numbered, forward-only, embedded in the binary.
 *
 * Each runs in one transaction together with the new version number, so that
 * several processes may start at once and one of them does the work.
 */
struct migration {
	int number; /* 1, 2, 3 … without gaps */
	const char *name;
	const char *sql;
};

extern const struct migration migrations[];
extern const size_t migrations_count;

/* Rows of contract data (models, themes, products); runs once. */
extern const char seed_sql[];

/*
 * Brings the database to the newest schema.  ERR_CONFLICT when it is newer
 * than this binary knows: nothing was touched.
 */
enum err migrate(struct db *db, int64_t *ret_from, int64_t *ret_to);

/* OK when the schema is exactly what this binary knows, else ERR_CONFLICT. */
enum err migrate_check(struct db *db);

#endif

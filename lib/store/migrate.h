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
	int compatible_from; /* the oldest schema whose programs go on beside */
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

/*
 * OK when the schema is what this binary knows, or a newer one that says that
 * this binary can live with it; else ERR_CONFLICT.
 */
enum err migrate_check(struct db *db);

/*
 * Who works with the database says so for as long as it lives, so that no
 * migration pulls the schema away from under it: each holds one byte of
 * run/schema.lock, the one of the schema that it knows.
 *
 * migrate_enter() takes it for this binary, migrate_alone() takes those of all
 * programs that a migration to the newest schema would break.  Both do not
 * wait: ERR_CONFLICT when the other is at work, and then *ret_schema is the
 * schema of a program that is in the way (0: a migration).  The descriptor
 * holds it; a process has it until it ends.
 */
enum err migrate_enter(const char *state_dir, int *ret_fd, int64_t *ret_schema);
enum err migrate_alone(struct db *db, const char *state_dir, int *ret_fd,
    int64_t *ret_schema);

#endif

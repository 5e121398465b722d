/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_EXPORTS_H
#define DOMAIN_EXPORTS_H

#include "store/db.h"

/*
 * Exports: everything we hold about a user, told value by value.
 *
 * What is there only to prove something (hashes, salts, MACs, the hashed id of
 * a device) says nothing about the user, and would let its reader in or make
 * a forgery easier; it is left out.
 */

enum export_type {
	EXPORT_TEXT,
	EXPORT_NUMBER,
	EXPORT_FLAG,
	EXPORT_ID,
	EXPORT_TIME, /* milliseconds since 1970 */
};

struct export_value {
	const char *name;
	enum export_type type;
	bool is_null;
	struct str text; /* in the row: lives for the call */
	int64_t number; /* of a NUMBER, FLAG or TIME */
	struct uuid id;
};

/* Who listens; a section is a list of rows, a row has values. */
struct export_reader {
	void *arg;
	void (*begin_section)(void *arg, const char *name);
	void (*begin_row)(void *arg);
	void (*value)(void *arg, const struct export_value *value);
	void (*end_row)(void *arg);
	void (*end_section)(void *arg);
};

/*
 * Reads all of it.  Needs a snapshot, so that the parts fit together.
 * Errors: ERR_USER_NOT_FOUND.
 */
enum err exports_read(struct db *db, const struct uuid *user_id,
    const struct export_reader *reader);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_SECTIONS_H
#define DOMAIN_SECTIONS_H

#include "store/db.h"

/*
 * Sections: what one statement selects, told row by row and value by value to
 * whoever listens.  For documents whose columns nobody computes with: exports
 * and what admins look at.
 */

enum section_type {
	SECTION_TEXT,
	SECTION_NUMBER,
	SECTION_FLAG,
	SECTION_ID,
	SECTION_TIME, /* milliseconds since 1970 */
};

/* The widest one has not as many. */
#define SECTION_COLUMNS_MAX 24

/* The columns' names and types stand in the order of the statement's. */
struct section {
	const char *name;
	const char *sql; /* a literal */
	struct {
		const char *name;
		enum section_type type;
	} column[SECTION_COLUMNS_MAX];
};

/* A value for ?1, ?2 … */
struct section_param {
	enum section_type type;
	struct str text;
	int64_t number; /* of a NUMBER, FLAG or TIME */
	const struct uuid *id;
};

struct section_value {
	const char *name;
	enum section_type type;
	bool is_null;
	struct str text; /* in the row: lives for the call */
	int64_t number; /* of a NUMBER, FLAG or TIME */
	struct uuid id;
};

/* Who listens; a section is a list of rows, a row has values. */
struct section_reader {
	void *arg;
	void (*begin_section)(void *arg, const char *name);
	void (*begin_row)(void *arg);
	void (*value)(void *arg, const struct section_value *value);
	void (*end_row)(void *arg);
	void (*end_section)(void *arg);
};

/* Reads one section; several of one moment need a snapshot. */
enum err sections_read(struct db *db, const struct section *section,
    const struct section_param *params, size_t params_count,
    const struct section_reader *reader, size_t *ret_rows);

#endif

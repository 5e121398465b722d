/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_MANIFEST_H
#define DOMAIN_MANIFEST_H

#include "store/db.h"

/*
 * The manifest: every file that the database knows.  For backups alone: it
 * reads the whole table.
 */

struct manifest_entry {
	struct uuid id;
	char bucket[16];
	int64_t size_bytes;
};

/*
 * Calls `each` for every object that has its file; it may not use the
 * database.  An error of `each` ends the walk and is returned.
 */
typedef enum err manifest_file(void *arg, const struct manifest_entry *entry);
enum err manifest_each(struct db *db, manifest_file *each, void *arg);

#endif

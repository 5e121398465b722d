/* SPDX-License-Identifier: MIT */
#include "domain/manifest.h"

enum err
manifest_each(struct db *db, manifest_file *each, void *arg)
{
	static const char sql[] = "SELECT id, bucket, size_bytes FROM objects"
				  " WHERE state = 'stored'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct manifest_entry entry;
	bool found;
	enum err err;

	for (;;) {
		err = db_step(stmt, &found);
		if (err != OK || !found)
			return err;
		entry.id = db_column_uuid(stmt, 0);
		(void)str_copy(db_column_str(stmt, 1), entry.bucket,
		    sizeof(entry.bucket));
		entry.size_bytes = db_column_int64(stmt, 2);
		err = each(arg, &entry);
		if (err != OK)
			return err;
	}
}

/* SPDX-License-Identifier: MIT */
#include "app/copies.h"
#include "base/cleanup.h"
#include "base/lockfile.h"
#include "domain/manifest.h"
#include "store/db.h"
#include "store/migrate.h"
#include "store/objects.h"

#include <errno.h>

/* The worker removes a hundred files at a time, and waits for no network. */
#define HOLD_WAIT_MAX_MS INT64_C(30000)

#define COPIES_PATH_BYTES_MAX 4096

bool
copies_hold_files(const char *state_dir, int64_t wait_ms, int *ret_fd)
{
	char path[COPIES_PATH_BYTES_MAX];

	return snprintf(path, sizeof(path), "%s/run/media.lock", state_dir) <
	    (int)sizeof(path) &&
	    lockfile_take(path, wait_ms, ret_fd);
}

struct visit {
	const char *from;
	const char *to;
	struct copy_count *count;
};

static enum err
copy_file(void *arg, const struct manifest_entry *entry)
{
	const struct visit *visit = arg;
	const enum err err =
	    objects_copy(visit->from, visit->to, entry->bucket, &entry->id);

	if (err == OK) {
		visit->count->files++;
		visit->count->bytes += entry->size_bytes;
	}
	return err;
}

static bool
copy_files(const char *from, const char *to, struct copy_count *count,
    struct buf *problem)
{
	struct visit visit = { from, to, count };
	struct db *db = NULL;
	enum err err;

	/* What the copy knows is what belongs to it. */
	err = db_open(to, DB_READ_ONLY, false, &db);
	if (err == OK)
		err = db_version(db, &count->version);
	if (err == OK)
		err = manifest_each(db, copy_file, &visit);
	db_close(db);
	if (err != OK)
		buf_appendf(problem, "the files cannot be copied to %s: %s", to,
		    err_code(err));
	return err == OK;
}

bool
copies_make(struct state *state, const char *directory,
    struct copy_count *ret_count, struct buf *problem)
{
	const char *state_dir = config_text(&state->config, CONFIG_STATE_DIR);
	CLEANUP(cleanup_fd) int hold = -1;
	char path[COPIES_PATH_BYTES_MAX];

	*ret_count = (struct copy_count){ 0 };
	if (snprintf(path, sizeof(path), "%s/rendio.db", directory) >=
	    (int)sizeof(path)) {
		buf_appendf(problem, "the name of the directory is too long");
		return false;
	}
	if (!copies_hold_files(state_dir, HOLD_WAIT_MAX_MS, &hold)) {
		buf_appendf(problem, "the files cannot be held: %s",
		    strerror(errno));
		return false;
	}
	if (db_copy(state->db, path) != OK) {
		buf_appendf(problem, "the database cannot be copied to %s",
		    path);
		return false;
	}
	return objects_make_buckets(directory) == OK &&
	    copy_files(state_dir, directory, ret_count, problem);
}

static bool
is_clean(struct db *db, const char *directory, int64_t at_ms,
    struct buf *problem)
{
	static struct audit audit;

	if (migrate_check(db) != OK)
		buf_appendf(problem, "its schema is not that of this program");
	else if (audit_run(db, directory, at_ms, &audit) != OK)
		buf_appendf(problem, "it cannot be read");
	else if (!audit.is_whole)
		buf_appendf(problem, "its database is damaged");
	else
		for (int n = 1; n <= AUDIT_INVARIANT_MAX; n++)
			if (audit.invariant[n].violations_count > 0)
				buf_appendf(problem, "%s%s: %lld violations",
				    problem->len == 0 ? "" : "; ",
				    audit_title(n),
				    (long long)audit.invariant[n]
					.violations_count);
	return problem->len == 0;
}

bool
copies_check(const char *directory, int64_t at_ms, struct buf *problem)
{
	struct db *db = NULL;
	bool ok;

	if (db_open(directory, DB_READ_ONLY, false, &db) != OK) {
		buf_appendf(problem, "it has no database");
		return false;
	}
	ok = is_clean(db, directory, at_ms, problem);
	db_close(db);
	return ok;
}

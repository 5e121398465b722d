/* SPDX-License-Identifier: MIT */
#include "domain/uploads.h"

#include <assert.h>

struct upload {
	const struct uuid *id;
	const struct uuid *user_id;
	const char *content_type;
	int64_t size_bytes;
	const struct upload_limits *limits;
	int64_t now_ms;
	struct str name;
	const uint8_t *sha256;
	bool is_replacing;
};

static enum err
check_limits(struct db *db, const struct upload *u)
{
	static const char sql[] =
	    "SELECT COUNT(*), COALESCE(SUM(size_bytes), 0) FROM objects"
	    " WHERE user_id = ?1 AND bucket = 'thumbnails'"
	    " AND job_id IS NULL AND state <> 'deleting'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, u->user_id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	return db_column_int64(stmt, 0) < u->limits->count_max &&
		db_column_int64(stmt, 1) + u->size_bytes <=
		    u->limits->bytes_max ?
	    OK :
	    ERR_RATE_LIMITED;
}

static enum err
begin(struct db *db, void *arg)
{
	/* Until it has a name, its id is its name. */
	static const char sql[] =
	    "INSERT INTO objects (id, bucket, name, user_id, state,"
	    " content_type, size_bytes, created_at_ms)"
	    " SELECT ?1, 'thumbnails', ?2, id, 'storing', ?4, ?5, ?6"
	    " FROM users WHERE id = ?3 AND status = 'active'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct upload *u = arg;
	char name[UUID_TEXT_BYTES];
	int64_t changes;
	enum err err;

	err = check_limits(db, u);
	if (err != OK)
		return err;
	uuid_format(u->id, name);
	db_bind_uuid(stmt, 1, u->id);
	db_bind_text(stmt, 2, name);
	db_bind_uuid(stmt, 3, u->user_id);
	db_bind_text(stmt, 4, u->content_type);
	db_bind_int64(stmt, 5, u->size_bytes);
	db_bind_int64(stmt, 6, u->now_ms);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? OK : ERR_UNAUTHORIZED;
}

enum err
uploads_begin(struct db *db, const struct uuid *id, const struct uuid *user_id,
    const char *content_type, int64_t size_bytes,
    const struct upload_limits *limits, int64_t now_ms)
{
	struct upload u = {
		.id = id,
		.user_id = user_id,
		.content_type = content_type,
		.size_bytes = size_bytes,
		.limits = limits,
		.now_ms = now_ms,
	};

	return db_transaction(db, begin, &u);
}

/* Takes a name away from the picture that has it; videos keep theirs. */
static enum err
free_name(struct db *db, struct str name, bool is_replacing)
{
	static const char look_sql[] =
	    "SELECT id, job_id IS NULL FROM objects"
	    " WHERE bucket = 'thumbnails' AND name = ?1"
	    " AND state <> 'deleting'";
	static const char sql[] =
	    "UPDATE objects SET state = 'deleting' WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *look = db_prepare(db, look_sql);
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct uuid id;
	bool found;
	enum err err;

	db_bind_str(look, 1, name);
	err = db_step(look, &found);
	if (err != OK || !found)
		return err;
	if (!is_replacing || !db_column_bool(look, 1))
		return ERR_CONFLICT;
	id = db_column_uuid(look, 0);
	db_bind_uuid(stmt, 1, &id);
	return db_run(stmt);
}

static enum err
finish(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE objects SET state = 'stored', name = ?2, sha256 = ?3"
	    " WHERE id = ?1 AND state = 'storing'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct upload *u = arg;
	int64_t changes;
	enum err err;

	err = free_name(db, u->name, u->is_replacing);
	if (err != OK)
		return err;
	db_bind_uuid(stmt, 1, u->id);
	db_bind_str(stmt, 2, u->name);
	db_bind_blob(stmt, 3, u->sha256, 32);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? OK : ERR_CONFLICT;
}

enum err
uploads_finish(struct db *db, const struct uuid *id, struct str name,
    const uint8_t sha256[32], bool is_replacing)
{
	struct upload u = {
		.id = id,
		.name = name,
		.sha256 = sha256,
		.is_replacing = is_replacing,
	};

	return db_transaction(db, finish, &u);
}

static enum err
abandon(struct db *db, void *arg)
{
	static const char sql[] = "UPDATE objects SET state = 'deleting'"
				  " WHERE id = ?1 AND state = 'storing'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, arg);
	return db_run(stmt);
}

enum err
uploads_abandon(struct db *db, const struct uuid *id)
{
	struct uuid object_id = *id;

	return db_transaction(db, abandon, &object_id);
}

struct removal {
	const struct uuid *user_id;
	const struct str *names;
	size_t names_count;
	struct media *removed;
	size_t count;
};

static enum err
remove_one(struct db *db, struct removal *r, struct str name)
{
	static const char sql[] =
	    "UPDATE objects SET state = 'deleting'"
	    " WHERE bucket = 'thumbnails' AND name = ?1 AND state = 'stored'"
	    " AND state <> 'deleting' AND user_id = ?2 AND job_id IS NULL"
	    " RETURNING id, user_id, content_type, size_bytes, created_at_ms";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct media *media = &r->removed[r->count];
	bool found;
	enum err err;

	db_bind_str(stmt, 1, name);
	db_bind_uuid(stmt, 2, r->user_id);
	err = db_step(stmt, &found);
	if (err != OK || !found)
		return err;
	*media = (struct media){
		.id = db_column_uuid(stmt, 0),
		.user_id = db_column_uuid(stmt, 1),
		.bucket = "thumbnails",
		.size_bytes = db_column_int64(stmt, 3),
		.created_at_ms = db_column_int64(stmt, 4),
	};
	(void)str_copy(name, media->name, sizeof(media->name));
	(void)str_copy(db_column_str(stmt, 2), media->content_type,
	    sizeof(media->content_type));
	r->count++;
	return OK;
}

static enum err
remove_all(struct db *db, void *arg)
{
	struct removal *r = arg;
	enum err err = OK;

	r->count = 0;
	for (size_t i = 0; err == OK && i < r->names_count; i++)
		err = remove_one(db, r, r->names[i]);
	return err;
}

enum err
uploads_remove(struct db *db, const struct uuid *user_id,
    const struct str *names, size_t count, struct media *ret_removed,
    size_t *ret_count)
{
	struct removal r = {
		.user_id = user_id,
		.names = names,
		.names_count = count,
		.removed = ret_removed,
	};
	enum err err;

	assert(count <= UPLOADS_REMOVED_MAX);
	err = db_transaction(db, remove_all, &r);
	if (err == OK)
		*ret_count = r.count;
	return err;
}

struct purge {
	int64_t stored_before_ms;
	int64_t begun_before_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char old_sql[] =
	    "UPDATE objects SET state = 'deleting' WHERE id IN"
	    " (SELECT o.id FROM objects o WHERE o.bucket = 'thumbnails'"
	    "  AND o.state = 'stored' AND o.created_at_ms < ?1"
	    "  AND o.job_id IS NULL AND NOT EXISTS"
	    "  (SELECT 1 FROM jobs j WHERE j.image_object_id = o.id"
	    "   AND j.due_at_ms IS NOT NULL)"
	    "  ORDER BY o.created_at_ms LIMIT ?2)";
	static const char stale_sql[] =
	    "UPDATE objects SET state = 'deleting' WHERE id IN"
	    " (SELECT id FROM objects WHERE state = 'storing'"
	    "  AND job_id IS NULL AND created_at_ms < ?1"
	    "  ORDER BY created_at_ms LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *old = db_prepare(db, old_sql);
	CLEANUP(db_release) struct db_stmt *stale = db_prepare(db, stale_sql);
	const struct purge *what = arg;
	enum err err;

	db_bind_int64(old, 1, what->stored_before_ms);
	db_bind_int64(old, 2, what->limit);
	err = db_run(old);
	if (err != OK)
		return err;
	db_bind_int64(stale, 1, what->begun_before_ms);
	db_bind_int64(stale, 2, what->limit);
	return db_run(stale);
}

enum err
uploads_purge(struct db *db, int64_t stored_before_ms, int64_t begun_before_ms,
    int64_t limit)
{
	struct purge what = { stored_before_ms, begun_before_ms, limit };

	return db_transaction(db, purge, &what);
}

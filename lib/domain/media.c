/* SPDX-License-Identifier: MIT */
#include "domain/media.h"

#include <assert.h>

#define MEDIA_COLUMNS \
	"SELECT id, user_id, bucket, name, content_type, size_bytes," \
	" created_at_ms, job_id IS NOT NULL, state FROM objects"

static void
read_media(struct db_stmt *stmt, struct media *media)
{
	*media = (struct media){
		.id = db_column_uuid(stmt, 0),
		.user_id = db_column_uuid(stmt, 1),
		.size_bytes = db_column_int64(stmt, 5),
		.created_at_ms = db_column_int64(stmt, 6),
		.is_of_job = db_column_bool(stmt, 7),
	};
	(void)str_copy(db_column_str(stmt, 2), media->bucket,
	    sizeof(media->bucket));
	(void)str_copy(db_column_str(stmt, 3), media->name,
	    sizeof(media->name));
	(void)str_copy(db_column_str(stmt, 4), media->content_type,
	    sizeof(media->content_type));
}

enum err
media_find(struct db *db, struct str bucket, struct str name,
    struct media *ret_media)
{
	static const char sql[] =
	    MEDIA_COLUMNS " WHERE bucket = ?1 AND name = ?2"
			  " AND state <> 'deleting'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_str(stmt, 1, bucket);
	db_bind_str(stmt, 2, name);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found || !str_equal(db_column_str(stmt, 8), STR("stored")))
		return ERR_NOT_FOUND;
	read_media(stmt, ret_media);
	return OK;
}

enum err
media_find_by_id(struct db *db, const struct uuid *id, struct media *ret_media)
{
	/* What is being uploaded has no hash yet. */
	static const char sql[] =
	    MEDIA_COLUMNS " WHERE id = ?1 AND sha256 IS NOT NULL";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, id);
	err = db_step(stmt, &found);
	if (err != OK)
		return err;
	if (!found)
		return ERR_NOT_FOUND;
	read_media(stmt, ret_media);
	return OK;
}

enum err
media_list(struct db *db, struct str bucket, const struct uuid *user_id,
    struct str prefix, size_t max, media_each *each, void *arg)
{
	static const char sql[] =
	    MEDIA_COLUMNS " WHERE bucket = ?1 AND name >= ?2"
			  " AND state <> 'deleting' AND state = 'stored'"
			  " AND user_id = ?3 ORDER BY name LIMIT ?4";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct media media;
	bool found;
	enum err err;

	db_bind_str(stmt, 1, bucket);
	db_bind_str(stmt, 2, prefix);
	db_bind_uuid(stmt, 3, user_id);
	db_bind_int64(stmt, 4, (int64_t)max);
	while ((err = db_step(stmt, &found)) == OK && found) {
		read_media(stmt, &media);
		if (!str_starts_with(str_from(media.name), prefix))
			break;
		each(arg, &media);
	}
	return err;
}

enum err
media_is_stored(struct db *db, const struct uuid *object_id, bool *ret_stored)
{
	static const char sql[] =
	    "SELECT 1 FROM objects WHERE id = ?1 AND state = 'stored'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, object_id);
	return db_step(stmt, ret_stored);
}

enum err
media_announce_video(struct db *db, const struct uuid *object_id,
    const struct uuid *user_id, const struct uuid *job_id, int64_t now_ms)
{
	static const char sql[] =
	    "INSERT INTO objects (id, bucket, name, user_id, job_id, state,"
	    " content_type, created_at_ms)"
	    " VALUES (?1, 'videos', ?2, ?3, ?4, 'storing', 'video/mp4', ?5)"
	    " ON CONFLICT (id) DO NOTHING";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	char user[UUID_TEXT_BYTES], job[UUID_TEXT_BYTES];
	char name[MEDIA_NAME_BYTES];

	assert(db_in_transaction(db));
	uuid_format(user_id, user);
	uuid_format(job_id, job);
	(void)snprintf(name, sizeof(name), "%s/%s.mp4", user, job);
	db_bind_uuid(stmt, 1, object_id);
	db_bind_text(stmt, 2, name);
	db_bind_uuid(stmt, 3, user_id);
	db_bind_uuid(stmt, 4, job_id);
	db_bind_int64(stmt, 5, now_ms);
	return db_run(stmt);
}

struct announcement {
	const struct uuid *video_id;
	int64_t now_ms;
};

struct uuid
media_poster_id(const struct uuid *video_id)
{
	struct uuid id = *video_id;

	/* A random byte of another random id: nobody else has this one. */
	id.bytes[UUID_BYTES - 1] ^= 0xff;
	return id;
}

static enum err
announce_poster(struct db *db, void *arg)
{
	static const char sql[] =
	    "INSERT INTO objects (id, bucket, name, user_id, job_id, state,"
	    " content_type, created_at_ms)"
	    " SELECT ?2, 'thumbnails', substr(name, 1, length(name) - 3)"
	    "  || 'jpg', user_id, job_id, 'storing', 'image/jpeg', ?3"
	    " FROM objects WHERE id = ?1 AND state = 'storing'"
	    " ON CONFLICT DO NOTHING";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct announcement *a = arg;
	const struct uuid id = media_poster_id(a->video_id);

	db_bind_uuid(stmt, 1, a->video_id);
	db_bind_uuid(stmt, 2, &id);
	db_bind_int64(stmt, 3, a->now_ms);
	return db_run(stmt);
}

enum err
media_announce_poster(struct db *db, const struct uuid *video_id,
    int64_t now_ms)
{
	struct announcement a = { video_id, now_ms };

	return db_transaction(db, announce_poster, &a);
}

enum err
media_delete_unfinished_of_job(struct db *db, const struct uuid *job_id)
{
	static const char sql[] = "UPDATE objects SET state = 'deleting'"
				  " WHERE job_id = ?1 AND state = 'storing'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_uuid(stmt, 1, job_id);
	return db_run(stmt);
}

enum err
media_stored(struct db *db, const struct uuid *object_id, int64_t size_bytes,
    const uint8_t sha256[32])
{
	static const char sql[] =
	    "UPDATE objects SET state = 'stored', size_bytes = ?2, sha256 = ?3"
	    " WHERE id = ?1 AND state = 'storing'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t changes;
	enum err err;

	assert(db_in_transaction(db));
	db_bind_uuid(stmt, 1, object_id);
	db_bind_int64(stmt, 2, size_bytes);
	db_bind_blob(stmt, 3, sha256, 32);
	err = db_run_changes(stmt, &changes);
	if (err != OK)
		return err;
	return changes == 1 ? OK : ERR_CONFLICT;
}

enum err
media_delete_of_job(struct db *db, const struct uuid *job_id)
{
	static const char sql[] =
	    "UPDATE objects SET state = 'deleting' WHERE job_id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_uuid(stmt, 1, job_id);
	return db_run(stmt);
}

enum err
media_delete_stored_of_job(struct db *db, const struct uuid *job_id)
{
	static const char sql[] = "UPDATE objects SET state = 'deleting'"
				  " WHERE job_id = ?1 AND state = 'stored'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_uuid(stmt, 1, job_id);
	return db_run(stmt);
}

enum err
media_delete_of_user(struct db *db, const struct uuid *user_id)
{
	static const char sql[] =
	    "UPDATE objects SET state = 'deleting' WHERE user_id = ?1"
	    " AND (state = 'stored' OR job_id IS NULL)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	assert(db_in_transaction(db));
	db_bind_uuid(stmt, 1, user_id);
	return db_run(stmt);
}

enum err
media_to_delete(struct db *db, size_t max, struct media *ret_media,
    size_t *ret_count)
{
	/* A picture is kept while a job may still have to show it. */
	static const char sql[] =
	    MEDIA_COLUMNS " WHERE state = 'deleting' AND NOT EXISTS"
			  " (SELECT 1 FROM jobs j"
			  "  WHERE j.image_object_id = objects.id"
			  "  AND j.due_at_ms IS NOT NULL AND j.is_hidden = 0)"
			  " ORDER BY created_at_ms LIMIT ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	size_t count = 0;
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, (int64_t)max);
	for (;; count++) {
		err = db_step(stmt, &found);
		if (err != OK)
			return err;
		if (!found)
			break;
		read_media(stmt, &ret_media[count]);
	}
	*ret_count = count;
	return OK;
}

static enum err
forget(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM objects WHERE id = ?1 AND state = 'deleting'";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_uuid(stmt, 1, arg);
	return db_run(stmt);
}

enum err
media_forget(struct db *db, const struct uuid *object_id)
{
	struct uuid id = *object_id;

	return db_transaction(db, forget, &id);
}

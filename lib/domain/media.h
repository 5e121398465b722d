/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_MEDIA_H
#define DOMAIN_MEDIA_H

#include "store/db.h"

/*
 * Media: the files on our disk, as rows.
 *
 * A row is there before its file and goes after it, so that no file is ever
 * without an owner: storing -> stored -> deleting.  Where the bytes are, the
 * row's id tells (store/objects.h); the name is what clients see.
 */

#define MEDIA_NAME_BYTES 160

struct media {
	struct uuid id;
	struct uuid user_id;
	char bucket[16];
	char name[MEDIA_NAME_BYTES]; /* "<user>/<job>.mp4" */
	char content_type[64];
	int64_t size_bytes;
	int64_t created_at_ms;
	bool is_of_job; /* a result, not an upload */
};

/* A stored object by its name. Errors: ERR_NOT_FOUND. */
enum err media_find(struct db *db, struct str bucket, struct str name,
    struct media *ret_media);

/*
 * The object of this id while it has its file, though its user may have
 * deleted it: for whom a job has shown it to.  Errors: ERR_NOT_FOUND.
 */
enum err
media_find_by_id(struct db *db, const struct uuid *id, struct media *ret_media);

/*
 * Calls `each` for the stored objects of a user whose names begin with
 * `prefix`, by name, `max` of them at most.  The media lives for the call.
 */
typedef void media_each(void *arg, const struct media *media);
enum err
media_list(struct db *db, struct str bucket, const struct uuid *user_id,
    struct str prefix, size_t max, media_each *each, void *arg);

/* Does this object have its file? */
enum err
media_is_stored(struct db *db, const struct uuid *object_id, bool *ret_stored);

/*
 * Announces the video of a job before its bytes are fetched; repeating it
 * changes nothing.  The caller holds a write transaction.
 */
enum err media_announce_video(struct db *db, const struct uuid *object_id,
    const struct uuid *user_id, const struct uuid *job_id, int64_t now_ms);

/*
 * The frame of a video that stands for it: announced before its bytes are
 * written, and gone if it never comes.  Its id follows from the video's.
 */
struct uuid media_poster_id(const struct uuid *video_id);
enum err media_announce_poster(struct db *db, const struct uuid *video_id,
    int64_t now_ms);

/* Marks for deletion what was announced for a job and has not come. */
enum err
media_delete_unfinished_of_job(struct db *db, const struct uuid *job_id);

/* The bytes are on the disk. The caller holds a write transaction. */
enum err media_stored(struct db *db, const struct uuid *object_id,
    int64_t size_bytes, const uint8_t sha256[32]);

/*
 * Marks all files of a job for deletion, or only those that have arrived.
 * The caller holds a write transaction.
 */
enum err media_delete_of_job(struct db *db, const struct uuid *job_id);
enum err media_delete_stored_of_job(struct db *db, const struct uuid *job_id);

/*
 * Marks all files of a user for deletion; a video that is being fetched is
 * marked by its job's end.  The caller holds a write transaction.
 */
enum err media_delete_of_user(struct db *db, const struct uuid *user_id);

/* Up to `max` objects whose files are to be removed. */
enum err media_to_delete(struct db *db, size_t max, struct media *ret_media,
    size_t *ret_count);

/* The file is gone: forget the row, in a transaction of its own. */
enum err media_forget(struct db *db, const struct uuid *object_id);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_UPLOADS_H
#define DOMAIN_UPLOADS_H

#include "domain/media.h"

/*
 * Uploads: pictures that users bring, in the bucket "thumbnails".
 *
 * A picture belongs to the folder of its user: its name begins with the
 * user's id.  While its bytes are written it has no name yet, so it is in
 * nobody's way; with its name it appears, whole, and whatever had that name
 * before is gone in the same moment.
 */

/* What one user may keep. */
struct upload_limits {
	int64_t count_max;
	int64_t bytes_max;
};

/*
 * Announces a picture before its bytes are written.  Errors:
 * ERR_RATE_LIMITED when its user would keep too much, ERR_UNAUTHORIZED when
 * the account is not active any more.
 */
enum err uploads_begin(struct db *db, const struct uuid *id,
    const struct uuid *user_id, const char *content_type, int64_t size_bytes,
    const struct upload_limits *limits, int64_t now_ms);

/*
 * The bytes are on the disk: gives the picture its name.  Errors:
 * ERR_CONFLICT when the name is taken and is_replacing is not set, or when
 * the picture was given up meanwhile; the file is then to be removed by
 * uploads_abandon().
 */
enum err uploads_finish(struct db *db, const struct uuid *id, struct str name,
    const uint8_t sha256[32], bool is_replacing);

/* Marks a picture that never got its name for deletion. */
enum err uploads_abandon(struct db *db, const struct uuid *id);

#define UPLOADS_REMOVED_MAX 256

/*
 * Removes a user's pictures by their names.  Names that are not there, or not
 * this user's, are passed over; ret_removed (as long as names) gets the rest.
 */
enum err uploads_remove(struct db *db, const struct uuid *user_id,
    const struct str *names, size_t count, struct media *ret_removed,
    size_t *ret_count);

/*
 * Marks pictures for deletion: up to `limit` that were stored before
 * stored_before_ms and that no open job needs, and uploads that were begun
 * before begun_before_ms and never ended.
 */
enum err uploads_purge(struct db *db, int64_t stored_before_ms,
    int64_t begun_before_ms, int64_t limit);

#endif

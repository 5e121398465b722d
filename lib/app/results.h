/* SPDX-License-Identifier: MIT */
#ifndef APP_RESULTS_H
#define APP_RESULTS_H

#include "app/app.h"

/*
 * Results: bringing a provider's video onto our own disk.
 *
 * The bytes go into a partial file; only when they are whole and really a
 * video does the file get its place, and only then may the database say so.
 */

/* The largest result that is taken: an 8-second 4k video is far smaller. */
#define RESULT_BYTES_MAX ((size_t)500 * 1024 * 1024)

/* An empty partial file; the caller closes it. */
enum err results_open(const struct config *config, const struct uuid *object_id,
    int *ret_fd);

/*
 * Is the file an ISO media file (its first box is ftyp)?  Then forces it to
 * the disk, gives it its place, and tells its size and SHA-256.
 * ERR_INVALID_REQUEST when it is something else.
 */
enum err
results_publish(const struct config *config, const struct uuid *object_id,
    int fd, int64_t *ret_size_bytes, uint8_t ret_sha256[32]);

/* What has been written into a partial file so far; -1 on an error. */
int64_t results_partial_bytes(int fd);

/*
 * The same for the poster of a result: an empty partial file, and giving it
 * its place when it is a JPEG picture (else ERR_INVALID_REQUEST).
 */
enum err results_open_poster(const struct config *config,
    const struct uuid *object_id, int *ret_fd);
enum err results_publish_poster(const struct config *config,
    const struct uuid *object_id, int fd, int64_t *ret_size_bytes,
    uint8_t ret_sha256[32]);

/* Takes a result and its poster away again that nobody wants. */
enum err
results_discard(const struct config *config, const struct uuid *object_id);

/* Removes the files of up to `max` deleted objects, then their rows. */
enum err results_remove_deleted(const struct config *config, struct db *db,
    size_t max, size_t *ret_count);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef STORE_OBJECTS_H
#define STORE_OBJECTS_H

#include "base/err.h"
#include "base/uuid.h"

/*
 * Objects: the bytes of media files on our disk.
 *
 * A file's place is made of its bucket and id, never of a name that somebody
 * chose: STATE_DIR/media/<bucket>/<two hex digits>/<id>.  A file appears whole
 * or not at all: it grows without a name (O_TMPFILE), is forced to the disk,
 * gets its place, and the directory is forced too.  Who dies before that
 * leaves nothing, and two who fetch the same do not meet.
 */

#define OBJECT_PATH_BYTES 4096

/* "<bucket>/<aa>/<id>", as the router's internal location wants it. */
void objects_relative_path(const char *bucket, const struct uuid *id,
    char path[OBJECT_PATH_BYTES]);

/*
 * Opens an empty file in which an object grows (for reading and writing),
 * making directories as needed.  The caller closes it.  ERR_SERVICE_UNAVAILABLE when it cannot.
 */
enum err objects_open_partial(const char *state_dir, const char *bucket,
    const struct uuid *id, int *ret_fd);

/* Makes the file that was opened the object. */
enum err objects_publish(const char *state_dir, const char *bucket,
    const struct uuid *id, int fd);

/* Makes the directories of all buckets. */
enum err objects_make_buckets(const char *state_dir);

/*
 * The same object in another state directory: a second name for the file,
 * or on another file system a copy.  It is not forced to the disk.
 */
enum err objects_copy(const char *from_state_dir, const char *to_state_dir,
    const char *bucket, const struct uuid *id);

/* Removes the object; absence is success. */
enum err objects_remove(const char *state_dir, const char *bucket,
    const struct uuid *id);

/* The size of a published object, or -1 when it is not there. */
int64_t objects_size_bytes(const char *state_dir, const char *bucket,
    const struct uuid *id);

/*
 * Calls `each` for every published object of a bucket.  Whatever is not an
 * object's is passed over.
 */
typedef enum err objects_each_file(void *arg, const struct uuid *id);
enum err objects_each(const char *state_dir, const char *bucket,
    objects_each_file *each, void *arg);

#endif

/* SPDX-License-Identifier: MIT */
#include "store/objects.h"
#include "base/cleanup.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err
fail(const char *step)
{
	log_line(LOG_ERROR, "objects", step, strerror(errno));
	return ERR_SERVICE_UNAVAILABLE;
}

void
objects_relative_path(const char *bucket, const struct uuid *id,
    char path[OBJECT_PATH_BYTES])
{
	char text[UUID_TEXT_BYTES];

	/* The last byte is random in every version of an id. */
	uuid_format(id, text);
	(void)snprintf(path, OBJECT_PATH_BYTES, "%s/%02x/%s", bucket,
	    id->bytes[UUID_BYTES - 1], text);
}

static bool
full_path(const char *state_dir, const char *bucket, const struct uuid *id,
    char path[OBJECT_PATH_BYTES])
{
	char relative[OBJECT_PATH_BYTES];

	objects_relative_path(bucket, id, relative);
	return snprintf(path, OBJECT_PATH_BYTES, "%s/media/%s", state_dir,
		   relative) < OBJECT_PATH_BYTES;
}

static bool
directory_of(const char *path, char directory[OBJECT_PATH_BYTES])
{
	const char *slash = strrchr(path, '/');

	return str_copy((struct str){ path, (size_t)(slash - path) }, directory,
	    OBJECT_PATH_BYTES);
}

static bool
sync_directory(const char *directory)
{
	CLEANUP(cleanup_fd)
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && fsync(fd) == 0;
}

/* A new directory outlives a power cut only when its parent was forced. */
static bool
make_directory(const char *directory)
{
	char parent[OBJECT_PATH_BYTES];

	if (mkdir(directory, 0750) != 0)
		return errno == EEXIST;
	return directory_of(directory, parent) && sync_directory(parent);
}

enum err
objects_open_partial(const char *state_dir, const char *bucket,
    const struct uuid *id, int *ret_fd)
{
	char path[OBJECT_PATH_BYTES], directory[OBJECT_PATH_BYTES];
	int fd;

	if (!full_path(state_dir, bucket, id, path) ||
	    !directory_of(path, directory))
		return ERR_INTERNAL;
	if (!make_directory(directory))
		return fail("mkdir");
	fd = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0640);
	if (fd < 0)
		return fail("open");
	*ret_fd = fd;
	return OK;
}

/* Gives a file that has no name its place, whatever is there. */
static bool
name_file(int fd, const char *path)
{
	char self[32];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
		return true;
	/* A worker died after this and before the database knew. */
	return errno == EEXIST && unlink(path) == 0 &&
	    linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

enum err
objects_publish(const char *state_dir, const char *bucket,
    const struct uuid *id, int fd)
{
	char path[OBJECT_PATH_BYTES], directory[OBJECT_PATH_BYTES];

	if (!full_path(state_dir, bucket, id, path) ||
	    !directory_of(path, directory))
		return ERR_INTERNAL;
	if (fsync(fd) != 0)
		return fail("fsync");
	if (!name_file(fd, path))
		return fail("link");
	if (!sync_directory(directory))
		return fail("fsync");
	return OK;
}

enum err
objects_make_buckets(const char *state_dir)
{
	static const char *const names[] = { "media", "media/videos",
		"media/thumbnails" };
	char path[OBJECT_PATH_BYTES];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (snprintf(path, sizeof(path), "%s/%s", state_dir,
			names[i]) >= (int)sizeof(path))
			return ERR_INTERNAL;
		if (mkdir(path, 0750) != 0 && errno != EEXIST)
			return fail("mkdir");
	}
	return OK;
}

static bool
copy_bytes(const char *from, const char *to)
{
	CLEANUP(cleanup_fd) int in = open(from, O_RDONLY | O_CLOEXEC);
	CLEANUP(cleanup_fd)
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	ssize_t n = -1;

	if (in < 0 || out < 0)
		return false;
	do
		n = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0);
	while (n > 0);
	return n == 0;
}

enum err
objects_copy(const char *from_state_dir, const char *to_state_dir,
    const char *bucket, const struct uuid *id)
{
	char from[OBJECT_PATH_BYTES], to[OBJECT_PATH_BYTES],
	    directory[OBJECT_PATH_BYTES];

	if (!full_path(from_state_dir, bucket, id, from) ||
	    !full_path(to_state_dir, bucket, id, to) ||
	    !directory_of(to, directory))
		return ERR_INTERNAL;
	if (mkdir(directory, 0750) != 0 && errno != EEXIST)
		return fail("mkdir");
	if (link(from, to) == 0)
		return OK;
	if (errno != EXDEV && errno != EPERM && errno != EMLINK)
		return fail("link");
	return copy_bytes(from, to) ? OK : fail("copy");
}

enum err
objects_remove(const char *state_dir, const char *bucket, const struct uuid *id)
{
	char path[OBJECT_PATH_BYTES];

	if (!full_path(state_dir, bucket, id, path))
		return ERR_INTERNAL;
	if (unlink(path) != 0 && errno != ENOENT)
		return fail("unlink");
	return OK;
}

int64_t
objects_size_bytes(const char *state_dir, const char *bucket,
    const struct uuid *id)
{
	char path[OBJECT_PATH_BYTES];
	struct stat st;

	if (!full_path(state_dir, bucket, id, path) || lstat(path, &st) != 0 ||
	    !S_ISREG(st.st_mode))
		return -1;
	return (int64_t)st.st_size;
}

static void
cleanup_dir(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

static enum err
each_in(const char *directory, objects_each_file *each, void *arg)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(directory);
	struct dirent *entry;
	struct uuid id;
	enum err err;

	if (dir == NULL)
		return errno == ENOENT ? OK : fail("opendir");
	while ((entry = readdir(dir)) != NULL) {
		if (!uuid_parse(str_from(entry->d_name), &id))
			continue;
		err = each(arg, &id);
		if (err != OK)
			return err;
	}
	return OK;
}

enum err
objects_each(const char *state_dir, const char *bucket, objects_each_file *each,
    void *arg)
{
	char directory[OBJECT_PATH_BYTES];
	enum err err = OK;

	for (int i = 0; i < 256 && err == OK; i++) {
		if (snprintf(directory, sizeof(directory), "%s/media/%s/%02x",
			state_dir, bucket, i) >= (int)sizeof(directory))
			return ERR_INTERNAL;
		err = each_in(directory, each, arg);
	}
	return err;
}

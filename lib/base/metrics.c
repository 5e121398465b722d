/* SPDX-License-Identifier: MIT */
#include "base/metrics.h"
#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Endpoints, companies, states, kinds and tables: about a hundred. */
#define METRICS_MAX 256

/* Changes with the meaning of anything in the file. */
#define METRICS_VERSION UINT64_C(0x52656e64696f0001)

#define PATH_BYTES_MAX 4200

struct metrics_file {
	uint64_t version;
	uint64_t bytes;
	struct metric metric[METRICS_MAX];
};

const int64_t metric_bounds_us[METRIC_BOUNDS] = { 1000, 2500, 5000, 10000,
	25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000,
	10000000 };

static const int statuses[METRIC_COUNTS] = { 0, 200, 204, 206, 304, 400, 401,
	402, 403, 404, 405, 409, 413, 415, 416, 422, 426, 429, 500, 502, 503,
	504 };

static struct metrics_file *file;
static int file_fd = -1; /* for its lock */

/* Who has no metric of its own counts here, and nobody reads it. */
static struct metric nowhere;

static bool
is_ours(int fd)
{
	uint64_t head[2];
	struct stat st;

	return fstat(fd, &st) == 0 &&
	    st.st_size == (off_t)sizeof(struct metrics_file) &&
	    pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	    head[0] == METRICS_VERSION &&
	    head[1] == sizeof(struct metrics_file);
}

/* A file that others have mapped is never cut: it is replaced. */
static bool
make(const char *path)
{
	const uint64_t head[2] = { METRICS_VERSION,
		sizeof(struct metrics_file) };
	CLEANUP(cleanup_fd) int fd = -1;
	char fresh[PATH_BYTES_MAX + 8];

	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	return fd >= 0 &&
	    ftruncate(fd, (off_t)sizeof(struct metrics_file)) == 0 &&
	    pwrite(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	    rename(fresh, path) == 0;
}

/* Opens the file that has the name now, made if it must be. */
static int
open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0 && is_ours(fd))
		return fd;
	if (fd >= 0)
		(void)close(fd);
	if (!make(path))
		return -1;
	return open(path, O_RDWR | O_CLOEXEC);
}

bool
metrics_open(const char *dir)
{
	CLEANUP(cleanup_fd) int making = -1;
	char path[PATH_BYTES_MAX], lock_path[PATH_BYTES_MAX + 8];
	void *at;

	if (snprintf(path, sizeof(path), "%s/metrics", dir) >=
	    (int)sizeof(path))
		return false;
	(void)snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
	/* Of programs that start together one makes it. */
	making = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (making < 0 || flock(making, LOCK_EX) != 0)
		return false;
	file_fd = open_file(path);
	if (file_fd < 0)
		return false;
	at = mmap(NULL, sizeof(struct metrics_file), PROT_READ | PROT_WRITE,
	    MAP_SHARED, file_fd, 0);
	if (at == MAP_FAILED) {
		(void)close(file_fd);
		file_fd = -1;
		return false;
	}
	file = at;
	return true;
}

/* One that processes which were forked from another do not share. */
static bool
lock(short type)
{
	struct flock range = { .l_type = type, .l_whence = SEEK_SET };

	while (fcntl(file_fd, F_SETLKW, &range) != 0)
		if (errno != EINTR)
			return false;
	return true;
}

static bool
is_named(const struct metric *metric, enum metric_kind kind, const char *name)
{
	return __atomic_load_n(&metric->kind, __ATOMIC_ACQUIRE) == kind &&
	    strcmp(metric->name, name) == 0;
}

static struct metric *
take(enum metric_kind kind, const char *name)
{
	for (size_t i = 0; i < METRICS_MAX; i++) {
		struct metric *metric = &file->metric[i];

		if (is_named(metric, kind, name))
			return metric;
		if (metric->kind != METRIC_NONE)
			continue;
		memcpy(metric->name, name, strlen(name) + 1);
		/* Whoever sees the kind sees the name. */
		__atomic_store_n(&metric->kind, kind, __ATOMIC_RELEASE);
		return metric;
	}
	return &nowhere;
}

struct metric *
metrics_find(enum metric_kind kind, const char *name)
{
	struct metric *metric;

	assert(kind > METRIC_NONE && kind < METRIC_KIND_MAX);
	if (file == NULL || strlen(name) >= METRIC_NAME_BYTES)
		return &nowhere;
	for (size_t i = 0; i < METRICS_MAX; i++)
		if (is_named(&file->metric[i], kind, name))
			return &file->metric[i];
	if (!lock(F_WRLCK))
		return &nowhere;
	metric = take(kind, name);
	(void)lock(F_UNLCK);
	return metric;
}

void
metric_add(struct metric *metric, size_t index, int64_t n)
{
	assert(index < METRIC_COUNTS);
	(void)__atomic_fetch_add(&metric->count[index], n, __ATOMIC_RELAXED);
}

void
metric_set(struct metric *metric, size_t index, int64_t value)
{
	assert(index < METRIC_COUNTS);
	__atomic_store_n(&metric->count[index], value, __ATOMIC_RELAXED);
}

void
metric_observe(struct metric *metric, int64_t took_us)
{
	size_t i = 0;

	while (i < METRIC_BOUNDS && took_us > metric_bounds_us[i])
		i++;
	(void)__atomic_fetch_add(&metric->observed[i], 1, __ATOMIC_RELAXED);
	(void)__atomic_fetch_add(&metric->observed_us, took_us,
	    __ATOMIC_RELAXED);
}

size_t
metric_status_index(int status)
{
	for (size_t i = 1; i < METRIC_COUNTS; i++)
		if (statuses[i] == status)
			return i;
	return 0;
}

int
metric_status(size_t index)
{
	assert(index < METRIC_COUNTS);
	return statuses[index];
}

void
metrics_list(metrics_each *each, void *arg)
{
	for (size_t i = 0; file != NULL && i < METRICS_MAX; i++) {
		const struct metric *metric = &file->metric[i];

		if (__atomic_load_n(&metric->kind, __ATOMIC_ACQUIRE) !=
		    METRIC_NONE)
			each(arg, metric);
	}
}

/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct fault_plan *fault_plan;

enum call {
	CALL_READ,
	CALL_WRITE,
	CALL_SYNC,
	CALL_CUT,
	CALL_NAME,
	CALL_OPEN, /* for writing */
	CALL_SEND,
	CALL_MEMORY
};

enum verdict { GO, FAIL, HALF };

/* --- what was written and not yet forced to the disk ----------------------- */

/* More than a checkpoint of the tests' database writes at once. */
#define LOOSE_MAX 4096

struct loose {
	int fd; /* of our own, for writing; one a file */
	dev_t dev;
	ino_t ino;
	off_t at;
	size_t len;
	size_t old_len; /* of old: less at the end of the file */
	off_t old_size;
	char *old, *new; /* new NULL: the file was cut to `at` */
};

static struct loose loose[LOOSE_MAX];
static size_t loose_count;

static bool
is_file(int fd, struct stat *st)
{
	return fstat(fd, st) == 0 && S_ISREG(st->st_mode);
}

/*
 * A descriptor of our own on the same file.  It is never closed: that would
 * drop the locks which the process has on the file.
 */
static int
own_fd(int fd, const struct stat *st)
{
	static struct {
		dev_t dev;
		ino_t ino;
		int fd;
	} own[64];
	static size_t count;
	char path[64];

	for (size_t i = 0; i < count; i++)
		if (own[i].dev == st->st_dev && own[i].ino == st->st_ino)
			return own[i].fd;
	if (count == sizeof(own) / sizeof(own[0]))
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own[count].dev = st->st_dev;
	own[count].ino = st->st_ino;
	own[count].fd =
	    (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	return own[count++].fd;
}

/* Called before the change is made; src NULL: the file is cut to `at`. */
static void
note_loose(int fd, off_t at, const void *src, size_t len)
{
	struct loose *l = &loose[loose_count];
	struct stat st;
	ssize_t n;

	if (fault_plan == NULL || fault_plan->fault != FAULT_POWER ||
	    !is_file(fd, &st))
		return;
	if (loose_count == LOOSE_MAX)
		abort();
	*l = (struct loose){ .dev = st.st_dev,
		.ino = st.st_ino,
		.at = at,
		.old_size = st.st_size };
	l->fd = own_fd(fd, &st);
	if (src == NULL)
		len = st.st_size > at ? (size_t)(st.st_size - at) : 0;
	l->len = len;
	l->old = malloc(len + 1);
	n = (ssize_t)syscall(SYS_pread64, l->fd, l->old, len, at);
	l->old_len = n > 0 ? (size_t)n : 0;
	if (src != NULL) {
		l->new = malloc(len + 1);
		memcpy(l->new, src, len);
	}
	loose_count++;
}

/* The file was forced to the disk. */
static void
forget_loose(int fd)
{
	struct stat st;
	size_t kept = 0;

	if (loose_count == 0 || !is_file(fd, &st))
		return;
	for (size_t i = 0; i < loose_count; i++) {
		struct loose *l = &loose[i];

		if (l->dev != st.st_dev || l->ino != st.st_ino) {
			loose[kept++] = *l;
			continue;
		}
		free(l->old);
		free(l->new);
	}
	loose_count = kept;
}

static uint32_t
chance(void)
{
	static uint64_t x;

	if (x == 0)
		x = (uint64_t)fault_plan->seed * 0x9e3779b97f4a7c15ULL + 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 32);
}

/* A disk writes sectors whole. */
#define SECTOR 512

static void
lose_power(void)
{
	for (size_t i = loose_count; i-- > 0;) {
		const struct loose *l = &loose[i];

		(void)syscall(SYS_pwrite64, l->fd, l->old, l->old_len, l->at);
		(void)syscall(SYS_ftruncate, l->fd, l->old_size);
	}
	for (size_t i = 0; i < loose_count; i++) {
		const struct loose *l = &loose[i];
		const uint32_t fate = chance() % 3;
		size_t len = l->len;

		if (fate == 0)
			continue;
		if (l->new == NULL) {
			(void)syscall(SYS_ftruncate, l->fd, l->at);
			continue;
		}
		if (fate == 1)
			len = chance() % (len + 1) / SECTOR * SECTOR;
		(void)syscall(SYS_pwrite64, l->fd, l->new, len, l->at);
	}
}

/* --- which call, and what becomes of it ------------------------------------ */

static bool
is_ours(void)
{
	static char path[PATH_MAX];
	const char *name;

	if (fault_plan == NULL || fault_plan->fault == FAULT_NONE)
		return false;
	if (fault_plan->program[0] == '\0')
		return true;
	if (path[0] == '\0')
		(void)!readlink("/proc/self/exe", path, sizeof(path) - 1);
	name = strrchr(path, '/');
	return name != NULL && strcmp(name + 1, fault_plan->program) == 0;
}

static bool
is_named(int fd, const char *name)
{
	char link[64], path[PATH_MAX];
	const char *last;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	last = strrchr(path, '/');
	return last != NULL && strcmp(last + 1, name) == 0;
}

/*
 * Commits write to the log only, and never make it shorter.  The first write to
 * a log that was cut is the last moment at which the checkpoint can be lost.
 */
static bool
is_of_checkpoint(enum call call, int fd)
{
	static bool is_cut;
	bool was_cut = is_cut;

	if (call == CALL_READ || is_named(fd, "rendio.db"))
		return call != CALL_READ;
	if (!is_named(fd, "rendio.db-wal"))
		return false;
	is_cut = call == CALL_CUT;
	return is_cut || was_cut;
}

static bool
can_hit(enum call call, int fd)
{
	struct stat st;

	if (call == CALL_MEMORY || fault_plan->fault == FAULT_MEMORY)
		return call == CALL_MEMORY && fault_plan->fault == FAULT_MEMORY;
	if (fault_plan->of_checkpoints != 0 && !is_of_checkpoint(call, fd))
		return false;

	const bool is_on_disk = call == CALL_NAME || call == CALL_OPEN ||
	    (call != CALL_SEND && fd != STDERR_FILENO && is_file(fd, &st));

	/* Whoever opens a file for writing has written nothing yet. */
	if (call == CALL_OPEN && fault_plan->fault != FAULT_READONLY)
		return false;
	switch (fault_plan->fault) {
	case FAULT_READONLY:
		return is_on_disk && call != CALL_READ && call != CALL_SYNC;
	case FAULT_IO:
	case FAULT_DEAD:
		return is_on_disk;
	case FAULT_FULL:
		return is_on_disk && (call == CALL_WRITE || call == CALL_NAME);
	case FAULT_SHORT:
	case FAULT_TORN:
		return is_on_disk && call == CALL_WRITE;
	case FAULT_POWER:
		return is_on_disk && call != CALL_READ;
	case FAULT_KILL:
		return call != CALL_READ;
	default:
		return false;
	}
}

static void
die(void)
{
	(void)kill(getpid(), SIGKILL);
	for (;;)
		(void)pause();
}

static enum verdict
judge(enum call call, int fd)
{
	int64_t n;

	if (!is_ours() || !can_hit(call, fd))
		return GO;
	n = ++fault_plan->calls;
	if (fault_plan->fault == FAULT_DEAD ||
		    fault_plan->fault == FAULT_READONLY ?
		n < fault_plan->at :
		n != fault_plan->at)
		return GO;
	fault_plan->hits++;
	switch (fault_plan->fault) {
	case FAULT_POWER:
		lose_power();
		die();
		break;
	case FAULT_KILL:
		die();
		break;
	case FAULT_SHORT:
	case FAULT_TORN:
		return HALF;
	case FAULT_FULL:
		errno = ENOSPC;
		return FAIL;
	case FAULT_READONLY:
		errno = EROFS;
		return FAIL;
	case FAULT_MEMORY:
		errno = ENOMEM;
		return FAIL;
	default:
		errno = EIO;
		return FAIL;
	}
	return GO;
}

static ssize_t
write_at(int fd, const void *src, size_t len, off_t at)
{
	size_t half;

	switch (judge(CALL_WRITE, fd)) {
	case FAIL:
		return -1;
	case HALF:
		half = len / 2;
		(void)syscall(SYS_pwrite64, fd, src, half, at);
		if (fault_plan->fault == FAULT_TORN)
			die();
		errno = ENOSPC;
		return -1;
	case GO:
		break;
	}
	note_loose(fd, at, src, len);
	return (ssize_t)syscall(SYS_pwrite64, fd, src, len, at);
}

/* --- in place of the C library's ------------------------------------------- */

#define FAILS(call, fd) (judge(call, fd) != GO)

ssize_t
pwrite64(int fd, const void *src, size_t len, off_t at)
{
	return write_at(fd, src, len, at);
}

ssize_t
pwrite(int fd, const void *src, size_t len, off_t at)
{
	return write_at(fd, src, len, at);
}

ssize_t
write(int fd, const void *src, size_t len)
{
	switch (judge(CALL_WRITE, fd)) {
	case FAIL:
		return -1;
	case HALF:
		(void)syscall(SYS_write, fd, src, len / 2);
		if (fault_plan->fault == FAULT_TORN)
			die();
		errno = ENOSPC;
		return -1;
	case GO:
		break;
	}
	return (ssize_t)syscall(SYS_write, fd, src, len);
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
	if (FAILS(CALL_WRITE, fd))
		return -1;
	return (ssize_t)syscall(SYS_writev, fd, parts, count);
}

ssize_t
pread64(int fd, void *dst, size_t len, off_t at)
{
	if (FAILS(CALL_READ, fd))
		return -1;
	return (ssize_t)syscall(SYS_pread64, fd, dst, len, at);
}

ssize_t
pread(int fd, void *dst, size_t len, off_t at)
{
	return pread64(fd, dst, len, at);
}

int
fsync(int fd)
{
	if (FAILS(CALL_SYNC, fd))
		return -1;
	forget_loose(fd);
	return (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	if (FAILS(CALL_SYNC, fd))
		return -1;
	forget_loose(fd);
	return (int)syscall(SYS_fdatasync, fd);
}

int
ftruncate64(int fd, off_t size)
{
	if (FAILS(CALL_CUT, fd))
		return -1;
	note_loose(fd, size, NULL, 0);
	return (int)syscall(SYS_ftruncate, fd, size);
}

int
ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int
linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	if (FAILS(CALL_NAME, -1))
		return -1;
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int
unlinkat(int fd, const char *path, int flags)
{
	if (FAILS(CALL_NAME, -1))
		return -1;
	return (int)syscall(SYS_unlinkat, fd, path, flags);
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int
mkdir(const char *path, mode_t mode)
{
	if (FAILS(CALL_NAME, -1))
		return -1;
	return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int
rename(const char *from, const char *to)
{
	if (FAILS(CALL_NAME, -1))
		return -1;
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

ssize_t
sendto(int fd, const void *src, size_t len, int flags,
    const struct sockaddr *to, socklen_t to_len)
{
	if (FAILS(CALL_SEND, fd))
		return -1;
	return (ssize_t)syscall(SYS_sendto, fd, src, len, flags, to, to_len);
}

ssize_t
send(int fd, const void *src, size_t len, int flags)
{
	return sendto(fd, src, len, flags, NULL, 0);
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (FAILS(CALL_SEND, fd))
		return -1;
	return (ssize_t)syscall(SYS_sendmsg, fd, message, flags);
}

/* O_TMPFILE has the bit of O_DIRECTORY. */
static bool
makes_file(int flags)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

static int
open_at(int dir_fd, const char *path, int flags, mode_t mode)
{
	if (((flags & (O_WRONLY | O_RDWR)) != 0 || makes_file(flags)) &&
	    FAILS(CALL_OPEN, -1))
		return -1;
	return (int)syscall(SYS_openat, dir_fd, path, flags, mode);
}

#define MODE_OF(flags, mode) \
	do { \
		va_list list; \
		va_start(list, flags); \
		mode = makes_file(flags) ? va_arg(list, mode_t) : 0; \
		va_end(list); \
	} while (0)

int
open(const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return open_at(AT_FDCWD, path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return open_at(AT_FDCWD, path, flags, mode);
}

int
openat(int dir_fd, const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return open_at(dir_fd, path, flags, mode);
}

/* --- memory ----------------------------------------------------------------- */

#ifdef FAULT_PRELOADED
/* The C library's own, by the names that it has for those who stand before. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *piece, size_t size);

void *
malloc(size_t size)
{
	return FAILS(CALL_MEMORY, -1) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return FAILS(CALL_MEMORY, -1) ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *piece, size_t size)
{
	return FAILS(CALL_MEMORY, -1) ? NULL : __libc_realloc(piece, size);
}
#endif

/* Preloaded: the plan is a file. */
__attribute__((constructor)) static void
take_plan(void)
{
	const char *path = getenv("FAULT_PLAN");
	void *map;
	int fd;

	if (path == NULL)
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*fault_plan), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	(void)close(fd);
	if (map != MAP_FAILED)
		fault_plan = map;
}

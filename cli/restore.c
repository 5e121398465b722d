/* SPDX-License-Identifier: MIT */
/*
 * rendio restore FILE -- brings back what `rendio backup` wrote (archive.h)
 * into a state directory that has no database.  Everything is unpacked beside
 * its place and audited first; orders that waited to be sent are given back,
 * for they may have been sent since; only then is it moved there, the database
 * last, so that a restore that was interrupted can be repeated.
 */

#include "archive.h"
#include "cli.h"

#include "app/copies.h"
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "domain/restores.h"
#include "wire/json.h"
#include "wire/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST_BYTES_MAX ((size_t)4096)
#define MANIFEST_ARENA_BYTES ((size_t)64 * 1024)

struct restore {
	struct config config;
	const char *state_dir;
	int64_t made_at_ms;
	int64_t given_up_count;
	bool has_secrets;
	char scratch[ARCHIVE_PATH_BYTES];
};

static bool
complain(const char *what)
{
	(void)cli_fail(what);
	return false;
}

/*
 * Other programs must not find half of it, nor lose what they work with.  A log
 * without its database would be taken for that of the one that comes.
 */
static bool
is_vacant(const struct restore *r)
{
	static const char *const names[] = { "rendio.db", "rendio.db-wal" };
	char path[ARCHIVE_PATH_BYTES];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!archive_path(r->state_dir, names[i], path))
			return false;
		if (access(path, F_OK) == 0)
			return complain("there is a database already; restore "
					"into another RENDIO_STATE_DIR, or "
					"stop everything and move rendio.db* "
					"away");
	}
	return true;
}

static bool
unpack(struct restore *r, const char *file)
{
	const char *const argv[] = { "tar", "-x", "-f", file, "-C", r->scratch,
		"--no-same-owner", NULL };

	if (!archive_path(r->state_dir, "restore.new", r->scratch))
		return false;
	if (mkdir(r->state_dir, 0750) != 0 && errno != EEXIST)
		return complain(strerror(errno));
	if (!archive_remove_tree(r->scratch) || mkdir(r->scratch, 0700) != 0)
		return complain("the state directory cannot be written");
	return archive_run(argv);
}

static bool
read_manifest(struct restore *r)
{
	CLEANUP(buf_free) struct buf text = { 0 };
	CLEANUP(arena_free) struct arena arena = { 0 };
	char path[ARCHIVE_PATH_BYTES];
	const struct json *json;
	int64_t format;

	if (!archive_path(r->scratch, "manifest.json", path))
		return false;
	buf_init(&text, MANIFEST_BYTES_MAX);
	arena_init(&arena, MANIFEST_ARENA_BYTES);
	if (!config_read_file(path, true, &text))
		return complain("this is no backup: it has no manifest");
	json = json_parse(&arena, buf_str(&text));
	if (json == NULL ||
	    !json_to_int64(json_member(json, "format"), 1, INT64_MAX,
		&format) ||
	    !json_to_int64(json_member(json, "made_at_ms"), 0, CLOCK_MS_MAX,
		&r->made_at_ms) ||
	    !json_to_bool(json_member(json, "has_secrets"), &r->has_secrets))
		return complain("the manifest cannot be read");
	return format == 1 || complain("this backup is of a newer form");
}

/* Opens the secrets and has tar unpack them below scratch/secrets. */
static bool
open_secrets(const struct restore *r, struct str passphrase)
{
	char sealed[ARCHIVE_PATH_BYTES], secrets[ARCHIVE_PATH_BYTES];
	const char *const argv[] = { "tar", "-x", "-f", "-", "-C", secrets,
		NULL };
	CLEANUP(cleanup_fd) int in = -1;
	enum seal_verdict verdict;
	int ends[2];
	pid_t tar;
	bool ok;

	if (!archive_path(r->scratch, "secrets.sealed", sealed) ||
	    !archive_path(r->scratch, "secrets", secrets))
		return false;
	in = open(sealed, O_RDONLY | O_CLOEXEC);
	if (in < 0 || mkdir(secrets, 0700) != 0 || pipe2(ends, O_CLOEXEC) != 0)
		return complain("the secrets cannot be opened");
	ok = archive_start(argv, ends[0], -1, &tar);
	(void)close(ends[0]);
	verdict = ok ? seal_open(in, ends[1], passphrase) : SEAL_IO;
	(void)close(ends[1]);
	ok = ok && archive_wait(tar);
	if (verdict == SEAL_BAD)
		return complain("the secrets do not open: is "
				"RENDIO_BACKUP_PASSPHRASE that of the backup?");
	return ok && verdict == SEAL_OK;
}

/* Files from outside the state directory go back where none is. */
static bool
place_outside(const char *outside)
{
	static const char script[] =
	    "cd \"$1\" && find . -type f | while read -r name; do "
	    "[ -e \"/$name\" ] || install -D -m 600 \"$name\" "
	    "\"/$name\" || exit 1; done";
	const char *const argv[] = { "sh", "-c", script, "sh", outside, NULL };

	return access(outside, F_OK) != 0 || archive_run(argv);
}

static bool
place(const struct restore *r, const char *from, const char *name)
{
	char source[ARCHIVE_PATH_BYTES], target[ARCHIVE_PATH_BYTES],
	    old[ARCHIVE_PATH_BYTES];

	if (!archive_path(from, name, source) ||
	    !archive_path(r->state_dir, name, target))
		return false;
	if (access(source, F_OK) != 0)
		return true;
	/* Directories that `rendio init` or a package made are in the way. */
	if (snprintf(old, sizeof(old), "%s.before-restore", target) >=
	    (int)sizeof(old))
		return complain("a path is too long");
	if (!archive_remove_tree(old) ||
	    (rename(target, old) != 0 && errno != ENOENT) ||
	    rename(source, target) != 0)
		return complain(strerror(errno));
	return archive_remove_tree(old);
}

static bool
place_secrets(const struct restore *r)
{
	static const char *const names[] = { "keys", "tls", "anon-key",
		"limits.conf", "rendio.conf" };
	char secrets[ARCHIVE_PATH_BYTES], outside[ARCHIVE_PATH_BYTES];

	if (!archive_path(r->scratch, "secrets", secrets) ||
	    !archive_path(secrets, "outside", outside) ||
	    !place_outside(outside))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!place(r, secrets, names[i]))
			return false;
	return true;
}

/* Once its database is in place a restore cannot be repeated. */
static bool
sync_unpacked(const struct restore *r)
{
	CLEANUP(cleanup_fd)
	int fd = open(r->scratch, O_RDONLY | O_CLOEXEC);

	return (fd >= 0 && syncfs(fd) == 0) || complain(strerror(errno));
}

/* A provider was perhaps asked for these after the backup was made. */
static bool
give_up_queued(struct restore *r)
{
	struct db *db = NULL;
	enum err err = db_open(r->scratch, DB_READ_WRITE, false, &db);

	if (err == OK) {
		err = restores_give_up_queued(db, clock_now_ms(),
		    &r->given_up_count);
		/* Only the file is moved, not its log. */
		if (err == OK)
			err = db_checkpoint(db);
		db_close(db);
	}
	return err == OK || complain("what was queued cannot be given back");
}

static bool
restore(struct restore *r, const char *file, struct str passphrase)
{
	CLEANUP(buf_free) struct buf problem = { 0 };

	if (!is_vacant(r) || !unpack(r, file) || !read_manifest(r))
		return false;
	if (r->has_secrets && passphrase.len == 0)
		return complain("the keys are sealed: set "
				"RENDIO_BACKUP_PASSPHRASE");
	if (r->has_secrets && !open_secrets(r, passphrase))
		return false;
	buf_init(&problem, 8192);
	if (!copies_check(r->scratch, r->made_at_ms, &problem)) {
		(void)fprintf(stderr, "rendio: the backup is not good: %s\n",
		    problem.ptr);
		return false;
	}
	return give_up_queued(r) && sync_unpacked(r) &&
	    (!r->has_secrets || place_secrets(r)) &&
	    place(r, r->scratch, "media") &&
	    place(r, r->scratch, "rendio.db") && archive_sync(r->state_dir) &&
	    archive_remove_tree(r->scratch);
}

int
restore_command(const struct args *args)
{
	struct restore r = { 0 };
	CLEANUP(buf_free) struct buf problem = { 0 };
	char made_at[CLOCK_TEXT_BYTES];
	struct str passphrase;
	int status = CLI_NEGATIVE;

	buf_init(&problem, 8192);
	if (!config_load(&r.config, &problem)) {
		(void)cli_fail(problem.ptr);
	} else if (archive_passphrase(&r.config, &passphrase)) {
		r.state_dir = config_text(&r.config, CONFIG_STATE_DIR);
		if (restore(&r, args->arg[0], passphrase))
			status = CLI_OK;
	}
	if (status == CLI_OK) {
		clock_format(r.made_at_ms, made_at);
		(void)printf("restored to %s, as it was at %s%s\n", r.state_dir,
		    made_at,
		    r.has_secrets ? "" :
				    "; the keys were not in it: run `rendio "
				    "init`");
		if (r.given_up_count > 0)
			(void)printf("%lld orders that waited to be sent got "
				     "their credits back\n",
			    (long long)r.given_up_count);
	}
	config_free(&r.config);
	return status;
}

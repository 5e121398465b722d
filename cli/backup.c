/* SPDX-License-Identifier: MIT */
/*
 * rendio backup FILE | DIRECTORY [--keep N] [--send] -- writes everything into one
 * archive (archive.h), beside a running system, and calls it good only when it
 * was unpacked and audited.  FILE appears whole or not at all.
 *
 * Into a directory it writes rendio-YYYYMMDDTHHMMSSZ.tar, and with --keep it
 * then removes all but the N newest of these.  With --send it also goes to the
 * bucket (deploy/bucket); when that fails it is good all the same, but the alarm
 * of a failed backup rings.
 */

#include "archive.h"
#include "cli.h"

#include "app/copies.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/lockfile.h"
#include "domain/watches.h"
#include "wire/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Another backup may be under way; two would double what they need. */
#define LOCK_WAIT_MS 1000

#define KEEP_MAX 10000

struct backup {
	struct state state;
	struct str passphrase; /* "" = the secrets stay here */
	int64_t made_at_ms;
	struct copy_count count;
	char file[ARCHIVE_PATH_BYTES];
	char part[ARCHIVE_PATH_BYTES]; /* FILE as it grows */
	char stage[ARCHIVE_PATH_BYTES]; /* what will be in it */
	char check[ARCHIVE_PATH_BYTES]; /* what came out of it */
};

/* What a backup that was killed has left. */
static bool
make_empty(const char *directory)
{
	if (!archive_remove_tree(directory))
		return false;
	if (mkdir(directory, 0700) == 0)
		return true;
	(void)fprintf(stderr, "rendio: %s: %s\n", directory, strerror(errno));
	return false;
}

static bool
write_manifest(const struct backup *b)
{
	CLEANUP(buf_free) struct buf text = { 0 };
	struct json_writer w = json_writer(&text);
	CLEANUP(cleanup_fd) int fd = -1;
	char path[ARCHIVE_PATH_BYTES];

	buf_init(&text, 4096);
	json_begin_object(&w, NULL);
	json_int64(&w, "format", 1);
	json_int64(&w, "made_at_ms", b->made_at_ms);
	json_time(&w, "made_at", b->made_at_ms);
	json_int64(&w, "schema_version", b->count.version);
	json_int64(&w, "files", b->count.files);
	json_int64(&w, "files_bytes", b->count.bytes);
	json_bool(&w, "has_secrets", b->passphrase.len > 0);
	json_end_object(&w);
	if (!archive_path(b->stage, "manifest.json", path))
		return false;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && !text.failed &&
	    write(fd, text.ptr, text.len) == (ssize_t)text.len)
		return true;
	(void)cli_fail("the manifest cannot be written");
	return false;
}

/* --- the secrets ---------------------------------------------------------- */

struct names {
	const char *arg[ARCHIVE_ARGS_MAX];
	size_t count;
};

static bool
add(struct names *names, const char *name)
{
	/* One place stays for the NULL at the end. */
	if (names->count + 1 == ARCHIVE_ARGS_MAX) {
		(void)cli_fail("the configuration names too many files");
		return false;
	}
	names->arg[names->count++] = name;
	return true;
}

/* Files that lines like "RENDIO_APNS_KEY_FILE=/etc/…" name; ends lines. */
static bool
add_named_files(char *text, struct names *names)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL) {
		char *value = strchr(line, '=');

		if (value == NULL || value - line < 5 ||
		    strncmp(value - 5, "_FILE", 5) != 0 ||
		    strncmp(line, "RENDIO_", 7) != 0)
			continue;
		value++;
		value[strcspn(value, " \t\r\"")] = '\0';
		if (value[0] == '/' && access(value, R_OK) == 0 &&
		    !add(names, value))
			return false;
	}
	return true;
}

static bool
seal_names(const struct backup *b, const struct names *names)
{
	CLEANUP(cleanup_fd) int out = -1;
	char path[ARCHIVE_PATH_BYTES];
	enum seal_verdict verdict;
	int ends[2];
	pid_t tar;
	bool ok;

	if (!archive_path(b->stage, "secrets.sealed", path))
		return false;
	out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0 || pipe2(ends, O_CLOEXEC) != 0) {
		(void)cli_fail(strerror(errno));
		return false;
	}
	ok = archive_start(names->arg, -1, ends[1], &tar);
	(void)close(ends[1]);
	if (ok) {
		verdict = seal_close(ends[0], out, b->passphrase);
		ok = archive_wait(tar) && verdict == SEAL_OK;
		if (!ok)
			(void)cli_fail("the secrets cannot be sealed");
	}
	(void)close(ends[0]);
	return ok;
}

static bool
seal_secrets(struct backup *b)
{
	static const char *const ours[] = { "keys", "anon-key", "tls",
		"rendio.conf", "limits.conf" };
	const char *state_dir = config_text(&b->state.config, CONFIG_STATE_DIR);
	const char *config = getenv("RENDIO_CONFIG");
	CLEANUP(buf_free) struct buf text = { 0 };
	struct names names = { { "tar", "-c", "-f", "-", "-P", "--transform",
				   "s,^/,outside/,", "-C", state_dir },
		9 };
	char path[ARCHIVE_PATH_BYTES];

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (!archive_path(state_dir, ours[i], path))
			return false;
		if (access(path, R_OK) == 0 && !add(&names, ours[i]))
			return false;
	}
	if (config != NULL && config[0] == '/' && !add(&names, config))
		return false;
	if (config == NULL && !archive_path(state_dir, "rendio.conf", path))
		return false;
	buf_init(&text, CONFIG_FILE_BYTES_MAX);
	if (config_read_file(config == NULL ? path : config, false, &text) &&
	    !add_named_files(text.ptr, &names))
		return false;
	return seal_names(b, &names);
}

/* --- the archive ---------------------------------------------------------- */

static bool
pack(const struct backup *b)
{
	const char *const argv[] = { "tar", "-c", "-f", b->part, "-C", b->stage,
		"--owner=0", "--group=0", "manifest.json", "rendio.db", "media",
		b->passphrase.len > 0 ? "secrets.sealed" : NULL, NULL };

	return archive_run(argv) && chmod(b->part, 0600) == 0 &&
	    archive_sync(b->part);
}

static bool
opens(const struct backup *b)
{
	CLEANUP(cleanup_fd) int in = -1;
	CLEANUP(cleanup_fd) int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char path[ARCHIVE_PATH_BYTES];

	if (!archive_path(b->check, "secrets.sealed", path))
		return false;
	in = open(path, O_RDONLY | O_CLOEXEC);
	if (in >= 0 && out >= 0 && seal_open(in, out, b->passphrase) == SEAL_OK)
		return true;
	(void)cli_fail("the secrets in the backup do not open");
	return false;
}

static bool
check(const struct backup *b)
{
	const char *const argv[] = { "tar", "-x", "-f", b->part, "-C", b->check,
		NULL };
	CLEANUP(buf_free) struct buf problem = { 0 };

	buf_init(&problem, 8192);
	if (!make_empty(b->check) || !archive_run(argv))
		return false;
	if (!copies_check(b->check, b->made_at_ms, &problem)) {
		(void)fprintf(stderr, "rendio: the backup is not good: %s\n",
		    problem.ptr);
		return false;
	}
	return b->passphrase.len == 0 || opens(b);
}

static bool
make(struct backup *b)
{
	CLEANUP(buf_free) struct buf problem = { 0 };

	buf_init(&problem, 8192);
	if (!make_empty(b->stage))
		return false;
	b->made_at_ms = clock_now_ms();
	if (!copies_make(&b->state, b->stage, &b->count, &problem)) {
		(void)cli_fail(problem.ptr);
		return false;
	}
	return write_manifest(b) &&
	    (b->passphrase.len == 0 || seal_secrets(b)) && pack(b) &&
	    archive_remove_tree(b->stage) && check(b) &&
	    archive_remove_tree(b->check);
}

/* Gives the archive its name, which says that it is good. */
static bool
publish(const struct backup *b)
{
	char directory[ARCHIVE_PATH_BYTES];
	char *slash;

	if (rename(b->part, b->file) != 0) {
		(void)cli_fail(strerror(errno));
		return false;
	}
	(void)snprintf(directory, sizeof(directory), "%s", b->file);
	slash = strrchr(directory, '/');
	if (slash != NULL)
		*slash = '\0';
	return archive_sync(slash == NULL ? "." :
		slash == directory        ? "/" :
					    directory);
}

/* --- many of them --------------------------------------------------------- */

static int
is_backup(const struct dirent *entry)
{
	const struct str name = str_from(entry->d_name);

	return name.len == sizeof("rendio-20260131T123456Z.tar") - 1 &&
	    str_starts_with(name, STR("rendio-")) &&
	    str_ends_with(name, STR(".tar"));
}

static bool
keep_newest(const char *directory, int64_t keep)
{
	struct dirent **entries;
	/* The names sort as the times do. */
	const int count = scandir(directory, &entries, is_backup, alphasort);
	bool ok = count >= 0;

	for (int i = 0; i < count; i++) {
		char path[ARCHIVE_PATH_BYTES];

		if (i < count - keep &&
		    (!archive_path(directory, entries[i]->d_name, path) ||
			unlink(path) != 0))
			ok = false;
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	if (!ok)
		(void)cli_fail("old backups cannot be removed");
	return ok;
}

/* What FILE is called: itself, or a name of its own in a directory. */
static bool
name_file(struct backup *b, const char *target, bool *ret_is_directory)
{
	struct stat st;
	char now[CLOCK_TEXT_BYTES], name[64];

	*ret_is_directory = stat(target, &st) == 0 && S_ISDIR(st.st_mode);
	clock_format(clock_now_ms(), now);
	(void)snprintf(name, sizeof(name),
	    "rendio-%.4s%.2s%.2sT%.2s%.2s%.2sZ"
	    ".tar",
	    now, now + 5, now + 8, now + 11, now + 14, now + 17);
	if (*ret_is_directory)
		return archive_path(target, name, b->file);
	return str_copy(str_from(target), b->file, sizeof(b->file));
}

static bool
name_all(struct backup *b, const char *target, bool *ret_is_directory)
{
	const char *state_dir = config_text(&b->state.config, CONFIG_STATE_DIR);

	if (!name_file(b, target, ret_is_directory) ||
	    !archive_path(state_dir, "tmp/backup", b->stage))
		return false;
	return snprintf(b->part, sizeof(b->part), "%s.part", b->file) <
	    (int)sizeof(b->part) &&
	    snprintf(b->check, sizeof(b->check), "%s.check", b->file) <
	    (int)sizeof(b->check);
}

static int
report(const struct args *args, const struct backup *b)
{
	struct buf out;
	struct json_writer w = json_writer(&out);

	if (b->passphrase.len == 0)
		(void)fprintf(stderr,
		    "rendio: without keys and configuration:"
		    " set RENDIO_BACKUP_PASSPHRASE\n");
	if (!args->is_json) {
		(void)printf("%s  %lld files, audited\n", b->file,
		    (long long)b->count.files);
		return CLI_OK;
	}
	buf_init(&out, CLI_OUTPUT_BYTES_MAX);
	json_begin_object(&w, NULL);
	json_text(&w, "file", b->file);
	json_time(&w, "made_at", b->made_at_ms);
	json_int64(&w, "schema_version", b->count.version);
	json_int64(&w, "files", b->count.files);
	json_bool(&w, "has_secrets", b->passphrase.len > 0);
	json_end_object(&w);
	return cli_print(&out);
}

static bool
send_to_bucket(const struct backup *b)
{
	char script[CLI_SCRIPT_PATH_BYTES];
	const char *const argv[] = { script, "send", b->file, NULL };

	if (cli_find_script("bucket", script) && archive_run(argv))
		return true;
	(void)cli_fail("the backup was not sent to the bucket");
	return false;
}

/* For the alarms; a backup is good whether or not this can be noted. */
static void
note(bool is_good, int64_t made_at_ms)
{
	CLEANUP(buf_free) struct buf problem = { 0 };
	struct state state;

	buf_init(&problem, 8192);
	if (!state_open(&state, STATE_WRITE, &problem) ||
	    watches_backup_done(state.db, is_good,
		is_good ? made_at_ms : clock_now_ms()) != OK)
		(void)cli_fail("how it went could not be noted");
	state_close(&state);
}

static int
backup(const struct args *args, struct backup *b, int64_t keep)
{
	CLEANUP(cleanup_fd) int lock = -1;
	char path[ARCHIVE_PATH_BYTES];
	bool is_directory, is_good, ok;

	if (!archive_passphrase(&b->state.config, &b->passphrase) ||
	    !name_all(b, args->arg[0], &is_directory) ||
	    !archive_path(config_text(&b->state.config, CONFIG_STATE_DIR),
		"run/backup.lock", path))
		return CLI_NEGATIVE;
	if (!lockfile_take(path, LOCK_WAIT_MS, &lock))
		return cli_fail("another backup is being made");
	is_good = make(b) && publish(b);
	ok = is_good && (!args->is_sent || send_to_bucket(b));
	note(ok, b->made_at_ms);
	if (!is_good) {
		(void)archive_remove_tree(b->stage);
		(void)archive_remove_tree(b->check);
		(void)unlink(b->part);
		return CLI_NEGATIVE;
	}
	if (is_directory && keep > 0 && !keep_newest(args->arg[0], keep))
		return CLI_NEGATIVE;
	return ok ? report(args, b) : CLI_NEGATIVE;
}

int
backup_command(const struct args *args)
{
	static struct backup b;
	int64_t keep = 0;
	int status;

	if (args->keep != NULL &&
	    !str_to_int64(str_from(args->keep), 1, KEEP_MAX, &keep))
		return cli_misuse("not a number of backups", args->keep);
	cli_open(&b.state, STATE_READ);
	status = backup(args, &b, keep);
	state_close(&b.state);
	return status;
}

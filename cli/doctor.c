/* SPDX-License-Identifier: MIT */
/*
 * rendio doctor -- looks at an installation and says, for all that is wrong,
 * how to put it right.
 */

#include "archive.h"
#include "doctor.h"

#include "app/nudge.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "domain/alarms.h"
#include "domain/deletions.h"
#include "domain/devices.h"
#include "domain/purchases.h"
#include "domain/spend.h"
#include "domain/watches.h"
#include "provider/appleid.h"
#include "provider/appstore.h"
#include "wire/es256.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

/* 2026-01-01: before this program existed. */
#define CLOCK_MS_MIN INT64_C(1767225600000)

/* Some hundred videos; SQLite and nginx need room, too. */
#define DISK_FREE_BYTES_MIN ((uint64_t)512 * 1024 * 1024)

/* The worker empties it at a fraction of this. */
#define LOG_BYTES_MAX ((int64_t)64 * 1024 * 1024)

/* The law gives a month; a day leaves time to find out what is wrong. */
#define DELETION_MS_MAX (INT64_C(24) * 3600 * 1000)

/* Providers show their history for so long at least. */
#define LOST_WITHIN_MS (INT64_C(7) * 24 * 3600 * 1000)

void
doctor_note(struct doctor *d, enum level level, const char *what,
    const char *fix, const char *format, ...)
{
	static const char *const names[] = { "ok", "warning", "error" };
	static const char *const colors[] = { "\033[32m", "\033[33m",
		"\033[31m" };
	char text[DOCTOR_PATH_BYTES_MAX + 256];
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	d->has_red = d->has_red || level == RED;
	if (d->is_json) {
		json_begin_object(&d->json, NULL);
		json_text(&d->json, "check", what);
		json_text(&d->json, "level", names[level]);
		json_text(&d->json, "text", text);
		json_text(&d->json, "fix", level == GREEN ? NULL : fix);
		json_end_object(&d->json);
		return;
	}
	(void)printf("%s%-8s%s %-14s %s\n", d->has_color ? colors[level] : "",
	    names[level], d->has_color ? "\033[0m" : "", what, text);
	if (level != GREEN)
		(void)printf("%24sfix: %s\n", "", fix);
}

bool
doctor_path(const struct doctor *d, const char *name,
    char path[DOCTOR_PATH_BYTES_MAX])
{
	return snprintf(path, DOCTOR_PATH_BYTES_MAX, "%s/%s", d->state_dir,
		   name) < DOCTOR_PATH_BYTES_MAX;
}

static void
cleanup_dir(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

/* Is anything in the directory of keys open to others? */
static bool
is_open_to_others(const char *directory)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(directory);
	struct dirent *entry;
	struct stat st;

	if (dir == NULL || fstat(dirfd(dir), &st) != 0 ||
	    (st.st_mode & 077) != 0)
		return true;
	while ((entry = readdir(dir)) != NULL)
		if (fstatat(dirfd(dir), entry->d_name, &st,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
			return true;
	return false;
}

static void
check_keys(struct doctor *d, const struct config *config)
{
	char path[DOCTOR_PATH_BYTES_MAX];
	struct keys keys;
	struct buf problem;

	buf_init(&problem, 8192);
	if (!keys_load(d->state_dir, config_text(config, CONFIG_ANON_KEY),
		&keys, &problem))
		doctor_note(d, RED, "keys", "rendio init", "%s", problem.ptr);
	else if (!doctor_path(d, "keys", path) || is_open_to_others(path))
		doctor_note(d, RED, "keys",
		    "chmod 700 the directory and 600 its files",
		    "others can read %s", path);
	else
		doctor_note(d, GREEN, "keys", "", "present, for us alone");
	keys_wipe(&keys);
	buf_free(&problem);
}

static bool
days_left(const char *path, int *ret_days)
{
	BIO *file = BIO_new_file(path, "r");
	X509 *certificate = NULL;
	int days, seconds;
	bool ok;

	if (file != NULL)
		certificate = PEM_read_bio_X509(file, NULL, NULL, NULL);
	BIO_free_all(file);
	ok = certificate != NULL &&
	    ASN1_TIME_diff(&days, &seconds, NULL,
		X509_get0_notAfter(certificate)) == 1;
	X509_free(certificate);
	if (ok)
		*ret_days = seconds < 0 ? days - 1 : days;
	return ok;
}

/* What verifying purchases needs; `rendio appstore test` asks Apple. */
static void
check_purchases(struct doctor *d, const struct config *config)
{
	struct buf problem;

	buf_init(&problem, 512);
	if (appstore_is_ready(config, &problem))
		doctor_note(d, GREEN, "purchases", "", "of %s",
		    appstore_bundle_id(config));
	else
		doctor_note(d, RED, "purchases", "mend the configuration", "%s",
		    problem.ptr);
	buf_free(&problem);
	appstore_forget();
}

static void
check_certificate(struct doctor *d)
{
	static const char fix[] =
	    "`make run` makes one for 127.0.0.1; else put a certificate chain"
	    " into tls/cert.pem and its key into tls/key.pem";
	char path[DOCTOR_PATH_BYTES_MAX];
	int days;

	if (!doctor_path(d, "tls/cert.pem", path) || !days_left(path, &days))
		doctor_note(d, RED, "certificate", fix, "no certificate in %s",
		    path);
	else if (days < DOCTOR_CERTIFICATE_DAYS_MIN)
		doctor_note(d, RED, "certificate", fix, "%s ends in %d days",
		    path, days);
	else
		doctor_note(d, GREEN, "certificate", "", "good for %d days",
		    days);
}

/* A service of Apple that wants requests signed by a key of the team. */
static const struct apple_service {
	const char *what;
	enum config_key url;
	enum config_key key_id;
	enum config_key key_file;
	const char *fix;
} apple_services[] = {
	{ "devicecheck", CONFIG_DEVICECHECK_URL, CONFIG_DEVICECHECK_KEY_ID,
	    CONFIG_DEVICECHECK_KEY_FILE,
	    "set RENDIO_APPLE_TEAM_ID, RENDIO_DEVICECHECK_KEY_ID and"
	    " RENDIO_DEVICECHECK_KEY_FILE (a key with DeviceCheck:"
	    " developer.apple.com, Keys)" },
	{ "apple id", CONFIG_APPLEID_URL, CONFIG_APPLEID_KEY_ID,
	    CONFIG_APPLEID_KEY_FILE,
	    "set RENDIO_APPLE_TEAM_ID, RENDIO_APPLEID_KEY_ID and"
	    " RENDIO_APPLEID_KEY_FILE (a key with Sign in with Apple:"
	    " developer.apple.com, Keys); without it no consent can be taken"
	    " back when an account is deleted" },
};

/* Does the file hold a key that signs? */
static bool
signs(const struct config *config, const struct apple_service *service)
{
	CLEANUP(buf_free) struct buf key = { 0 };
	CLEANUP(buf_free) struct buf token = { 0 };
	bool ok;

	buf_init(&key, ES256_KEY_FILE_BYTES_MAX);
	buf_init(&token, ES256_KEY_FILE_BYTES_MAX);
	ok = config_read_file(config_text(config, service->key_file), false,
		 &key) &&
	    es256_jwt(buf_str(&key), config_text(config, service->key_id),
		STR("{}"), &token);
	if (key.len > 0)
		explicit_bzero(key.ptr, key.len);
	return ok;
}

static void
check_apple_service(struct doctor *d, const struct config *config,
    const struct apple_service *service)
{
	if (config_is_sandbox(config) && !config_is_set(config, service->url))
		doctor_note(d, GREEN, service->what, "",
		    "the sandbox's stand-in");
	else if (!config_is_set(config, CONFIG_APPLE_TEAM_ID) ||
	    !config_is_set(config, service->key_id) ||
	    !config_is_set(config, service->key_file))
		doctor_note(d, RED, service->what, service->fix,
		    "not configured");
	else if (!signs(config, service))
		doctor_note(d, RED, service->what, service->fix,
		    "%s cannot be read, or is no key that signs",
		    config_text(config, service->key_file));
	else
		doctor_note(d, GREEN, service->what, "", "signs by key %s",
		    config_text(config, service->key_id));
}

static void
check_apple(struct doctor *d, const struct config *config)
{
	for (size_t i = 0;
	     i < sizeof(apple_services) / sizeof(apple_services[0]); i++)
		check_apple_service(d, config, &apple_services[i]);
	if (!appleid_is_configured(config))
		doctor_note(d, YELLOW, "apple id",
		    "set RENDIO_APPLE_BUNDLE_ID or RENDIO_APPLEID_CLIENT_IDS",
		    "no app is named: nobody can sign in with Apple");
}

static void
check_clock(struct doctor *d)
{
	const int64_t now_ms = clock_now_ms();
	char text[CLOCK_TEXT_BYTES];

	clock_format(now_ms < 0 ? 0 : now_ms, text);
	doctor_note(d, now_ms < CLOCK_MS_MIN ? RED : GREEN, "clock",
	    "set the clock: tokens and Apple's signatures depend on it", "%s",
	    text);
}

static void
check_disk(struct doctor *d)
{
	static const char fix[] = "make room, or move the state directory";
	struct statvfs vfs;
	uint64_t free_bytes;

	if (statvfs(d->state_dir, &vfs) != 0) {
		doctor_note(d, RED, "disk", "rendio init", "%s: %s",
		    d->state_dir, strerror(errno));
		return;
	}
	free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	doctor_note(d, free_bytes < DISK_FREE_BYTES_MIN ? RED : GREEN, "disk",
	    fix, "%llu MiB free", (unsigned long long)(free_bytes >> 20));
}

static void
check_database(struct doctor *d)
{
	struct state_database db;

	state_examine(d->state_dir, &db);
	if (db.engine_has_reset_race)
		doctor_note(d, YELLOW, "engine",
		    "`make SQLITE=DIR` links the amalgamation in DIR, 3.51.3"
		    " or newer",
		    "%s can corrupt a file when two processes checkpoint and"
		    " write at one moment (the WAL-reset race); here only the"
		    " worker checkpoints, which avoids it, so let no other"
		    " program open the database",
		    db.engine);
	else
		doctor_note(d, GREEN, "engine", "", "%s", db.engine);
	if (!db.is_open) {
		doctor_note(d, RED, "database", "rendio init",
		    "it cannot be opened in %s", d->state_dir);
		return;
	}
	doctor_note(d, db.version == db.newest_version ? GREEN : RED, "schema",
	    db.version < db.newest_version ?
		"rendio migrate" :
		"install the release that made it, or restore a backup",
	    "version %lld, this program knows %lld", (long long)db.version,
	    (long long)db.newest_version);
	doctor_note(d, db.is_whole ? GREEN : RED, "database",
	    "stop everything and restore the last backup",
	    db.is_whole ? "whole" : "damaged");
	doctor_note(d, db.log_bytes < LOG_BYTES_MAX ? GREEN : RED,
	    "database log", "see that the worker runs: it empties the log",
	    "%lld MiB wait to be folded into the database",
	    (long long)(db.log_bytes >> 20));
}

/* What is owed to somebody, which no one would see otherwise. */
static void
check_debts(struct doctor *d)
{
	struct state state;
	struct buf problem;
	int64_t gifts = 0, steps = 0, purchases = 0, lost = 0, late = 0;

	buf_init(&problem, 8192);
	if (state_open(&state, STATE_READ, &problem) &&
	    devices_pending_count(state.db, &gifts) == OK &&
	    deletions_stuck_count(state.db, clock_now_ms() - DELETION_MS_MAX,
		&steps) == OK &&
	    purchases_waiting_count(state.db, &purchases) == OK &&
	    spend_count_lost(state.db, clock_now_ms() - LOST_WITHIN_MS, &lost,
		&late) == OK) {
		doctor_note(d, gifts == 0 ? GREEN : YELLOW, "gifts",
		    "each is given when its phone comes again and DeviceCheck"
		    " answers; the log says why it did not (event devicecheck)",
		    "%lld wait to be given", (long long)gifts);
		doctor_note(d, steps == 0 ? GREEN : RED, "deletions",
		    "see that the worker runs, and what its log says of them"
		    " (event deletion)",
		    "%lld steps have been open for more than a day",
		    (long long)steps);
		doctor_note(d, purchases == 0 ? GREEN : YELLOW, "sales",
		    "the table purchases says in waits_for what for: see"
		    " docs/operations.md, Purchases",
		    "%lld wait to be credited", (long long)purchases);
		doctor_note(d, lost == 0 ? GREEN : YELLOW, "submissions",
		    "compare the provider's usage report with rendio spend:"
		    " what it lists there was paid for",
		    "%lld of unknown fate were given up in seven days, the"
		    " videos of %lld others came late",
		    (long long)lost, (long long)late);
	}
	state_close(&state);
	buf_free(&problem);
}

static void
check_backup(struct doctor *d, const struct config *config, struct db *db)
{
	static const char fix[] =
	    "run `rendio backup DIRECTORY`, and see that it runs every day:"
	    " docs/operations.md, Backups";
	const int64_t hours_max =
	    config_number(config, CONFIG_BACKUP_AGE_H_MAX);
	struct backup_state state;
	int64_t hours;

	if (watches_backup(db, &state) != OK)
		return;
	hours = (clock_now_ms() - state.good_at_ms) / (3600 * 1000);
	if (state.good_at_ms == 0)
		doctor_note(d,
		    config_is_sandbox(config) || hours_max == 0 ? GREEN : RED,
		    "backup", fix, "none was ever made");
	else if (state.failed_at_ms > state.good_at_ms)
		doctor_note(d, RED, "backup", fix, "the last one failed");
	else
		doctor_note(d, hours_max > 0 && hours > hours_max ? RED : GREEN,
		    "backup", fix, "the last good one is %lld h old",
		    (long long)hours);
}

static void
note_alarm(void *arg, const struct alarm_row *row)
{
	/* One who does not give up is no harm to this machine. */
	const bool is_harm =
	    strcmp(row->name, alarm_name(ALARM_LIMIT_REPEATED)) != 0;

	doctor_note(arg, is_harm ? RED : YELLOW, "alarm",
	    "docs/operations.md, Alarms", "%s%s%s %s", row->name,
	    row->subject[0] == '\0' ? "" : " of ", row->subject, row->detail);
}

/* What the worker has noticed. */
static void
check_alarms(struct doctor *d, const struct config *config)
{
	struct state state;
	struct buf problem;

	buf_init(&problem, 8192);
	if (state_open(&state, STATE_READ, &problem)) {
		check_backup(d, config, state.db);
		(void)alarms_list(state.db, note_alarm, d);
	}
	state_close(&state);
	buf_free(&problem);
}

/* nginx judges its own configuration. */
static void
check_nginx(struct doctor *d)
{
	char prefix[DOCTOR_PATH_BYTES_MAX], file[DOCTOR_PATH_BYTES_MAX];
	const char *const ours[] = { "/usr/sbin/nginx", "-e", "stderr", "-t",
		"-q", "-p", prefix, "-c", file, NULL };
	const char *const debians[] = { "/usr/sbin/nginx", "-t", "-q", NULL };
	bool is_ours, is_good;

	is_ours = doctor_path(d, "nginx", prefix) &&
	    doctor_path(d, "nginx/nginx.conf", file) && access(file, R_OK) == 0;
	if (!is_ours && geteuid() != 0) {
		doctor_note(d, YELLOW, "nginx", "`nginx -t` as root judges it",
		    "its configuration is for root to read");
		return;
	}
	is_good = archive_run(is_ours ? ours : debians);
	doctor_note(d, is_good ? GREEN : RED, "nginx",
	    "nginx -t names the line", "%s its configuration",
	    is_good ? "takes" : "refuses");
}

/* Does somebody answer there? Leaves errno. */
static bool
answers(int type, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP(cleanup_fd)
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	errno = ENAMETOOLONG;
	return fd >= 0 &&
	    str_copy(str_from(path), address.sun_path,
		sizeof(address.sun_path)) &&
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) ==
	    0;
}

static void
check_worker(struct doctor *d)
{
	char path[DOCTOR_PATH_BYTES_MAX];

	if (!doctor_path(d, "run/" NUDGE_WORKER, path) ||
	    !answers(SOCK_DGRAM, path))
		doctor_note(d, RED, "worker",
		    "start `make run`, or see that cron starts rendio-worker"
		    " every minute",
		    "run/worker.sock: %s", strerror(errno));
	else
		doctor_note(d, GREEN, "worker", "", "listens");
}

static void
check_endpoints(struct doctor *d)
{
	static const char fix[] =
	    "start `make run`, or the endpoint's service, and read its log";
	char path[DOCTOR_PATH_BYTES_MAX], file[DOCTOR_PATH_BYTES_MAX + 256];
	CLEANUP(cleanup_dir) DIR *dir = NULL;
	struct dirent *entry;
	int answering = 0, silent = 0;

	if (doctor_path(d, "run", path))
		dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (!str_ends_with(str_from(entry->d_name), STR(".sock")) ||
		    strcmp(entry->d_name, NUDGE_WORKER) == 0)
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s", path,
		    entry->d_name);
		if (answers(strcmp(entry->d_name, NUDGE_REALTIME) == 0 ?
			    SOCK_DGRAM :
			    SOCK_STREAM,
			file)) {
			answering++;
			continue;
		}
		doctor_note(d, RED, "endpoint", fix, "run/%s: %s",
		    entry->d_name, strerror(errno));
		silent++;
	}
	if (answering + silent == 0)
		doctor_note(d, RED, "endpoints", fix, "none is there");
	else
		doctor_note(d, silent == 0 ? GREEN : YELLOW, "endpoints", fix,
		    "%d of %d answer", answering, answering + silent);
}

static void
check_all(struct doctor *d, bool is_offline)
{
	struct config config;
	struct buf problem;

	buf_init(&problem, 8192);
	if (config_load(&config, &problem)) {
		d->state_dir = config_text(&config, CONFIG_STATE_DIR);
		doctor_note(d, GREEN, "configuration", "",
		    "mode %s, state in %s", config_text(&config, CONFIG_MODE),
		    d->state_dir);
		check_keys(d, &config);
		check_purchases(d, &config);
		check_certificate(d);
		check_apple(d, &config);
		check_clock(d);
		check_disk(d);
		check_database(d);
		check_debts(d);
		check_alarms(d, &config);
		check_worker(d);
		check_endpoints(d);
		check_nginx(d);
		if (!is_offline)
			doctor_look_outside(d, &config);
	} else {
		doctor_note(d, RED, "configuration",
		    "correct it in the file or the environment", "%s",
		    problem.ptr);
	}
	config_free(&config);
	buf_free(&problem);
}

int
doctor_command(const struct args *args)
{
	struct doctor d = {
		.is_json = args->is_json,
		.has_color = isatty(STDOUT_FILENO) == 1,
	};
	int status = CLI_OK;

	buf_init(&d.out, CLI_OUTPUT_BYTES_MAX);
	d.json = json_writer(&d.out);
	json_begin_object(&d.json, NULL);
	json_begin_array(&d.json, "checks");
	check_all(&d, args->is_offline);
	json_end_array(&d.json);
	json_bool(&d.json, "ok", !d.has_red);
	json_end_object(&d.json);
	if (d.is_json)
		status = cli_print(&d.out);
	else
		buf_free(&d.out);
	return d.has_red ? CLI_NEGATIVE : status;
}

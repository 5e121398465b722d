/* SPDX-License-Identifier: MIT */
#include "app/incidents.h"
#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096

/* The last things that the log said; an error is seldom longer. */
#define TRAIL_BYTES_MAX ((size_t)6144)

/* A longer line would crowd the others out. */
#define TRAIL_LINE_BYTES_MAX ((size_t)2048)

#define EVENT_ID_BYTES 33

static struct {
	const char *program; /* NULL = nothing is watched */
	char directory[PATH_BYTES];
	char request_id[64];
	bool is_request; /* errors in the log wait for its end */
	struct buf trail; /* lines of the log, with commas between them */
	bool has_error; /* among them */
	int64_t minute;
	int minute_count;
	int64_t files_count; /* that this process has named */
	/* What is written when a signal ends us. */
	char death_path[PATH_BYTES];
	char death_part[PATH_BYTES];
	char death_id[EVENT_ID_BYTES];
} watch;

static void
new_event_id(char id[EVENT_ID_BYTES])
{
	const struct uuid uuid = uuid_random();
	char text[UUID_TEXT_BYTES];
	size_t n = 0;

	uuid_format(&uuid, text);
	for (size_t i = 0; text[i] != '\0'; i++)
		if (text[i] != '-')
			id[n++] = text[i];
	id[n] = '\0';
}

bool
incidents_directory(const struct config *config, char *path, size_t size)
{
	return snprintf(path, size, "%s/spool",
		   config_text(config, CONFIG_STATE_DIR)) < (int)size;
}

/* Is there room for one more? */
static bool
has_room(void)
{
	DIR *dir = opendir(watch.directory);
	int count = 0;

	while (dir != NULL && readdir(dir) != NULL)
		count++;
	if (dir == NULL)
		return false;
	(void)closedir(dir);
	return count - 2 < INCIDENTS_MAX;
}

/* The worker sees it whole or not at all. */
static void
store(const struct buf *text)
{
	char path[PATH_BYTES + 64], part[sizeof(path) + 8];
	int fd;
	bool ok;

	watch.files_count++;
	(void)snprintf(path, sizeof(path), "%s/%lld-%ld-%lld.new",
	    watch.directory, (long long)clock_now_ms(), (long)getpid(),
	    (long long)watch.files_count);
	(void)snprintf(part, sizeof(part), "%s.part", path);
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		return;
	ok = write(fd, text->ptr, text->len) == (ssize_t)text->len;
	(void)close(fd);
	if (!ok || rename(part, path) != 0)
		(void)unlink(part);
}

static bool
is_too_often(void)
{
	const int64_t minute = clock_monotonic_us() / 60000000;

	if (minute != watch.minute) {
		watch.minute = minute;
		watch.minute_count = 0;
	}
	return ++watch.minute_count > INCIDENTS_PER_MINUTE_MAX;
}

/* Request ids are ours, programs and codes constants: nothing to escape. */
static void
report(const char *code, const struct uuid *user_id)
{
	char id[EVENT_ID_BYTES], user[UUID_TEXT_BYTES] = "";
	struct buf text;

	if (is_too_often() || !has_room())
		return;
	new_event_id(id);
	if (user_id != NULL)
		uuid_format(user_id, user);
	buf_init(&text, INCIDENT_BYTES_MAX);
	buf_appendf(&text,
	    "{\"event_id\":\"%s\",\"time_ms\":%lld,\"program\":\"%s\","
	    "\"code\":\"%s\",\"request_id\":\"%s\",\"user\":\"%s\","
	    "\"lines\":[",
	    id, (long long)clock_now_ms(), watch.program, code,
	    watch.request_id, user);
	buf_append(&text, buf_str(&watch.trail));
	buf_append(&text, STR("]}\n"));
	if (!text.failed)
		store(&text);
	buf_free(&text);
}

static void
forget_trail(void)
{
	buf_clear(&watch.trail);
	watch.has_error = false;
}

/* What the log says, while it says it. */
static void
hear(enum log_level level, const char *event, struct str line)
{
	const size_t before = watch.trail.len;

	/* How a request ended is told by incidents_end(). */
	if (level < LOG_WARNING || line.len > TRAIL_LINE_BYTES_MAX ||
	    strcmp(event, "request") == 0)
		return;
	if (before > 0)
		buf_append_char(&watch.trail, ',');
	buf_append(&watch.trail, line);
	if (watch.trail.failed) {
		/* The first error is the cause. */
		watch.trail.failed = false;
		watch.trail.len = before;
	}
	watch.has_error = watch.has_error || level == LOG_ERROR;
	if (watch.is_request)
		return;
	if (watch.has_error)
		report("log", NULL);
	forget_trail();
}

void
incidents_begin(struct str request_id)
{
	size_t n = 0;

	if (watch.program == NULL)
		return;
	for (size_t i = 0; i < request_id.len; i++) {
		const char c = request_id.ptr[i];

		if (n + 1 < sizeof(watch.request_id) &&
		    ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			c == '-'))
			watch.request_id[n++] = c;
	}
	watch.request_id[n] = '\0';
	watch.is_request = true;
	forget_trail();
}

void
incidents_end(int status, const char *code, const struct uuid *user_id)
{
	if (watch.program == NULL)
		return;
	if (status == 500 || watch.has_error)
		report(status == 500 ? "internal" : code, user_id);
	forget_trail();
	watch.is_request = false;
	watch.request_id[0] = '\0';
}

/* --- death ---------------------------------------------------------------- */

static const int deaths[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };

static const char *
signal_name(int signal_number)
{
	switch (signal_number) {
	case SIGABRT:
		return "SIGABRT";
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGFPE:
		return "SIGFPE";
	default:
		return "SIGILL";
	}
}

static void
put(int fd, const char *text)
{
	size_t n = 0;

	while (text[n] != '\0')
		n++;
	(void)!write(fd, text, n);
}

/* Only calls that a signal handler may make; the time is the file's own. */
static void
die(int signal_number)
{
	const int fd = open(watch.death_part,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (fd >= 0) {
		put(fd, "{\"event_id\":\"");
		put(fd, watch.death_id);
		put(fd, "\",\"time_ms\":0,\"program\":\"");
		put(fd, watch.program);
		put(fd, "\",\"code\":\"");
		put(fd, signal_name(signal_number));
		put(fd, "\",\"request_id\":\"");
		put(fd, watch.request_id);
		put(fd, "\",\"user\":\"\",\"lines\":[]}\n");
		(void)close(fd);
		(void)rename(watch.death_part, watch.death_path);
	}
	/* The handler is gone (SA_RESETHAND): now it ends us. */
	(void)raise(signal_number);
}

static void
watch_death(void)
{
	const struct sigaction action = { .sa_handler = die,
		.sa_flags = (int)SA_RESETHAND };
	struct sigaction present;

	new_event_id(watch.death_id);
	if (snprintf(watch.death_path, sizeof(watch.death_path),
		"%s/death-%ld.new", watch.directory,
		(long)getpid()) >= (int)sizeof(watch.death_path) ||
	    snprintf(watch.death_part, sizeof(watch.death_part),
		"%s/death-%ld.new.part", watch.directory,
		(long)getpid()) >= (int)sizeof(watch.death_part))
		return;
	/* A sanitizer has handlers of its own. */
	for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++)
		if (sigaction(deaths[i], NULL, &present) == 0 &&
		    present.sa_handler == SIG_DFL)
			(void)sigaction(deaths[i], &action, NULL);
}

void
incidents_watch(const struct config *config, const char *program)
{
	if (!incidents_directory(config, watch.directory,
		sizeof(watch.directory) - 64) ||
	    (mkdir(watch.directory, 0700) != 0 && errno != EEXIST))
		return;
	buf_init(&watch.trail, TRAIL_BYTES_MAX);
	watch.program = program;
	watch_death();
	log_listen(hear);
}

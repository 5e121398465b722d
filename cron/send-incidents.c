/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "app/incidents.h"
#include "base/clock.h"
#include "base/log.h"
#include "domain/watches.h"
#include "provider/sentry.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Incidents (app/incidents.h): each is counted once, which its name then says
 * (.new becomes .counted), and sent to Sentry, if there is one, until it is
 * taken.  Sentry knows an event that comes twice by its id, so a worker that
 * died over it does no harm.
 */

#define CONNECT_TIMEOUT_MS 5000
#define TIMEOUT_MS 15000
#define ANSWER_BYTES_MAX ((size_t)64 * 1024)
#define ARENA_BYTES ((size_t)2 * 1024 * 1024)

/* How long after Sentry did not answer nothing is sent to it. */
#define PAUSE_MS INT64_C(30000)

/* What nobody took for a day interests nobody any more. */
#define LIFE_S (24 * 3600)

#define AT_ONCE_MAX 20
#define ERRORS_KEPT_MS (INT64_C(24) * 3600 * 1000)
#define PATH_BYTES 4096
#define NAME_BYTES 256

/* When Sentry may be spoken to again. */
static const char watch_name[] = "sentry";

static const char new_suffix[] = ".new";
static const char counted_suffix[] = ".counted";

static bool
path_of(const struct worker *worker, const char *name, char *path, size_t size)
{
	char directory[PATH_BYTES];

	return incidents_directory(&worker->state.config, directory,
		   sizeof(directory)) &&
	    snprintf(path, size, "%s/%s", directory, name) < (int)size;
}

/* Some of those whose names end so.  What has lain there for too long goes. */
static size_t
list(const struct worker *worker, const char *suffix,
    char names[AT_ONCE_MAX][NAME_BYTES])
{
	const time_t old = (time_t)(clock_now_ms() / 1000) - LIFE_S;
	char directory[PATH_BYTES];
	struct dirent *entry;
	size_t count = 0;
	DIR *dir = NULL;

	if (incidents_directory(&worker->state.config, directory,
		sizeof(directory)))
		dir = opendir(directory);
	while (dir != NULL && count < AT_ONCE_MAX &&
	    (entry = readdir(dir)) != NULL) {
		struct stat st;

		if (entry->d_name[0] == '.' ||
		    fstatat(dirfd(dir), entry->d_name, &st,
			AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (st.st_mtime < old)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
		else if (str_ends_with(str_from(entry->d_name),
			     str_from(suffix)) &&
		    str_copy(str_from(entry->d_name), names[count], NAME_BYTES))
			count++;
	}
	if (dir != NULL)
		(void)closedir(dir);
	return count;
}

/* If we die between the two it is counted twice, which is no harm. */
static void
count_one(struct worker *worker, const char *name)
{
	const int64_t now_ms = clock_now_ms();
	char from[PATH_BYTES], to[PATH_BYTES];
	const size_t stem = strlen(name) - (sizeof(new_suffix) - 1);

	if (!path_of(worker, name, from, sizeof(from)) ||
	    watches_error(worker->state.db, now_ms - ERRORS_KEPT_MS, now_ms) !=
		OK)
		return;
	if (!sentry_is_on(&worker->state.config))
		(void)unlink(from);
	else if (snprintf(to, sizeof(to), "%.*s%s",
		     (int)(strlen(from) - strlen(name) + stem), from,
		     counted_suffix) < (int)sizeof(to))
		(void)rename(from, to);
}

void
take_incidents(struct worker *worker)
{
	char names[AT_ONCE_MAX][NAME_BYTES];
	const size_t count = list(worker, new_suffix, names);

	for (size_t i = 0; i < count; i++)
		count_one(worker, names[i]);
}

/* --- sending -------------------------------------------------------------- */

struct reporting {
	struct worker *worker;
	char path[PATH_BYTES];
};

static void
pause_until(struct worker *worker, int64_t at_ms)
{
	(void)watches_set(worker->state.db, watch_name, at_ms);
}

/* A warning: an error would be an incident itself. */
static void
log_trouble(const char *problem, const struct fetch_response *response)
{
	struct log log = log_begin(LOG_WARNING, "sentry");

	log_text(&log, "problem", problem);
	log_int64(&log, "http_status", response->status);
	log_int64(&log, "curl_code", response->curl_code);
	log_end(&log);
}

static void
reported(void *arg, const struct fetch_response *response)
{
	struct reporting *r = arg;
	const int64_t now_ms = clock_now_ms();
	int64_t wait_ms;
	const enum sentry_verdict verdict = sentry_answer(response, &wait_ms);

	if (verdict == SENTRY_LATER) {
		log_trouble("not taken yet", response);
		if (wait_ms == 0)
			wait_ms = PAUSE_MS;
	} else {
		if (verdict == SENTRY_REFUSED)
			log_trouble("refused, see RENDIO_SENTRY_DSN", response);
		(void)unlink(r->path);
	}
	if (wait_ms > 0)
		pause_until(r->worker, now_ms + wait_ms);
	r->worker->is_reporting = false;
	free(r);
}

static bool
build(const struct worker *worker, const char *path, struct arena *arena,
    struct provider_call *call)
{
	CLEANUP(buf_free) struct buf text = { 0 };

	buf_init(&text, INCIDENT_BYTES_MAX);
	return config_read_file(path, true, &text) &&
	    sentry_call(&worker->state.config, arena, buf_str(&text),
		clock_now_ms(), call);
}

/* Those that are left out are left out by their event ids. */
static bool
is_wanted(const struct worker *worker, const struct provider_call *call)
{
	static const char start[] = "{\"event_id\":\"";

	assert(call->body.len > sizeof(start));
	return sentry_is_sampled(&worker->state.config,
	    (struct str){ call->body.ptr + sizeof(start) - 1,
		call->body.len - (sizeof(start) - 1) });
}

static void
start(struct worker *worker, const char *path, const struct provider_call *call)
{
	struct reporting *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->worker = worker;
	(void)str_copy(str_from(path), r->path, sizeof(r->path));
	worker->is_reporting = true;
	fetcher_start(worker->fetcher,
	    &(const struct fetch_request){
		.method = call->method,
		.url = call->url,
		.headers = { call->header[0], call->header[1] },
		.body = buf_str(&call->body),
		.allow_private = config_number(&worker->state.config,
				     CONFIG_ALLOW_PRIVATE_UPSTREAMS) == 1,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.timeout_ms = TIMEOUT_MS,
		.response_bytes_max = ANSWER_BYTES_MAX,
		.sink_fd = -1,
	    },
	    reported, r);
}

/* Sends one, if it can be sent; what cannot be goes. */
static void
send_one(struct worker *worker, const char *name)
{
	struct provider_call call;
	struct arena arena;
	char path[PATH_BYTES];
	bool is_built;

	if (!path_of(worker, name, path, sizeof(path)))
		return;
	arena_init(&arena, ARENA_BYTES);
	provider_call_init(&call, "POST");
	is_built = build(worker, path, &arena, &call);
	if (is_built && is_wanted(worker, &call))
		start(worker, path, &call);
	else
		(void)unlink(path);
	if (!is_built)
		log_line(LOG_WARNING, "sentry", "problem",
		    "no event: RENDIO_SENTRY_DSN, or the incident");
	provider_call_free(&call);
	arena_free(&arena);
}

void
send_incidents(struct worker *worker)
{
	char names[AT_ONCE_MAX][NAME_BYTES];
	const int64_t now_ms = clock_now_ms();
	size_t count;
	bool may;

	if (worker->is_reporting || !sentry_is_on(&worker->state.config))
		return;
	count = list(worker, counted_suffix, names);
	if (count == 0 ||
	    watches_due(worker->state.db, watch_name, now_ms, now_ms, &may) !=
		OK ||
	    !may)
		return;
	for (size_t i = 0; i < count && !worker->is_reporting; i++)
		send_one(worker, names[i]);
}

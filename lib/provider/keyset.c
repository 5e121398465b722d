/* SPDX-License-Identifier: MIT */
#include "provider/keyset.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "wire/fetch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The company is not asked more often, whatever tokens name ... */
#define RETRY_MS (INT64_C(60) * 1000)
/* ... but without any key nothing can be verified, so then it is. */
#define RETRY_WITHOUT_KEYS_MS INT64_C(2000)

/* Somebody waits for the answer; together at most 5 seconds. */
#define CONNECT_TIMEOUT_MS 3000
#define TIMEOUT_MS 4000
#define TURN_WAIT_MS 4500

#define PATH_BYTES (CONFIG_VALUE_BYTES_MAX + 64)

static void
set_path(const struct config *config, const struct keyset *set,
    const char *ending, char path[PATH_BYTES])
{
	(void)snprintf(path, PATH_BYTES, "%s/run/%s-jwks.%s",
	    config_text(config, CONFIG_STATE_DIR), set->name, ending);
}

/* How long ago the file was written; -1 when the clock went back since. */
static int64_t
age_ms(const struct stat *file)
{
	const int64_t written_ms = (int64_t)file->st_mtim.tv_sec * 1000 +
	    file->st_mtim.tv_nsec / 1000000;
	const int64_t age = clock_now_ms() - written_ms;

	return age < 0 ? -1 : age;
}

static bool
read_cache(const struct config *config, const struct keyset *set,
    struct buf *key_set, int64_t *ret_age_ms)
{
	char path[PATH_BYTES];
	struct stat file;

	buf_clear(key_set);
	set_path(config, set, "json", path);
	if (stat(path, &file) != 0 || !config_read_file(path, false, key_set))
		return false;
	*ret_age_ms = age_ms(&file);
	return true;
}

/* A reader sees the old set or the new one, never a part. */
static bool
replace_cache(const struct config *config, const struct keyset *set,
    struct str key_set)
{
	char path[PATH_BYTES], part[PATH_BYTES];
	FILE *file;
	bool ok;

	set_path(config, set, "json", path);
	set_path(config, set, "part", part);
	file = fopen(part, "we");
	if (file == NULL)
		return false;
	ok = fwrite(key_set.ptr, 1, key_set.len, file) == key_set.len;
	ok = fclose(file) == 0 && ok;
	return ok && rename(part, path) == 0;
}

static bool
fetch_from(const struct config *config, struct arena *arena,
    const struct keyset *set, const char *url)
{
	CLEANUP(fetch_response_free) struct fetch_response response = { 0 };
	struct log log;

	fetch(
	    &(const struct fetch_request){
		.method = "GET",
		.url = url,
		.allow_private =
		    config_number(config, CONFIG_ALLOW_PRIVATE_UPSTREAMS) == 1,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.timeout_ms = TIMEOUT_MS,
		.response_bytes_max = set->bytes_max,
		.sink_fd = -1,
	    },
	    &response);
	if (response.phase == FETCH_ANSWERED && response.status == 200 &&
	    set->is_good(arena, response.body) &&
	    replace_cache(config, set, response.body))
		return true;
	log = log_begin(LOG_WARNING, "keyset");
	log_text(&log, "name", set->name);
	log_int64(&log, "http_status", response.status);
	log_int64(&log, "curl_code", response.curl_code);
	log_end(&log);
	return false;
}

static void
fetch_keys(const struct config *config, struct arena *arena,
    const struct keyset *set)
{
	struct str rest = str_from(set->urls);

	while (rest.len > 0) {
		char url[FETCH_URL_BYTES_MAX];
		struct str item;

		(void)str_cut(rest, ',', &item, &rest);
		if (str_copy(str_trim(item), url, sizeof(url)) &&
		    fetch_from(config, arena, set, url))
			return;
	}
}

/* The time of the last attempt is that of the lock's file, once written to. */
static void
note_attempt(int lock)
{
	if (pwrite(lock, "\n", 1, 0) != 1)
		log_line(LOG_WARNING, "keyset", "problem",
		    "the attempt cannot be noted");
}

static void
refresh(const struct config *config, struct arena *arena,
    const struct keyset *set, bool has_keys)
{
	CLEANUP(cleanup_fd) int lock = -1;
	const int64_t retry_ms = has_keys ? RETRY_MS : RETRY_WITHOUT_KEYS_MS;
	char path[PATH_BYTES];
	struct stat file;
	int64_t age;

	set_path(config, set, "lock", path);
	if (!lockfile_take(path, TURN_WAIT_MS, &lock) ||
	    fstat(lock, &file) != 0)
		return;
	age = age_ms(&file);
	if (file.st_size > 0 && age >= 0 && age < retry_ms)
		return;
	note_attempt(lock);
	fetch_keys(config, arena, set);
	note_attempt(lock);
}

bool
keyset_get(const struct config *config, struct arena *arena,
    const struct keyset *set, bool is_key_missing, struct buf *key_set,
    bool *ret_is_fresh)
{
	int64_t age = -1;
	bool ok;

	ok = read_cache(config, set, key_set, &age);
	if (!ok || is_key_missing || age < 0 || age > set->age_max_ms) {
		refresh(config, arena, set, ok);
		ok = read_cache(config, set, key_set, &age);
	}
	*ret_is_fresh = ok && age >= 0 && age <= RETRY_MS;
	return ok;
}

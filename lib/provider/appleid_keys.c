/* SPDX-License-Identifier: MIT */
#include "provider/appleid_keys.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "wire/fetch.h"
#include "wire/rs256.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A key that Apple withdraws is refused an hour later at the latest. */
#define AGE_MAX_MS (INT64_C(3600) * 1000)

/* Apple is not asked more often, whatever tokens name ... */
#define RETRY_MS (INT64_C(60) * 1000)
/* ... but without any key nobody can sign in, so then it is. */
#define RETRY_WITHOUT_KEYS_MS INT64_C(2000)

/* Somebody waits for the answer; together at most 5 seconds. */
#define CONNECT_TIMEOUT_MS 3000
#define TIMEOUT_MS 4000
#define TURN_WAIT_MS 4500

#define PATH_BYTES (CONFIG_VALUE_BYTES_MAX + 64)

bool
appleid_is_stand_in(const struct config *config)
{
	return config_is_sandbox(config) &&
	    !config_is_set(config, CONFIG_APPLEID_URL);
}

static void
state_path(const struct config *config, const char *name, char path[PATH_BYTES])
{
	(void)snprintf(path, PATH_BYTES, "%s/%s",
	    config_text(config, CONFIG_STATE_DIR), name);
}

bool
appleid_read_sandbox_key(const struct config *config, struct buf *pem)
{
	char path[PATH_BYTES];

	state_path(config, APPLEID_SANDBOX_KEY, path);
	return config_read_file(path, false, pem);
}

static bool
stand_in_keys(const struct config *config, struct buf *key_set)
{
	CLEANUP(buf_free) struct buf pem = { 0 };
	bool ok;

	buf_init(&pem, RS256_KEY_FILE_BYTES_MAX);
	ok = appleid_read_sandbox_key(config, &pem) &&
	    rs256_write_key_set(buf_str(&pem), APPLEID_SANDBOX_KID, key_set);
	if (pem.len > 0)
		explicit_bzero(pem.ptr, pem.len);
	return ok;
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
read_cache(const struct config *config, struct buf *key_set, bool *ret_is_old)
{
	char path[PATH_BYTES];
	struct stat file;
	int64_t age;

	buf_clear(key_set);
	state_path(config, "run/appleid-jwks.json", path);
	if (stat(path, &file) != 0 || !config_read_file(path, false, key_set))
		return false;
	age = age_ms(&file);
	*ret_is_old = age < 0 || age > AGE_MAX_MS;
	return true;
}

/* A reader sees the old set or the new one, never a part. */
static bool
replace_cache(const struct config *config, struct str key_set)
{
	char path[PATH_BYTES], part[PATH_BYTES];
	FILE *file;
	bool ok;

	state_path(config, "run/appleid-jwks.json", path);
	state_path(config, "run/appleid-jwks.part", part);
	file = fopen(part, "we");
	if (file == NULL)
		return false;
	ok = fwrite(key_set.ptr, 1, key_set.len, file) == key_set.len;
	ok = fclose(file) == 0 && ok;
	return ok && rename(part, path) == 0;
}

static void
fetch_keys(const struct config *config, struct arena *arena)
{
	CLEANUP(fetch_response_free) struct fetch_response response = { 0 };
	const char *base = config_is_set(config, CONFIG_APPLEID_URL) ?
	    config_text(config, CONFIG_APPLEID_URL) :
	    APPLEID_URL;
	char url[FETCH_URL_BYTES_MAX];
	const int n = snprintf(url, sizeof(url), "%s/auth/keys", base);
	struct log log;

	if (n < 0 || (size_t)n >= sizeof(url))
		return;
	fetch(
	    &(const struct fetch_request){
		.method = "GET",
		.url = url,
		.allow_private =
		    config_number(config, CONFIG_ALLOW_PRIVATE_UPSTREAMS) == 1,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.timeout_ms = TIMEOUT_MS,
		.response_bytes_max = RS256_KEY_SET_BYTES_MAX,
		.sink_fd = -1,
	    },
	    &response);
	if (response.phase == FETCH_ANSWERED && response.status == 200 &&
	    rs256_has_keys(arena, response.body) &&
	    replace_cache(config, response.body))
		return;
	log = log_begin(LOG_WARNING, "appleid_keys");
	log_int64(&log, "http_status", response.status);
	log_int64(&log, "curl_code", response.curl_code);
	log_end(&log);
}

/* The time of the last attempt is that of the lock's file, once written to. */
static void
note_attempt(int lock)
{
	if (pwrite(lock, "\n", 1, 0) != 1)
		log_line(LOG_WARNING, "appleid_keys", "problem",
		    "the attempt cannot be noted");
}

static void
refresh(const struct config *config, struct arena *arena, bool has_keys)
{
	CLEANUP(cleanup_fd) int lock = -1;
	const int64_t retry_ms = has_keys ? RETRY_MS : RETRY_WITHOUT_KEYS_MS;
	char path[PATH_BYTES];
	struct stat file;
	int64_t age;

	state_path(config, "run/appleid-jwks.lock", path);
	if (!lockfile_take(path, TURN_WAIT_MS, &lock) ||
	    fstat(lock, &file) != 0)
		return;
	age = age_ms(&file);
	if (file.st_size > 0 && age >= 0 && age < retry_ms)
		return;
	note_attempt(lock);
	fetch_keys(config, arena);
	note_attempt(lock);
}

bool
appleid_keys(const struct config *config, struct arena *arena,
    bool is_key_missing, struct buf *key_set)
{
	bool is_old = false;
	bool ok;

	if (appleid_is_stand_in(config))
		return !is_key_missing && stand_in_keys(config, key_set);
	ok = read_cache(config, key_set, &is_old);
	if (ok && !is_old && !is_key_missing)
		return true;
	refresh(config, arena, ok);
	return read_cache(config, key_set, &is_old);
}

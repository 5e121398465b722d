/* SPDX-License-Identifier: MIT */
#include "provider/sandbox_server.h"

#include "provider/sandbox.h"
#include "provider/sandbox_file.h"
#include "wire/json.h"
#include "wire/json_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUESTS "requests"
#define QUEUED_MS 300
#define RUN_MS 1000

/* A request file is about 200 bytes. */
#define REQUEST_BYTES_MAX ((size_t)4096)

#define REQUEST_NAME_BYTES (UUID_TEXT_BYTES + 5)

/* Requests of yesterday are forgotten, now and then. */
#define PURGE_AFTER_S (24 * 60 * 60)

static void
request_name(const struct uuid *id, char name[REQUEST_NAME_BYTES])
{
	char text[UUID_TEXT_BYTES];

	uuid_format(id, text);
	(void)snprintf(name, REQUEST_NAME_BYTES, "%s.json", text);
}

static bool
store(const struct config *config, const struct sandbox_request *request)
{
	char name[REQUEST_NAME_BYTES];
	struct json_writer w;
	struct buf content;
	bool ok;

	buf_init(&content, REQUEST_BYTES_MAX);
	w = json_writer(&content);
	json_begin_object(&w, NULL);
	json_int64(&w, "submitted_at_ms", request->submitted_at_ms);
	json_int64(&w, "run_ms", request->run_ms);
	json_str(&w, "failure", request->failure);
	json_int64(&w, "silent_until_ms", request->silent_until_ms);
	json_int64(&w, "hue", request->video.hue);
	json_int64(&w, "seconds", request->video.seconds);
	json_int64(&w, "width", request->video.width);
	json_int64(&w, "height", request->video.height);
	json_end_object(&w);
	request_name(&request->id, name);
	ok = !content.failed &&
	    sandbox_file_replace(config, REQUESTS, name, buf_str(&content));
	buf_free(&content);
	return ok;
}

enum err
sandbox_lookup(const struct config *config, struct arena *arena,
    const struct uuid *id, struct sandbox_request *ret_request)
{
#define FIELD(name, type, member) \
	{ \
		name, type, offsetof(struct sandbox_request, member), 0, \
		    JSON_REQUIRED \
	}
	static const struct json_field fields[] = {
		FIELD("submitted_at_ms", JSON_INT64, submitted_at_ms),
		FIELD("run_ms", JSON_INT64, run_ms),
		FIELD("failure", JSON_STR, failure),
		FIELD("silent_until_ms", JSON_INT64, silent_until_ms),
		FIELD("hue", JSON_INT64, video.hue),
		FIELD("seconds", JSON_INT64, video.seconds),
		FIELD("width", JSON_INT64, video.width),
		FIELD("height", JSON_INT64, video.height),
	};
#undef FIELD
	struct sandbox_request request = { .id = *id };
	char name[REQUEST_NAME_BYTES];
	char path[SANDBOX_PATH_BYTES];
	struct str bad_field;
	struct buf content;
	bool ok;

	buf_init(&content, REQUEST_BYTES_MAX);
	request_name(id, name);
	sandbox_path(config, REQUESTS, name, path);
	ok = config_read_file(path, false, &content) &&
	    json_read(json_parse(arena, buf_str(&content)), fields,
		sizeof(fields) / sizeof(fields[0]), JSON_IGNORE_UNKNOWN,
		&request, &bad_field);
	buf_free(&content);
	if (!ok)
		return ERR_NOT_FOUND;
	*ret_request = request;
	return OK;
}

static bool
contains(struct str text, struct str part)
{
	return text.len > 0 &&
	    memmem(text.ptr, text.len, part.ptr, part.len) != NULL;
}

/* What [slow:SECONDS] adds. */
static int64_t
slow_ms(struct str prompt)
{
	const struct str tag = STR("[slow:");
	struct str rest, digits;
	const char *at;
	int64_t seconds;

	if (!contains(prompt, tag))
		return 0;
	at = memmem(prompt.ptr, prompt.len, tag.ptr, tag.len);
	rest.ptr = at + tag.len;
	rest.len = prompt.len - (size_t)(rest.ptr - prompt.ptr);
	if (!str_cut(rest, ']', &digits, &rest) ||
	    !str_to_int64(digits, 0, SANDBOX_SLOW_S_MAX, &seconds))
		return 0;
	return seconds * 1000;
}

static struct str
failure_of(struct str prompt)
{
	if (contains(prompt, STR("[fail:content]")))
		return str_from(provider_code_name(PROVIDER_CODE_CONTENT));
	if (contains(prompt, STR("[fail:provider]")))
		return str_from(provider_code_name(PROVIDER_CODE_PROVIDER));
	return STR("");
}

static void
purge(const struct config *config, int64_t now_ms)
{
	char path[SANDBOX_PATH_BYTES];
	struct dirent *entry;
	struct stat info;
	DIR *folder;

	sandbox_path(config, REQUESTS, "", path);
	folder = opendir(path);
	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL)
		if (fstatat(dirfd(folder), entry->d_name, &info,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(info.st_mode) &&
		    info.st_mtime < now_ms / 1000 - PURGE_AFTER_S)
			(void)unlinkat(dirfd(folder), entry->d_name, 0);
	(void)closedir(folder);
}

enum err
sandbox_submit(const struct config *config, const struct sandbox_order *order,
    int64_t now_ms)
{
	const struct sandbox_request request = {
		.id = order->attempt_id,
		.submitted_at_ms = now_ms,
		.run_ms = RUN_MS + slow_ms(order->prompt),
		.failure = failure_of(order->prompt),
		.video = sandbox_video_choose(order->prompt,
		    order->aspect_ratio, order->resolution, order->duration_s),
	};
	char line[UUID_TEXT_BYTES + 32];
	char id[UUID_TEXT_BYTES];
	int n;

	if (!store(config, &request))
		return ERR_SERVICE_UNAVAILABLE;
	uuid_format(&order->attempt_id, id);
	n = snprintf(line, sizeof(line), "%s %lld\n", id, (long long)now_ms);
	if (!sandbox_file_append(config, "submissions.log",
		(struct str){ line, (size_t)n }))
		return ERR_INTERNAL;
	/* One random byte of the id: about every 256th submission. */
	if (order->attempt_id.bytes[UUID_BYTES - 1] == 0)
		purge(config, now_ms);
	return OK;
}

enum provider_state
sandbox_state(const struct sandbox_request *request, int64_t now_ms)
{
	const int64_t age_ms = now_ms - request->submitted_at_ms;

	if (str_equal(request->failure,
		str_from(provider_code_name(PROVIDER_CODE_CANCELED))))
		return PROVIDER_FAILED;
	if (age_ms < QUEUED_MS)
		return PROVIDER_QUEUED;
	if (age_ms < QUEUED_MS + request->run_ms)
		return PROVIDER_RUNNING;
	return request->failure.len > 0 ? PROVIDER_FAILED : PROVIDER_DONE;
}

enum err
sandbox_cancel(const struct config *config, struct sandbox_request *request,
    int64_t now_ms)
{
	if (sandbox_state(request, now_ms) != PROVIDER_QUEUED)
		return ERR_JOB_NOT_CANCELABLE;
	request->failure = str_from(provider_code_name(PROVIDER_CODE_CANCELED));
	return store(config, request) ? OK : ERR_SERVICE_UNAVAILABLE;
}

enum err
sandbox_fail(const struct config *config, struct sandbox_request *request,
    int64_t now_ms)
{
	const enum provider_state state = sandbox_state(request, now_ms);
	const int64_t ran_ms = now_ms - request->submitted_at_ms - QUEUED_MS;

	if (state != PROVIDER_QUEUED && state != PROVIDER_RUNNING)
		return ERR_CONFLICT;
	request->failure = str_from(provider_code_name(PROVIDER_CODE_PROVIDER));
	request->run_ms = ran_ms > 0 ? ran_ms : 0;
	return store(config, request) ? OK : ERR_SERVICE_UNAVAILABLE;
}

enum err
sandbox_silence(const struct config *config, struct sandbox_request *request,
    int64_t until_ms)
{
	request->silent_until_ms = until_ms;
	return store(config, request) ? OK : ERR_SERVICE_UNAVAILABLE;
}

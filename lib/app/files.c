/* SPDX-License-Identifier: MIT */
#include "app/files.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "store/objects.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void
app_send_media(struct response *res, const struct media *media)
{
	char path[OBJECT_PATH_BYTES];
	int n;

	objects_relative_path(media->bucket, &media->id, path);
	n = snprintf(res->accel_path, sizeof(res->accel_path), "/_media/%s",
	    path);
	assert(n < (int)sizeof(res->accel_path));
	res->content_type = media->content_type;
	res->cache_control = "private, max-age=3600";
}

void
app_attach(struct response *res, struct str name)
{
	CLEANUP(buf_free) struct buf encoded = { 0 };
	CLEANUP(buf_free) struct buf value = { 0 };

	buf_init(&value, sizeof(res->disposition) - 1);
	buf_init(&encoded, sizeof(res->disposition));
	buf_append(&value, STR("attachment"));
	/* Escaped, no byte of a name can leave the place where it stands. */
	http_percent_encode(name, &encoded);
	/* Not every client knows the second form. */
	if (name.len > 0 && encoded.len == name.len)
		buf_appendf(&value, "; filename=\"%s\"", encoded.ptr);
	else if (name.len > 0)
		buf_appendf(&value, "; filename*=UTF-8''%s", encoded.ptr);
	if (encoded.failed || value.failed) {
		buf_clear(&value);
		buf_append(&value, STR("attachment"));
	}
	(void)str_copy(buf_str(&value), res->disposition,
	    sizeof(res->disposition));
}

void
app_send_object(const struct request *req, struct response *res,
    const struct media *media)
{
	struct str file;

	app_send_media(res, media);
	if (http_query_get(&req->query, "download", &file))
		app_attach(res, file);
}

enum err
files_find_own(struct app *app, const struct request *req,
    const struct object_path *path, struct media *ret_media)
{
	enum err err;

	err = media_find(app->db, path->bucket, path->name, ret_media);
	if (err == OK && !uuid_equal(&ret_media->user_id, &req->user_id))
		err = ERR_NOT_FOUND;
	return err;
}

/* An object never changes; what replaces it has another id. */
void
files_etag(const struct media *media, char etag[FILES_ETAG_BYTES])
{
	char id[UUID_TEXT_BYTES];

	uuid_format(&media->id, id);
	(void)snprintf(etag, FILES_ETAG_BYTES, "\"%s\"", id);
}

void
files_write_object(struct json_writer *w, const char *name,
    const struct media *media)
{
	char etag[FILES_ETAG_BYTES];

	files_etag(media, etag);
	json_text(w, "name", name);
	json_uuid(w, "id", &media->id);
	json_time(w, "updated_at", media->created_at_ms);
	json_time(w, "created_at", media->created_at_ms);
	json_time(w, "last_accessed_at", media->created_at_ms);
	json_begin_object(w, "metadata");
	json_int64(w, "size", media->size_bytes);
	json_text(w, "mimetype", media->content_type);
	json_text(w, "eTag", etag);
	json_text(w, "cacheControl", "max-age=3600");
	json_time(w, "lastModified", media->created_at_ms);
	json_int64(w, "contentLength", media->size_bytes);
	json_int64(w, "httpStatusCode", 200);
	json_end_object(w);
}

/* The file goes with its descriptor, whatever becomes of this process. */
static int
open_spool(const struct app *app)
{
	char path[CONFIG_VALUE_BYTES_MAX + 8];

	(void)snprintf(path, sizeof(path), "%s/tmp",
	    config_text(&app->config, CONFIG_STATE_DIR));
	return open(path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
}

static bool
append_to_file(int fd, struct str bytes)
{
	while (bytes.len > 0) {
		const ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes.ptr += n;
		bytes.len -= (size_t)n;
	}
	return true;
}

bool
app_spool(const struct app *app, struct response *res, size_t bytes_max)
{
	const struct str part = buf_str(&res->body);

	if (res->spool_fd < 0)
		res->spool_fd = open_spool(app);
	if (res->body.failed || part.len > bytes_max - res->spool_bytes ||
	    res->spool_fd < 0 || !append_to_file(res->spool_fd, part)) {
		log_line(LOG_ERROR, "spool", "problem",
		    "a large answer does not fit");
		return false;
	}
	res->spool_bytes += part.len;
	buf_clear(&res->body);
	return true;
}

/* SPDX-License-Identifier: MIT */
#include "app/files.h"
#include "base/cleanup.h"
#include "store/objects.h"

#include <assert.h>

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
	CLEANUP(buf_free) struct buf encoded;
	CLEANUP(buf_free) struct buf value;

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
	if (err == ERR_NOT_FOUND && !paths_is_own(req, path->name))
		err = ERR_FORBIDDEN;
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

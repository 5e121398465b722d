/* SPDX-License-Identifier: MIT */
/*
 * /storage/v1/object/…, as far as no other endpoint has a longer path:
 *
 * GET, HEAD [authenticated/]BUCKET/NAME[?download[=FILE]] -- the bytes of an
 * object, for its user;
 * GET, HEAD info/BUCKET/NAME -- what is known of it.
 *
 *   200, 206, 304, 416     by the router, from the file
 *   200 {"id","name","bucket_id","size","content_type","etag",
 *        "created_at","last_modified"}
 *   400 InvalidKey         the path is not one that an object can have
 *   403 AccessDenied       no valid bearer token, or something that only we
 *                          write
 *   404 NoSuchBucket
 *   404 NoSuchKey          there is none, or it is somebody else's
 *
 * POST, PUT and DELETE end here when their bucket takes none.
 */

#include "app/app.h"
#include "app/files.h"
#include "app/paths.h"

/* What a bucket that is not there is sent must be taken to be refused. */
#define IGNORED_BYTES_MAX ((size_t)11 * 1024 * 1024)

static bool
skip_door(struct str *tail, struct str door)
{
	if (!str_starts_with(*tail, door))
		return false;
	tail->ptr += door.len;
	tail->len -= door.len;
	return true;
}

static void
write_info(struct response *res, const struct media *media)
{
	struct json_writer *w = &res->json;
	char etag[FILES_ETAG_BYTES];

	files_etag(media, etag);
	json_begin_object(w, NULL);
	json_uuid(w, "id", &media->id);
	json_text(w, "name", media->name);
	json_text(w, "bucket_id", media->bucket);
	json_int64(w, "size", media->size_bytes);
	json_text(w, "content_type", media->content_type);
	json_text(w, "cache_control", "max-age=3600");
	json_text(w, "etag", etag);
	json_begin_object(w, "metadata");
	json_end_object(w);
	json_time(w, "created_at", media->created_at_ms);
	json_time(w, "last_modified", media->created_at_ms);
	json_end_object(w);
}

static enum err
object(struct app *app, const struct request *req, struct response *res)
{
	struct media *media = arena_alloc(req->arena, sizeof(*media));
	struct request inner = *req;
	struct object_path path;
	bool is_info;
	enum err err;

	is_info = skip_door(&inner.tail, STR("info/"));
	if (is_info || skip_door(&inner.tail, STR("authenticated/")))
		(void)skip_door(&inner.tail, STR("authenticated/"));
	if (!paths_read(&inner, &path))
		return ERR_INVALID_REQUEST;
	if (!paths_is_bucket(path.bucket))
		return paths_refuse_bucket(app, req, res);
	if ((req->method & (HTTP_GET | HTTP_HEAD)) == 0)
		return ERR_FORBIDDEN;
	err = files_find_own(app, req, &path, media);
	if (err != OK)
		return err;
	if (is_info)
		write_info(res, media);
	else
		app_send_object(req, res, media);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "object",
		.path = "/storage/v1/object/",
		.methods =
		    HTTP_GET | HTTP_HEAD | HTTP_POST | HTTP_PUT | HTTP_DELETE,
		.auth = AUTH_USER,
		.dialect = DIALECT_STORAGE,
		.body_bytes_max = IGNORED_BYTES_MAX,
		.sends_files = true,
		.is_read_only = true,
		.handle = object,
	};

	return app_serve(&endpoint, argc, argv);
}

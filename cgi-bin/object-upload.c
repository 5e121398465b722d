/* SPDX-License-Identifier: MIT */
/*
 * POST, PUT /storage/v1/object/thumbnails/USER/…/FILE -- keeps a picture;
 * GET, HEAD -- gives it back to its user.
 *
 * The body is the picture itself, or multipart/form-data in which it is the
 * one part with a file name.  PUT, and POST with "x-upsert: true", replace
 * what has the name already.
 *
 *   200 {"Id":UUID,"Key":"thumbnails/USER/…/FILE"}
 *   400 InvalidKey         no such name is allowed
 *   400 InvalidRequest     a form that has no file, or two
 *   403 AccessDenied       no valid bearer token; keeping something in another
 *                          user's folder
 *   404 NoSuchKey          there is none, or it is somebody else's
 *   409 ResourceAlreadyExists
 *   413 EntityTooLarge     more than 10 MiB or 50 megapixels
 *   415 InvalidMimeType    not a JPEG, PNG or WebP picture, whatever it says
 *   429 QuotaExceeded      the user keeps as many as there may be
 *   429 rate_limited       so many were sent within an hour
 *   503 service_unavailable      the disk is full, or nearly
 *
 * Where, when and with what the picture was taken is not kept.
 */

#include "app/app.h"
#include "app/files.h"
#include "app/paths.h"
#include "app/pictures.h"
#include "app/rates.h"
#include "wire/multipart.h"

/* A form's other parts and all their headers. */
#define FORM_BYTES_MAX ((size_t)64 * 1024)

/* The one file of a form; false when there is none, or not just one. */
static bool
read_form(const struct request *req, struct str *ret_file)
{
	struct multipart_part part;
	struct multipart form;
	enum multipart_step step;
	int files_count = 0;

	if (!multipart_begin(&form, req->content_type, req->body))
		return false;
	while ((step = multipart_next(&form, &part)) == MULTIPART_PART) {
		if (!part.has_filename)
			continue;
		files_count++;
		*ret_file = part.body;
	}
	return step == MULTIPART_END && files_count == 1;
}

static enum err
answer_stored(const struct uuid *id, struct str name, struct response *res)
{
	struct buf key;

	buf_init(&key, MEDIA_NAME_BYTES + 16);
	buf_append(&key, STR("thumbnails/"));
	buf_append(&key, name);
	json_begin_object(&res->json, NULL);
	json_uuid(&res->json, "Id", id);
	json_str(&res->json, "Key", buf_str(&key));
	json_end_object(&res->json);
	buf_free(&key);
	return OK;
}

static enum err
upload(struct app *app, const struct request *req, struct response *res,
    struct str name)
{
	struct picture *picture = arena_alloc(req->arena, sizeof(*picture));
	struct str file = req->body;
	struct uuid id;
	enum err err;

	if (!paths_is_own(req, name))
		return ERR_FORBIDDEN;
	if (!paths_is_key(name))
		return ERR_INVALID_REQUEST;
	if (http_content_type_is(req->content_type,
		STR("multipart/form-data")) &&
	    !read_form(req, &file))
		return app_error(app, req, res, 400, "InvalidRequest",
		    "The form must have one file");
	if (file.len > PICTURES_BYTES_MAX)
		return ERR_PAYLOAD_TOO_LARGE;
	/* Before it is read and written anew: that is what takes time. */
	err = rates_use(app, req, res, LIMIT_UPLOAD);
	if (err != OK)
		return err;
	switch (picture_read(file, picture)) {
	case PICTURE_OK:
		break;
	case PICTURE_UNKNOWN:
		return ERR_UNSUPPORTED_MEDIA_TYPE;
	case PICTURE_TOO_LARGE:
		return ERR_PAYLOAD_TOO_LARGE;
	}
	err = pictures_store(app, req, picture, name,
	    req->method == HTTP_PUT || str_equal(req->upsert, STR("true")),
	    &id);
	if (err == ERR_CONFLICT)
		return app_error(app, req, res, 409, "ResourceAlreadyExists",
		    "The resource already exists");
	if (err == ERR_RATE_LIMITED)
		return app_error(app, req, res, 429, "QuotaExceeded",
		    "Too many pictures are kept, remove some first");
	return err != OK ? err : answer_stored(&id, name, res);
}

static enum err
object_upload(struct app *app, const struct request *req, struct response *res)
{
	static const char bucket[] = "thumbnails/";
	struct request whole = *req;
	struct object_path path;
	struct media *media;
	enum err err;

	/* The bucket stands in our own path; read it with the rest. */
	whole.tail.ptr -= sizeof(bucket) - 1;
	whole.tail.len += sizeof(bucket) - 1;
	if (!paths_read(&whole, &path))
		return ERR_INVALID_REQUEST;
	if (req->method == HTTP_POST || req->method == HTTP_PUT)
		return upload(app, req, res, path.name);

	media = arena_alloc(req->arena, sizeof(*media));
	err = files_find_own(app, req, &path, media);
	if (err != OK)
		return err;
	app_send_object(req, res, media);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "object-upload",
		.path = "/storage/v1/object/thumbnails/",
		.methods = HTTP_GET | HTTP_HEAD | HTTP_POST | HTTP_PUT,
		.auth = AUTH_USER,
		.dialect = DIALECT_STORAGE,
		.body = BODY_RAW,
		.body_bytes_max = PICTURES_BYTES_MAX + FORM_BYTES_MAX,
		.sends_files = true,
		.handle = object_upload,
	};

	return app_serve(&endpoint, argc, argv);
}

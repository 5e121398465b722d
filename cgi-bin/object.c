/* SPDX-License-Identifier: MIT */
/*
 * GET, HEAD /storage/v1/object/sign/BUCKET/NAME?token=…[&download[=FILE]] --
 * the bytes of an object, for whoever holds a link that we signed.
 *
 *   200, 206, 304, 416     by the router, from the file
 *   400 InvalidKey         the path is not one that an object can have
 *   400 InvalidJWT         no token, or not the text of one
 *   400 InvalidSignature   the token is for another object, or forged
 *   400 ExpiredToken
 *   404 NoSuchBucket
 *   404 NoSuchKey
 *
 * Whether an object is there is told only to those who have a link to it.
 */

#include "app/app.h"
#include "app/files.h"
#include "app/links.h"

/* Each segment a plain name, so that a path means one object, everywhere. */
static bool
is_plain_path(struct str path)
{
	struct str segment;
	bool more;

	if (path.len > 0 && memchr(path.ptr, '\\', path.len) != NULL)
		return false;
	do {
		more = str_cut(path, '/', &segment, &path);
		if (segment.len == 0 || str_equal(segment, STR(".")) ||
		    str_equal(segment, STR("..")))
			return false;
	} while (more);
	return true;
}

static bool
is_bucket(struct str name)
{
	return str_equal(name, STR("thumbnails")) ||
	    str_equal(name, STR("videos"));
}

static enum err
send_signed(struct app *app, const struct request *req, struct response *res,
    struct str bucket, struct str name)
{
	struct media *media = arena_alloc(req->arena, sizeof(*media));
	struct str token, file;
	enum err err;

	if (!http_query_get(&req->query, "token", &token))
		token = STR("");
	switch (links_check(&app->keys, bucket, name, token, req->now_ms)) {
	case LINK_OK:
		break;
	case LINK_EXPIRED:
		return app_error(app, req, res, 400, "ExpiredToken",
		    "The link has expired");
	case LINK_MALFORMED:
		return app_error(app, req, res, 400, "InvalidJWT",
		    "The link has no valid token");
	case LINK_FORGED:
		return app_error(app, req, res, 400, "InvalidSignature",
		    "The link is for another object");
	}
	err = media_find(app->db, bucket, name, media);
	if (err != OK)
		return err;

	app_send_media(res, media);
	if (http_query_get(&req->query, "download", &file))
		app_attach(res, file);
	return OK;
}

static enum err
object(struct app *app, const struct request *req, struct response *res)
{
	struct str path, door, bucket, name;

	if (!http_percent_decode(req->arena, req->tail, false, &path) ||
	    !is_plain_path(path))
		return ERR_INVALID_REQUEST;
	(void)str_cut(path, '/', &door, &path);
	if (!str_equal(door, STR("sign")))
		return ERR_NOT_FOUND;
	(void)str_cut(path, '/', &bucket, &name);
	if (!is_bucket(bucket))
		return app_error(app, req, res, 404, "NoSuchBucket",
		    "Bucket not found");
	return send_signed(app, req, res, bucket, name);
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "object",
		.path = "/storage/v1/object/",
		.methods = HTTP_GET | HTTP_HEAD,
		.auth = AUTH_NONE,
		.dialect = DIALECT_STORAGE,
		.sends_files = true,
		.is_read_only = true,
		.handle = object,
	};

	return app_serve(&endpoint, argc, argv);
}

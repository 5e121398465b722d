/* SPDX-License-Identifier: MIT */
/*
 * POST /storage/v1/object/sign/BUCKET/NAME {"expiresIn":60} -- a link for one
 * of the user's own objects;
 * POST /storage/v1/object/sign/BUCKET {"expiresIn":60,"paths":[…]} -- several;
 * GET, HEAD /storage/v1/object/sign/BUCKET/NAME?token=…[&download[=FILE]] --
 * the bytes of an object, for whoever holds a link that we signed.
 *
 *   200 {"signedURL":"/object/sign/BUCKET/NAME?token=…"}
 *   200 [{"error":null,"path":NAME,"signedURL":…},…]; for an object that is
 *       not there or not the user's, error tells so and signedURL is ""
 *   200, 206, 304, 416     by the router, from the file
 *   400 InvalidKey         the path is not one that an object can have
 *   400 InvalidRequest     expiresIn is not 1 to 604800, or too many paths
 *   400 InvalidJWT         no token, or not the text of one
 *   400 InvalidSignature   the token is for another object, or forged
 *   400 ExpiredToken
 *   403 AccessDenied       POST without a valid bearer token
 *   404 NoSuchBucket
 *   404 NoSuchKey
 *
 * Whether an object is there is told only to those who have a link to it.
 */

#include "app/app.h"
#include "app/files.h"
#include "app/links.h"
#include "app/paths.h"

#define LIFE_S_MAX (7 * 24 * 3600)
#define PATHS_MAX 100

struct body {
	int64_t life_s;
	const struct json *paths;
};

static enum err
refuse_body(const struct app *app, const struct request *req,
    struct response *res)
{
	return app_error(app, req, res, 400, "InvalidRequest",
	    "expiresIn must be 1 to 604800, and paths an array of up to 100");
}

static bool
read_body(const struct request *req, struct body *body)
{
	static const struct json_field fields[] = {
		{ "expiresIn", JSON_INT64, offsetof(struct body, life_s), 0,
		    JSON_REQUIRED },
		{ "paths", JSON_ANY, offsetof(struct body, paths), 0, 0 },
	};
	struct str bad_field;

	return json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		   JSON_IGNORE_UNKNOWN, body, &bad_field) &&
	    body->life_s >= 1 && body->life_s <= LIFE_S_MAX;
}

/* A link to this object; false when it is not the user's, or not there. */
static enum err
write_link(struct app *app, const struct request *req,
    const struct object_path *path, const struct body *body, struct buf *out)
{
	struct media *media = arena_alloc(req->arena, sizeof(*media));
	enum err err;

	err = files_find_own(app, req, path, media);
	if (err == OK)
		links_write_path(&app->keys, path->bucket, path->name,
		    req->now_ms + body->life_s * 1000, out);
	return err;
}

static enum err
sign_one(struct app *app, const struct request *req, struct response *res,
    const struct object_path *path, const struct body *body)
{
	struct buf link;
	enum err err;

	buf_init(&link, LINK_PATH_BYTES_MAX);
	err = write_link(app, req, path, body, &link);
	if (err == OK) {
		json_begin_object(&res->json, NULL);
		json_str(&res->json, "signedURL", buf_str(&link));
		json_end_object(&res->json);
	}
	buf_free(&link);
	return err;
}

static enum err
sign_each(struct app *app, const struct request *req, struct response *res,
    const struct object_path *bucket, const struct body *body)
{
	struct json_writer *w = &res->json;
	struct buf link;
	int count = 0;
	enum err err = OK;

	buf_init(&link, LINK_PATH_BYTES_MAX);
	json_begin_array(w, NULL);
	for (const struct json *at = json_first(body->paths); at != NULL;
	     at = json_next(at)) {
		struct object_path path = *bucket;
		struct str name;

		buf_clear(&link);
		if (!json_to_str(at, &name) || count++ == PATHS_MAX) {
			err = refuse_body(app, req, res);
			break;
		}
		err = paths_read_name(req->arena, name, &path.name) ?
		    write_link(app, req, &path, body, &link) :
		    ERR_NOT_FOUND;
		if (err != OK && err != ERR_NOT_FOUND)
			break;
		json_begin_object(w, NULL);
		json_text(w, "error",
		    err == OK ? NULL :
				"Either the object does not exist or you do "
				"not have access to it");
		json_str(w, "path", name);
		json_str(w, "signedURL", buf_str(&link));
		json_end_object(w);
		err = OK;
	}
	buf_free(&link);
	if (err == OK && res->status == 200)
		json_end_array(w);
	return err;
}

static enum err
send_signed(struct app *app, const struct request *req, struct response *res,
    const struct object_path *path)
{
	struct media *media = arena_alloc(req->arena, sizeof(*media));
	struct uuid id;
	struct str token;
	enum err err;

	if (!http_query_get(&req->query, "token", &token))
		token = STR("");
	switch (links_check(&app->keys, path->bucket, path->name, token,
	    req->now_ms)) {
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
	/* A link for a provider names the very object. */
	err = uuid_parse(path->name, &id) ?
	    media_find_by_id(app->db, &id, media) :
	    media_find(app->db, path->bucket, path->name, media);
	if (err != OK)
		return err;
	app_send_object(req, res, media);
	return OK;
}

static enum err
object_sign(struct app *app, const struct request *req, struct response *res)
{
	struct object_path path;
	struct body body = { 0 };

	if (!paths_read(req, &path))
		return ERR_INVALID_REQUEST;
	if (!paths_is_bucket(path.bucket))
		return paths_refuse_bucket(app, req, res);
	if (req->method != HTTP_POST)
		return send_signed(app, req, res, &path);
	if (!read_body(req, &body) ||
	    (path.name.len == 0) != json_is_array(body.paths))
		return refuse_body(app, req, res);
	return path.name.len == 0 ? sign_each(app, req, res, &path, &body) :
				    sign_one(app, req, res, &path, &body);
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "object-sign",
		.path = "/storage/v1/object/sign/",
		.methods = HTTP_GET | HTTP_HEAD | HTTP_POST,
		.auth = AUTH_USER,
		.open_methods = HTTP_GET | HTTP_HEAD,
		.dialect = DIALECT_STORAGE,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.sends_files = true,
		.is_read_only = true,
		.handle = object_sign,
	};

	return app_serve(&endpoint, argc, argv);
}

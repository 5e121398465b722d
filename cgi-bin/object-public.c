/* SPDX-License-Identifier: MIT */
/*
 * GET, HEAD /storage/v1/object/public/thumbnails/USER/…/FILE[?download[=FILE]]
 * -- the bytes of an uploaded picture, for whoever knows its name.
 *
 *   200, 206, 304, 416     by the router, from the file
 *   400 InvalidKey         the path is not one that an object can have
 *   404 NoSuchBucket       also for videos, which are nobody else's business
 *   404 NoSuchKey
 *
 * The app builds these URLs itself and shows them without headers.
 */

#include "app/app.h"
#include "app/files.h"
#include "app/paths.h"

static enum err
object_public(struct app *app, const struct request *req, struct response *res)
{
	struct media *media = arena_alloc(req->arena, sizeof(*media));
	struct object_path path;
	enum err err;

	if (!paths_read(req, &path))
		return ERR_INVALID_REQUEST;
	if (!str_equal(path.bucket, STR("thumbnails")))
		return paths_refuse_bucket(app, req, res);
	err = media_find(app->db, path.bucket, path.name, media);
	if (err != OK)
		return err;
	/* The frame of a video is as private as the video. */
	if (media->is_of_job)
		return ERR_NOT_FOUND;
	app_send_object(req, res, media);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "object-public",
		.path = "/storage/v1/object/public/",
		.methods = HTTP_GET | HTTP_HEAD,
		.auth = AUTH_NONE,
		.dialect = DIALECT_STORAGE,
		.sends_files = true,
		.is_read_only = true,
		.handle = object_public,
	};

	return app_serve(&endpoint, argc, argv);
}

/* SPDX-License-Identifier: MIT */
/*
 * DELETE /storage/v1/object/thumbnails {"prefixes":["USER/…/FILE",…]} --
 * removes pictures of the user.  (They are whole names, whatever the member
 * is called.)
 *
 *   200 [{"name","id","bucket_id","created_at",…},…]   what was removed; names
 *       that are not there, or not the user's, are left out
 *   400 InvalidRequest     prefixes is not an array of up to 256 names
 *   403 AccessDenied       no valid bearer token
 */

#include "app/app.h"
#include "app/files.h"
#include "app/paths.h"
#include "domain/uploads.h"

static enum err
object_remove(struct app *app, const struct request *req, struct response *res)
{
	struct media *removed =
	    arena_alloc(req->arena, UPLOADS_REMOVED_MAX * sizeof(*removed));
	struct str names[UPLOADS_REMOVED_MAX];
	const struct json *list = json_member(req->json, "prefixes");
	size_t count = 0, removed_count;
	struct str name;
	enum err err;

	for (const struct json *at = json_first(list); at != NULL;
	     at = json_next(at)) {
		if (count == UPLOADS_REMOVED_MAX || !json_to_str(at, &name)) {
			list = NULL;
			break;
		}
		if (paths_read_name(req->arena, name, &name))
			names[count++] = name;
	}
	if (!json_is_array(list))
		return app_error(app, req, res, 400, "InvalidRequest",
		    "prefixes must be an array of up to 256 names");
	err = uploads_remove(app->db, &req->user_id, names, count, removed,
	    &removed_count);
	if (err != OK)
		return err;

	json_begin_array(&res->json, NULL);
	for (size_t i = 0; i < removed_count; i++) {
		json_begin_object(&res->json, NULL);
		files_write_object(&res->json, removed[i].name, &removed[i]);
		json_text(&res->json, "bucket_id", removed[i].bucket);
		json_end_object(&res->json);
	}
	json_end_array(&res->json);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "object-remove",
		.path = "/storage/v1/object/thumbnails",
		.methods = HTTP_DELETE,
		.auth = AUTH_USER,
		.dialect = DIALECT_STORAGE,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = object_remove,
	};

	return app_serve(&endpoint, argc, argv);
}

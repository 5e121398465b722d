/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/get-themes -- ready-made ideas for a video.
 *
 *   200 {"themes":[…]}     with an ETag
 *   304                    If-None-Match names the present ETag
 *   401 invalid_api_key
 */

#include "app/app.h"
#include "app/view.h"

static enum err
write_available(void *arg, const struct theme *theme)
{
	if (theme->is_available)
		view_theme(arg, theme, VIEW_THEME);
	return OK;
}

static enum err
get_themes(struct app *app, const struct request *req, struct response *res)
{
	enum err err;

	json_begin_object(&res->json, NULL);
	json_begin_array(&res->json, "themes");
	err = catalog_themes(app->db, write_available, &res->json);
	if (err != OK)
		return err;
	json_end_array(&res->json);
	json_end_object(&res->json);

	res->cache_control = "public, max-age=300";
	app_etag(res);
	if (http_etag_matches(req->if_none_match, str_from(res->etag)))
		res->status = 304;
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "get-themes",
		.path = "/functions/v1/get-themes",
		.methods = HTTP_GET,
		.auth = AUTH_APIKEY,
		.is_read_only = true,
		.handle = get_themes,
	};

	return app_serve(&endpoint, argc, argv);
}

/* SPDX-License-Identifier: MIT */
/*
 * POST /functions/v1/update-user-settings {"language":"tr",
 * "theme_preference":"dark"} -- changes what is given of the two.
 *
 *   200 the User object, as get-user-profile answers it
 *   400 invalid_request    a value that is not en, tr, es or system, light,
 *                          dark, or a member that is none of the two
 *   401 unauthorized       no valid bearer token
 *   403 forbidden          user_id names somebody else
 */

#include "app/app.h"
#include "app/view.h"

struct body {
	struct uuid user_id; /* compared with the token's by now */
	struct str language;
	struct str theme_preference;
	bool has_language;
	bool has_theme_preference;
};

static bool
read_settings(const struct body *body, struct account_settings *settings)
{
	if (body->has_language &&
	    (!accounts_language_ok(body->language) ||
		!str_copy(body->language, settings->language,
		    sizeof(settings->language))))
		return false;
	return !body->has_theme_preference ||
	    (accounts_theme_preference_ok(body->theme_preference) &&
		str_copy(body->theme_preference, settings->theme_preference,
		    sizeof(settings->theme_preference)));
}

static enum err
update_user_settings(struct app *app, const struct request *req,
    struct response *res)
{
	static const struct json_field fields[] = {
		{ "language", JSON_STR, offsetof(struct body, language),
		    offsetof(struct body, has_language), JSON_OPTIONAL },
		{ "theme_preference", JSON_STR,
		    offsetof(struct body, theme_preference),
		    offsetof(struct body, has_theme_preference),
		    JSON_OPTIONAL },
		{ "user_id", JSON_UUID, offsetof(struct body, user_id), 0,
		    JSON_OPTIONAL },
	};
	struct body body = { 0 };
	struct account_settings settings = { 0 };
	struct account account;
	struct str bad_field;
	enum err err;

	if (!json_read(req->json, fields, sizeof(fields) / sizeof(fields[0]),
		JSON_REFUSE_UNKNOWN, &body, &bad_field) ||
	    !read_settings(&body, &settings))
		return ERR_INVALID_REQUEST;
	err = accounts_change_settings(app->db, &req->user_id, &settings,
	    req->now_ms, &account);
	if (err != OK)
		return err;

	view_profile(&res->json, NULL, &account);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "update-user-settings",
		.path = "/functions/v1/update-user-settings",
		.methods = HTTP_POST,
		.auth = AUTH_USER,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = update_user_settings,
	};

	return app_serve(&endpoint, argc, argv);
}

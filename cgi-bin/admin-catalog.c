/* SPDX-License-Identifier: MIT */
/*
 * GET /functions/v1/admin-catalog -- all models with their prices, themes and
 * products, the hidden ones too.
 *
 *   200 {"models":[…],"prices":[…],"themes":[…],"products":[…]}
 *
 * POST {"model_id":ID,"set":{FIELD:VALUE,…}}, or "theme_id" -- changes fields
 * as `rendio model set` and `rendio theme set` do, all of them or none.
 *
 *   200 {"success":true}
 *   400 invalid_request    a member is missing, unknown or not allowed
 *   400 invalid_field      with the field that cannot have its value
 *   401 unauthorized, 403 forbidden: not an admin, not from here
 *   404 model_not_found, theme_not_found
 *   409 conflict           cost_per_generation of a model with prices a second
 */

#include "app/admin_pages.h"
#include "domain/acts.h"

/* More than a model has. */
#define FIELDS_MAX 32

struct body {
	struct uuid model_id;
	bool has_model;
	struct uuid theme_id;
	bool has_theme;
	const struct json *set;
};

static enum err
list(struct app *app, struct response *res)
{
	static const struct admin_view_call calls[] = {
		{ .view = ADMIN_VIEW_MODELS },
		{ .view = ADMIN_VIEW_MODEL_PRICES },
		{ .view = ADMIN_VIEW_THEMES },
		{ .view = ADMIN_VIEW_PRODUCTS },
	};

	return admin_page(app, res, calls, sizeof(calls) / sizeof(calls[0]));
}

/* Values are text, as at the command line; JSON may say them otherwise. */
static bool
read_value(const struct request *req, const struct json *value,
    struct str *ret_text)
{
	int64_t number;
	char *text;
	bool flag;

	if (json_to_str(value, ret_text))
		return true;
	if (json_is_null(value)) {
		*ret_text = STR("");
		return true;
	}
	if (json_to_bool(value, &flag)) {
		*ret_text = flag ? STR("1") : STR("0");
		return true;
	}
	if (!json_to_int64(value, -JSON_INT_MAX, JSON_INT_MAX, &number))
		return false;
	text = arena_alloc(req->arena, 24);
	if (text == NULL)
		return false;
	(void)snprintf(text, 24, "%lld", (long long)number);
	*ret_text = str_from(text);
	return true;
}

static enum err
refuse_field(struct app *app, const struct request *req, struct response *res,
    const struct act_field *field)
{
	char text[160];

	(void)snprintf(text, sizeof(text),
	    "%.*s cannot be set, or not to this value",
	    field->name.len < 64 ? (int)field->name.len : 64, field->name.ptr);
	return app_error(app, req, res, 400, "invalid_field", text);
}

static enum err
set(struct app *app, const struct request *req, struct response *res)
{
	static const struct json_field members[] = {
		{ "model_id", JSON_UUID, offsetof(struct body, model_id),
		    offsetof(struct body, has_model), 0 },
		{ "theme_id", JSON_UUID, offsetof(struct body, theme_id),
		    offsetof(struct body, has_theme), 0 },
		{ "set", JSON_ANY, offsetof(struct body, set), 0,
		    JSON_REQUIRED },
	};
	struct act_field fields[FIELDS_MAX];
	struct body body = { 0 };
	struct str bad_field;
	size_t count = 0, bad = 0;
	enum err err;

	if (!json_read(req->json, members, sizeof(members) / sizeof(members[0]),
		JSON_REFUSE_UNKNOWN, &body, &bad_field) ||
	    body.has_model == body.has_theme || !json_is_object(body.set))
		return ERR_INVALID_REQUEST;
	for (const struct json *at = json_first(body.set); at != NULL;
	     at = json_next(at)) {
		if (count == FIELDS_MAX ||
		    !read_value(req, at, &fields[count].value))
			return ERR_INVALID_REQUEST;
		fields[count++].name = json_name(at);
	}
	if (count == 0)
		return ERR_INVALID_REQUEST;
	err = body.has_model ?
	    acts_set_model(app->db, &req->admin, &body.model_id, fields, count,
		req->now_ms, &bad) :
	    acts_set_theme(app->db, &req->admin, &body.theme_id, fields, count,
		req->now_ms, &bad);
	if (err == ERR_INVALID_REQUEST)
		return refuse_field(app, req, res, &fields[bad]);
	return err == OK ? admin_done(res) : err;
}

static enum err
admin_catalog(struct app *app, const struct request *req, struct response *res)
{
	return req->method == HTTP_POST ? set(app, req, res) : list(app, res);
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "admin-catalog",
		.path = "/functions/v1/admin-catalog",
		.methods = HTTP_GET | HTTP_POST,
		.auth = AUTH_ADMIN,
		.body = BODY_JSON,
		.body_bytes_max = APP_JSON_BYTES_MAX,
		.processes = 1,
		.handle = admin_catalog,
	};

	return app_serve(&endpoint, argc, argv);
}

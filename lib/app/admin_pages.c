/* SPDX-License-Identifier: MIT */
#include "app/admin_pages.h"
#include "app/section_writer.h"

enum err
admin_write(struct app *app, struct response *res,
    const struct admin_view_call *calls, size_t count)
{
	struct section_writer writer = { .w = &res->json };
	const struct section_reader reader = section_writer_reader(&writer);

	return admin_views_read(app->db, calls, count, &reader);
}

enum err
admin_page(struct app *app, struct response *res,
    const struct admin_view_call *calls, size_t count)
{
	enum err err;

	json_begin_object(&res->json, NULL);
	err = admin_write(app, res, calls, count);
	if (err == OK)
		json_end_object(&res->json);
	return err;
}

enum err
admin_done(struct response *res)
{
	json_begin_object(&res->json, NULL);
	json_bool(&res->json, "success", true);
	json_end_object(&res->json);
	return OK;
}

int64_t
admin_cap_credits(const struct app *app)
{
	return config_number(&app->config, CONFIG_ADMIN_CREDITS_PER_DAY);
}

enum err
admin_refuse_cap(const struct app *app, const struct request *req,
    struct response *res)
{
	return app_error(app, req, res, 403, "credit_cap_reached",
	    "You have given as many credits today as an admin may");
}

/* SPDX-License-Identifier: MIT */
#ifndef APP_ADMIN_PAGES_H
#define APP_ADMIN_PAGES_H

#include "app/app.h"
#include "domain/admin_views.h"

/* What the endpoints for admins have in common. */

/* Writes these views, members of the present object. */
enum err admin_write(struct app *app, struct response *res,
    const struct admin_view_call *calls, size_t count);

/* Answers with these views alone. Errors: as they are read. */
enum err admin_page(struct app *app, struct response *res,
    const struct admin_view_call *calls, size_t count);

/* Answers {"success":true}; returns OK. */
enum err admin_done(struct response *res);

/* What an admin may give in a day, in credits; 0 = any. */
int64_t admin_cap_credits(const struct app *app);

/* 403 credit_cap_reached; returns OK, so that a handler ends with it. */
enum err admin_refuse_cap(const struct app *app, const struct request *req,
    struct response *res);

#endif

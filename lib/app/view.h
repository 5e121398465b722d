/* SPDX-License-Identifier: MIT */
#ifndef APP_VIEW_H
#define APP_VIEW_H

#include "app/app.h"
#include "domain/accounts.h"
#include "domain/catalog.h"
#include "domain/jobs.h"

/*
 * Views: how rows look on the wire.  The shapes are what the released app and
 * the official clients decode; a field that they require is never absent, and
 * an optional one without a value is null or left out as they want it.
 */

/*
 * Writes a job's members into the present object.  The list shows less than
 * the status of one job.
 */
void view_job(const struct app *app, const struct request *req,
    struct json_writer *w, const struct job *job, bool is_detail);

/* Members of the app's User object. */
enum {
	VIEW_USER_ID = 1 << 0,
	VIEW_USER_EMAIL = 1 << 1,
	VIEW_USER_DEVICE_ID = 1 << 2,
	VIEW_USER_APPLE_SUB = 1 << 3,
	VIEW_USER_IS_GUEST = 1 << 4,
	VIEW_USER_TIER = 1 << 5,
	VIEW_USER_CREDITS_REMAINING = 1 << 6,
	VIEW_USER_CREDITS_TOTAL = 1 << 7,
	VIEW_USER_INITIAL_GRANT_CLAIMED = 1 << 8,
	VIEW_USER_LANGUAGE = 1 << 9,
	VIEW_USER_THEME_PREFERENCE = 1 << 10,
	VIEW_USER_APP_ACCOUNT_TOKEN = 1 << 11,
	VIEW_USER_CREATED_AT = 1 << 12,
	VIEW_USER_UPDATED_AT = 1 << 13,
};

/* Some members of the User object, an element of an array or at the top. */
void view_user(struct json_writer *w, const struct account *account,
    unsigned members);

/* All of it, as a member `name` or at the top (NULL). */
void view_profile(struct json_writer *w, const char *name,
    const struct account *account);

/* GoTrue's user object. */
void view_auth_user(struct json_writer *w, const char *name,
    const struct account *account);

/* Members of a model and of a theme that a caller may ask for. */
enum {
	VIEW_ID = 1 << 0,
	VIEW_NAME = 1 << 1,
	VIEW_CATEGORY = 1 << 2,
	VIEW_DESCRIPTION = 1 << 3,
	VIEW_THUMBNAIL_URL = 1 << 4,
	VIEW_IS_FEATURED = 1 << 5,
	VIEW_COST = 1 << 6,
	VIEW_REQUIRED_FIELDS = 1 << 7,
	VIEW_IS_ACTIVE = 1 << 8,
	VIEW_IS_AVAILABLE = 1 << 9,
	VIEW_PROMPT = 1 << 10,
	VIEW_DEFAULT_SETTINGS = 1 << 11,
	VIEW_CREATED_AT = 1 << 12,
};

#define VIEW_MODEL \
	(VIEW_ID | VIEW_NAME | VIEW_CATEGORY | VIEW_DESCRIPTION | \
	    VIEW_THUMBNAIL_URL | VIEW_IS_FEATURED | VIEW_COST | \
	    VIEW_REQUIRED_FIELDS)
#define VIEW_THEME \
	(VIEW_ID | VIEW_NAME | VIEW_DESCRIPTION | VIEW_THUMBNAIL_URL | \
	    VIEW_PROMPT | VIEW_IS_FEATURED | VIEW_IS_AVAILABLE | \
	    VIEW_DEFAULT_SETTINGS | VIEW_CREATED_AT)

/* Each writes one whole object, an element of an array. */
void
view_model(struct json_writer *w, const struct model *model, unsigned members);
void
view_theme(struct json_writer *w, const struct theme *theme, unsigned members);

#endif

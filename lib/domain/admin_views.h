/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_ADMIN_VIEWS_H
#define DOMAIN_ADMIN_VIEWS_H

#include "domain/sections.h"

/*
 * What admins look at: sections (domain/sections.h), each read by an index.
 * What stands in brackets are the parameters, in their order.
 */
enum admin_view {
	/* Users: [the id], [the digits], [from, below, 500], [] */
	ADMIN_VIEW_USERS_BY_ID, /* of the user, a job, an account token */
	ADMIN_VIEW_USERS_BY_TRANSACTION, /* of Apple */
	ADMIN_VIEW_USERS_BY_EMAIL, /* lower case, from … to below … */
	ADMIN_VIEW_USERS_NEWEST,
	/* One user: [its id], the last two [its id, limit, offset] */
	ADMIN_VIEW_USER,
	ADMIN_VIEW_USER_PURCHASES,
	ADMIN_VIEW_USER_TIMELINE,
	ADMIN_VIEW_USER_LEDGER,
	/* Jobs: [limit], [limit, offset], and one job: [its id] */
	ADMIN_VIEW_JOBS_OPEN,
	ADMIN_VIEW_JOBS_ENDED,
	ADMIN_VIEW_JOB,
	ADMIN_VIEW_JOB_ATTEMPTS,
	ADMIN_VIEW_JOB_REPORTS,
	ADMIN_VIEW_JOB_LEDGER,
	/* The catalogue: [] */
	ADMIN_VIEW_MODELS,
	ADMIN_VIEW_MODEL_PRICES,
	ADMIN_VIEW_THEMES,
	ADMIN_VIEW_PRODUCTS,
	/* The machine: [], the log [before, limit] */
	ADMIN_VIEW_SWITCHES,
	ADMIN_VIEW_BREAKERS,
	ADMIN_VIEW_STORAGE,
	ADMIN_VIEW_ALARMS,
	ADMIN_VIEW_BACKUP,
	ADMIN_VIEW_AUDIT,
	ADMIN_VIEW_QUEUE,
	ADMIN_VIEW_LOG,
	ADMIN_VIEW_ADMINS,
	/* Numbers: [since], by day (UTC) */
	ADMIN_VIEW_DAYS_USERS,
	ADMIN_VIEW_DAYS_JOBS,
	ADMIN_VIEW_DAYS_REVENUE,
	ADMIN_VIEW_DAYS_CREDITS, /* [since, worth of a credit in micro-USD] */
	ADMIN_VIEW_MODEL_MARGINS, /* likewise */
	ADMIN_VIEW_LIABILITY, /* [worth of a credit] */
	ADMIN_VIEW_TOTALS, /* [] */
	ADMIN_VIEW_MAX
};

#define ADMIN_VIEW_PARAMS_MAX 3

struct admin_view_call {
	enum admin_view view;
	struct section_param param[ADMIN_VIEW_PARAMS_MAX];
	size_t params_count;
	/* Without a row of this one the rest means nothing: ERR_NOT_FOUND. */
	bool is_required;
};

/* Reads them one after the other, all of one moment. */
enum err admin_views_read(struct db *db, const struct admin_view_call *calls,
    size_t count, const struct section_reader *reader);

#endif

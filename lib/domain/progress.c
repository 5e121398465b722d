/* SPDX-License-Identifier: MIT */
#include "domain/progress.h"
#include "base/log.h"
#include "base/metrics.h"

struct job_news {
	struct uuid job_id;
	enum job_state state;
	char error_code[32];
};

static void
tell_job(const void *what)
{
	const struct job_news *news = what;
	struct log log = log_begin(LOG_INFO, "job");

	log_uuid(&log, "job", &news->job_id);
	log_text(&log, "state", job_state_name(news->state));
	if (news->error_code[0] != '\0')
		log_text(&log, "code", news->error_code);
	log_end(&log);
	metric_add(metrics_find(METRIC_JOBS, job_state_name(news->state)), 0,
	    1);
}

void
progress_job(struct db *db, const struct uuid *job_id, enum job_state state,
    const char *error_code)
{
	struct job_news news = { .job_id = *job_id, .state = state };

	if (error_code != NULL)
		(void)str_copy(str_from(error_code), news.error_code,
		    sizeof(news.error_code));
	db_on_commit(db, tell_job, &news, sizeof(news));
}

struct amount {
	enum metric_kind kind;
	char name[METRIC_NAME_BYTES];
	int64_t n;
};

static void
tell_amount(const void *what)
{
	const struct amount *amount = what;
	struct metric *metric = metrics_find(amount->kind, amount->name);

	/* A counter never falls: what is taken back is counted apart. */
	if (amount->n >= 0)
		metric_add(metric, 0, amount->n);
	else
		metric_add(metric, 1, -amount->n);
}

static void
note(struct db *db, enum metric_kind kind, const char *name, int64_t n)
{
	struct amount amount = { .kind = kind, .n = n };

	if (str_copy(str_from(name), amount.name, sizeof(amount.name)))
		db_on_commit(db, tell_amount, &amount, sizeof(amount));
}

void
progress_credits(struct db *db, const char *kind, int64_t credits)
{
	note(db, METRIC_CREDITS, kind, credits);
}

void
progress_revenue(struct db *db, const char *currency, int64_t price_milli)
{
	note(db, METRIC_REVENUE, currency, price_milli);
}

void
progress_cost(struct db *db, int64_t micro_usd)
{
	note(db, METRIC_COSTS, "", micro_usd);
}

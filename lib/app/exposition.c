/* SPDX-License-Identifier: MIT */
#include "app/exposition.h"
#include "base/metrics.h"
#include "domain/breakers.h"
#include "domain/gauges.h"
#include "store/db.h"

/* What a metric's counts are called; counts of NULL are not told. */
struct family {
	enum metric_kind kind;
	const char *name;
	const char *help;
	const char *label; /* of the metric's name; NULL = none */
	bool has_statuses; /* counts are by status */
	const char *taken_back; /* the name of count 1; NULL = none */
	const char *durations; /* the name of the histogram; NULL = none */
	const char *durations_help;
};

static const struct family families[] = {
	{ METRIC_REQUESTS, "rendio_requests_total",
	    "Requests that were answered, by endpoint and status.", "endpoint",
	    true, NULL, "rendio_request_duration_seconds",
	    "From the router's word to the whole answer." },
	{ METRIC_PROVIDER, "rendio_provider_calls_total",
	    "Calls of a company, by status; 0 is no answer, or one that has no"
	    " label of its own.",
	    "company", true, NULL, "rendio_provider_call_duration_seconds",
	    "How long a company took to answer." },
	{ METRIC_WRITE_WAITS, NULL, NULL, NULL, false, NULL,
	    "rendio_db_write_wait_seconds",
	    "How long a transaction waited for its turn to write." },
	{ METRIC_REFUSALS, "rendio_limit_refusals_total",
	    "Requests that a limit refused, by its kind.", "kind", false, NULL,
	    NULL, NULL },
	{ METRIC_JOBS, "rendio_job_transitions_total",
	    "Jobs that came into a state.", "state", false, NULL, NULL, NULL },
	{ METRIC_CREDITS, "rendio_credits_total",
	    "Credits that were moved, by kind of ledger entry.", "kind", false,
	    NULL, NULL, NULL },
	{ METRIC_REVENUE, "rendio_revenue_milli_total",
	    "Sales that were credited, in thousandths of the currency.",
	    "currency", false, NULL, NULL, NULL },
	{ METRIC_COSTS, "rendio_provider_cost_micro_usd_total",
	    "The most that submitted generations can cost, in millionths of a"
	    " US dollar.",
	    NULL, false, "rendio_provider_cost_returned_micro_usd_total", NULL,
	    NULL },
	{ METRIC_PURGED, "rendio_purged_rows_total",
	    "Rows that retention deleted or marked, by what they are.", "what",
	    false, NULL, NULL, NULL },
};

struct writer {
	struct buf *text;
	const struct family *family;
};

static void
head(struct buf *text, const char *name, const char *help, const char *type)
{
	buf_appendf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
	    type);
}

/* Names are ours, but a label's value is escaped all the same. */
static void
label(struct buf *text, const char *name, const char *value)
{
	buf_appendf(text, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			buf_append(text, STR("\\n"));
		else if (*value == '"' || *value == '\\')
			buf_appendf(text, "\\%c", *value);
		else
			buf_append_char(text, *value);
	}
	buf_append_char(text, '"');
}

static void
sample(struct buf *text, const char *name, const char *label_name,
    const char *label_value, int64_t value)
{
	buf_appendf(text, "%s", name);
	if (label_name != NULL) {
		buf_append_char(text, '{');
		label(text, label_name, label_value);
		buf_append_char(text, '}');
	}
	buf_appendf(text, " %lld\n", (long long)value);
}

static void
write_statuses(void *arg, const struct metric *metric)
{
	const struct writer *w = arg;

	if (metric->kind != (uint8_t)w->family->kind)
		return;
	for (size_t i = 0; i < METRIC_COUNTS; i++) {
		if (metric->count[i] == 0)
			continue;
		buf_appendf(w->text, "%s{", w->family->name);
		label(w->text, w->family->label, metric->name);
		buf_appendf(w->text, ",status=\"%d\"} %lld\n", metric_status(i),
		    (long long)metric->count[i]);
	}
}

static void
write_count(void *arg, const struct metric *metric)
{
	const struct writer *w = arg;

	if (metric->kind == (uint8_t)w->family->kind)
		sample(w->text, w->family->name, w->family->label, metric->name,
		    metric->count[0]);
}

static void
write_taken_back(void *arg, const struct metric *metric)
{
	const struct writer *w = arg;

	if (metric->kind == (uint8_t)w->family->kind)
		sample(w->text, w->family->taken_back, NULL, NULL,
		    metric->count[1]);
}

/* The part of a sample's name before "le" or the value. */
static void
part(const struct writer *w, const struct metric *metric, const char *suffix,
    const char *le)
{
	const struct family *f = w->family;

	buf_appendf(w->text, "%s_%s", f->durations, suffix);
	if (f->label != NULL || le != NULL)
		buf_append_char(w->text, '{');
	if (f->label != NULL)
		label(w->text, f->label, metric->name);
	if (f->label != NULL && le != NULL)
		buf_append_char(w->text, ',');
	if (le != NULL)
		label(w->text, "le", le);
	if (f->label != NULL || le != NULL)
		buf_append_char(w->text, '}');
}

static void
write_durations(void *arg, const struct metric *metric)
{
	const struct writer *w = arg;
	int64_t count = 0;
	char le[32];

	if (metric->kind != (uint8_t)w->family->kind)
		return;
	for (size_t i = 0; i <= METRIC_BOUNDS; i++) {
		count += metric->observed[i];
		if (i == METRIC_BOUNDS)
			(void)snprintf(le, sizeof(le), "+Inf");
		else
			(void)snprintf(le, sizeof(le), "%g",
			    (double)metric_bounds_us[i] / 1e6);
		part(w, metric, "bucket", le);
		buf_appendf(w->text, " %lld\n", (long long)count);
	}
	part(w, metric, "sum", NULL);
	buf_appendf(w->text, " %.6f\n", (double)metric->observed_us / 1e6);
	part(w, metric, "count", NULL);
	buf_appendf(w->text, " %lld\n", (long long)count);
}

static void
write_family(struct buf *text, const struct family *f)
{
	struct writer w = { text, f };

	if (f->name != NULL) {
		head(text, f->name, f->help, "counter");
		metrics_list(f->has_statuses ? write_statuses : write_count,
		    &w);
	}
	if (f->taken_back != NULL) {
		head(text, f->taken_back,
		    "What of it was not billed after all.", "counter");
		metrics_list(write_taken_back, &w);
	}
	if (f->durations != NULL) {
		head(text, f->durations, f->durations_help, "histogram");
		metrics_list(write_durations, &w);
	}
}

struct open_jobs {
	int64_t count[JOB_STATE_MAX];
	int64_t oldest_at_ms[JOB_STATE_MAX];
};

static void
keep_jobs(void *arg, const struct gauge_jobs *jobs)
{
	struct open_jobs *open = arg;

	open->count[jobs->state] = jobs->count;
	open->oldest_at_ms[jobs->state] = jobs->oldest_at_ms;
}

/* States without a job are told too: an absent series raises no alarm. */
static void
write_jobs(struct buf *text, const struct open_jobs *open, int64_t now_ms)
{
	head(text, "rendio_jobs_open", "Jobs that are not over, by state.",
	    "gauge");
	for (int i = 0; i < JOB_STATE_MAX; i++)
		if (!job_is_over((enum job_state)i))
			sample(text, "rendio_jobs_open", "state",
			    job_state_name((enum job_state)i), open->count[i]);
	head(text, "rendio_jobs_oldest_age_seconds",
	    "How long ago the oldest of them was ordered, by state.", "gauge");
	for (int i = 0; i < JOB_STATE_MAX; i++)
		if (!job_is_over((enum job_state)i))
			sample(text, "rendio_jobs_oldest_age_seconds", "state",
			    job_state_name((enum job_state)i),
			    open->count[i] == 0 ?
				0 :
				(now_ms - open->oldest_at_ms[i]) / 1000);
}

static void
count_breaker(void *arg, const struct breaker *breaker)
{
	int64_t *count = arg;

	(void)breaker;
	(*count)++;
}

static void
write_gauge(struct buf *text, const char *name, const char *help, int64_t value)
{
	head(text, name, help, "gauge");
	sample(text, name, NULL, NULL, value);
}

static void
sum_connections(void *arg, const struct metric *metric)
{
	int64_t *sum = arg;

	if (metric->kind == METRIC_CONNECTIONS)
		*sum += metric->count[0];
}

static void
write_heartbeat(void *arg, const struct metric *metric)
{
	struct buf *text = arg;

	if (metric->kind == METRIC_HEARTBEATS)
		sample(text, "rendio_heartbeat_seconds", "program",
		    metric->name, metric->count[0] / 1000);
}

enum err
exposition_write(struct app *app, int64_t now_ms, struct buf *text)
{
	struct open_jobs open = { 0 };
	int64_t breakers = 0, connections = 0;
	enum err err;

	err = gauges_jobs(app->db, keep_jobs, &open);
	if (err == OK)
		err = breakers_list(app->db, count_breaker, &breakers);
	if (err != OK)
		return err;
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		write_family(text, &families[i]);
	write_jobs(text, &open, now_ms);
	write_gauge(text, "rendio_breakers_open",
	    "Companies and models that nothing is sent to.", breakers);
	metrics_list(sum_connections, &connections);
	write_gauge(text, "rendio_realtime_connections",
	    "Streams and websockets that are open.", connections);
	head(text, "rendio_heartbeat_seconds",
	    "When a program was last seen, in seconds since 1970.", "gauge");
	metrics_list(write_heartbeat, text);
	write_gauge(text, "rendio_db_wal_bytes",
	    "What waits in the database's log.", db_log_bytes(app->db));
	return OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * GET /health/ready -- what we depend on, and how it is: for this machine
 * only, the router shows it to nobody else.
 *
 *   200 {"status":"ready","dependencies":{"database":"ok","disk":"ok",
 *       "worker":"ok","realtime":"ok","providers":"ok","apple":"ok"}}
 *   503 the same with "status":"not_ready": orders cannot be taken and made
 *   503 service_unavailable  the database does not answer
 *
 * Orders need the database, room on the disk and the worker.  Without the
 * rest we are "degraded", and 200: they wait, or clients poll.
 *
 *   disk       ok, warning, alarm, full
 *   worker     ok, late: not seen for a while; cron starts one every minute
 *   realtime   ok, late
 *   providers  ok, breaker_open, failing
 *   apple      ok, failing: it did not answer the last few times
 */

#include "app/app.h"
#include "base/metrics.h"
#include "domain/breakers.h"
#include "domain/storage.h"
#include "domain/upstreams.h"

/* One worker hands over to the next within this, even if a start is missed. */
#define WORKER_LATE_MS INT64_C(150000)

/* It beats twice a second. */
#define REALTIME_LATE_MS INT64_C(10000)

/* A company is failing after so many failures, the last not long ago. */
#define FAILURES_MIN 3
#define FAILURE_RECENT_MS (INT64_C(15) * 60 * 1000)

struct heartbeat {
	const char *program;
	int64_t at_ms;
};

static void
look(void *arg, const struct metric *metric)
{
	struct heartbeat *heartbeat = arg;

	if (metric->kind == METRIC_HEARTBEATS &&
	    strcmp(metric->name, heartbeat->program) == 0)
		heartbeat->at_ms = metric->count[0];
}

static bool
is_late(const char *program, int64_t late_ms, int64_t now_ms)
{
	struct heartbeat heartbeat = { program, 0 };

	metrics_list(look, &heartbeat);
	return now_ms - heartbeat.at_ms > late_ms;
}

static void
count_breaker(void *arg, const struct breaker *breaker)
{
	(void)breaker;
	(*(int64_t *)arg)++;
}

static void
count_upstream(void *arg, const struct upstream *upstream)
{
	(void)upstream;
	(*(int64_t *)arg)++;
}

static enum err
count_failing(struct app *app, enum upstream_kind kind, int64_t now_ms,
    int64_t *count)
{
	return upstreams_failing(app->db, kind, FAILURES_MIN,
	    now_ms - FAILURE_RECENT_MS, count_upstream, count);
}

static enum err
ready(struct app *app, const struct request *req, struct response *res)
{
	int64_t breakers = 0, providers = 0, apple = 0;
	struct json_writer *w = &res->json;
	bool worker_late, realtime_late, can_serve;
	struct storage_use use;
	enum err err;

	err = storage_read(app->db, &use);
	if (err == OK)
		err = breakers_list(app->db, count_breaker, &breakers);
	if (err == OK)
		err = count_failing(app, UPSTREAM_PROVIDER, req->now_ms,
		    &providers);
	if (err == OK)
		err = count_failing(app, UPSTREAM_APPLE, req->now_ms, &apple);
	if (err != OK)
		return ERR_SERVICE_UNAVAILABLE;
	worker_late = is_late("worker", WORKER_LATE_MS, req->now_ms);
	realtime_late = is_late("realtime", REALTIME_LATE_MS, req->now_ms);
	can_serve = use.level != STORAGE_FULL && !worker_late;
	if (!can_serve) {
		res->status = 503;
		res->code = "not_ready";
	}

	json_begin_object(w, NULL);
	json_text(w, "status",
	    !can_serve ? "not_ready" :
		realtime_late || breakers > 0 || providers > 0 || apple > 0 ?
			 "degraded" :
			 "ready");
	json_begin_object(w, "dependencies");
	json_text(w, "database", "ok");
	json_text(w, "disk", storage_level_name(use.level));
	json_text(w, "worker", worker_late ? "late" : "ok");
	json_text(w, "realtime", realtime_late ? "late" : "ok");
	json_text(w, "providers",
	    breakers > 0      ? "breaker_open" :
		providers > 0 ? "failing" :
				"ok");
	json_text(w, "apple", apple > 0 ? "failing" : "ok");
	json_end_object(w);
	json_end_object(w);
	return OK;
}

int
main(int argc, char **argv)
{
	static const struct endpoint endpoint = {
		.name = "ready",
		.path = "/health/ready",
		.methods = HTTP_GET | HTTP_HEAD,
		.auth = AUTH_NONE,
		.processes = 1,
		.is_read_only = true,
		.handle = ready,
	};

	return app_serve(&endpoint, argc, argv);
}

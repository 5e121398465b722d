/* SPDX-License-Identifier: MIT */
#include "app/app.h"
#include "app/answer.h"
#include "app/auth.h"
#include "app/incidents.h"
#include "app/nudge.h"
#include "app/processes.h"
#include "app/state.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/db.h"
#include "store/migrate.h"
#include "wire/fcgi.h"
#include "wire/openssl.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Memory of one request: a body, what its JSON becomes (about forty bytes a
 * byte at worst), and an answer of a hundred jobs.
 */
#define REQUEST_ARENA_BYTES ((size_t)8 * 1024 * 1024)

/* A larger body gets pages of its own, which go back with its request. */
#define ARENA_BODY_BYTES_MAX ((size_t)256 * 1024)

/* A hundred jobs with prompts of 5,000 characters of four bytes. */
#define RESPONSE_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* Our own headers; their values are bounded by struct response. */
#define HEAD_BYTES_MAX ((size_t)2048)

/*
 * A request that has waited this long is answered without effect: its client
 * has probably gone, and would be charged for nothing.
 */
#define QUEUE_WAIT_MAX_MS INT64_C(10000)

/* Supervisors restart at once; one that cannot start must not spin. */
#define RESTART_DELAY_S 1

/*
 * One of several processes ends when nobody called for so long; the next call
 * then waits a few milliseconds until another has started.
 */
#define PROCESS_IDLE_MAX_MS 30000

/* What a crash leaves on the disk must not hold keys. */
static void
keep_secrets_inside(void)
{
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)umask(0027);
}

/*
 * Requests served together at most: each holds the others up by what its
 * statements take, and the write lock with them.
 */
#define BATCH_MAX 16

static bool
has_header_twice(const struct fcgi *fcgi, const struct endpoint *endpoint)
{
	static const char *const names[] = { "HTTP_IDEMPOTENCY_KEY",
		"HTTP_AUTHORIZATION", "HTTP_APIKEY", "HTTP_RANGE",
		"HTTP_PREFER", "HTTP_X_UPSERT" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (fcgi_param_repeats(fcgi, names[i]))
			return true;
	for (size_t i = 0; i < APP_HEADERS_MAX; i++)
		if (endpoint->header[i] != NULL &&
		    fcgi_param_repeats(fcgi, endpoint->header[i]))
			return true;
	return false;
}

/* The router's clock is ours: both run on one machine. */
static bool
waited_too_long(const struct fcgi *fcgi, int64_t now_ms)
{
	int64_t arrived_ms;

	return str_to_int64(fcgi_param(fcgi, "REQUEST_TIME_MSEC"), 0,
		   CLOCK_MS_MAX, &arrived_ms) &&
	    now_ms - arrived_ms > QUEUE_WAIT_MAX_MS;
}

static void
read_head(const struct fcgi *fcgi, struct request *req)
{
	struct str rest;

	req->now_ms = clock_now_ms();
	req->request_id = fcgi_param(fcgi, "REQUEST_ID");
	req->remote_address = fcgi_param(fcgi, "REMOTE_ADDR");
	req->content_type = fcgi_param(fcgi, "CONTENT_TYPE");
	req->idempotency_key = fcgi_param(fcgi, "HTTP_IDEMPOTENCY_KEY");
	req->if_none_match = fcgi_param(fcgi, "HTTP_IF_NONE_MATCH");
	req->prefer = fcgi_param(fcgi, "HTTP_PREFER");
	req->upsert = fcgi_param(fcgi, "HTTP_X_UPSERT");
	req->accept = fcgi_param(fcgi, "HTTP_ACCEPT");
	req->accept_profile = fcgi_param(fcgi, "HTTP_ACCEPT_PROFILE");
	req->content_profile = fcgi_param(fcgi, "HTTP_CONTENT_PROFILE");
	req->lang = lang_negotiate(fcgi_param(fcgi, "HTTP_ACCEPT_LANGUAGE"));
	/* The path as it came: what is authorised is what is served. */
	(void)str_cut(fcgi_param(fcgi, "REQUEST_URI"), '?', &req->path, &rest);
}

static bool
matches_path(const struct endpoint *endpoint, struct request *req)
{
	const struct str path = str_from(endpoint->path);

	if (!str_ends_with(path, STR("/")))
		return true; /* the router compared it exactly */
	if (!str_starts_with(req->path, path))
		return false;
	req->tail =
	    (struct str){ req->path.ptr + path.len, req->path.len - path.len };
	return true;
}

/* Memory outside of the arena, for a large body. */
struct pages {
	void *at; /* NULL = none */
	size_t bytes;
};

static char *
map_pages(struct pages *pages, size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	*pages = (struct pages){ at, bytes };
	return at;
}

static void
unmap_pages(struct pages *pages)
{
	if (pages->at != NULL)
		(void)munmap(pages->at, pages->bytes);
	*pages = (struct pages){ 0 };
}

static enum err
read_body(struct fcgi *fcgi, const struct endpoint *endpoint,
    struct request *req, struct pages *pages)
{
	const struct str text = fcgi_param(fcgi, "CONTENT_LENGTH");
	int64_t length = 0;
	char *body;

	if (text.len > 0 && !str_to_int64(text, 0, INT64_MAX, &length))
		return ERR_INVALID_REQUEST;
	if (endpoint->body == BODY_NONE || length == 0)
		return OK;
	if ((uint64_t)length > endpoint->body_bytes_max)
		return ERR_PAYLOAD_TOO_LARGE;
	body = (size_t)length <= ARENA_BODY_BYTES_MAX ?
	    arena_alloc(req->arena, (size_t)length) :
	    map_pages(pages, (size_t)length);
	if (body == NULL)
		return ERR_SERVICE_UNAVAILABLE;
	if (!fcgi_read_body(fcgi, body, (size_t)length))
		return ERR_INVALID_REQUEST;
	req->body = (struct str){ body, (size_t)length };
	return OK;
}

static enum err
parse_json_body(struct request *req)
{
	/* GET and HEAD carry no body, whatever type they announce. */
	if (req->method == HTTP_GET || req->method == HTTP_HEAD)
		return OK;
	if (req->content_type.len > 0 && !http_is_json(req->content_type))
		return ERR_UNSUPPORTED_MEDIA_TYPE;
	req->json = json_parse(req->arena, req->body);
	return json_is_object(req->json) ? OK : ERR_INVALID_JSON;
}

static enum err
check_request(struct app *app, struct fcgi *fcgi, struct request *req,
    struct response *res, struct pages *pages, bool *ret_answered)
{
	const struct endpoint *endpoint = app->endpoint;
	struct str apikey;
	enum err err;

	*ret_answered = false;
	if (waited_too_long(fcgi, req->now_ms))
		return ERR_SERVICE_UNAVAILABLE;
	if (!matches_path(endpoint, req))
		return ERR_NOT_FOUND;
	if (!http_method_parse(fcgi_param(fcgi, "REQUEST_METHOD"),
		&req->method) ||
	    (endpoint->methods & req->method) == 0)
		return app_refuse_method(endpoint, req);
	if (has_header_twice(fcgi, endpoint))
		return ERR_INVALID_REQUEST;
	apikey = fcgi_param(fcgi, "HTTP_APIKEY");
	err = auth_apply(app, req, apikey,
	    fcgi_param(fcgi, "HTTP_AUTHORIZATION"), res, ret_answered);
	if (err != OK || *ret_answered)
		return err;
	if (!http_query_parse(req->arena, fcgi_param(fcgi, "QUERY_STRING"),
		&req->query))
		return ERR_INVALID_REQUEST;
	err = read_body(fcgi, endpoint, req, pages);
	if (err == OK && endpoint->body == BODY_JSON)
		err = parse_json_body(req);
	if (err == OK && req->has_user)
		err = auth_check_claimed_user(req);
	return err;
}

/* One request and its answer, with what they need from one to the next. */
struct exchange {
	struct app *app;
	struct fcgi *fcgi;
	struct arena arena;
	struct buf body, head;
	struct request req;
	struct response res;
	struct pages pages;
	int64_t began_us;
	int64_t statements; /* it cost */
};

struct round {
	struct exchange exchange[BATCH_MAX];
	size_t count;
};

static void
exchange_init(struct exchange *x, struct app *app)
{
	x->app = app;
	x->fcgi = fcgi_new();
	arena_init(&x->arena, REQUEST_ARENA_BYTES);
	buf_init(&x->body, RESPONSE_BYTES_MAX);
	buf_init(&x->head, HEAD_BYTES_MAX);
}

static void
exchange_free(struct exchange *x)
{
	buf_free(&x->head);
	buf_free(&x->body);
	arena_free(&x->arena);
	fcgi_free(x->fcgi);
}

static bool
exchange_accept(struct exchange *x, int wait_max_ms)
{
	if (!fcgi_accept(x->fcgi, wait_max_ms))
		return false;
	x->began_us = clock_monotonic_us();
	x->statements = 0;
	x->req = (struct request){ .arena = &x->arena, .lang = LANG_EN };
	answer_init(&x->res, &x->body);
	x->res.json = json_writer(&x->res.body);
	buf_clear(&x->head);
	read_head(x->fcgi, &x->req);
	for (size_t i = 0; i < APP_HEADERS_MAX; i++)
		if (x->app->endpoint->header[i] != NULL)
			x->req.header[i] =
			    fcgi_param(x->fcgi, x->app->endpoint->header[i]);
	return true;
}

static enum err
decide(struct db *db, void *arg)
{
	struct exchange *x = arg;
	bool answered;
	enum err err;

	(void)db;
	err = check_request(x->app, x->fcgi, &x->req, &x->res, &x->pages,
	    &answered);
	if (err == OK && !answered)
		err = x->app->endpoint->handle(x->app, &x->req, &x->res);
	return err;
}

static void
serve(struct exchange *x)
{
	struct app *app = x->app;
	const int64_t statements = db_statements_run(app->db);
	enum err err;

	incidents_begin(x->req.request_id);
	/* A reader sees one moment, and takes its lock once. */
	err = app->endpoint->is_read_only ? db_snapshot(app->db, decide, x) :
					    decide(app->db, x);
	if (err == OK && x->res.body.failed)
		err = ERR_INTERNAL;
	if (err != OK)
		answer_error(&x->res, app->endpoint, &x->req, err);
	x->statements = db_statements_run(app->db) - statements;
	incidents_end(x->res.status, x->res.code,
	    x->req.has_user ? &x->req.user_id : NULL);
}

static enum err
serve_all(struct db *db, void *arg)
{
	struct round *round = arg;

	(void)db;
	for (size_t i = 0; i < round->count; i++)
		serve(&round->exchange[i]);
	return OK;
}

static void
serve_batch(struct app *app, struct round *round)
{
	const enum err err = db_batch(app->db, serve_all, round);

	/* Nothing of what they were about to be told is true. */
	for (size_t i = 0; err != OK && i < round->count; i++) {
		struct exchange *x = &round->exchange[i];

		x->body = x->res.body;
		answer_init(&x->res, &x->body);
		answer_error(&x->res, app->endpoint, &x->req, err);
	}
}

static void
count_request(const struct exchange *x)
{
	struct metric *metric =
	    metrics_find(METRIC_REQUESTS, x->app->endpoint->name);

	metric_add(metric, metric_status_index(x->res.status), 1);
	metric_observe(metric, clock_monotonic_us() - x->began_us);
}

/* Of successes only a part is logged, if so configured; the rest is counted. */
static bool
is_sampled(const struct exchange *x)
{
	const int64_t percent =
	    config_number(&x->app->config, CONFIG_LOG_SUCCESS_PERCENT);

	return x->res.status >= 400 || percent == 100 ||
	    randombytes_uniform(100) < (uint32_t)percent;
}

static void
log_request(const struct exchange *x)
{
	const struct response *res = &x->res;
	const int64_t took_us = clock_monotonic_us() - x->began_us;
	struct log log;

	if (!is_sampled(x))
		return;
	log = log_begin(res->status >= 500 ? LOG_ERROR : LOG_INFO, "request");
	log_str(&log, "request_id", x->req.request_id);
	log_int64(&log, "status", res->status);
	log_text(&log, "code", res->code);
	log_int64(&log, "ms", took_us / 1000);
	log_int64(&log, "us", took_us);
	log_int64(&log, "sql", x->statements);
	if (x->req.has_user)
		log_uuid(&log, "user", &x->req.user_id);
	log_end(&log);
}

static void
exchange_end(struct exchange *x)
{
	struct response *res = &x->res;

	if (!answer_head(res, &x->head)) {
		buf_clear(&x->head);
		res->disposition[0] = '\0';
		res->content_range[0] = '\0';
		answer_error(res, x->app->endpoint, &x->req, ERR_INTERNAL);
		(void)answer_head(res, &x->head);
	}
	if (x->req.method == HTTP_HEAD || res->status == 304) {
		buf_clear(&res->body);
		answer_forget_spool(res);
	}
	/* The line is written first: an answer that was seen was logged. */
	log_request(x);
	count_request(x);
	fcgi_answer(x->fcgi, buf_str(&x->head), res->spool_fd,
	    buf_str(&res->body));
	unmap_pages(&x->pages);
	answer_forget_spool(res);
	x->body = res->body;
	arena_reset(&x->arena);
}

void
app_nudge(struct app *app)
{
	/* Sent when the answer is: what it tells of is committed by then. */
	app->wants_nudge = true;
}

/* What is committed is told, whatever becomes of the answers. */
static void
send_nudges(struct app *app, int64_t rows_before)
{
	if (app->wants_nudge)
		nudge_send(app->nudge_fd, &app->config, NUDGE_WORKER);
	if (db_rows_changed(app->db) != rows_before)
		nudge_send(app->nudge_fd, &app->config, NUDGE_REALTIME);
	app->wants_nudge = false;
}

/* Waits for one, and takes those that wait with it, for whom it never waits. */
static void
accept_some(const struct app *app, size_t slots, struct round *round)
{
	int wait_ms = refusals_wait_ms(&app->refusals, app->idle_max_ms);

	for (round->count = 0; round->count < slots;
	     round->count++, wait_ms = 0)
		if (!exchange_accept(&round->exchange[round->count], wait_ms))
			break;
}

static void
serve_round(struct app *app, struct round *round)
{
	const int64_t rows = db_rows_changed(app->db);

	db_stay_with_others(app->db);
	if (app->endpoint->is_batched)
		serve_batch(app, round);
	else
		serve(&round->exchange[0]);
	send_nudges(app, rows);
	for (size_t i = 0; i < round->count; i++)
		exchange_end(&round->exchange[i]);
}

static void
loop(struct app *app)
{
	static struct round round;
	const size_t slots = app->endpoint->is_batched ? BATCH_MAX : 1;

	for (size_t i = 0; i < slots; i++)
		exchange_init(&round.exchange[i], app);
	do {
		accept_some(app, slots, &round);
		if (round.count > 0)
			serve_round(app, &round);
		/* When nobody comes, what was put off is done before we end. */
	} while ((round.count > 0 && !refusals_are_due(&app->refusals)) ||
	    refusals_write(&app->refusals, app->db,
		config_number(&app->config, CONFIG_LIMIT_REPORT_PER_H)));
	for (size_t i = 0; i < slots; i++)
		exchange_free(&round.exchange[i]);
}

static bool
start(struct app *app, struct buf *problem)
{
	const char *state_dir;
	int64_t schema;
	int lock;

	if (sodium_init() < 0) {
		buf_appendf(problem, "libsodium cannot start");
		return false;
	}
	if (!config_load(&app->config, problem) ||
	    !state_set_log(&app->config, problem) ||
	    !state_has_keys(&app->config, app->endpoint->live_keys, problem))
		return false;
	if (app->endpoint->is_sandbox_only &&
	    !config_is_sandbox(&app->config)) {
		buf_appendf(problem, "only in RENDIO_MODE=sandbox");
		return false;
	}
	state_dir = config_text(&app->config, CONFIG_STATE_DIR);
	if (!keys_load(state_dir, config_text(&app->config, CONFIG_ANON_KEY),
		&app->keys, problem))
		return false;
	/* Held until we end. */
	if (migrate_enter(state_dir, &lock, &schema) != OK) {
		buf_appendf(problem, "a migration is under way");
		return false;
	}
	if (db_open(state_dir,
		app->endpoint->is_read_only ? DB_READ_ONLY : DB_READ_WRITE,
		false, &app->db) != OK) {
		buf_appendf(problem,
		    "the database cannot be opened "
		    "(run `rendio migrate`)");
		return false;
	}
	if (!state_check_schema(app->db, problem))
		return false;
	state_open_metrics(&app->config);
	app->nudge_fd = nudge_sender();
	if (app->nudge_fd < 0) {
		buf_appendf(problem, "no socket: %s", strerror(errno));
		return false;
	}
	return true;
}

static int
processes_of(const struct endpoint *endpoint)
{
	return endpoint->processes == 0 ? 2 : endpoint->processes;
}

static int
describe(const struct endpoint *e)
{
	const size_t n = strlen(e->path);
	/* Who sends a body to a GET is told 405, which the router cannot. */
	const size_t body_bytes_max = e->body_bytes_max > APP_JSON_BYTES_MAX ?
	    e->body_bytes_max :
	    APP_JSON_BYTES_MAX;
	struct buf methods;

	buf_init(&methods, 256);
	http_methods_format(e->methods, &methods);
	for (size_t i = 0, j = 0; i <= methods.len; i++)
		if (methods.ptr[i] != ' ')
			methods.ptr[j++] = methods.ptr[i];
	(void)printf("%s\t%s\t%s\t%s\t%zu\t%d\t%d\t%s\t%s\n", e->name, e->path,
	    e->path[n - 1] == '/' ? "prefix" : "exact", methods.ptr,
	    body_bytes_max, processes_of(e),
	    e->read_timeout_s == 0 ? 15 : e->read_timeout_s,
	    e->is_sandbox_only ? "sandbox" : "any",
	    e->sends_files ? "files" : "-");
	buf_free(&methods);
	return fflush(stdout) == 0 ? 0 : 1;
}

/* One process, from its start to its end. */
static int
serve_alone(void *arg)
{
	struct app *app = arg;
	struct buf problem;

	buf_init(&problem, 8192);
	if (!start(app, &problem)) {
		log_line(LOG_ERROR, "start", "problem", problem.ptr);
		(void)sleep(RESTART_DELAY_S);
		return 1;
	}
	incidents_watch(&app->config, app->endpoint->name);
	loop(app);
	db_close(app->db);
	keys_wipe(&app->keys);
	config_free(&app->config);
	buf_free(&problem);
	return 0;
}

int
app_serve(const struct endpoint *endpoint, int argc, char **argv)
{
	static struct app app = { .idle_max_ms = -1 };

	if (argc == 2 && strcmp(argv[1], "--describe") == 0)
		return describe(endpoint);
	log_program(endpoint->name);
	openssl_end_without_memory();
	/* When the supervisor dies, so do we: nobody would restart us. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	keep_secrets_inside();
	app.endpoint = endpoint;
	if (argc != 2 || strcmp(argv[1], "--processes") != 0)
		return serve_alone(&app);
	app.idle_max_ms = PROCESS_IDLE_MAX_MS;
	return processes_run(processes_of(endpoint), serve_alone, &app);
}

/* SPDX-License-Identifier: MIT */
#ifndef APP_APP_H
#define APP_APP_H

#include "app/keys.h"
#include "app/refusals.h"
#include "base/arena.h"
#include "base/config.h"
#include "base/err.h"
#include "domain/admin_log.h"
#include "wire/http.h"
#include "wire/json.h"
#include "wire/json_writer.h"

/*
 * What an endpoint is: its policy as data, and a handler that begins where
 * the domain begins.  app_serve() does the rest: it accepts requests, applies
 * method, size, apikey, token and body rules, calls the handler, renders what
 * it answered or the error it returned, and logs one line.
 */

struct db;

/* Lives as long as the process. */
struct app {
	const struct endpoint *endpoint;
	struct config config;
	struct keys keys;
	struct db *db;
	int nudge_fd;
	bool wants_nudge;
	struct refusals refusals;
	int idle_max_ms; /* it ends when nobody calls for so long; -1 = never */
};

enum auth {
	AUTH_NONE, /* anybody: health, signed links, webhooks */
	AUTH_APIKEY, /* anybody with the app's key; a token is for the handler */
	AUTH_OPTIONAL, /* with the app's key; a token must be good if shown */
	AUTH_USER, /* a user with a live session */
	AUTH_ADMIN, /* an admin with a live session; no apikey, no user */
};

/* How an area of the API writes its errors. */
enum dialect {
	DIALECT_FUNCTIONS,
	DIALECT_AUTH,
	DIALECT_REST,
	DIALECT_STORAGE,
};

enum body_kind {
	BODY_NONE, /* a body is not looked at */
	BODY_JSON, /* one JSON object, required */
	BODY_RAW, /* bytes of any kind; large ones are not in the arena */
};

/* The largest JSON body of a function, with room for a 5,000-character prompt
 * in which every character is escaped. */
#define APP_JSON_BYTES_MAX ((size_t)64 * 1024)

/* Headers that only one endpoint knows: a webhook's signature. */
#define APP_HEADERS_MAX 4

struct request {
	struct arena *arena; /* memory until the answer is sent */
	enum http_method method;
	struct str path; /* as sent, without the query */
	struct str tail; /* what follows a prefix endpoint's path */
	struct http_query query;
	struct str body;
	const struct json *json; /* BODY_JSON: the object */
	struct str content_type;
	struct str idempotency_key;
	struct str if_none_match;
	struct str prefer;
	struct str upsert; /* X-Upsert */
	struct str accept;
	struct str accept_profile;
	struct str content_profile;
	struct str bearer; /* "" without a token */
	struct str header[APP_HEADERS_MAX]; /* those the endpoint names */
	struct str remote_address;
	struct str request_id;
	int64_t now_ms; /* read once a request */
	enum lang lang;
	bool has_user; /* a valid access token was shown */
	struct uuid user_id;
	struct uuid session_id;
	struct admin_actor admin; /* AUTH_ADMIN */
	int64_t admin_ends_at_ms; /* their session, at the latest */
};

struct response {
	int status; /* 200 unless set */
	struct buf body;
	struct json_writer json; /* writes into body */
	int spool_fd; /* what comes before the body; -1 = nothing */
	size_t spool_bytes;
	const char *content_type; /* application/json */
	const char *cache_control; /* no-store */
	char etag[72]; /* with quotes; "" = none */
	char accel_path[256]; /* X-Accel-Redirect; "" = none */
	char disposition[512]; /* Content-Disposition; "" = none */
	char content_range[64]; /* "" = none */
	int64_t retry_after_s; /* 0 = none */
	/* The limit that was reached, for a 429; limit_max 0 = none. */
	int64_t limit_max;
	int64_t limit_remaining;
	int64_t limit_reset_s;
	bool is_replay; /* X-Idempotent-Replay: true */
	bool has_auth_version; /* X-Supabase-Api-Version */
	unsigned allow; /* of a 405 */
	/* Numbers of a 402, beside its error. */
	bool has_shortfall;
	int64_t credits_remaining;
	int64_t credits_required;
	/* The code that was answered, for the log. */
	const char *code;
};

struct endpoint {
	const char *name; /* the file's name */
	const char *path; /* ends in / when it is a prefix */
	unsigned methods; /* of enum http_method */
	enum auth auth;
	unsigned open_methods; /* for which AUTH_NONE applies instead */
	enum dialect dialect;
	enum body_kind body;
	size_t body_bytes_max;
	int processes; /* at most; 0 = 2 */
	int read_timeout_s; /* the router waits this long; 0 = 15 */
	bool is_sandbox_only;
	bool sends_files; /* may answer with accel_path */
	bool is_read_only; /* its connection refuses to write */
	/*
	 * Of a prefix: is there anything of that name?  If not, another method
	 * is no 405 but a 404, as its own methods are.  NULL = all names are.
	 */
	bool (*has)(struct str tail);
	/* Headers of its own, as FastCGI names them; NULL = no more. */
	const char *header[APP_HEADERS_MAX];
	/*
	 * Requests that wait are served together, their transactions committed
	 * by one: for a handler that does nothing but read and write the
	 * database.  Such an endpoint has one process.
	 */
	bool is_batched;
	/* Keys without which it does not start in live mode; ends with -1. */
	const int *live_keys;
	enum err (*handle)(struct app *app, const struct request *req,
	    struct response *res);
};

/*
 * Serves until SIGTERM, in as many processes as the endpoint has with the one
 * argument --processes, in one without it.  With --describe it prints what the
 * router must know of the endpoint and ends.
 */
int app_serve(const struct endpoint *endpoint, int argc, char **argv);

/*
 * Answers with an error that only one dialect knows, for example
 * refresh_token_not_found.  Returns OK, so that a handler can end with it.
 */
enum err app_error(const struct app *app, const struct request *req,
    struct response *res, int status, const char *code, const char *text);

/* The strong entity tag of the present body. */
void app_etag(struct response *res);

/* Wakes the worker; a lost nudge only means that it looks a little later. */
void app_nudge(struct app *app);

/* A required or optional member of the query string. */
bool
query_uuid(const struct request *req, const char *name, struct uuid *ret_uuid);
/* Absent leaves *value as it is; false when present and out of bounds. */
bool query_int64(const struct request *req, const char *name, int64_t min,
    int64_t max, int64_t *value);

#endif

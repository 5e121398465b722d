/* SPDX-License-Identifier: MIT */
/*
 * A request as the router hands it over, through the whole serve loop: head,
 * method, key, token, session, query, body, handler, answer, in all dialects.
 * The first byte chooses the policy; then lines NAME=VALUE up to an empty
 * one, then the body.  A value of "$TOKEN" or "$KEY" stands for a good one.
 *
 * FastCGI itself, which libfcgi reads, is replaced here.
 */
#include "app/app.h"
#include "app/paths.h"
#include "app/rows.h"
#include "app/state.h"
#include "app/tokens.h"
#include "base/clock.h"
#include "domain/accounts.h"
#include "wire/fcgi.h"

#include <assert.h>
#include <semaphore.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* More than any request of the router has. */
#define PARAMS_MAX 64

static struct {
	struct str name[PARAMS_MAX], value[PARAMS_MAX];
	size_t count;
	struct str body;
} input;

static sem_t asked, answered;
static struct buf token, key;

/* --- in place of lib/wire/fcgi.c ------------------------------------------- */

struct fcgi {
	int unused;
};

struct fcgi *
fcgi_new(void)
{
	static struct fcgi fcgi;

	return &fcgi;
}

void
fcgi_free(struct fcgi *fcgi)
{
	(void)fcgi;
}

bool
fcgi_accept(struct fcgi *fcgi, int wait_max_ms)
{
	(void)fcgi;
	(void)wait_max_ms;
	while (sem_wait(&asked) != 0)
		;
	return true;
}

struct str
fcgi_param(const struct fcgi *fcgi, const char *name)
{
	(void)fcgi;
	for (size_t i = 0; i < input.count; i++)
		if (str_equal(input.name[i], str_from(name)))
			return input.value[i];
	return STR("");
}

bool
fcgi_param_repeats(const struct fcgi *fcgi, const char *name)
{
	int seen = 0;

	(void)fcgi;
	for (size_t i = 0; i < input.count; i++)
		seen += str_equal(input.name[i], str_from(name));
	return seen > 1;
}

bool
fcgi_read_body(struct fcgi *fcgi, char *into, size_t length)
{
	(void)fcgi;
	if (length != input.body.len)
		return false;
	memcpy(into, input.body.ptr, length);
	return true;
}

/*
 * What the router gets is HTTP, whatever was asked.  Only who waited too long
 * for it is told that we are busy.
 */
static void
check_head(const struct fcgi *fcgi, struct str head, size_t body_bytes)
{
	const bool may_be_late = fcgi_param(fcgi, "REQUEST_TIME_MSEC").len > 0;
	char length[64];
	bool is_said;

	(void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n",
	    body_bytes);
	is_said = memmem(head.ptr, head.len, length, strlen(length)) != NULL;
	assert(str_starts_with(head, STR("Status: ")));
	assert(str_ends_with(head, STR("\r\n\r\n")));
	assert(!str_starts_with(head, STR("Status: 5")) ||
	    (may_be_late && str_starts_with(head, STR("Status: 503"))));
	assert(is_said || body_bytes == 0);
	assert(memmem(head.ptr, head.len - 4, "\r\n\r\n", 4) == NULL);
	for (size_t i = 0; i < head.len; i++) {
		const unsigned char c = (unsigned char)head.ptr[i];

		assert((c >= 0x20 && c < 0x7f) || c == '\r' || c == '\n');
		assert(c != '\n' || head.ptr[i - 1] == '\r');
	}
}

void
fcgi_answer(struct fcgi *fcgi, struct str head, int file_fd, struct str body)
{
	static struct arena arena;

	assert(file_fd == -1);
	check_head(fcgi, head, body.len);
	if (body.len > 0) {
		if (arena.base == NULL)
			arena_init(&arena, (size_t)16 * 1024 * 1024);
		arena_reset(&arena);
		assert(json_parse(&arena, body) != NULL);
	}
	(void)sem_post(&answered);
}

/* --- an endpoint that says again what it was told --------------------------- */

static enum err
echo(struct app *app, const struct request *req, struct response *res)
{
	struct object_path path;
	struct str name;
	struct uuid id;
	int64_t number = 0;

	if (rows_refuse_schema(app, req, res))
		return OK;
	if (paths_read(req, &path)) {
		/* Nothing that leads elsewhere, however it was spelt. */
		assert(path.name.len < 3 ||
		    memmem(path.name.ptr, path.name.len, "../", 3) == NULL);
		assert(!str_starts_with(path.name, STR("/")));
		assert(!paths_is_own(req, path.name) || req->has_user);
		if (!paths_is_bucket(path.bucket))
			return paths_refuse_bucket(app, req, res);
	}
	if (!query_int64(req, "n", -5, 5, &number))
		return ERR_INVALID_REQUEST;
	assert(number >= -5 && number <= 5);
	if (query_uuid(req, "user_id", &id))
		assert(uuid_equal(&id, &req->user_id) || !req->has_user);
	json_begin_object(&res->json, NULL);
	json_str(&res->json, "tail", req->tail);
	json_str(&res->json, "bearer", req->bearer);
	if (http_query_get(&req->query, "q", &name)) {
		json_str(&res->json, "q", name);
		if (!paths_read_name(req->arena, name, &name))
			json_str(&res->json, "name", name);
	}
	json_end_object(&res->json);
	rows_say_range(res, 0, 1);
	return OK;
}

static struct endpoint endpoint = {
	.name = "echo",
	.path = "/storage/v1/object/",
	.methods = HTTP_GET | HTTP_HEAD | HTTP_POST,
	.body_bytes_max = APP_JSON_BYTES_MAX,
	.header = { "HTTP_X_OTHER" },
	.is_read_only = true,
	.handle = echo,
};

static void *
serve(void *arg)
{
	(void)arg;
	(void)app_serve(&endpoint, 1, NULL);
	abort();
}

static enum err
make_user(struct db *db, void *arg)
{
	struct session *session = arg;
	struct uuid id;
	enum err err = accounts_create_guest(db, LANG_EN, clock_now_ms(), &id);

	return err != OK ?
	    err :
	    sessions_create(db, &id, SESSION_OPERATOR, clock_now_ms(), session);
}

static void
start(void)
{
	static char dir[] = "/tmp/rendio-fuzz-XXXXXX";
	struct state state;
	struct session session;
	struct buf problem;
	pthread_t thread;

	buf_init(&problem, 4096);
	buf_init(&token, 4096);
	buf_init(&key, 4096);
	if (mkdtemp(dir) == NULL || setenv("RENDIO_STATE_DIR", dir, 1) != 0 ||
	    !state_init(&problem) ||
	    !state_open(&state, STATE_WRITE, &problem) ||
	    db_transaction(state.db, make_user, &session) != OK)
		abort();
	tokens_write_access(&state.keys,
	    config_text(&state.config, CONFIG_PUBLIC_URL), &session, 86400,
	    clock_now_ms(), &token);
	buf_appendf(&key, "%s", state.keys.anon_key);
	state_close(&state);
	buf_free(&problem);
	(void)sem_init(&asked, 0, 0);
	(void)sem_init(&answered, 0, 0);
	if (pthread_create(&thread, NULL, serve, NULL) != 0)
		abort();
}

static struct str
meant(struct str value)
{
	if (str_equal(value, STR("$TOKEN")))
		return buf_str(&token);
	if (str_equal(value, STR("$KEY")))
		return buf_str(&key);
	return value;
}

/* FastCGI's values end at a NUL for us. */
static bool
read_input(struct str text)
{
	struct str line, name, value;

	input.count = 0;
	while (str_cut(text, '\n', &line, &text) && line.len > 0) {
		if (!str_cut(line, '=', &name, &value) ||
		    input.count == PARAMS_MAX ||
		    memchr(line.ptr, '\0', line.len) != NULL)
			return false;
		input.name[input.count] = name;
		input.value[input.count++] = meant(value);
	}
	input.body = text;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_started;

	if (size == 0 || size > 4096 ||
	    !read_input((struct str){ (const char *)data + 1, size - 1 }))
		return 0;
	if (!is_started)
		start();
	is_started = true;
	endpoint.dialect = (enum dialect)(data[0] % 4);
	endpoint.auth = (enum auth)(data[0] / 4 % 4);
	endpoint.body = (enum body_kind)(data[0] / 16 % 3);
	(void)sem_post(&asked);
	while (sem_wait(&answered) != 0)
		;
	return 0;
}

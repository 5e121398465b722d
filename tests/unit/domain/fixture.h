/* SPDX-License-Identifier: MIT */
#ifndef FIXTURE_H
#define FIXTURE_H

/*
 * A real database, migrated and seeded, in a directory of its own; two users,
 * Ada and Bob, without credits; and short words for what many tests do.
 */

#include "base/clock.h"
#include "domain/accounts.h"
#include "domain/attempts.h"
#include "domain/credits.h"
#include "domain/jobs.h"
#include "domain/sessions.h"
#include "store/migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

/* The store is what fails: its own tests break it themselves. */
#ifndef UNBROKEN
#include "broken.h"
#endif

/* Some moment; the tests own the clock. */
#define NOW INT64_C(1790000000000)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct fixture {
	char dir[64];
	struct db *db;
	struct uuid ada;
	struct uuid bob;
	struct model model; /* makes videos out of text */
};

static inline enum err
make_users(struct db *db, void *arg)
{
	struct fixture *f = arg;
	const enum err err = accounts_create_guest(db, LANG_EN, NOW, &f->ada);

	return err != OK ? err :
			   accounts_create_guest(db, LANG_TR, NOW, &f->bob);
}

static inline void
make_directory(const struct fixture *f, const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static inline int
set_up(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;
	struct model active;
	int64_t from, to;

	*f = (struct fixture){ .dir = "/tmp/rendio-unit-XXXXXX" };
	if (sodium_init() < 0 || mkdtemp(f->dir) == NULL)
		return -1;
	make_directory(f, "media");
	make_directory(f, "media/videos");
	make_directory(f, "media/thumbnails");
	assert_int_equal(db_open(f->dir, DB_READ_WRITE, true, &f->db), OK);
	assert_int_equal(migrate(f->db, &from, &to), OK);
	assert_int_equal(db_transaction(f->db, make_users, f), OK);
	assert_int_equal(catalog_active_model(f->db, &active), OK);
	assert_int_equal(catalog_model(f->db, &active.text_sibling_id,
			     &f->model),
	    OK);
	*state = f;
	return 0;
}

static inline int
remove_one(const char *path, const struct stat *info, int type,
    struct FTW *place)
{
	(void)info, (void)type, (void)place;
	return remove(path);
}

static inline int
tear_down(void **state)
{
	struct fixture *f = *state;

	db_close(f->db);
	return nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The number that a literal statement of one row gives for one id. */
static inline int64_t
number_of(const struct fixture *f, const char *sql, const struct uuid *id)
{
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(f->db, sql);
	bool found;

	if (id != NULL)
		db_bind_uuid(stmt, 1, id);
	assert_int_equal(db_step(stmt, &found), OK);
	assert_true(found);
	return db_column_int64(stmt, 0);
}

/* An id as it stands in a statement: x'0011…'. */
struct literal {
	char text[2 * UUID_BYTES + 4];
};

static inline struct literal
literal_of(const struct uuid *id)
{
	struct literal literal;
	char hex[2 * UUID_BYTES + 1];

	(void)sodium_bin2hex(hex, sizeof(hex), id->bytes, UUID_BYTES);
	(void)snprintf(literal.text, sizeof(literal.text), "x'%s'", hex);
	return literal;
}

/* Does to the database what no program of ours would. */
static inline void damage(const struct fixture *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline void
damage(const struct fixture *f, const char *format, ...)
{
	char sql[2048];
	va_list list;

	va_start(list, format);
	assert_true(
	    vsnprintf(sql, sizeof(sql), format, list) < (int)sizeof(sql));
	va_end(list);
	assert_int_equal(db_script(f->db,
			     "PRAGMA foreign_keys = OFF;"
			     "PRAGMA ignore_check_constraints = ON;"
			     "DROP TRIGGER IF EXISTS ledger_entries_are_final;"
			     "DROP TRIGGER IF EXISTS ledger_entries_stay;"),
	    OK);
	assert_int_equal(db_script(f->db, sql), OK);
}

enum move_kind {
	MOVE_GRANT,
	MOVE_ADJUST,
	MOVE_HOLD,
	MOVE_CAPTURE,
	MOVE_RELEASE
};

struct move {
	enum move_kind kind;
	const struct uuid *user_id;
	const struct uuid *job_id;
	int64_t amount;
	int64_t now_ms;
	int64_t balance;
};

static inline enum err
make_move(struct db *db, void *arg)
{
	struct move *m = arg;

	switch (m->kind) {
	case MOVE_GRANT:
		return credits_grant(db, m->user_id, m->amount, m->now_ms);
	case MOVE_ADJUST:
		return credits_adjust(db, m->user_id, m->amount, "test",
		    m->now_ms, &m->balance);
	case MOVE_HOLD:
		return credits_hold(db, m->user_id, m->job_id, m->amount,
		    m->now_ms, &m->balance);
	case MOVE_CAPTURE:
		return credits_capture(db, m->user_id, m->job_id, m->now_ms);
	case MOVE_RELEASE:
		return credits_release(db, m->user_id, m->job_id, "failed",
		    m->now_ms);
	}
	return ERR_INTERNAL;
}

/* Each in a transaction of its own. */
static inline enum err
grant(const struct fixture *f, const struct uuid *user_id, int64_t amount)
{
	struct move m = { .kind = MOVE_GRANT,
		.user_id = user_id,
		.amount = amount,
		.now_ms = NOW };

	return db_transaction(f->db, make_move, &m);
}

static inline enum err
adjust(const struct fixture *f, const struct uuid *user_id, int64_t amount)
{
	struct move m = { .kind = MOVE_ADJUST,
		.user_id = user_id,
		.amount = amount,
		.now_ms = NOW };

	return db_transaction(f->db, make_move, &m);
}

static inline enum err
hold(const struct fixture *f, const struct uuid *user_id,
    const struct uuid *job_id, int64_t amount)
{
	struct move m = { .kind = MOVE_HOLD,
		.user_id = user_id,
		.job_id = job_id,
		.amount = amount,
		.now_ms = NOW };

	return db_transaction(f->db, make_move, &m);
}

static inline enum err
settle(const struct fixture *f, enum move_kind kind, const struct uuid *user_id,
    const struct uuid *job_id)
{
	struct move m = { .kind = kind,
		.user_id = user_id,
		.job_id = job_id,
		.now_ms = NOW };

	return db_transaction(f->db, make_move, &m);
}

static inline int64_t
balance_of(const struct fixture *f, const struct uuid *user_id)
{
	int64_t balance = -1;

	assert_int_equal(credits_balance(f->db, user_id, &balance), OK);
	return balance;
}

/* NULL when the user's credits fit together, else what does not. */
static inline const char *
problem_of(const struct fixture *f, const struct uuid *user_id)
{
	const char *problem = NULL;
	bool ok = false;

	assert_int_equal(credits_verify(f->db, user_id, &ok, &problem), OK);
	assert_int_equal(ok, problem == NULL);
	return problem;
}

struct opening {
	const struct uuid *user_id;
	enum session_method method;
	int64_t now_ms;
	struct session session;
};

static inline enum err
open_it(struct db *db, void *arg)
{
	struct opening *o = arg;

	return sessions_create(db, o->user_id, o->method, o->now_ms,
	    &o->session);
}

static inline struct session
open_session(const struct fixture *f, const struct uuid *user_id,
    int64_t now_ms)
{
	struct opening o = { .user_id = user_id, .now_ms = now_ms };

	assert_int_equal(db_transaction(f->db, open_it, &o), OK);
	return o.session;
}

/* Jobs: the simplest order there is, for four credits. */
#define JOB_COST 4

static inline struct job_order
order_of(const struct fixture *f, const struct uuid *user_id, const char *key)
{
	return (struct job_order){
		.user_id = *user_id,
		.key = str_from(key),
		.model = &f->model,
		.settings = { .duration_s = 4,
		    .resolution = "720p",
		    .aspect_ratio = "9:16",
		    .has_audio = true,
		    .cost_credits = JOB_COST },
		.prompt = STR("a quiet sea"),
		.fingerprint = { 1 },
		.open_max_free = 200,
		.open_max_premium = 200,
		.guest_per_hour = 1000,
		.free_per_hour = 1000,
		.premium_per_hour = 1000,
		.per_minute = 1000,
	};
}

static inline struct uuid
submit_at(const struct fixture *f, const char *key, int64_t now_ms)
{
	const struct job_order order = order_of(f, &f->ada, key);
	struct job_receipt receipt;

	assert_int_equal(jobs_submit(f->db, &order, now_ms, &receipt), OK);
	return receipt.job_id;
}

static inline struct uuid
submit(const struct fixture *f, const char *key)
{
	return submit_at(f, key, NOW);
}

static inline enum job_state
state_of(const struct fixture *f, const struct uuid *job_id)
{
	static const char sql[] = "SELECT state FROM jobs WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(f->db, sql);
	bool found;

	db_bind_uuid(stmt, 1, job_id);
	assert_int_equal(db_step(stmt, &found), OK);
	assert_true(found);
	return job_state_parse(db_column_str(stmt, 0));
}

#define LIFE (30 * MINUTE)

/* Leases what is due; *works belongs to the next call. */
static inline size_t
lease_up_to(const struct fixture *f, int64_t now_ms, int64_t slots, size_t max,
    struct attempt_work **ret_works, size_t *ret_ended)
{
	static struct attempt_work works[16];
	const struct attempt_policy policy = {
		.company = "fal",
		.provider = "fal",
		.life_ms = LIFE,
		.slots = slots,
		.start_timeout_ms = LIFE,
	};
	size_t count = 0;

	assert_true(max <= COUNT_OF(works));
	assert_int_equal(attempts_lease(f->db, &policy, 1, true, now_ms, works,
			     max, &count, ret_ended),
	    OK);
	*ret_works = works;
	return count;
}

/* Leases the one job that is due. */
static inline struct attempt_work
lease_one(const struct fixture *f, int64_t now_ms)
{
	struct attempt_work *works;
	size_t ended;

	assert_int_equal(lease_up_to(f, now_ms, 16, 16, &works, &ended), 1);
	assert_int_equal(ended, 0);
	return works[0];
}

static const struct attempt_handle handle = {
	.request_id = "request-1",
	.status_url = "https://queue.test/1/status",
	.result_url = "https://queue.test/1",
	.cancel_url = "https://queue.test/1/cancel",
};

static const uint8_t sha256[32] = { 7 };

/* A job that the provider has accepted, due a minute later. */
static inline struct uuid
accepted_attempt(const struct fixture *f, struct uuid *ret_job_id)
{
	struct attempt_work work;

	*ret_job_id = submit(f, "key");
	work = lease_one(f, NOW);
	assert_int_equal(work.action, ATTEMPT_SUBMIT);
	assert_int_equal(attempts_accepted(f->db, &work.id, &handle,
			     NOW + MINUTE, NOW),
	    OK);
	return work.id;
}

/* A job whose result can be fetched. */
static inline struct uuid
storing_attempt(const struct fixture *f, struct uuid *ret_job_id)
{
	const struct uuid id = accepted_attempt(f, ret_job_id);

	assert_int_equal(attempts_succeeded(f->db, &id,
			     "https://cdn.test/video.mp4", 0, NOW + MINUTE),
	    OK);
	return id;
}

/* The video of an attempt is stored, without a poster. */
static inline enum err
tell_stored(struct db *db, const struct uuid *id, int64_t size_bytes,
    const uint8_t hash[32], int64_t now_ms)
{
	struct attempt_file video = { .size_bytes = size_bytes };

	memcpy(video.sha256, hash, sizeof(video.sha256));
	return attempts_stored(db, id, &video, NULL, now_ms);
}

#endif

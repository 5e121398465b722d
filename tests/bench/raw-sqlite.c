/* SPDX-License-Identifier: MIT */
/*
 * raw-sqlite STATE_DIR WRITERS SECONDS -- what generate-video is measured
 * against: as many processes as it has, each doing the five writes of an order
 * in one transaction as fast as it can, with SQLite's own interface and our
 * settings: synchronous=FULL, naps instead of the busy handler, and one other
 * process that empties the log when it has grown as far as the worker lets it.
 *
 * Prints "TRANSACTIONS_PER_SECOND P50_US P99_US MAX_US".  A second run goes on
 * with the database of the first.
 */

#include "base/clock.h"
#include "store/migrate.h"

#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define USERS 256
#define WRITERS_MAX 256
#define LATENCIES_MAX 1000000
#define BALANCE INT64_C(1000000000)
#define COST 4

/* As in lib/store/db.c and cron/checkpoint.c. */
#define NAP_MIN_US 100
#define NAP_SPREAD_US 900
/* Of hundreds of writers one is unlucky for long, and must not end the run. */
#define WAIT_MAX_US INT64_C(60000000)
#define CHECKPOINT_PERIOD_US 100000
#define LOG_BYTES_TO_EMPTY (8 * 1024 * 1024)

static const char model_id[] =
    "x'977be462dfb8511aa3cd011fb96a11c6', 'Veo 3.1 Fast Text', NULL, 'fal'";

/* Shared by the writers. */
struct tally {
	_Atomic size_t count;
	uint32_t latency_us[LATENCIES_MAX];
};

struct writer {
	sqlite3 *db;
	sqlite3_stmt *begin, *charge, *job, *attempt, *record, *event, *commit;
	uint32_t jitter;
	int64_t wait_began_us;
};

static void
die(const char *what, const char *why)
{
	(void)fprintf(stderr, "raw-sqlite: %s: %s\n", what, why);
	exit(1);
}

static void
check(const struct writer *w, int rc, int wanted, const char *what)
{
	if (rc != wanted)
		die(what, sqlite3_errmsg(w->db));
}

static int
nap(void *arg, int times)
{
	struct writer *w = arg;
	struct timespec time = { 0, 0 };

	if (times == 0)
		w->wait_began_us = clock_monotonic_us();
	else if (clock_monotonic_us() - w->wait_began_us > WAIT_MAX_US)
		return 0;
	w->jitter ^= w->jitter << 13;
	w->jitter ^= w->jitter >> 17;
	w->jitter ^= w->jitter << 5;
	time.tv_nsec = (NAP_MIN_US + w->jitter % NAP_SPREAD_US) * 1000L;
	(void)nanosleep(&time, NULL);
	return 1;
}

static void
open_database(struct writer *w, const char *state_dir)
{
	char path[4096];

	random_bytes(&w->jitter, sizeof(w->jitter));
	w->jitter |= 1;
	(void)snprintf(path, sizeof(path), "%s/rendio.db", state_dir);
	check(w,
	    sqlite3_open_v2(path, &w->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL),
	    SQLITE_OK, "open");
	(void)sqlite3_busy_handler(w->db, nap, w);
	(void)sqlite3_db_config(w->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
	    NULL);
	check(w,
	    sqlite3_exec(w->db,
		"PRAGMA synchronous = FULL;"
		"PRAGMA wal_autocheckpoint = 0;"
		"PRAGMA foreign_keys = ON;"
		"PRAGMA cache_size = -2048;",
		NULL, NULL, NULL),
	    SQLITE_OK, "settings");
}

static void
user_of(uint32_t number, struct uuid *user)
{
	*user = (struct uuid){ { 0 } };
	memcpy(user->bytes, &number, sizeof(number));
}

static sqlite3_stmt *
prepare(const struct writer *w, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	check(w,
	    sqlite3_prepare_v3(w->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt,
		NULL),
	    SQLITE_OK, sql);
	return stmt;
}

static void
bind_uuid(sqlite3_stmt *stmt, int index, const struct uuid *uuid)
{
	(void)sqlite3_bind_blob(stmt, index, uuid->bytes, UUID_BYTES,
	    SQLITE_TRANSIENT);
}

static void
run(const struct writer *w, sqlite3_stmt *stmt)
{
	check(w, sqlite3_step(stmt), SQLITE_DONE, sqlite3_sql(stmt));
	(void)sqlite3_reset(stmt);
}

/* The schema by our own migrations, and users who can pay for a long time. */
static void
make_database(const char *state_dir)
{
	struct writer w = { 0 };
	struct uuid user, token;
	sqlite3_stmt *insert;
	struct db *db;
	int64_t from, to;

	if (db_open(state_dir, DB_READ_WRITE, true, &db) != OK ||
	    migrate(db, &from, &to) != OK)
		die(state_dir, "no database can be made there");
	db_close(db);
	open_database(&w, state_dir);
	insert = prepare(&w,
	    "INSERT INTO users (id, app_account_token, credits_remaining,"
	    " created_at_ms, updated_at_ms) VALUES (?1, ?2, ?3, ?4, ?4)"
	    " ON CONFLICT (id) DO UPDATE SET credits_remaining = ?3");
	check(&w, sqlite3_exec(w.db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
	    SQLITE_OK, "BEGIN");
	for (uint32_t i = 0; i < USERS; i++) {
		user_of(i, &user);
		token = uuid_random();
		bind_uuid(insert, 1, &user);
		bind_uuid(insert, 2, &token);
		(void)sqlite3_bind_int64(insert, 3, BALANCE);
		(void)sqlite3_bind_int64(insert, 4, clock_now_ms());
		run(&w, insert);
	}
	check(&w, sqlite3_exec(w.db, "COMMIT", NULL, NULL, NULL), SQLITE_OK,
	    "COMMIT");
	(void)sqlite3_finalize(insert);
	(void)sqlite3_close_v2(w.db);
}

static void
prepare_all(struct writer *w)
{
	char sql[512];

	w->begin = prepare(w, "BEGIN IMMEDIATE");
	w->charge = prepare(w,
	    "UPDATE users SET credits_remaining = credits_remaining - ?2,"
	    " updated_at_ms = ?3 WHERE id = ?1 AND credits_remaining >= ?2");
	(void)snprintf(sql, sizeof(sql),
	    "INSERT INTO jobs (id, user_id, model_id, model_name, theme_id,"
	    " company, prompt, image_object_id, duration_s, resolution,"
	    " aspect_ratio, has_audio, cost_credits, due_at_ms,"
	    " deadline_at_ms, created_at_ms) VALUES (?1, ?2, %s,"
	    " 'A lighthouse in a storm, waves breaking over the rocks',"
	    " NULL, 4, '720p', '9:16', 1, ?3, ?4, ?4, ?4)",
	    model_id);
	w->job = prepare(w, sql);
	w->attempt = prepare(w,
	    "INSERT INTO attempts (id, job_id, number, state, seed)"
	    " VALUES (?1, ?2, 1, 'new', 1234567890)");
	w->record = prepare(w,
	    "INSERT INTO idempotency_records (user_id, key, fingerprint,"
	    " job_id, credits_used, credits_remaining, created_at_ms)"
	    " VALUES (?1, ?2, randomblob(32), ?3, ?4, 1000, ?5)");
	w->event = prepare(w,
	    "INSERT INTO events (user_id, job_id, kind, created_at_ms)"
	    " VALUES (?1, ?2, 'job', ?3)");
	w->commit = prepare(w, "COMMIT");
}

static void
order(struct writer *w)
{
	const int64_t now_ms = clock_now_ms();
	const struct uuid job = uuid_sortable(now_ms);
	const struct uuid attempt = uuid_sortable(now_ms);
	char key[UUID_TEXT_BYTES];
	struct uuid user, secret = uuid_random();
	uint32_t number;

	memcpy(&number, secret.bytes, sizeof(number));
	user_of(number % USERS, &user);
	uuid_format(&secret, key);
	bind_uuid(w->charge, 1, &user);
	(void)sqlite3_bind_int64(w->charge, 2, COST);
	(void)sqlite3_bind_int64(w->charge, 3, now_ms);
	bind_uuid(w->job, 1, &job);
	bind_uuid(w->job, 2, &user);
	(void)sqlite3_bind_int64(w->job, 3, COST);
	(void)sqlite3_bind_int64(w->job, 4, now_ms);
	bind_uuid(w->attempt, 1, &attempt);
	bind_uuid(w->attempt, 2, &job);
	bind_uuid(w->record, 1, &user);
	(void)sqlite3_bind_text(w->record, 2, key, -1, SQLITE_TRANSIENT);
	bind_uuid(w->record, 3, &job);
	(void)sqlite3_bind_int64(w->record, 4, COST);
	(void)sqlite3_bind_int64(w->record, 5, now_ms);
	bind_uuid(w->event, 1, &user);
	bind_uuid(w->event, 2, &job);
	(void)sqlite3_bind_int64(w->event, 3, now_ms);

	run(w, w->begin);
	run(w, w->charge);
	run(w, w->job);
	run(w, w->attempt);
	run(w, w->record);
	run(w, w->event);
	run(w, w->commit);
}

static void
write_until(const char *state_dir, int64_t until_us, struct tally *tally)
{
	struct writer w = { 0 };
	int64_t now_us = clock_monotonic_us();

	open_database(&w, state_dir);
	prepare_all(&w);
	while (now_us < until_us) {
		const int64_t began_us = now_us;
		size_t i;

		order(&w);
		now_us = clock_monotonic_us();
		i = tally->count++;
		if (i < LATENCIES_MAX)
			tally->latency_us[i] = (uint32_t)(now_us - began_us);
	}
	_exit(0);
}

static void
checkpoint_until(const char *state_dir, int64_t until_us)
{
	struct writer w = { 0 };
	char path[4096];
	struct stat log;

	open_database(&w, state_dir);
	(void)snprintf(path, sizeof(path), "%s/rendio.db-wal", state_dir);
	while (clock_monotonic_us() < until_us) {
		if (stat(path, &log) == 0 && log.st_size > LOG_BYTES_TO_EMPTY)
			(void)sqlite3_wal_checkpoint_v2(w.db, NULL,
			    SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
		(void)usleep(CHECKPOINT_PERIOD_US);
	}
	_exit(0);
}

static int
compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static long
number(const char *text, long max)
{
	char *end;
	const long value = strtol(text, &end, 10);

	if (*end != '\0' || value < 1 || value > max)
		die(text, "not a number that fits");
	return value;
}

int
main(int argc, char **argv)
{
	struct tally *tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long writers, seconds;
	int64_t until_us;
	size_t kept;
	int status;

	if (argc != 4 || tally == MAP_FAILED)
		die("usage", "raw-sqlite STATE_DIR WRITERS SECONDS");
	writers = number(argv[2], WRITERS_MAX);
	seconds = number(argv[3], 3600);
	make_database(argv[1]);
	until_us = clock_monotonic_us() + seconds * 1000000;
	for (long i = 0; i <= writers; i++) {
		switch (fork()) {
		case -1:
			die("fork", "failed");
			break;
		case 0:
			if (i == 0)
				checkpoint_until(argv[1], until_us);
			write_until(argv[1], until_us, tally);
			break;
		default:
			break;
		}
	}
	for (long i = 0; i <= writers; i++)
		if (wait(&status) < 0 || status != 0)
			die("writer", "ended badly");
	kept = tally->count < LATENCIES_MAX ? tally->count : LATENCIES_MAX;
	if (kept == 0)
		die(argv[1], "nothing was written");
	qsort(tally->latency_us, kept, sizeof(tally->latency_us[0]), compare);
	(void)printf("%.1f %u %u %u\n", (double)tally->count / (double)seconds,
	    tally->latency_us[kept / 2], tally->latency_us[kept * 99 / 100],
	    tally->latency_us[kept - 1]);
	return 0;
}

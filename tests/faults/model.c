/* SPDX-License-Identifier: MIT */
/*
 * model [WORKERS [SECONDS]] -- every state that a job can get into, by the real
 * functions.
 *
 * One job, WORKERS (1, the default, or 2) that may die or be slow at any
 * moment, a provider that accepts, loses its answers, makes, fails and reports
 * whenever it likes, as often as it likes, and a user who cancels, deletes and
 * leaves: each thing that can happen is tried in each state that can be
 * reached, nearest first, until no state is new.  A state is what the database
 * says of the job, with times only as far as they matter (due, leased, late),
 * and what the others know.  It is kept as the way to it, and gone to again by
 * that way.
 *
 * In each state the audit must be clean, an attempt submitted once at most,
 * and an end in reach: if everybody dies and the provider never says a word
 * again, a worker and time alone must bring it.  What has ended stays so.
 *
 * It prints how many states and steps there were.  With SECONDS it looks no
 * longer than that, of the processor's time, and says how many states it had
 * reached and not gone on from.
 */

#include "base/buf.h"
#include "domain/accounts.h"
#include "domain/attempts.h"
#include "domain/audit.h"
#include "domain/credits.h"
#include "domain/deletions.h"
#include "store/db_private.h"
#include "store/migrate.h"
#include "store/objects.h"

#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NOW INT64_C(1790000000000)
#define SECOND INT64_C(1000)
#define WORKERS_MAX 2
#define ATTEMPTS_MAX 2
/* The longest of the shortest ways, several times over. */
#define DEPTH_MAX 200
/* A power of two, several times what there is. */
#define SEEN_SLOTS (1 << 20)

enum knows { NOTHING, HAS_IT, HAS_MADE_IT, HAS_FAILED };

struct provider_side {
	struct uuid attempt;
	int submissions;
	enum knows knows;
};

struct worker_side {
	bool is_busy;
	bool is_sent; /* of a submission: the request has left */
	enum attempt_action action;
	struct uuid attempt;
};

/* All that is not in the database. */
static struct {
	int64_t now_ms;
	struct worker_side worker[WORKERS_MAX];
	struct provider_side provider[ATTEMPTS_MAX];
	int attempts;
	bool has_left; /* its user deleted the account */
} env;

static struct db *db;
static struct uuid user, job;
static char dir[64];
static const char *path[DEPTH_MAX];
static int depth = 1, longest;
static int64_t transitions, ends, waiting;
static int workers = 1;
static clock_t until; /* 0 = the end */

_Noreturn static void
wrong(const char *what)
{
	printf("broken: %s\n", what);
	for (int i = 0; i < depth; i++)
		printf("  %s\n", path[i]);
	exit(1);
}

#define MUST(condition) \
	do { \
		if (!(condition)) \
			wrong(#condition); \
	} while (0)

struct seen {
	uint8_t hash[SEEN_SLOTS][16];
	int64_t count;
};

/* Whole states, and what the database alone says. */
static struct seen worlds, databases;

/* Each whole state in the order of its finding: the last step of its way. */
static struct way {
	int32_t from;
	int32_t step;
} ways[SEEN_SLOTS / 2];

/* --- what the database says -------------------------------------------------- */

static void
say(struct buf *out, const char *sql)
{
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;

	db_bind_uuid(stmt, 1, &job);
	db_bind_int64(stmt, 2, env.now_ms);
	while (db_step(stmt, &found) == OK && found)
		buf_appendf(out, "%s;", db_column_str(stmt, 0).ptr);
}

static void
describe_database(struct buf *out)
{
	say(out,
	    "SELECT state || ' ' || wish || is_hidden || ' ' ||"
	    " COALESCE(error_code, '') || (due_at_ms <= ?2) ||"
	    " (due_at_ms > ?2 + 15000) || (deadline_at_ms < ?2)"
	    " FROM jobs WHERE id = ?1");
	say(out,
	    "SELECT state || is_ended || MIN(calls_count, 1) ||"
	    " (request_id IS NOT NULL) || (cost_micro_usd > 0)"
	    " FROM attempts WHERE job_id = ?1 AND ?2 > 0 ORDER BY number");
	say(out,
	    "SELECT bucket || state FROM objects WHERE job_id = ?1 AND ?2 > 0"
	    " ORDER BY bucket, state");
	say(out,
	    "SELECT kind FROM ledger_entries WHERE job_id = ?1 AND ?2 > 0"
	    " ORDER BY number");
}

/* What a worker has in hand, as a number; 0 = nothing. */
static int
hands_of(const struct worker_side *w)
{
	int which = 0;

	if (!w->is_busy)
		return 0;
	while (which < env.attempts &&
	    !uuid_equal(&env.provider[which].attempt, &w->attempt))
		which++;
	return 1 + which * 100 + (int)w->action * 10 + w->is_sent * 5;
}

static void
describe_others(struct buf *out)
{
	const int one = hands_of(&env.worker[0]);
	const int other = hands_of(&env.worker[1]);

	/* Which of two workers it is that has it makes no difference. */
	buf_appendf(out, "w%d,%d", one < other ? one : other,
	    one < other ? other : one);
	for (int i = 0; i < env.attempts; i++)
		buf_appendf(out, "p%d%d", env.provider[i].submissions,
		    (int)env.provider[i].knows);
	buf_appendf(out, "l%d", env.has_left);
}

static struct str
text_of(const char *sql, char into[32])
{
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found = false;

	db_bind_uuid(stmt, 1, &job);
	MUST(db_step(stmt, &found) == OK && found);
	(void)str_copy(db_column_str(stmt, 0), into, 32);
	return str_from(into);
}

static enum job_state
job_state(void)
{
	char text[32];

	return job_state_parse(
	    text_of("SELECT state FROM jobs WHERE id = ?1", text));
}

static int64_t
time_of(const char *sql)
{
	char text[32];
	int64_t ms = -1;

	(void)str_to_int64(text_of(sql, text), 0, INT64_MAX, &ms);
	return ms;
}

/* --- what can happen --------------------------------------------------------- */

static struct provider_side *
side_of(const struct uuid *attempt)
{
	for (int i = 0; i < env.attempts; i++)
		if (uuid_equal(&env.provider[i].attempt, attempt))
			return &env.provider[i];
	MUST(env.attempts < ATTEMPTS_MAX);
	env.provider[env.attempts].attempt = *attempt;
	return &env.provider[env.attempts++];
}

static size_t
lease(struct attempt_work *ret_work)
{
	static struct attempt_work works[4];
	const struct attempt_policy policy = { .company = "fal",
		.provider = "fal",
		.life_ms = 1800 * SECOND,
		.slots = 4,
		.start_timeout_ms = 1800 * SECOND };
	size_t count = 0, ended;

	MUST(attempts_lease(db, &policy, 1, true, env.now_ms, works, 4, &count,
		 &ended) == OK);
	MUST(count <= 1);
	*ret_work = works[0];
	return count;
}

static bool
take_work(struct worker_side *w)
{
	static struct attempt_work work;

	if (w->is_busy)
		return false;
	if (lease(&work) == 0)
		return true;
	*w = (struct worker_side){ .is_busy = true,
		.action = work.action,
		.attempt = work.id };
	(void)side_of(&work.id);
	return true;
}

static bool
die(struct worker_side *w)
{
	const bool was_busy = w->is_busy;

	*w = (struct worker_side){ 0 };
	return was_busy;
}

static bool
is_at(const struct worker_side *w, enum attempt_action action)
{
	return w->is_busy && w->action == action;
}

static bool
send_it(struct worker_side *w)
{
	struct provider_side *p;

	if (!is_at(w, ATTEMPT_SUBMIT) || w->is_sent)
		return false;
	p = side_of(&w->attempt);
	p->submissions++;
	MUST(p->submissions == 1);
	p->knows = HAS_IT;
	w->is_sent = true;
	return true;
}

static enum err
tell_accepted(const struct uuid *attempt)
{
	struct attempt_handle handle = { .status_url = "https://q.test/s" };

	(void)sodium_bin2hex(handle.request_id, sizeof(handle.request_id),
	    attempt->bytes, UUID_BYTES);
	return attempts_accepted(db, attempt, &handle, env.now_ms + SECOND,
	    env.now_ms);
}

/* Its worker says what came of it, and is free. */
static bool
told(struct worker_side *w, enum err err)
{
	MUST(err == OK);
	return die(w);
}

static bool
accepted(struct worker_side *w)
{
	if (!(is_at(w, ATTEMPT_SUBMIT) && w->is_sent) &&
	    !(is_at(w, ATTEMPT_FIND) && side_of(&w->attempt)->knows != NOTHING))
		return false;
	return told(w, tell_accepted(&w->attempt));
}

static bool
answer_lost(struct worker_side *w)
{
	return is_at(w, ATTEMPT_SUBMIT) &&
	    told(w, attempts_unknown(db, &w->attempt, env.now_ms + SECOND));
}

static bool
not_sent(struct worker_side *w)
{
	return is_at(w, ATTEMPT_SUBMIT) && !w->is_sent &&
	    told(w,
		attempts_unsent(db, &w->attempt, env.now_ms + SECOND,
		    env.now_ms));
}

static bool
refused(struct worker_side *w)
{
	static const struct attempt_failure failure = { .error_code = "input",
		.attempts_max = 1,
		.is_unbilled = true,
		.is_refusal = true };

	return is_at(w, ATTEMPT_SUBMIT) && !w->is_sent &&
	    told(w, attempts_end(db, &w->attempt, &failure, env.now_ms));
}

static bool
proven_lost(struct worker_side *w)
{
	return is_at(w, ATTEMPT_FIND) &&
	    side_of(&w->attempt)->knows == NOTHING &&
	    told(w,
		attempts_failed(db, &w->attempt, "submission_lost",
		    env.now_ms));
}

static bool
learnt_nothing(struct worker_side *w)
{
	return w->is_busy && w->action != ATTEMPT_SUBMIT &&
	    told(w, attempts_later(db, &w->attempt, env.now_ms + SECOND));
}

static bool
runs(struct worker_side *w)
{
	return is_at(w, ATTEMPT_POLL) &&
	    side_of(&w->attempt)->knows == HAS_IT &&
	    told(w,
		attempts_progress(db, &w->attempt, true, -1,
		    env.now_ms + SECOND, env.now_ms));
}

static const struct attempt_failure provider_failure = {
	.error_code = "provider",
	.attempts_max = ATTEMPTS_MAX,
};

static enum err
tell_end(const struct uuid *attempt, enum knows knows)
{
	return knows == HAS_MADE_IT ?
	    attempts_succeeded(db, attempt, "https://cdn.test/v.mp4", 0,
		env.now_ms) :
	    attempts_end(db, attempt, &provider_failure, env.now_ms);
}

static bool
sees_end(struct worker_side *w)
{
	const enum knows knows =
	    is_at(w, ATTEMPT_POLL) ? side_of(&w->attempt)->knows : NOTHING;

	return knows >= HAS_MADE_IT && told(w, tell_end(&w->attempt, knows));
}

static bool
cannot_read_end(struct worker_side *w)
{
	return is_at(w, ATTEMPT_POLL) &&
	    side_of(&w->attempt)->knows >= HAS_MADE_IT &&
	    told(w, attempts_ended(db, &w->attempt, env.now_ms + SECOND));
}

static bool
told_cancel(struct worker_side *w)
{
	return is_at(w, ATTEMPT_CANCEL) &&
	    told(w, attempts_cancel_told(db, &w->attempt, env.now_ms + SECOND));
}

static bool
stored(struct worker_side *w)
{
	static const struct attempt_file file = { .size_bytes = 1 };
	enum err err;

	if (!is_at(w, ATTEMPT_FETCH))
		return false;
	err = attempts_stored(db, &w->attempt, &file, NULL, env.now_ms);
	MUST(err == OK || err == ERR_CONFLICT);
	return die(w);
}

static bool
cannot_fetch(struct worker_side *w)
{
	return is_at(w, ATTEMPT_FETCH) &&
	    told(w, attempts_failed(db, &w->attempt, "expired", env.now_ms));
}

static bool (*const worker_steps[])(struct worker_side *) = { take_work, die,
	send_it, accepted, answer_lost, not_sent, refused, proven_lost,
	learnt_nothing, runs, sees_end, cannot_read_end, told_cancel, stored,
	cannot_fetch };
static const char *const worker_names[] = { "takes work", "dies", "sends",
	"is told of acceptance", "gets no answer", "could not send",
	"is refused", "learns that it never arrived", "learns nothing",
	"sees it run", "sees its end", "cannot read its end",
	"tells the provider to cancel", "stored the file",
	"cannot fetch the file" };

/* The provider makes or fails what it has. */
static bool
provider_ends(struct provider_side *p, enum knows how)
{
	if (p->knows != HAS_IT)
		return false;
	p->knows = how;
	return true;
}

/* Its report is taken in, as cron/take-reports.c does; any number of times. */
static bool
provider_reports(struct provider_side *p)
{
	static const char bound_sql[] =
	    "SELECT request_id IS NOT NULL, state IN ('failed', 'lost',"
	    " 'cancelled') FROM attempts WHERE id = ?1";
	bool found, is_bound, is_over;

	if (p->knows < HAS_MADE_IT)
		return false;
	{
		CLEANUP(db_release)
		struct db_stmt *stmt = db_prepare(db, bound_sql);

		db_bind_uuid(stmt, 1, &p->attempt);
		MUST(db_step(stmt, &found) == OK && found);
		is_bound = db_column_bool(stmt, 0);
		is_over = db_column_bool(stmt, 1);
	}
	if (is_over)
		return true;
	if (!is_bound)
		MUST(tell_accepted(&p->attempt) == OK);
	MUST(tell_end(&p->attempt, p->knows) == OK);
	return true;
}

static bool
user_cancels(void)
{
	struct job_cancellation cancellation;
	const enum err err =
	    jobs_cancel(db, &user, &job, env.now_ms, &cancellation);

	MUST(err == OK || err == ERR_JOB_NOT_CANCELABLE ||
	    err == ERR_JOB_NOT_FOUND);
	return true;
}

static bool
user_deletes(void)
{
	const enum err err = jobs_delete(db, &user, &job, env.now_ms);

	MUST(err == OK || err == ERR_JOB_NOT_FOUND);
	return true;
}

static bool
user_leaves(void)
{
	if (env.has_left)
		return false;
	MUST(deletions_begin(db, &user, env.now_ms) == OK);
	env.has_left = true;
	return true;
}

static bool
time_passes_to(const char *sql)
{
	const int64_t at_ms = time_of(sql);

	if (at_ms < env.now_ms)
		return false;
	env.now_ms = at_ms + 1;
	return true;
}

static bool
becomes_due(void)
{
	return time_passes_to("SELECT COALESCE(due_at_ms, -1) FROM jobs"
			      " WHERE id = ?1");
}

static bool
becomes_late(void)
{
	return time_passes_to("SELECT CASE WHEN due_at_ms IS NULL THEN -1 ELSE"
			      " deadline_at_ms END FROM jobs WHERE id = ?1");
}

static bool (*const other_steps[])(void) = { user_cancels, user_deletes,
	user_leaves, becomes_due, becomes_late };
static const char *const other_names[] = { "the user cancels",
	"the user deletes", "the user leaves", "it becomes due",
	"it becomes late" };

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define WORKER_STEPS (workers * COUNT_OF(worker_steps))
#define PROVIDER_STEPS (ATTEMPTS_MAX * 3)
#define STEPS (WORKER_STEPS + PROVIDER_STEPS + COUNT_OF(other_steps))

static bool
happen(int step)
{
	if (step < WORKER_STEPS) {
		path[depth - 1] = worker_names[step / workers];
		return worker_steps[step / workers](
		    &env.worker[step % workers]);
	}
	step -= WORKER_STEPS;
	if (step < PROVIDER_STEPS) {
		struct provider_side *p = &env.provider[step / 3];

		if (step / 3 >= env.attempts)
			return false;
		path[depth - 1] = step % 3 == 0 ? "the provider makes it" :
		    step % 3 == 1               ? "the provider fails" :
						  "the provider reports";
		return step % 3 == 2 ?
		    provider_reports(p) :
		    provider_ends(p, step % 3 == 0 ? HAS_MADE_IT : HAS_FAILED);
	}
	step -= PROVIDER_STEPS;
	path[depth - 1] = other_names[step];
	return other_steps[step]();
}

/* --- what must be true ------------------------------------------------------- */

static void
check_books(void)
{
	static struct audit audit;

	/* As of the beginning: in this world work may be overdue. */
	MUST(audit_run(db, dir, NOW, false, &audit) == OK);
	/* 8: the files are not written. */
	for (int i = 1; i <= AUDIT_INVARIANT_MAX; i++)
		if (i != 3 && i != 8 && audit.invariant[i].violations_count > 0)
			wrong(audit.invariant[i].violation[0].problem);
}

/* Everybody dies, and nobody outside says a word any more. */
#define TURNS_MAX 8

static void
check_end(void)
{
	static struct attempt_work work;
	const int64_t now_ms = env.now_ms;

	MUST(db_script(db, "SAVEPOINT alone") == OK);
	for (int i = 0; i < TURNS_MAX && !job_is_over(job_state()); i++) {
		(void)becomes_due();
		(void)becomes_late();
		(void)lease(&work);
	}
	MUST(job_is_over(job_state()));
	MUST(db_script(db, "ROLLBACK TO alone; RELEASE alone") == OK);
	env.now_ms = now_ms;
}

static bool
is_new(struct seen *seen, struct str text)
{
	uint8_t hash[16];
	uint32_t slot;

	(void)crypto_generichash(hash, sizeof(hash),
	    (const unsigned char *)text.ptr, text.len, NULL, 0);
	memcpy(&slot, hash, sizeof(slot));
	for (slot %= SEEN_SLOTS; !sodium_is_zero(seen->hash[slot], 16);
	     slot = (slot + 1) % SEEN_SLOTS)
		if (memcmp(seen->hash[slot], hash, sizeof(hash)) == 0)
			return false;
	MUST(++seen->count < SEEN_SLOTS / 2);
	memcpy(seen->hash[slot], hash, sizeof(hash));
	return true;
}

/* Is this a state that was not seen?  Its database is checked, once. */
static bool
arrive(void)
{
	static struct buf text;

	if (text.ptr == NULL)
		buf_init(&text, 4096);
	buf_clear(&text);
	describe_database(&text);
	if (is_new(&databases, buf_str(&text))) {
		ends += job_is_over(job_state());
		check_books();
		check_end();
	}
	describe_others(&text);
	return is_new(&worlds, buf_str(&text));
}

/* The states on the way to where we are, and what was before each. */
static struct {
	int32_t state;
	__typeof__(env) before;
} passed[DEPTH_MAX];

/*
 * Goes to that state by its way.  Those that are looked at one after the other
 * have nearly all of it in common: only the rest is taken back and gone.
 */
static void
go_to(int32_t state)
{
	int32_t states[DEPTH_MAX];
	int length = 0, common = 0;

	for (; state != 0; state = ways[state].from) {
		MUST(length < DEPTH_MAX);
		states[length++] = state;
	}
	while (common < depth - 1 && common < length &&
	    passed[common].state == states[length - 1 - common])
		common++;
	for (; depth - 1 > common; depth--) {
		MUST(db_script(db, "ROLLBACK TO way; RELEASE way") == OK);
		env = passed[depth - 2].before;
	}
	for (; depth - 1 < length; depth++) {
		const int32_t next = states[length - depth];

		passed[depth - 1].state = next;
		passed[depth - 1].before = env;
		MUST(db_script(db, "SAVEPOINT way") == OK);
		MUST(happen(ways[next].step));
	}
	longest = depth > longest ? depth : longest;
}

/* Everything that can happen in the state we are in. */
static void
try_all(int32_t state)
{
	const __typeof__(env) before = env;
	const enum job_state was = job_state();

	for (int step = 0; step < STEPS; step++) {
		MUST(db_script(db, "SAVEPOINT step") == OK);
		if (happen(step)) {
			transitions++;
			MUST(!job_is_over(was) || job_state() == was);
			if (arrive())
				ways[worlds.count - 1] =
				    (struct way){ state, step };
		}
		MUST(db_script(db, "ROLLBACK TO step; RELEASE step") == OK);
		env = before;
	}
}

static void
explore(void)
{
	int32_t i = 0;

	while (i < worlds.count && (until == 0 || clock() <= until)) {
		go_to(i);
		try_all(i++);
	}
	waiting = worlds.count - i;
}

static enum err
begin(struct db *unused, void *arg)
{
	int64_t balance;

	(void)unused, (void)arg;

	MUST(accounts_create_guest(db, LANG_EN, NOW, &user) == OK);
	return credits_adjust(db, &user, 10, "model", NOW, &balance);
}

static void
order(void)
{
	struct model active, model;
	struct job_order what = { .user_id = user,
		.key = STR("key"),
		.settings = { .duration_s = 4,
		    .resolution = "720p",
		    .aspect_ratio = "9:16",
		    .has_audio = true,
		    .cost_credits = 4 },
		.prompt = STR("a quiet sea"),
		.open_max_free = 9,
		.open_max_premium = 9,
		.guest_per_hour = 200,
		.free_per_hour = 200,
		.premium_per_hour = 200,
		.per_minute = 200 };
	struct job_receipt receipt;

	MUST(catalog_active_model(db, &active) == OK);
	MUST(catalog_model(db, &active.text_sibling_id, &model) == OK);
	what.model = &model;
	MUST(jobs_submit(db, &what, NOW, &receipt) == OK);
	job = receipt.job_id;
}

static enum err
begin_batch(struct db *unused, void *arg)
{
	(void)unused, (void)arg;
	return OK;
}

/* Everything happens in one transaction, which is never committed. */
static enum err
run(struct db *unused, void *arg)
{
	(void)unused, (void)arg;
	MUST(db_transaction(db, begin_batch, NULL) == OK);
	env.now_ms = NOW;
	(void)arrive();
	explore();
	return ERR_CONFLICT;
}

static int
remove_one(const char *name, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(name);
}

static void
clear(void)
{
	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int
main(int argc, char **argv)
{
	int64_t from, to;

	if (argc > 1 && strcmp(argv[1], "2") == 0)
		workers = WORKERS_MAX;
	if (argc > 2)
		until = strtol(argv[2], NULL, 10) * CLOCKS_PER_SEC;
	(void)snprintf(dir, sizeof(dir), "/tmp/rendio-model-XXXXXX");
	if (sodium_init() < 0 || mkdtemp(dir) == NULL || atexit(clear) != 0)
		return 2;
	MUST(objects_make_buckets(dir) == OK);
	MUST(db_open(dir, DB_READ_WRITE, true, &db) == OK);
	/* Each step is taken back: its journal need not be a file. */
	MUST(db_script(db, "PRAGMA temp_store = MEMORY") == OK);
	MUST(migrate(db, &from, &to) == OK);
	MUST(db_transaction(db, begin, NULL) == OK);
	order();
	MUST(db_batch(db, run, NULL) == ERR_CONFLICT);
	db_close(db);
	printf("%lld states of %lld databases (%lld of them ends),"
	       " %lld steps, none further than %d,"
	       " %lld not gone on from: no bad one\n",
	    (long long)worlds.count, (long long)databases.count,
	    (long long)ends, (long long)transitions, longest,
	    (long long)waiting);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * life [KIND [EVERY [FIRST [SEED]]]] -- one account's life, broken at each of
 * its calls in turn.
 *
 * A phone comes, buys, orders, cancels, deletes, merges and leaves; a worker
 * and a scripted provider do their part; all of it by the real functions over
 * a real database.  Each step of the life is taken by a process of its own.
 * For n = 1, 2, 3 ... its n-th call to the system fails, or the process dies
 * at it, or the power does (calls.h).  Then a new process repeats what was not
 * answered, as clients and workers do, everything open is brought to its end,
 * and all must be right: the audit, and each answer given.
 *
 * KIND is io, full, short, dead, readonly, kill, torn, power or twice: killed,
 * and who follows is killed at its n-th call as well (default: all).  EVERY
 * (default 1) takes every so many-th n, from FIRST (default 1), for a sample.
 * SEED (default 0) decides what a power cut leaves of what was not forced, and
 * how much later than the first the second is killed.
 */

#include "calls.h"

#include "domain/audit.h"
#include "domain/credits.h"
#include "domain/deletions.h"
#include "domain/devices.h"
#include "domain/identities.h"
#include "domain/media.h"
#include "domain/purchases.h"
#include "domain/reports.h"
#include "domain/uploads.h"
#include "domain/attempts.h"
#include "store/migrate.h"
#include "store/objects.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOW INT64_C(1790000000000)
#define SECOND INT64_C(1000)
#define LIFE_MS (INT64_C(1800) * SECOND)
#define GIFT 10
#define PACK 25 /* com.rendioai.credits.starter.25 */
#define COST 4
#define JOBS 6
#define CALLS_MAX 64

/* --- the world outside, which outlives every process ------------------------ */

enum fate { MADE, MADE_AND_TOLD, NOT_MADE };

struct call {
	struct uuid attempt;
	int submissions;
};

/* A client's and the provider's memory, and Apple's. */
struct world {
	struct fault_plan plan;
	int64_t now_ms;
	int step; /* the first that was not answered */
	bool has_bit[2]; /* of DeviceCheck, for each phone */
	struct session session[2];
	struct uuid job[JOBS];
	bool is_job_known[JOBS];
	int balance; /* as it was last answered */
	int sign_ins; /* each with a new token of Apple's */
	struct uuid picture;
	struct call call[CALLS_MAX];
	int call_count;
	char problem[256];
};

static struct world *world;
static struct db *db;
static char dir[48];

static const struct kind {
	const char *name;
	enum fault fault;
	bool is_twice;
} kinds[] = {
	{ "io", FAULT_IO, false },
	{ "full", FAULT_FULL, false },
	{ "short", FAULT_SHORT, false },
	{ "dead", FAULT_DEAD, false },
	{ "readonly", FAULT_READONLY, false },
	{ "kill", FAULT_KILL, false },
	{ "torn", FAULT_TORN, false },
	{ "power", FAULT_POWER, false },
	{ "twice", FAULT_KILL, true },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const enum fate fates[JOBS] = { MADE, NOT_MADE, MADE, MADE_AND_TOLD,
	MADE, MADE };

/* What must never be: said, and the end of this process. */
#define MUST(condition) \
	do { \
		if (!(condition)) \
			broken(#condition, __LINE__); \
	} while (0)

_Noreturn static void
broken(const char *what, int line)
{
	if (world->problem[0] == '\0')
		(void)snprintf(world->problem, sizeof(world->problem),
		    "step %d, line %d: %.180s", world->step, line, what);
	_exit(2);
}

/* --- one person's steps ----------------------------------------------------- */

static int64_t
number_of(const char *sql, const struct uuid *id)
{
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found = false;

	if (id != NULL)
		db_bind_uuid(stmt, 1, id);
	return db_step(stmt, &found) == OK && found ? db_column_int64(stmt, 0) :
						      -1;
}

static enum err
enter(int phone)
{
	struct device_entry entry = { .id_hash = { 7, (uint8_t)phone },
		.is_secret = true,
		.is_verified = true,
		.had_gift = world->has_bit[phone],
		.limits = { 9, 9, 9 },
		.lang = LANG_EN,
		.now_ms = world->now_ms };
	enum err err = devices_enter(db, &entry);

	if (err != OK)
		return err;
	if (entry.must_set_bit)
		world->has_bit[phone] = true;
	if (entry.gift == GIFT_PENDING)
		err = devices_grant(db, &entry, GIFT);
	if (err != OK)
		return err;
	MUST(entry.credits_remaining == GIFT);
	world->session[phone] = entry.session;
	return OK;
}

static enum err
come(void)
{
	return enter(0);
}

static enum err
refresh(void)
{
	struct session *session = &world->session[0];
	enum refresh_verdict verdict;
	const enum err err = sessions_refresh(db, &session->id,
	    session->refresh_counter, world->now_ms, &verdict, session);

	MUST(err != OK || verdict == REFRESH_OK);
	return err;
}

static struct purchase_fact
fact(int64_t refund_millipercent, int64_t after_ms)
{
	return (struct purchase_fact){
		.transaction_id = "2000000000000001",
		.original_transaction_id = "2000000000000001",
		.product_id = "com.rendioai.credits.starter.25",
		.kind = PURCHASE_CONSUMABLE,
		.quantity = 1,
		.purchased_at_ms = NOW,
		.signed_at_ms = NOW + after_ms,
		.refund_millipercent = refund_millipercent,
	};
}

static const struct purchase_policy policy = { .sandbox_credits_max = 1000 };

static enum err
buy(void)
{
	const struct purchase_fact what = fact(0, 0);
	struct purchase_receipt receipt;
	const enum err err = purchases_post(db, &world->session[0].user_id,
	    &what, &policy, world->now_ms, &receipt);

	MUST(err != OK || receipt.balance == GIFT + PACK);
	if (err == OK)
		world->balance = GIFT + PACK;
	return err;
}

static enum err
order(int i, int phone)
{
	struct model active, model;
	char key[16];
	struct job_order what = { .user_id = world->session[phone].user_id,
		.settings = { .duration_s = 4,
		    .resolution = "720p",
		    .aspect_ratio = "9:16",
		    .has_audio = true,
		    .cost_credits = COST },
		.prompt = STR("a quiet sea"),
		.open_max_free = 200,
		.open_max_premium = 200,
		.guest_per_hour = 200,
		.free_per_hour = 200,
		.premium_per_hour = 200,
		.per_minute = 200 };
	struct job_receipt receipt;
	enum err err;

	(void)snprintf(key, sizeof(key), "key-%d", i);
	what.key = str_from(key);
	what.fingerprint[0] = (uint8_t)i;
	err = catalog_active_model(db, &active);
	if (err == OK)
		err = catalog_model(db, &active.text_sibling_id, &model);
	what.model = &model;
	if (err == OK)
		err = jobs_submit(db, &what, world->now_ms, &receipt);
	if (err != OK)
		return err;
	MUST(receipt.credits_used == COST);
	world->job[i] = receipt.job_id;
	world->is_job_known[i] = true;
	return OK;
}

static enum err
order_three(void)
{
	enum err err = OK;

	for (int i = 0; err == OK && i < 3; i++)
		err = order(i, 0);
	return err;
}

static enum err
cancel_third(void)
{
	struct job_cancellation cancellation;
	const enum err err = jobs_cancel(db, &world->session[0].user_id,
	    &world->job[2], world->now_ms, &cancellation);

	MUST(err != OK || cancellation.refunded_credits == COST);
	return err;
}

/* --- the worker and its provider -------------------------------------------- */

static struct call *
call_of(const struct uuid *attempt)
{
	for (int i = 0; i < world->call_count; i++)
		if (uuid_equal(&world->call[i].attempt, attempt))
			return &world->call[i];
	return NULL;
}

static enum fate
fate_of(const struct uuid *job_id)
{
	for (int i = 0; i < JOBS; i++)
		if (uuid_equal(&world->job[i], job_id))
			return fates[i];
	return MADE;
}

static struct attempt_handle
handle_of(const struct uuid *attempt)
{
	struct attempt_handle handle = { .status_url = "https://q.test/s",
		.result_url = "https://q.test/r",
		.cancel_url = "https://q.test/c" };

	(void)sodium_bin2hex(handle.request_id, sizeof(handle.request_id),
	    attempt->bytes, UUID_BYTES);
	return handle;
}

/* The provider's webhook, which an endpoint writes down. */
static void
report(const struct uuid *attempt)
{
	static const uint8_t sha256[32] = { 3 };
	struct report what = { .id = uuid_sortable(world->now_ms),
		.provider = "fal",
		.attempt_id = *attempt,
		.outcome = REPORT_DONE,
		.video_url = "https://cdn.test/v.mp4" };

	(void)str_copy(str_from(handle_of(attempt).request_id), what.request_id,
	    sizeof(what.request_id));
	(void)reports_add(db, &what, sha256, world->now_ms);
}

static void
submit(const struct attempt_work *work)
{
	const struct attempt_handle handle = handle_of(&work->id);
	struct call *call = call_of(&work->id);

	/* A submission costs money. */
	MUST(call == NULL);
	MUST(world->call_count < CALLS_MAX);
	call = &world->call[world->call_count++];
	*call = (struct call){ work->id, 1 };
	(void)attempts_accepted(db, &work->id, &handle, world->now_ms + SECOND,
	    world->now_ms);
	if (fate_of(&work->job_id) == MADE_AND_TOLD)
		report(&work->id);
}

static void
find(const struct attempt_work *work)
{
	const struct attempt_handle handle = handle_of(&work->id);

	if (call_of(&work->id) == NULL)
		(void)attempts_failed(db, &work->id, "submission_lost",
		    world->now_ms);
	else
		(void)attempts_accepted(db, &work->id, &handle,
		    world->now_ms + SECOND, world->now_ms);
}

static void
poll(const struct attempt_work *work)
{
	static const struct attempt_failure failure = {
		.error_code = "provider",
		.attempts_max = 2,
	};

	if (work->calls_count == 0)
		(void)attempts_progress(db, &work->id, true, -1,
		    world->now_ms + SECOND, world->now_ms);
	else if (fate_of(&work->job_id) == NOT_MADE)
		(void)attempts_end(db, &work->id, &failure, world->now_ms);
	else
		(void)attempts_succeeded(db, &work->id,
		    "https://cdn.test/v.mp4", 0, world->now_ms);
}

static const char video[] = "\0\0\0\x18"
			    "ftyp a video";

/* Bytes of an object, on the disk. */
static enum err
put(const char *bucket, const struct uuid *id, struct attempt_file *ret_file)
{
	int fd;
	enum err err = objects_open_partial(dir, bucket, id, &fd);

	if (err != OK)
		return err;
	if (write(fd, video, sizeof(video)) != (ssize_t)sizeof(video))
		err = ERR_SERVICE_UNAVAILABLE;
	if (err == OK)
		err = objects_publish(dir, bucket, id, fd);
	(void)close(fd);
	ret_file->size_bytes = sizeof(video);
	(void)crypto_hash_sha256(ret_file->sha256, (const unsigned char *)video,
	    sizeof(video));
	return err;
}

static void
fetch(const struct attempt_work *work)
{
	struct attempt_file file;

	if (put("videos", &work->id, &file) == OK &&
	    attempts_stored(db, &work->id, &file, NULL, world->now_ms) ==
		ERR_CONFLICT)
		(void)objects_remove(dir, "videos", &work->id);
	else
		(void)attempts_later(db, &work->id, world->now_ms + SECOND);
}

static void
take_reports(void)
{
	struct report what;
	bool found;

	while (reports_next(db, &found, &what) == OK && found) {
		if ((what.is_bound && !what.is_over &&
			attempts_succeeded(db, &what.attempt_id, what.video_url,
			    what.video_bytes, world->now_ms) != OK) ||
		    reports_handled(db, &what.id, world->now_ms) != OK)
			return;
	}
}

static void
remove_files(void)
{
	struct media media[16];
	size_t count;

	if (media_to_delete(db, 16, media, &count) != OK)
		return;
	for (size_t i = 0; i < count; i++)
		if (objects_remove(dir, media[i].bucket, &media[i].id) == OK)
			(void)media_forget(db, &media[i].id);
}

static void
delete_accounts(void)
{
	struct deletion_step steps[8];
	size_t count = 0;
	bool done;

	if (deletions_due(db, world->now_ms, steps, 8, &count) != OK)
		return;
	for (size_t i = 0; i < count; i++) {
		done = false;
		if (strcmp(steps[i].name, "jobs") == 0)
			(void)deletions_forget_jobs(db, &steps[i].user_id,
			    &done);
		else if (strcmp(steps[i].name, "files") == 0)
			(void)deletions_files_gone(db, &steps[i].user_id,
			    &done);
		else
			done = true;
		if (done)
			(void)deletions_step_done(db, &steps[i], world->now_ms);
		else
			(void)deletions_step_later(db, &steps[i],
			    world->now_ms + SECOND);
	}
}

static void
work_once(void)
{
	static struct attempt_work works[8];
	const struct attempt_policy company = { .company = "fal",
		.provider = "fal",
		.life_ms = LIFE_MS,
		.slots = 16,
		.start_timeout_ms = LIFE_MS };
	size_t count = 0, ended;

	take_reports();
	if (attempts_lease(db, &company, 1, true, world->now_ms, works, 8,
		&count, &ended) != OK)
		return;
	for (size_t i = 0; i < count; i++)
		switch (works[i].action) {
		case ATTEMPT_SUBMIT:
			submit(&works[i]);
			break;
		case ATTEMPT_FIND:
			find(&works[i]);
			break;
		case ATTEMPT_POLL:
			poll(&works[i]);
			break;
		case ATTEMPT_CANCEL:
			(void)attempts_cancel_told(db, &works[i].id,
			    world->now_ms + SECOND);
			break;
		case ATTEMPT_FETCH:
			fetch(&works[i]);
			break;
		}
	remove_files();
	delete_accounts();
	(void)credits_expire(db, world->now_ms, 16);
	(void)db_checkpoint(db);
}

/* Turns until nothing is open; a lease that was lost costs its length. */
#define TURNS_MAX 100

static enum err
work(void)
{
	static const char open_sql[] =
	    "SELECT (SELECT COUNT(*) FROM jobs WHERE due_at_ms IS NOT NULL)"
	    " + (SELECT COUNT(*) FROM objects WHERE state = 'deleting')"
	    " + (SELECT COUNT(*) FROM deletion_steps WHERE state = 'open')"
	    " + (SELECT COUNT(*) FROM credit_lots WHERE remaining_credits > 0"
	    "    AND expires_at_ms IS NOT NULL)"
	    " + (SELECT COUNT(*) FROM provider_reports"
	    "    WHERE handled_at_ms IS NULL)";

	for (int i = 0; i < TURNS_MAX; i++) {
		work_once();
		world->now_ms += 2 * SECOND;
		if (number_of(open_sql, NULL) == 0)
			return OK;
		if ((world->plan.fault == FAULT_DEAD ||
			world->plan.fault == FAULT_READONLY) &&
		    world->plan.hits > 0)
			return ERR_SERVICE_UNAVAILABLE;
	}
	broken("everything comes to an end", __LINE__);
}

/* Jobs that Ada paid for: not the one of the phone that joined her. */
static int64_t
completed(void)
{
	static const char sql[] = "SELECT COUNT(*) FROM jobs WHERE id <> ?1"
				  " AND state = 'completed'";

	return number_of(sql, &world->job[4]);
}

static enum err
see_balance(int64_t given)
{
	const struct uuid *ada = &world->session[0].user_id;
	const int64_t balance =
	    number_of("SELECT credits_remaining - debt_credits FROM users "
		      "WHERE id = ?1",
		ada);
	const int64_t done = completed();

	if (balance == -1 || done == -1)
		return ERR_SERVICE_UNAVAILABLE;
	MUST(balance == given - COST * done);
	return OK;
}

static enum err
lose_purchase(void)
{
	const struct purchase_fact what = fact(PURCHASE_WHOLE, SECOND);
	bool is_new;

	return purchases_repair(db, &what, &policy, world->now_ms, &is_new);
}

static enum err
regain_purchase(void)
{
	const struct purchase_fact what = fact(0, 2 * SECOND);
	bool is_new;

	return purchases_repair(db, &what, &policy, world->now_ms, &is_new);
}

static enum err
bring_picture(void)
{
	const struct upload_limits limits = { 10, 1 << 20 };
	const struct uuid id = uuid_sortable(world->now_ms);
	char name[MEDIA_NAME_BYTES];
	struct attempt_file file;
	enum err err;

	(void)sodium_bin2hex(name, sizeof(name),
	    world->session[0].user_id.bytes, UUID_BYTES);
	(void)str_copy(STR("/me.jpg"), name + 32, sizeof(name) - 32);
	err = uploads_begin(db, &id, &world->session[0].user_id, "image/jpeg",
	    sizeof(video), &limits, world->now_ms);
	if (err == OK)
		err = put("thumbnails", &id, &file);
	if (err == OK)
		err =
		    uploads_finish(db, &id, str_from(name), file.sha256, true);
	if (err == OK)
		world->picture = id;
	return err;
}

static enum err
order_told(void)
{
	return order(3, 0);
}

static enum err
delete_first(void)
{
	const enum err err = jobs_delete(db, &world->session[0].user_id,
	    &world->job[0], world->now_ms);

	/* Its answer may have been lost. */
	return err == ERR_JOB_NOT_FOUND ? OK : err;
}

static struct identity_entry
apple_entry(struct identity *identity, int phone)
{
	*identity = (struct identity){ .sub = "001.ada",
		.email = "ada@example.com",
		.is_single_use = true,
		.hash = { 9, (uint8_t)++world->sign_ins },
		.expires_at_ms = world->now_ms + LIFE_MS };
	return (struct identity_entry){ .identity = identity,
		.user_id = &world->session[phone].user_id,
		.lang = LANG_EN,
		.now_ms = world->now_ms };
}

static enum err
link_apple(void)
{
	struct identity identity;
	struct identity_entry entry = apple_entry(&identity, 0);
	const enum err err = identities_link(db, &entry);

	/* Taken: by the call whose answer was lost. */
	if (err == OK && entry.verdict == IDENTITY_OK)
		world->session[0] = entry.session;
	return err;
}

static enum err
second_phone(void)
{
	return enter(1);
}

static enum err
order_second(void)
{
	return order(4, 1);
}

static enum err
join(void)
{
	struct identity identity;
	struct identity_entry entry = apple_entry(&identity, 1);
	const enum err err = identities_merge(db, &entry);

	/* Repeated, the guest is gone: the person signs in instead. */
	if (err == ERR_CONFLICT || err == ERR_UNAUTHORIZED ||
	    err == ERR_USER_NOT_FOUND)
		return OK;
	if (err == OK)
		MUST(uuid_equal(&entry.session.user_id,
		    &world->session[0].user_id));
	return err;
}

static enum err
order_last(void)
{
	return order(5, 0);
}

static enum err
leave(void)
{
	const enum err err =
	    deletions_begin(db, &world->session[0].user_id, world->now_ms);

	return err == ERR_UNAUTHORIZED ? OK : err;
}

/* given: what Ada has been given when it is done; -1 = she is gone. */
static const struct {
	const char *name;
	enum err (*take)(void);
	int64_t given;
	int64_t grants; /* to phones */
} steps[] = {
	{ "come", come, GIFT, 1 },
	{ "refresh", refresh, GIFT, 1 },
	{ "buy", buy, GIFT + PACK, 1 },
	{ "order", order_three, GIFT + PACK, 1 },
	{ "cancel", cancel_third, GIFT + PACK, 1 },
	{ "work", work, GIFT + PACK, 1 },
	{ "refund", lose_purchase, GIFT, 1 },
	{ "refund reversed", regain_purchase, GIFT + PACK, 1 },
	{ "upload", bring_picture, GIFT + PACK, 1 },
	{ "order, told", order_told, GIFT + PACK, 1 },
	{ "work, told", work, GIFT + PACK, 1 },
	{ "delete", delete_first, GIFT + PACK, 1 },
	{ "link", link_apple, GIFT + PACK, 1 },
	{ "second phone", second_phone, GIFT + PACK, 2 },
	{ "order of the second", order_second, GIFT + PACK, 2 },
	/* A second phone brings no second gift. */
	{ "join", join, GIFT + PACK, 2 },
	{ "work, joined", work, GIFT + PACK, 2 },
	{ "last order", order_last, GIFT + PACK, 2 },
	{ "leave", leave, -1, 2 },
	{ "work, gone", work, -1, 2 },
};

#define STEPS ((int)(sizeof(steps) / sizeof(steps[0])))

/* --- processes -------------------------------------------------------------- */

/* A step is repeated this often while the disk does not do its part. */
#define TRIES_MAX 4

static void
take_step(void)
{
	enum err err = ERR_SERVICE_UNAVAILABLE;

	for (int i = 0; err != OK && i <= TRIES_MAX; i++) {
		err = steps[world->step].take();
		world->now_ms += SECOND;
		if (err != OK && err != ERR_SERVICE_UNAVAILABLE)
			broken(err_code(err), __LINE__);
	}
	if (err != OK)
		_exit(1);
	world->step++;
}

/* After step `taken` and with nothing open. */
static void
check(int taken)
{
	static const char purchases_sql[] =
	    "SELECT COUNT(*) FROM purchases WHERE credits = 25";
	static const char grants_sql[] =
	    "SELECT COUNT(*) FROM ledger_entries WHERE kind = 'grant'";
	static struct audit audit;

	MUST(audit_run(db, dir, world->now_ms, true, &audit) == OK);
	for (int i = 1; i <= AUDIT_INVARIANT_MAX; i++)
		if (audit.invariant[i].violations_count > 0)
			broken(audit.invariant[i].violation[0].problem,
			    __LINE__);
	MUST(audit_is_clean(&audit));
	for (int i = 0; i < world->call_count; i++)
		MUST(world->call[i].submissions == 1);
	for (int i = 0; i < JOBS; i++)
		MUST(!world->is_job_known[i] ||
		    number_of("SELECT due_at_ms IS NULL FROM jobs"
			      " WHERE id = ?1",
			&world->job[i]) == 1);
	/* Bought once, whatever happened: Apple's word outlives the account. */
	MUST(number_of(purchases_sql, NULL) ==
	    (steps[taken].given != GIFT || taken > 2));
	MUST(number_of(grants_sql, NULL) == steps[taken].grants);
	if (steps[taken].given >= 0)
		MUST(see_balance(steps[taken].given) == OK);
}

enum purpose { FIRST_TRY, TRY_AND_SETTLE };

/* 0 = the step was taken, 1 = the disk would not, 2 = broken, 9 = killed */
static int
process(enum purpose purpose, int step)
{
	const pid_t pid = fork();
	int status;

	if (pid == 0) {
		enum err err = ERR_SERVICE_UNAVAILABLE;

		for (int i = 0; err != OK && i <= TRIES_MAX; i++)
			err = db_open(dir, DB_READ_WRITE, false, &db);
		if (err != OK)
			_exit(1);
		if (world->step == step)
			take_step();
		if (purpose == TRY_AND_SETTLE) {
			MUST(work() == OK);
			check(step);
		}
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static const char *copy_from, *copy_to;

static int
copy_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	char to[256];
	char bytes[4096];
	ssize_t n;
	int from_fd, to_fd;

	(void)st, (void)at;
	(void)snprintf(to, sizeof(to), "%s%s", copy_to,
	    path + strlen(copy_from));
	if (type == FTW_D)
		return mkdir(to, 0700) != 0 && errno != EEXIST;
	from_fd = open(path, O_RDONLY);
	to_fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	while ((n = read(from_fd, bytes, sizeof(bytes))) > 0)
		if (write(to_fd, bytes, (size_t)n) != n)
			return 1;
	(void)close(from_fd);
	(void)close(to_fd);
	return n != 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static void
copy(const char *from, const char *to)
{
	copy_from = from;
	copy_to = to;
	(void)nftw(to, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	if (nftw(from, copy_one, 8, FTW_PHYS) != 0)
		abort();
}

/* The world and its database as each step finds them. */
static struct {
	struct world world;
	char dir[64];
} stage[STEPS];

static void
clear(void)
{
	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	for (int i = 0; i < STEPS; i++)
		if (stage[i].dir[0] != '\0')
			(void)nftw(stage[i].dir, remove_one, 8,
			    FTW_DEPTH | FTW_PHYS);
}

static void
complain(const char *kind, int step, int64_t n, int end)
{
	printf("%s, %s %lld: broken (%d): %s\n", steps[step].name, kind,
	    (long long)n, end,
	    world->problem[0] != '\0' ? world->problem : "did not end");
	exit(1);
}

/* Lives once undisturbed. */
static void
prepare(void)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	int64_t from, to;
	int end;

	(void)snprintf(dir, sizeof(dir), "%s/rendio-life-%d", base,
	    (int)getpid());
	if (atexit(clear) != 0 || mkdir(dir, 0700) != 0 ||
	    objects_make_buckets(dir) != OK ||
	    db_open(dir, DB_READ_WRITE, true, &db) != OK ||
	    migrate(db, &from, &to) != OK || db_checkpoint(db) != OK)
		abort();
	db_close(db);
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world == MAP_FAILED)
		abort();
	fault_plan = &world->plan;
	world->now_ms = NOW;
	for (int i = 0; i < STEPS; i++) {
		stage[i].world = *world;
		(void)snprintf(stage[i].dir, sizeof(stage[i].dir), "%s-%d", dir,
		    i);
		copy(dir, stage[i].dir);
		end = process(FIRST_TRY, i);
		if (end != 0)
			complain("undisturbed", i, 0, end);
	}
}

/* Some calls: two that die are to die at each distance. */
#define LATER_CALLS 37

/* One step with this fault: how often it was hit. */
static int64_t
run(int step, const struct kind *kind, int64_t n, int64_t seed)
{
	int end;

	copy(stage[step].dir, dir);
	*world = stage[step].world;
	world->plan.at = n;
	/* Any prime larger than a step has calls. */
	world->plan.seed = n + seed * 1000003;
	world->plan.fault = kind->fault;
	end = process(FIRST_TRY, step);
	/* Leases of the dead run out. */
	world->now_ms += ATTEMPT_LEASE_MS + 1;
	if (kind->is_twice && end != 2) {
		world->plan.calls = 0;
		world->plan.at = n + seed * LATER_CALLS;
		end = process(TRY_AND_SETTLE, step);
		world->now_ms += ATTEMPT_LEASE_MS + 1;
	}
	world->plan.fault = FAULT_NONE;
	if (end != 2)
		end = process(TRY_AND_SETTLE, step);
	if (end != 0)
		complain(kind->name, step, n, end);
	return world->plan.hits;
}

/* Every step with this fault at every so many-th call: how many there were. */
static int64_t
run_all(const struct kind *kind, int64_t every, int64_t first, int64_t seed)
{
	int64_t points = 0, hits;

	for (int step = 0; step < STEPS; step++)
		for (int64_t n = first; (hits = run(step, kind, n, seed)) > 0;
		     n += every)
			points += !kind->is_twice || hits > 1;
	printf("%s %lld points survived\n", kind->name, (long long)points);
	(void)fflush(stdout);
	return points;
}

int
main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "all";
	const int64_t every = argc > 2 ? strtoll(argv[2], NULL, 10) : 1;
	const int64_t first = argc > 3 ? strtoll(argv[3], NULL, 10) : 1;
	const int64_t seed = argc > 4 ? strtoll(argv[4], NULL, 10) : 0;
	int64_t total = 0;

	if (sodium_init() < 0 || every < 1 || first < 1)
		return 2;
	/* What the disk's failures are logged as is not read here. */
	(void)!freopen("/dev/null", "w", stderr);
	prepare();
	for (size_t i = 0; i < KINDS; i++)
		if (strcmp(kind, "all") == 0 ||
		    strcmp(kind, kinds[i].name) == 0)
			total += run_all(&kinds[i], every, first, seed);
	printf("%lld points in all\n", (long long)total);
	return total == 0;
}

/* SPDX-License-Identifier: MIT */
#include "domain/leases.h"
#include "domain/breakers.h"
#include "domain/progress.h"
#include "domain/spend.h"

#include <assert.h>

/* What both questions for due work select; the attempt is the latest one. */
#define WORK_COLUMNS \
	"SELECT j.id, j.state, j.deadline_at_ms, a.id, a.state, j.user_id," \
	" m.company, m.endpoint, m.image_field, m.duration_format," \
	" j.prompt, j.image_object_id, j.duration_s, j.resolution," \
	" j.aspect_ratio, j.has_audio, a.seed, a.calls_count," \
	" a.request_id, a.status_url, a.result_url, a.cancel_url," \
	" a.video_url, a.sent_at_ms, m.omits, a.model_id, a.is_ended," \
	" COALESCE((SELECT p.provider_micro_usd_per_second" \
	"   FROM model_prices p WHERE p.model_id = a.model_id" \
	"   AND p.resolution = j.resolution AND p.has_audio = j.has_audio)," \
	"  (SELECT MAX(p.provider_micro_usd_per_second)" \
	"   FROM model_prices p WHERE p.model_id = a.model_id))," \
	" j.cost_credits, j.wish = 'given_up', a.video_bytes FROM jobs j" \
	" JOIN attempts a ON a.job_id = j.id AND a.number =" \
	"  (SELECT MAX(number) FROM attempts WHERE job_id = j.id)" \
	" JOIN models m ON m.id = a.model_id"

/* Jobs ended in one lease; the rest at the next. */
#define LATE_AT_ONCE_MAX 32

/* How long a job waits that may not be sent: for a company, for a day. */
#define BLOCKED_WAIT_MS INT64_C(5000)
#define CAPPED_WAIT_MS INT64_C(60000)

struct row {
	enum job_state job_state;
	bool is_sending;
	bool is_given_up;
	int64_t cost_credits;
	int64_t deadline_at_ms;
};

static void
copy(struct db_stmt *stmt, int column, char *into, size_t size)
{
	if (!str_copy(db_column_str(stmt, column), into, size))
		into[0] = '\0';
}

static void
read_work(struct db_stmt *stmt, struct attempt_work *w, struct row *row)
{
	*row = (struct row){
		.job_state = job_state_parse(db_column_str(stmt, 1)),
		.deadline_at_ms = db_column_int64(stmt, 2),
		.is_sending = str_equal(db_column_str(stmt, 4), STR("sending")),
		.cost_credits = db_column_int64(stmt, 28),
		.is_given_up = db_column_bool(stmt, 29),
	};
	w->job_id = db_column_uuid(stmt, 0);
	w->id = db_column_uuid(stmt, 3);
	w->user_id = db_column_uuid(stmt, 5);
	copy(stmt, 6, w->company, sizeof(w->company));
	copy(stmt, 7, w->endpoint, sizeof(w->endpoint));
	copy(stmt, 8, w->image_field, sizeof(w->image_field));
	copy(stmt, 9, w->duration_format, sizeof(w->duration_format));
	copy(stmt, 10, w->prompt, sizeof(w->prompt));
	w->has_image = !db_column_is_null(stmt, 11);
	w->image_object_id = db_column_uuid(stmt, 11);
	w->duration_s = db_column_int64(stmt, 12);
	copy(stmt, 13, w->resolution, sizeof(w->resolution));
	copy(stmt, 14, w->aspect_ratio, sizeof(w->aspect_ratio));
	w->has_audio = db_column_bool(stmt, 15);
	w->seed = db_column_int64(stmt, 16);
	w->calls_count = db_column_int64(stmt, 17);
	copy(stmt, 18, w->handle.request_id, sizeof(w->handle.request_id));
	copy(stmt, 19, w->handle.status_url, sizeof(w->handle.status_url));
	copy(stmt, 20, w->handle.result_url, sizeof(w->handle.result_url));
	copy(stmt, 21, w->handle.cancel_url, sizeof(w->handle.cancel_url));
	copy(stmt, 22, w->video_url, sizeof(w->video_url));
	w->video_bytes = db_column_int64(stmt, 30);
	w->sent_at_ms = db_column_int64(stmt, 23);
	copy(stmt, 24, w->omits, sizeof(w->omits));
	w->model_id = db_column_uuid(stmt, 25);
	w->is_ended = db_column_bool(stmt, 26);
	/* The most that it can cost; -1 = nobody has told us. */
	w->cost_micro_usd = db_column_is_null(stmt, 27) ?
	    -1 :
	    db_column_int64(stmt, 27) * w->duration_s;
}

struct fallback {
	struct uuid model_id;
	char company[CATALOG_TEXT_BYTES];
	char endpoint[CATALOG_TEXT_BYTES];
};

/* Of the attempt's model, if there is one whose company can be asked. */
static enum err
find_fallback(struct db *db, const struct uuid *attempt_id,
    dispatch_can_ask *can_ask, const void *arg, bool *ret_found,
    struct fallback *fallback)
{
	static const char sql[] =
	    "SELECT f.id, f.company, f.endpoint FROM attempts a"
	    " JOIN models m ON m.id = a.model_id"
	    " JOIN models f ON f.id = m.fallback_id"
	    " AND f.state <> 'retired' WHERE a.id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_uuid(stmt, 1, attempt_id);
	err = db_step(stmt, ret_found);
	if (err != OK || !*ret_found)
		return err;
	fallback->model_id = db_column_uuid(stmt, 0);
	copy(stmt, 1, fallback->company, sizeof(fallback->company));
	copy(stmt, 2, fallback->endpoint, sizeof(fallback->endpoint));
	*ret_found = can_ask != NULL && can_ask(arg, fallback->company);
	return OK;
}

enum err
leases_add_attempt(struct db *db, const struct uuid *job_id,
    const struct uuid *last, const struct attempt_failure *failure,
    int64_t now_ms)
{
	static const char attempt_sql[] =
	    "INSERT INTO attempts (id, job_id, number, state, seed, model_id)"
	    " SELECT ?1, job_id, number + 1, 'new', ?3,"
	    " COALESCE(?4, model_id) FROM attempts WHERE id = ?2";
	static const char job_sql[] =
	    "UPDATE jobs SET company = (SELECT m.company FROM models m"
	    " JOIN attempts a ON a.model_id = m.id WHERE a.id = ?2)"
	    " WHERE id = ?1";
	CLEANUP(db_release)
	struct db_stmt *attempt = db_prepare(db, attempt_sql);
	CLEANUP(db_release) struct db_stmt *job = db_prepare(db, job_sql);
	const struct uuid id = uuid_sortable(now_ms);
	struct fallback fallback;
	uint32_t seed;
	bool found;
	enum err err;

	assert(db_in_transaction(db));
	err = find_fallback(db, last, failure->can_ask, failure->can_ask_arg,
	    &found, &fallback);
	if (err != OK)
		return err;
	random_bytes(&seed, sizeof(seed));
	db_bind_uuid(attempt, 1, &id);
	db_bind_uuid(attempt, 2, last);
	db_bind_int64(attempt, 3, seed >> 1);
	db_bind_uuid(attempt, 4, found ? &fallback.model_id : NULL);
	err = db_run(attempt);
	if (err != OK)
		return err;
	db_bind_uuid(job, 1, job_id);
	db_bind_uuid(job, 2, &id);
	return db_run(job);
}

struct lease {
	const struct attempt_policy *policies;
	size_t policies_count;
	bool may_fetch;
	int64_t now_ms;
	struct attempt_work *works;
	size_t max;
	size_t count;
	size_t ended;
};

/* Nobody can wait for it any longer: give the credits back. */
static enum err
end_late(struct db *db, const struct uuid *id, const struct uuid *job_id,
    const struct row *row, int64_t now_ms)
{
	const bool was_sent =
	    row->job_state != JOB_QUEUED && row->job_state != JOB_STORING;
	enum err err;

	err = leases_end_attempt(db, id, was_sent ? "lost" : "failed",
	    "timeout", now_ms);
	if (err != OK)
		return err;
	return jobs_give_up(db, job_id, was_sent ? JOB_LOST : JOB_FAILED,
	    "timeout", now_ms);
}

static enum err
lease_open(struct db *db, struct lease *l)
{
	static const char sql[] = WORK_COLUMNS
	    " WHERE j.due_at_ms <= ?1"
	    " AND j.state IN ('submitting', 'waiting', 'running', 'storing')"
	    " AND (j.state <> 'storing' OR ?3 = 1)"
	    " ORDER BY j.due_at_ms LIMIT ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	size_t first = l->count;
	struct row *rows;
	bool found;
	enum err err = OK;

	rows = calloc(l->max + 1, sizeof(*rows));
	if (rows == NULL)
		abort();
	db_bind_int64(stmt, 1, l->now_ms);
	db_bind_int64(stmt, 2, (int64_t)(l->max - l->count));
	db_bind_bool(stmt, 3, l->may_fetch);
	/* All rows are read before any is changed. */
	while ((err = db_step(stmt, &found)) == OK && found) {
		read_work(stmt, &l->works[l->count], &rows[l->count]);
		l->count++;
	}
	for (size_t i = first; err == OK && i < l->count;) {
		struct attempt_work *w = &l->works[i];

		if (l->now_ms > rows[i].deadline_at_ms) {
			err = end_late(db, &w->id, &w->job_id, &rows[i],
			    l->now_ms);
			l->ended++;
			l->count--;
			*w = l->works[l->count];
			rows[i] = rows[l->count];
			continue;
		}
		if (rows[i].job_state == JOB_STORING)
			w->action = ATTEMPT_FETCH;
		else if (rows[i].job_state == JOB_SUBMITTING)
			w->action = ATTEMPT_FIND;
		else if (rows[i].is_given_up)
			w->action = ATTEMPT_CANCEL;
		else
			w->action = ATTEMPT_POLL;
		if (rows[i].is_sending)
			err = leases_mark_unknown(db, &w->id);
		if (err == OK)
			err = leases_set_due(db, &w->job_id,
			    l->now_ms + ATTEMPT_LEASE_MS);
		i++;
	}
	free(rows);
	return err;
}

static enum err
count_in_flight(struct db *db, const struct attempt_policy *policy,
    int64_t now_ms, int64_t *ret_count)
{
	/* What has not begun by now never will, if it was accepted at all. */
	static const char sql[] =
	    "SELECT COUNT(*) FROM attempts WHERE provider = ?1"
	    " AND state IN ('sending', 'unknown', 'accepted')"
	    " AND (state <> 'unknown' OR sent_at_ms > ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	db_bind_text(stmt, 1, policy->provider);
	db_bind_int64(stmt, 2, now_ms - policy->start_timeout_ms);
	err = db_step(stmt, &found);
	if (err == OK)
		*ret_count = db_column_int64(stmt, 0);
	return err;
}

/* From here on the submission counts as made, whatever becomes of it. */
static enum err
mark_sending(struct db *db, const struct attempt_work *w,
    const struct attempt_policy *policy, int64_t now_ms)
{
	static const char attempt_sql[] =
	    "UPDATE attempts SET state = 'sending', provider = ?2,"
	    " sent_at_ms = ?3 WHERE id = ?1 AND state = 'new'";
	static const char job_sql[] =
	    "UPDATE jobs SET state = 'submitting', due_at_ms = ?2,"
	    " deadline_at_ms = ?3 WHERE id = ?1 AND state = 'queued'";
	CLEANUP(db_release)
	struct db_stmt *attempt = db_prepare(db, attempt_sql);
	CLEANUP(db_release) struct db_stmt *job = db_prepare(db, job_sql);
	enum err err;

	db_bind_uuid(attempt, 1, &w->id);
	db_bind_text(attempt, 2, policy->provider);
	db_bind_int64(attempt, 3, now_ms);
	err = db_run(attempt);
	if (err != OK)
		return err;
	db_bind_uuid(job, 1, &w->job_id);
	db_bind_int64(job, 2, now_ms + ATTEMPT_LEASE_MS);
	db_bind_int64(job, 3, now_ms + policy->life_ms);
	progress_job(db, &w->job_id, JOB_SUBMITTING, NULL);
	return db_run(job);
}

static bool
has_policy(const void *arg, const char *company)
{
	const struct lease *l = arg;

	for (size_t i = 0; i < l->policies_count; i++)
		if (strcmp(l->policies[i].company, company) == 0)
			return true;
	return false;
}

/* Moves a job that was never sent to its model's fallback. */
static enum err
fail_over(struct db *db, const struct lease *l, const struct attempt_work *w,
    bool *ret_moved)
{
	static const char attempt_sql[] =
	    "UPDATE attempts SET model_id = ?2 WHERE id = ?1"
	    " AND state = 'new'";
	static const char job_sql[] =
	    "UPDATE jobs SET company = ?2, due_at_ms = ?3 WHERE id = ?1";
	CLEANUP(db_release)
	struct db_stmt *attempt = db_prepare(db, attempt_sql);
	CLEANUP(db_release) struct db_stmt *job = db_prepare(db, job_sql);
	struct fallback fallback;
	bool found, is_blocked = false;
	enum err err;

	err = find_fallback(db, &w->id, has_policy, l, &found, &fallback);
	if (err == OK && found)
		err = breakers_block(db, fallback.company, fallback.endpoint,
		    l->now_ms, &is_blocked);
	*ret_moved = err == OK && found && !is_blocked;
	if (!*ret_moved)
		return err;
	db_bind_uuid(attempt, 1, &w->id);
	db_bind_uuid(attempt, 2, &fallback.model_id);
	err = db_run(attempt);
	if (err != OK)
		return err;
	db_bind_uuid(job, 1, &w->job_id);
	db_bind_text(job, 2, fallback.company);
	db_bind_int64(job, 3, l->now_ms);
	return db_run(job);
}

/* Sends it if nothing stands against that; else it waits a while. */
static enum err
dispatch(struct db *db, const struct lease *l, const struct attempt_work *w,
    const struct attempt_policy *policy, bool *ret_sent)
{
	const int64_t now_ms = l->now_ms;
	bool is_blocked, moved, fits;
	enum err err;

	*ret_sent = false;
	err = breakers_block(db, w->company, w->endpoint, now_ms, &is_blocked);
	if (err != OK)
		return err;
	if (is_blocked) {
		err = fail_over(db, l, w, &moved);
		if (err != OK || moved)
			return err;
		return leases_set_due(db, &w->job_id, now_ms + BLOCKED_WAIT_MS);
	}
	err = spend_reserve(db, &w->id, &w->model_id, w->cost_micro_usd,
	    policy->spend_cap_micro_usd, now_ms, &fits);
	if (err == OK && !fits)
		return leases_set_due(db, &w->job_id, now_ms + CAPPED_WAIT_MS);
	if (err == OK)
		err = breakers_try(db, w->company, w->endpoint, now_ms);
	if (err == OK)
		err = mark_sending(db, w, policy, now_ms);
	*ret_sent = err == OK;
	return err;
}

static enum err
lease_queued(struct db *db, struct lease *l,
    const struct attempt_policy *policy)
{
	static const char sql[] = WORK_COLUMNS
	    " WHERE j.company = ?1 AND j.due_at_ms <= ?2"
	    " AND j.state = 'queued' ORDER BY j.turn_at_ms LIMIT ?3";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const size_t first = l->count;
	int64_t in_flight, room;
	size_t count = 0;
	bool found;
	enum err err;

	err = count_in_flight(db, policy, l->now_ms, &in_flight);
	if (err != OK)
		return err;
	room = policy->slots - in_flight;
	if (room > (int64_t)(l->max - l->count))
		room = (int64_t)(l->max - l->count);
	if (room <= 0)
		return OK;
	db_bind_text(stmt, 1, policy->company);
	db_bind_int64(stmt, 2, l->now_ms);
	db_bind_int64(stmt, 3, room);
	while ((err = db_step(stmt, &found)) == OK && found) {
		struct attempt_work *w = &l->works[first + count++];
		struct row row;

		read_work(stmt, w, &row);
		w->action = ATTEMPT_SUBMIT;
		w->sent_at_ms = l->now_ms;
		if (w->cost_micro_usd < 0)
			w->cost_micro_usd =
			    row.cost_credits * policy->credit_micro_usd;
	}
	/* What is not sent makes room for what is. */
	for (size_t i = first; err == OK && i < first + count; i++) {
		err = dispatch(db, l, &l->works[i], policy, &found);
		if (err == OK && found && l->count != i)
			l->works[l->count] = l->works[i];
		l->count += err == OK && found;
	}
	return err;
}

/* Whoever waits too long for a turn is let go, provider or no provider. */
static enum err
end_queued_late(struct db *db, struct lease *l)
{
	static const char sql[] =
	    "SELECT j.id, a.id FROM jobs j JOIN attempts a"
	    " ON a.job_id = j.id AND a.state = 'new'"
	    " WHERE j.state = 'queued' AND j.deadline_at_ms < ?1"
	    " ORDER BY j.deadline_at_ms LIMIT ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	static const struct row row = { .job_state = JOB_QUEUED };
	struct {
		struct uuid job_id, id;
	} late[LATE_AT_ONCE_MAX];
	size_t count = 0;
	bool found;
	enum err err;

	db_bind_int64(stmt, 1, l->now_ms);
	db_bind_int64(stmt, 2, LATE_AT_ONCE_MAX);
	while ((err = db_step(stmt, &found)) == OK && found) {
		late[count].job_id = db_column_uuid(stmt, 0);
		late[count].id = db_column_uuid(stmt, 1);
		count++;
	}
	for (size_t i = 0; err == OK && i < count; i++)
		err =
		    end_late(db, &late[i].id, &late[i].job_id, &row, l->now_ms);
	l->ended += count;
	return err;
}

static enum err
lease(struct db *db, void *arg)
{
	struct lease *l = arg;
	enum err err;

	l->count = 0;
	l->ended = 0;
	err = end_queued_late(db, l);
	if (err == OK)
		err = lease_open(db, l);
	for (size_t i = 0; err == OK && i < l->policies_count; i++)
		err = lease_queued(db, l, &l->policies[i]);
	return err;
}

static enum err
is_queued_due(struct db *db, const struct attempt_policy *policy,
    int64_t now_ms, bool *ret_due)
{
	static const char sql[] =
	    "SELECT 1 FROM jobs WHERE company = ?1 AND due_at_ms <= ?2"
	    " AND state = 'queued' LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	int64_t in_flight;
	enum err err;

	db_bind_text(stmt, 1, policy->company);
	db_bind_int64(stmt, 2, now_ms);
	err = db_step(stmt, ret_due);
	if (err != OK || !*ret_due)
		return err;
	err = count_in_flight(db, policy, now_ms, &in_flight);
	if (err == OK)
		*ret_due = in_flight < policy->slots;
	return err;
}

static enum err
is_queued_late(struct db *db, int64_t now_ms, bool *ret_late)
{
	static const char sql[] = "SELECT 1 FROM jobs WHERE state = 'queued'"
				  " AND deadline_at_ms < ?1 LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_int64(stmt, 1, now_ms);
	return db_step(stmt, ret_late);
}

/* A look without a lock: most of the time there is nothing to do. */
static enum err
is_anything_due(struct db *db, const struct lease *l, bool *ret_due)
{
	static const char sql[] =
	    "SELECT 1 FROM jobs WHERE due_at_ms <= ?1"
	    " AND state IN ('submitting', 'waiting', 'running', 'storing')"
	    " AND (state <> 'storing' OR ?2 = 1) LIMIT 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_int64(stmt, 1, l->now_ms);
	db_bind_bool(stmt, 2, l->may_fetch);
	err = db_step(stmt, ret_due);
	if (err == OK && !*ret_due)
		err = is_queued_late(db, l->now_ms, ret_due);
	for (size_t i = 0; err == OK && !*ret_due && i < l->policies_count; i++)
		err = is_queued_due(db, &l->policies[i], l->now_ms, ret_due);
	return err;
}

enum err
attempts_lease(struct db *db, const struct attempt_policy *policies,
    size_t policies_count, bool may_fetch, int64_t now_ms,
    struct attempt_work *works, size_t max, size_t *ret_count,
    size_t *ret_ended)
{
	struct lease l = {
		.policies = policies,
		.policies_count = policies_count,
		.may_fetch = may_fetch,
		.now_ms = now_ms,
		.works = works,
		.max = max,
	};
	bool is_due;
	enum err err;

	err = is_anything_due(db, &l, &is_due);
	if (err == OK && is_due)
		err = db_transaction(db, lease, &l);
	if (err != OK)
		return err;
	*ret_count = l.count;
	*ret_ended = l.ended;
	return OK;
}

struct renewal {
	const struct uuid *job_ids;
	size_t count;
	int64_t due_at_ms;
};

static enum err
renew(struct db *db, void *arg)
{
	const struct renewal *r = arg;
	enum err err = OK;

	for (size_t i = 0; err == OK && i < r->count; i++)
		err = leases_set_due(db, &r->job_ids[i], r->due_at_ms);
	return err;
}

enum err
attempts_renew(struct db *db, const struct uuid *job_ids, size_t count,
    int64_t now_ms)
{
	struct renewal r = { job_ids, count, now_ms + ATTEMPT_LEASE_MS };

	return db_transaction(db, renew, &r);
}

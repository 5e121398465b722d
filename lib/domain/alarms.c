/* SPDX-License-Identifier: MIT */
#include "domain/alarms.h"
#include "base/buf.h"
#include "domain/notices.h"

#include <assert.h>
#include <stdio.h>

static const struct {
	const char *name;
	const char *title;
} kinds[ALARM_MAX] = {
#define ALARM_TABLE_ROW(symbol, name, title) [ALARM_##symbol] = { name, title },
	ALARM_LIST(ALARM_TABLE_ROW)
#undef ALARM_TABLE_ROW
};

const char *
alarm_name(enum alarm alarm)
{
	assert(alarm < ALARM_MAX);
	return kinds[alarm].name;
}

/* Findings that come and stay are more, in time, than are found at once. */
#define RAISED_MAX 512

struct raised {
	char subject[ALARM_SUBJECT_BYTES];
	char detail[ALARM_DETAIL_BYTES];
	int64_t episode;
	bool is_told;
	int64_t raised_at_ms;
	int64_t well_since_ms; /* -1 = it is not */
};

struct watching {
	enum alarm alarm;
	const struct alarm_finding *findings;
	size_t count;
	const struct alarm_rules *rules;
	int64_t now_ms;
	struct raised raised[RAISED_MAX];
	size_t raised_count;
};

static enum err
read_raised(struct db *db, struct watching *w)
{
	static const char sql[] =
	    "SELECT subject, detail, episode, is_told, raised_at_ms,"
	    " COALESCE(well_since_ms, -1) FROM alarms"
	    " WHERE name = ?1 AND is_raised = 1"
	    " ORDER BY raised_at_ms DESC LIMIT ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	w->raised_count = 0;
	db_bind_text(stmt, 1, alarm_name(w->alarm));
	db_bind_int64(stmt, 2, RAISED_MAX);
	while ((err = db_step(stmt, &found)) == OK && found) {
		struct raised *r = &w->raised[w->raised_count++];

		*r = (struct raised){
			.episode = db_column_int64(stmt, 2),
			.is_told = db_column_bool(stmt, 3),
			.raised_at_ms = db_column_int64(stmt, 4),
			.well_since_ms = db_column_int64(stmt, 5),
		};
		(void)str_copy(db_column_str(stmt, 0), r->subject,
		    sizeof(r->subject));
		(void)str_copy(db_column_str(stmt, 1), r->detail,
		    sizeof(r->detail));
	}
	return err;
}

static const struct raised *
find_raised(const struct watching *w, const char *subject)
{
	for (size_t i = 0; i < w->raised_count; i++)
		if (strcmp(w->raised[i].subject, subject) == 0)
			return &w->raised[i];
	return NULL;
}

static bool
is_found(const struct watching *w, const char *subject)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->findings[i].subject, subject) == 0)
			return true;
	return false;
}

/* Nothing is to be written of a finding that is raised, told, and not well. */
static bool
is_news(const struct watching *w, const struct alarm_finding *finding)
{
	const struct raised *r = find_raised(w, finding->subject);

	return r == NULL || r->well_since_ms >= 0 ||
	    (w->rules->tells && !r->is_told);
}

/* A clock that was set back must not hold it for ever. */
static bool
is_over(const struct watching *w, const struct raised *r)
{
	if (w->rules->hold_ms == 0 || r->well_since_ms > w->now_ms)
		return true;
	return r->well_since_ms >= 0 &&
	    w->now_ms - r->well_since_ms >= w->rules->hold_ms;
}

/* It is not found any more, and that is to be written down. */
static bool
is_gone(const struct watching *w, const struct raised *r)
{
	return w->count < ALARM_FINDINGS_MAX && !is_found(w, r->subject) &&
	    (r->well_since_ms < 0 || is_over(w, r));
}

static bool
has_changed(const struct watching *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (is_news(w, &w->findings[i]))
			return true;
	for (size_t i = 0; i < w->raised_count; i++)
		if (is_gone(w, &w->raised[i]))
			return true;
	return false;
}

/* "Title: subject – detail", and what else there is to say. */
static enum err
tell(struct db *db, const struct watching *w, const struct raised *r,
    const char *end, const char *mark, const char *more)
{
	char key[NOTICE_KEY_BYTES + ALARM_SUBJECT_BYTES];
	CLEANUP(buf_free) struct buf text = { 0 };

	(void)snprintf(key, sizeof(key), "alarm:%s:%s:%lld:%s",
	    alarm_name(w->alarm), r->subject, (long long)r->episode, end);
	buf_init(&text, NOTICE_BYTES_MAX);
	buf_appendf(&text, "%s %s", mark, kinds[w->alarm].title);
	if (r->subject[0] != '\0')
		buf_appendf(&text, ": %s", r->subject);
	buf_appendf(&text, "%s", more);
	if (r->detail[0] != '\0')
		buf_appendf(&text, " (%s)", r->detail);
	return notices_add(db, key, buf_str(&text), w->now_ms);
}

static enum err
write_raised(struct db *db, const struct watching *w,
    const struct alarm_finding *finding)
{
	static const char sql[] =
	    "INSERT INTO alarms (name, subject, episode, is_raised, is_told,"
	    " detail, raised_at_ms) VALUES (?1, ?2, 1, 1, 0, ?3, ?4)"
	    " ON CONFLICT (name, subject) DO UPDATE SET is_raised = 1,"
	    " episode = episode + 1 - is_raised,"
	    " is_told = is_told * is_raised,"
	    " raised_at_ms = CASE is_raised WHEN 1 THEN raised_at_ms"
	    "  ELSE excluded.raised_at_ms END,"
	    " detail = excluded.detail, well_since_ms = NULL,"
	    " cleared_at_ms = NULL";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, alarm_name(w->alarm));
	db_bind_text(stmt, 2, finding->subject);
	db_bind_text(stmt, 3, finding->detail);
	db_bind_int64(stmt, 4, w->now_ms);
	return db_run(stmt);
}

static enum err
note_told(struct db *db, const struct watching *w, const char *subject)
{
	static const char sql[] =
	    "UPDATE alarms SET is_told = 1 WHERE name = ?1 AND subject = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, alarm_name(w->alarm));
	db_bind_text(stmt, 2, subject);
	return db_run(stmt);
}

static enum err
note_well(struct db *db, const struct watching *w, const struct raised *r)
{
	static const char sql[] =
	    "UPDATE alarms SET well_since_ms = ?3"
	    " WHERE name = ?1 AND subject = ?2 AND is_raised = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, alarm_name(w->alarm));
	db_bind_text(stmt, 2, r->subject);
	db_bind_int64(stmt, 3, w->now_ms);
	return db_run(stmt);
}

static enum err
note_over(struct db *db, const struct watching *w, const struct raised *r)
{
	static const char sql[] =
	    "UPDATE alarms SET is_raised = 0, well_since_ms = NULL,"
	    " cleared_at_ms = ?3"
	    " WHERE name = ?1 AND subject = ?2 AND is_raised = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	char lasted[64];
	enum err err;

	db_bind_text(stmt, 1, alarm_name(w->alarm));
	db_bind_text(stmt, 2, r->subject);
	db_bind_int64(stmt, 3, w->now_ms);
	err = db_run(stmt);
	if (err != OK || !r->is_told || !w->rules->tells)
		return err;
	(void)snprintf(lasted, sizeof(lasted), " - over after %lld min",
	    (long long)((w->now_ms - r->raised_at_ms + 30000) / 60000));
	return tell(db, w, r, "end", "✅", lasted);
}

static enum err
raise_finding(struct db *db, struct watching *w,
    const struct alarm_finding *finding)
{
	const struct raised *r;
	enum err err;

	if (!is_news(w, finding))
		return OK;
	err = write_raised(db, w, finding);
	if (err == OK)
		err = read_raised(db, w);
	r = find_raised(w, finding->subject);
	if (err != OK || r == NULL || r->is_told || !w->rules->tells)
		return err;
	err = tell(db, w, r, "begin", "🔴", "");
	return err == OK ? note_told(db, w, finding->subject) : err;
}

static enum err
settle(struct db *db, void *arg)
{
	struct watching *w = arg;
	enum err err;

	err = read_raised(db, w);
	for (size_t i = 0; err == OK && i < w->count; i++)
		err = raise_finding(db, w, &w->findings[i]);
	for (size_t i = 0; err == OK && i < w->raised_count; i++)
		if (is_gone(w, &w->raised[i]))
			err = is_over(w, &w->raised[i]) ?
			    note_over(db, w, &w->raised[i]) :
			    note_well(db, w, &w->raised[i]);
	return err;
}

enum err
alarms_watch(struct db *db, enum alarm alarm,
    const struct alarm_finding *findings, size_t count,
    const struct alarm_rules *rules, int64_t now_ms)
{
	struct watching w = { .alarm = alarm,
		.findings = findings,
		.count = count,
		.rules = rules,
		.now_ms = now_ms };
	enum err err;

	assert(count <= ALARM_FINDINGS_MAX);
	err = read_raised(db, &w);
	if (err != OK || !has_changed(&w))
		return err;
	return db_transaction(db, settle, &w);
}

enum err
alarms_is_raised(struct db *db, enum alarm alarm, const char *subject,
    bool *ret_is_raised)
{
	static const char sql[] =
	    "SELECT 1 FROM alarms WHERE name = ?1 AND subject = ?2"
	    " AND is_raised = 1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);

	db_bind_text(stmt, 1, alarm_name(alarm));
	db_bind_text(stmt, 2, subject);
	return db_step(stmt, ret_is_raised);
}

enum err
alarms_list(struct db *db, alarms_each *each, void *arg)
{
	static const char sql[] =
	    "SELECT name, subject, detail, raised_at_ms FROM alarms"
	    " WHERE is_raised = 1 AND raised_at_ms >= 0 ORDER BY raised_at_ms";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	bool found;
	enum err err;

	while ((err = db_step(stmt, &found)) == OK && found)
		each(arg,
		    &(const struct alarm_row){
			.name = db_column_str(stmt, 0).ptr,
			.subject = db_column_str(stmt, 1).ptr,
			.detail = db_column_str(stmt, 2).ptr,
			.raised_at_ms = db_column_int64(stmt, 3),
		    });
	return err;
}

struct purge {
	int64_t before_ms;
	int64_t limit;
};

static enum err
purge(struct db *db, void *arg)
{
	static const char sql[] =
	    "DELETE FROM alarms WHERE (name, subject) IN"
	    " (SELECT name, subject FROM alarms WHERE is_raised = 0"
	    "  AND cleared_at_ms < ?1 ORDER BY cleared_at_ms LIMIT ?2)";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct purge *what = arg;

	db_bind_int64(stmt, 1, what->before_ms);
	db_bind_int64(stmt, 2, what->limit);
	return db_run(stmt);
}

enum err
alarms_purge(struct db *db, int64_t before_ms, int64_t limit)
{
	struct purge what = { before_ms, limit };

	return db_transaction(db, purge, &what);
}

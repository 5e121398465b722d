/* SPDX-License-Identifier: MIT */
#include "domain/audit.h"
#include "domain/audit_checks.h"
#include "domain/credits.h"
#include "store/objects.h"

#include <assert.h>

/* Rows read at a time, so that no read holds the log's end for long. */
#define PAGE_ROWS 256

/* Sorts before every id that is given out. */
static const struct uuid before_all = { { 0 } };

static const char *const titles[AUDIT_INVARIANT_MAX + 1] = {
	[1] = "balance, ledger and lots agree",
	[2] = "a job holds once and is settled once",
	[3] = "an open job has a next action and a deadline",
	[4] = "a purchase is credited once, a refund taken back once",
	[5] = "a device has had one gift",
	[6] = "a key names one job of its user",
	[7] = "a job has one open attempt",
	[8] = "a completed video has its file, a file its row",
	[9] = "the ledger is an unbroken chain",
	[10] = "an account is one person's, and what was merged is empty",
	[11] = "a deleted account is empty",
	[12] = "what was spent is what the attempts cost",
};

const char *
audit_title(int number)
{
	assert(number >= 1);
	assert(number <= AUDIT_INVARIANT_MAX);
	return titles[number];
}

static void
report(struct audit *audit, int number, const char *problem,
    const struct uuid *id)
{
	struct audit_finding *finding = &audit->invariant[number];

	if (finding->violations_count < AUDIT_REPORTED_MAX)
		finding->violation[finding->violations_count] =
		    (struct audit_violation){ problem, *id };
	finding->violations_count++;
}

static enum err
count_all(struct db *db, struct audit *audit)
{
	for (size_t i = 0; i < audit_counts_count; i++) {
		CLEANUP(db_release)
		struct db_stmt *stmt = db_prepare(db, audit_counts[i].sql);
		bool found;
		const enum err err = db_step(stmt, &found);

		if (err != OK)
			return err;
		audit->invariant[audit_counts[i].number].checked_count =
		    db_column_int64(stmt, 0);
	}
	return OK;
}

/* before_ms is bound when it is not NULL. */
static enum err
run_check(struct db *db, const struct audit_check *check,
    const int64_t *before_ms, struct audit *audit)
{
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, check->sql);
	bool found;
	enum err err;

	if (before_ms != NULL)
		db_bind_int64(stmt, 1, *before_ms);
	while ((err = db_step(stmt, &found)) == OK && found) {
		const struct uuid id = db_column_uuid(stmt, 0);

		report(audit, check->number, check->problem, &id);
	}
	return err;
}

static enum err
run_checks(struct db *db, int64_t now_ms, struct audit *audit)
{
	const int64_t before_ms = now_ms - AUDIT_OVERDUE_MS;
	enum err err = OK;

	for (size_t i = 0; err == OK && i < audit_checks_count; i++)
		err = run_check(db, &audit_checks[i], NULL, audit);
	for (size_t i = 0; err == OK && i < audit_purchase_checks_count; i++)
		err = run_check(db, &audit_purchase_checks[i], NULL, audit);
	for (size_t i = 0; err == OK && i < audit_overdue_checks_count; i++)
		err =
		    run_check(db, &audit_overdue_checks[i], &before_ms, audit);
	return err;
}

struct page {
	struct audit *audit;
	struct uuid last;
	size_t count;
};

/* Verifies the chains of the next users, all at one moment. */
static enum err
verify_page(struct db *db, void *arg)
{
	/* audit: walks the table */
	static const char sql[] =
	    "SELECT id FROM users WHERE id > ?1 ORDER BY id LIMIT ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	struct page *page = arg;
	const char *problem;
	bool found, ok;
	enum err err;

	page->count = 0;
	db_bind_uuid(stmt, 1, &page->last);
	db_bind_int64(stmt, 2, PAGE_ROWS);
	while ((err = db_step(stmt, &found)) == OK && found) {
		page->last = db_column_uuid(stmt, 0);
		page->count++;
		err = credits_verify(db, &page->last, &ok, &problem);
		if (err != OK)
			return err;
		if (!ok)
			report(page->audit, 9, problem, &page->last);
	}
	return err;
}

static enum err
verify_chains(struct db *db, struct audit *audit)
{
	struct page page = { .audit = audit, .last = before_all };
	enum err err;

	do
		err = db_snapshot(db, verify_page, &page);
	while (err == OK && page.count == PAGE_ROWS);
	return err;
}

struct file {
	struct uuid id;
	char bucket[16];
	int64_t size_bytes;
	uint8_t sha256[32];
};

static enum err
read_stored(struct db *db, const struct uuid *after,
    struct file files[PAGE_ROWS], size_t *ret_count)
{
	/* audit: walks the table */
	static const char sql[] =
	    "SELECT id, bucket, size_bytes, sha256 FROM objects"
	    " WHERE state = 'stored' AND id > ?1 ORDER BY id LIMIT ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	size_t count = 0;
	bool found;
	enum err err;

	db_bind_uuid(stmt, 1, after);
	db_bind_int64(stmt, 2, PAGE_ROWS);
	while ((err = db_step(stmt, &found)) == OK && found) {
		struct file *file = &files[count++];

		file->id = db_column_uuid(stmt, 0);
		(void)str_copy(db_column_str(stmt, 1), file->bucket,
		    sizeof(file->bucket));
		file->size_bytes = db_column_int64(stmt, 2);
		/* The schema says how long it is. */
		memcpy(file->sha256, db_column_blob(stmt, 3).ptr,
		    sizeof(file->sha256));
	}
	*ret_count = count;
	return err;
}

static enum err
has_row(struct db *db, const char *bucket, const struct uuid *id,
    bool *ret_exists, bool *ret_stored)
{
	static const char sql[] =
	    "SELECT state FROM objects WHERE id = ?1 AND bucket = ?2";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	enum err err;

	db_bind_uuid(stmt, 1, id);
	db_bind_text(stmt, 2, bucket);
	err = db_step(stmt, ret_exists);
	if (err == OK)
		*ret_stored = *ret_exists &&
		    str_equal(db_column_str(stmt, 0), STR("stored"));
	return err;
}

/*
 * A row says "stored" only while its file is there, so the file is looked at
 * first and the row again: if it still says so, the file was missing then.
 */
static enum err
check_stored(struct db *db, const char *state_dir, const struct file *file,
    bool reads_files, struct audit *audit)
{
	const int64_t size_bytes =
	    objects_size_bytes(state_dir, file->bucket, &file->id);
	const bool has_size = size_bytes == file->size_bytes;
	uint8_t sha256[32];
	bool exists, stored;
	enum err err;

	if (has_size &&
	    (!reads_files ||
		(objects_hash(state_dir, file->bucket, &file->id, sha256) &&
		    memcmp(sha256, file->sha256, sizeof(sha256)) == 0)))
		return OK;
	err = has_row(db, file->bucket, &file->id, &exists, &stored);
	if (err == OK && stored)
		report(audit, 8,
		    size_bytes < 0 ? "the stored object has no file" :
			has_size   ? "the file has other bytes than its row" :
				     "the file has another size than its row",
		    &file->id);
	return err;
}

static enum err
check_rows(struct db *db, const char *state_dir, bool reads_files,
    struct audit *audit)
{
	struct file files[PAGE_ROWS];
	struct uuid last = before_all;
	size_t count;
	enum err err;

	do {
		err = read_stored(db, &last, files, &count);
		for (size_t i = 0; err == OK && i < count; i++) {
			last = files[i].id;
			err = check_stored(db, state_dir, &files[i],
			    reads_files, audit);
		}
	} while (err == OK && count == PAGE_ROWS);
	return err;
}

struct visit {
	struct db *db;
	const char *state_dir;
	const char *bucket;
	struct audit *audit;
};

/*
 * A row comes before its file and goes after it: a file that is still there
 * after its row was missing never had one, or lost it.
 */
static enum err
check_file(void *arg, const struct uuid *id)
{
	const struct visit *visit = arg;
	bool exists, stored;
	enum err err;

	err = has_row(visit->db, visit->bucket, id, &exists, &stored);
	if (err == OK && !exists &&
	    objects_size_bytes(visit->state_dir, visit->bucket, id) >= 0)
		report(visit->audit, 8, "the file has no row", id);
	return err;
}

static enum err
check_files(struct db *db, const char *state_dir, struct audit *audit)
{
	static const char *const buckets[] = { "videos", "thumbnails" };
	enum err err = OK;

	for (size_t i = 0; err == OK && i < 2; i++) {
		struct visit visit = { db, state_dir, buckets[i], audit };

		err = objects_each(state_dir, buckets[i], check_file, &visit);
	}
	return err;
}

enum err
audit_run(struct db *db, const char *state_dir, int64_t now_ms,
    bool reads_files, struct audit *ret_audit)
{
	enum err err;

	*ret_audit = (struct audit){ 0 };
	err = db_integrity(db, &ret_audit->is_whole);
	if (err == OK)
		err = count_all(db, ret_audit);
	if (err == OK)
		err = run_checks(db, now_ms, ret_audit);
	if (err == OK)
		err = verify_chains(db, ret_audit);
	if (err == OK)
		err = check_rows(db, state_dir, reads_files, ret_audit);
	if (err == OK)
		err = check_files(db, state_dir, ret_audit);
	return err;
}

size_t
audit_reported_count(const struct audit_finding *finding)
{
	return finding->violations_count < AUDIT_REPORTED_MAX ?
	    (size_t)finding->violations_count :
	    AUDIT_REPORTED_MAX;
}

bool
audit_is_clean(const struct audit *audit)
{
	for (int i = 1; i <= AUDIT_INVARIANT_MAX; i++)
		if (audit->invariant[i].violations_count > 0)
			return false;
	return audit->is_whole;
}

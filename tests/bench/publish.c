/* SPDX-License-Identifier: MIT */
/*
 * publish STATE_DIR RATE SECONDS < ids -- changes jobs as the worker does, so
 * many a second: one transaction with its event, then a nudge.  For streams.mjs.
 *
 * A line of the input is USER JOB; which one is next is chance.  A line of the
 * output is USER MICROSECONDS, the monotonic time after the commit.
 */
#include "app/nudge.h"
#include "base/clock.h"
#include "domain/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PAIRS_MAX 20000

struct change {
	struct uuid user_id;
	struct uuid job_id;
};

static struct change changes[PAIRS_MAX];

static size_t
read_pairs(void)
{
	char user[UUID_TEXT_BYTES], job[UUID_TEXT_BYTES];
	size_t count = 0;

	while (count < PAIRS_MAX && scanf("%36s %36s", user, job) == 2)
		if (uuid_parse(str_from(user), &changes[count].user_id) &&
		    uuid_parse(str_from(job), &changes[count].job_id))
			count++;
	return count;
}

static enum err
make_change(struct db *db, void *arg)
{
	static const char sql[] =
	    "UPDATE jobs SET deadline_at_ms = deadline_at_ms + 1 WHERE id = ?1";
	CLEANUP(db_release) struct db_stmt *stmt = db_prepare(db, sql);
	const struct change *change = arg;
	enum err err;

	db_bind_uuid(stmt, 1, &change->job_id);
	err = db_run(stmt);
	if (err != OK)
		return err;
	return events_append(db, EVENT_JOB, &change->user_id, &change->job_id,
	    clock_now_ms());
}

int
main(int argc, char **argv)
{
	static struct config config;
	const int fd = nudge_sender();
	int64_t began_us, rate, seconds;
	struct buf problem;
	struct db *db;
	size_t pairs;

	buf_init(&problem, 4096);
	if (argc != 4 || !str_to_int64(str_from(argv[2]), 1, 100000, &rate) ||
	    !str_to_int64(str_from(argv[3]), 1, 3600, &seconds) ||
	    (pairs = read_pairs()) == 0 ||
	    setenv("RENDIO_STATE_DIR", argv[1], 1) != 0 ||
	    !config_load(&config, &problem) ||
	    db_open(argv[1], DB_READ_WRITE, false, &db) != OK) {
		(void)fprintf(stderr,
		    "usage: publish STATE_DIR RATE SECONDS\n");
		return 2;
	}
	began_us = clock_monotonic_us();
	for (int64_t i = 0; i < rate * seconds; i++) {
		const int64_t left_us =
		    began_us + i * 1000000 / rate - clock_monotonic_us();
		char user[UUID_TEXT_BYTES];
		struct change *change;
		uint32_t chance;

		if (left_us > 0)
			(void)usleep((useconds_t)left_us);
		random_bytes(&chance, sizeof(chance));
		change = &changes[chance % pairs];
		if (db_transaction(db, make_change, change) != OK)
			return 1;
		uuid_format(&change->user_id, user);
		(void)printf("%s %lld\n", user,
		    (long long)clock_monotonic_us());
		nudge_send(fd, &config, NUDGE_REALTIME);
	}
	db_close(db);
	return 0;
}

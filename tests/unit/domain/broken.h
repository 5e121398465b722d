/* SPDX-License-Identifier: MIT */
#ifndef BROKEN_H
#define BROKEN_H

/*
 * Every call of ours that a test makes in assert_int_equal() is also made with
 * a database that fails: first in the first step of its statements, then in
 * the second, and so on, until one goes by without.  Each that failed must say
 * so, ERR_SERVICE_UNAVAILABLE and nothing else, and have committed nothing; the
 * last is the one that the test is about.  So what is tested to work is tested
 * to be whole or not at all, too, and to work when it is tried again.
 *
 * This stands in the engine's place, as faults/calls.c does in the C library's;
 * with an engine that is linked statically (make SQLITE=dir) nothing fails.
 */

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <sqlite3.h>

/* No call has more steps that are worth it: long lists repeat theirs. */
#define BREAK_STEPS_MAX 200

/* So often is one place in a test broken: loops repeat theirs. */
#define BREAK_CALLS_MAX 8

static struct {
	bool is_armed;
	int at; /* the step that fails, from 1 */
	int steps;
	bool was_hit;
	bool was_release; /* the end of a part */
	unsigned version; /* of the database's content, when it was hit */
	sqlite3 *engine;
} broken;

static inline unsigned
broken_version(sqlite3 *engine)
{
	unsigned version = 0;

	(void)sqlite3_file_control(engine, "main", SQLITE_FCNTL_DATA_VERSION,
	    &version);
	return version;
}

#ifndef SQLITE_IS_LINKED
int
sqlite3_step(sqlite3_stmt *stmt)
{
	static int (*step)(sqlite3_stmt *);
	int rc;

	if (step == NULL)
		*(void **)&step = dlsym(RTLD_NEXT, "sqlite3_step");
	/* The end of a transaction that failed does not fail. */
	if (!broken.is_armed || strncmp(sqlite3_sql(stmt), "ROLLBACK", 8) == 0)
		return step(stmt);
	if (++broken.steps == broken.at) {
		broken.was_hit = true;
		broken.was_release =
		    strncmp(sqlite3_sql(stmt), "RELEASE", 7) == 0;
		rc = SQLITE_IOERR;
	} else {
		rc = step(stmt);
	}
	/* The first begins to read: no sooner is it known what is there. */
	if (broken.steps == 1) {
		broken.engine = sqlite3_db_handle(stmt);
		broken.version = broken_version(broken.engine);
	}
	return rc;
}
#endif

/* These work through lists, with a transaction for each entry. */
static inline bool
is_stepwise(const char *call)
{
	return strncmp(call, "credits_expire(", 15) == 0 ||
	    strncmp(call, "retry_waiting(", 14) == 0 ||
	    strncmp(call, "subscriptions_end(", 18) == 0;
}

/* The next try; within another's, that one is no call of ours. */
static inline void
break_next(int at, bool is_breakable, const char *what)
{
	if (broken.is_armed && broken.was_hit)
		fail_msg("%s is looked at after a failure", what);
	broken.is_armed = is_breakable;
	broken.at = at;
	broken.steps = 0;
	broken.was_hit = false;
}

/* Is there another to come?  Ends the test when this one was not whole. */
static inline bool
break_again(unsigned err, const char *what)
{
	const bool was_hit = broken.is_armed && broken.was_hit;

	broken.is_armed = false;
	if (!was_hit)
		return false;
	/* A part that was refused is gone, whatever becomes of its end. */
	if (err != ERR_SERVICE_UNAVAILABLE &&
	    (err == OK || !broken.was_release))
		fail_msg("%s: step %d failed and the answer is %s", what,
		    broken.at, err_code((enum err)err));
	if (broken_version(broken.engine) != broken.version &&
	    !is_stepwise(what))
		fail_msg("%s: step %d failed and something is committed", what,
		    broken.at);
	return true;
}

/* The store's functions are the tests' own, unless they run what is ours. */
static inline bool
is_of_store(const char *call)
{
	return strncmp(call, "migrate(", 8) == 0 ||
	    (strncmp(call, "db_", 3) == 0 &&
		strncmp(call, "db_transaction(", 15) != 0 &&
		strncmp(call, "db_batch(", 9) != 0);
}

/* Errors are unsigned, as is little else. */
#define IS_BREAKABLE(call) \
	(_Generic((call), enum err \
		  : true, default \
		  : false) && \
	    !is_of_store(#call))

#undef assert_int_equal
#define assert_int_equal(call, expected) \
	do { \
		LargestIntegralType broken_value; \
		static int broken_calls; \
		int broken_at = 1; \
		broken_calls++; \
		do { \
			break_next(broken_at, \
			    IS_BREAKABLE(call) && \
				broken_calls <= BREAK_CALLS_MAX && \
				broken_at <= BREAK_STEPS_MAX, \
			    #call); \
			broken_value = cast_to_largest_integral_type(call); \
		} while (break_again((unsigned)broken_value, #call) && \
		    broken_at++ > 0); \
		_assert_int_equal(broken_value, \
		    cast_to_largest_integral_type(expected), __FILE__, \
		    __LINE__); \
	} while (0)

#endif

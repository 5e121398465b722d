/* SPDX-License-Identifier: MIT */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Metrics: numbers that all programs count up together, in one file that each
 * of them maps.  Counting is an addition in memory: no lock, no call of the
 * system, nothing that a process which dies could take along or leave half
 * done.  The file stays when programs are started anew, so no counter falls.
 *
 * A metric is of a kind and has a name, the value of its label.  A program
 * that has opened no file counts into nothing.
 */

enum metric_kind {
	METRIC_NONE,
	METRIC_REQUESTS, /* of an endpoint: counts by status, and durations */
	METRIC_PROVIDER, /* calls of a company: by outcome, and durations */
	METRIC_WRITE_WAITS, /* for one's turn to write: durations */
	METRIC_REFUSALS, /* by a limit */
	METRIC_JOBS, /* that came into a state */
	METRIC_CREDITS, /* moved by a kind of ledger entry */
	METRIC_REVENUE, /* in thousandths, by a currency */
	METRIC_COSTS, /* of providers, in millionths of a US dollar */
	METRIC_PURGED, /* rows and files that retention took away */
	METRIC_CONNECTIONS, /* of streams, now */
	METRIC_HEARTBEATS, /* when a program was last seen: ms since 1970 */
	METRIC_KIND_MAX,
};

/* The longest name of an endpoint, a company or a table is shorter. */
#define METRIC_NAME_BYTES 47

/* Counts of one metric: as many as there are statuses that we answer. */
#define METRIC_COUNTS 24

/* Upper bounds of what is observed, in microseconds; above them is one more. */
#define METRIC_BOUNDS 13
extern const int64_t metric_bounds_us[METRIC_BOUNDS];

struct metric {
	uint8_t kind; /* METRIC_NONE: free */
	char name[METRIC_NAME_BYTES];
	int64_t count[METRIC_COUNTS];
	int64_t observed[METRIC_BOUNDS + 1];
	int64_t observed_us; /* the sum of all */
};

/*
 * Maps DIR/metrics, which is made if it is missing and begun anew when it is
 * of another version.  False, and nothing is counted, when that cannot be.
 */
bool metrics_open(const char *dir);

/* The metric of this name; one that counts into nothing when all are taken. */
struct metric *metrics_find(enum metric_kind kind, const char *name);

/* Adds to one of its counts, 0 <= index < METRIC_COUNTS. */
void metric_add(struct metric *metric, size_t index, int64_t n);

/* What a count is now, for what rises and falls. */
void metric_set(struct metric *metric, size_t index, int64_t value);

/* One duration more. */
void metric_observe(struct metric *metric, int64_t took_us);

/* The count that a status goes into, and back: 0 is for all others. */
size_t metric_status_index(int status);
int metric_status(size_t index);

/* A copy of each one that is taken, in no order. */
typedef void metrics_each(void *arg, const struct metric *metric);
void metrics_list(metrics_each *each, void *arg);

#endif

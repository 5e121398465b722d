/* SPDX-License-Identifier: MIT */
/*
 * rendio-worker -- started by cron every minute.
 *
 * One worker leads.  The next one waits for its place, which asks the leader
 * to hand over: it stops beginning things, gives the place away, finishes
 * what is under way, and ends.  So there is always one, whether or not a
 * minute's start was missed; when cron itself is dead the leader goes on for
 * a while and then ends, so that the silence is noticed.
 */

#include "worker.h"

#include "app/incidents.h"
#include "app/nudge.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/lockfile.h"
#include "base/log.h"
#include "base/metrics.h"
#include "domain/clocks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A leader without a successor works this long at most. */
#define LEAD_MAX_US (INT64_C(75) * 1000000)

/*
 * How long a successor waits for the place, and then for its leader's death.  A
 * leader looks after each task, of which the longest, to empty a log of gigabytes
 * on a slow disk, takes minutes and begins again if it is cut off.
 */
#define WAIT_FOR_PLACE_MS 300000
#define WAIT_FOR_DEATH_MS 1000

/*
 * What is under way when the place is given up may take this long, and when
 * we are asked to end this long: a submission that is cut off is one whose
 * fate is unknown.  Supervisors kill after fifteen seconds.
 */
#define DRAIN_MAX_US (INT64_C(16) * 60 * 1000000)
#define DRAIN_ASKED_MAX_US (INT64_C(12) * 1000000)

/* How long a starting worker waits for the waiting room: see has_successor. */
#define WAIT_FOR_ROOM_MS 100
#define WAIT_STEP_MS 100

/* A wait never exceeds this: a nudge may have been lost. */
#define TICK_MS 250

/* Children that end wake nobody. */
#define DRAIN_TICK_MS 20

static void
follow_clock(struct worker *worker)
{
	struct log log;
	int64_t count;

	if (clocks_follow(worker->state.db, clock_now_ms(), &count) != OK ||
	    count == 0)
		return;
	log = log_begin(LOG_WARNING, "clock_was_set_back");
	log_int64(&log, "jobs", count);
	log_end(&log);
}

struct task {
	void (*run)(struct worker *worker);
	int64_t period_ms;
};

static const struct task tasks[] = {
	/* In this order: after a stall our own leases are saved first. */
	{ renew_leases, ATTEMPT_LEASE_MS / 3 },
	{ follow_clock, 60000 },
	{ take_reports, 50 },
	{ lease_jobs, 20 },
	{ make_posters, 20 },
	{ checkpoint, 100 },
	{ delete_files, 1000 },
	{ finish_deletions, 1000 },
	{ purge, 2000 },
	{ measure_storage, 5000 },
	{ retire_media, 5000 },
	{ expire_credits, 30000 },
	{ retry_purchases, 5000 },
	{ end_subscriptions, 5000 },
	{ purge_purchases, 60000 },
	{ answer_consumption, 1000 },
	{ resolve_lookups, 1000 },
	{ repair_notifications, 1000 },
	{ repair_refunds, 1000 },
	{ watch_alarms, 1000 },
	{ watch_limits, 10000 },
	{ tell_summaries, 5000 },
	{ send_notices, 500 },
	{ send_pushes, 250 },
	{ take_incidents, 1000 },
	{ send_incidents, 500 },
	{ run_audit, 1000 },
};

#define TASKS_COUNT (sizeof(tasks) / sizeof(tasks[0]))

/* How often we were asked to end. */
static volatile sig_atomic_t asked_to_end;

static void
ask_to_end(int signal_number)
{
	(void)signal_number;
	asked_to_end++;
}

static bool
state_path(const struct worker *worker, const char *name, char *path,
    size_t size)
{
	return snprintf(path, size, "%s/run/%s",
		   config_text(&worker->state.config, CONFIG_STATE_DIR),
		   name) < (int)size;
}

/* Does somebody hold the waiting room? Then the place is wanted. */
static bool
has_successor(const struct worker *worker)
{
	CLEANUP(cleanup_fd) int fd = -1;
	char path[CONFIG_VALUE_BYTES_MAX + 32];

	return state_path(worker, "worker.next", path, sizeof(path)) &&
	    !lockfile_take(path, 0, &fd);
}

/* Wakes who tells of events, if there may be some. */
static void
tell(struct worker *worker)
{
	const int64_t rows = state_rows_changed(&worker->state);

	if (rows == worker->rows_told)
		return;
	worker->rows_told = rows;
	nudge_send(worker->teller_fd, &worker->state.config, NUDGE_REALTIME);
}

static void
lead(struct worker *worker)
{
	const int64_t began_us = clock_monotonic_us();
	int64_t next_us[TASKS_COUNT] = { 0 };
	int64_t look_us = 0;
	bool nudged = true;

	while (asked_to_end == 0) {
		const int64_t now_us = clock_monotonic_us();
		int64_t wait_ms = TICK_MS;

		metric_set(metrics_find(METRIC_HEARTBEATS, "worker"), 0,
		    clock_now_ms());
		if (now_us - began_us > LEAD_MAX_US)
			break;
		for (size_t i = 0; i < TASKS_COUNT; i++) {
			int64_t left_ms;

			/* Each may wait for a database that is locked. */
			if (clock_monotonic_us() >= look_us) {
				if (has_successor(worker))
					return;
				look_us = clock_monotonic_us() + 1000000;
			}
			if (now_us >= next_us[i] ||
			    (nudged &&
				(tasks[i].run == lease_jobs ||
				    tasks[i].run == take_reports))) {
				tasks[i].run(worker);
				tell(worker);
				next_us[i] = clock_monotonic_us() +
				    tasks[i].period_ms * 1000;
			}
			left_ms = (next_us[i] - clock_monotonic_us()) / 1000;
			if (left_ms < wait_ms)
				wait_ms = left_ms < 0 ? 0 : left_ms;
		}
		nudged =
		    fetcher_wait(worker->fetcher, worker->nudge_fd, wait_ms);
		if (nudged)
			nudge_swallow(worker->nudge_fd);
		tell(worker);
	}
}

/* A message that is cut off is one that may be sent twice. */
static bool
is_busy(struct worker *worker)
{
	return worker->steps_count > 0 || fetcher_active(worker->fetcher) > 0 ||
	    audit_is_running(worker);
}

static void
drain(struct worker *worker)
{
	const int64_t began_us = clock_monotonic_us();
	int64_t renew_us = 0;

	worker->is_draining = true;
	while (is_busy(worker) && asked_to_end < 2 &&
	    clock_monotonic_us() - began_us <
		(asked_to_end > 0 ? DRAIN_ASKED_MAX_US : DRAIN_MAX_US)) {
		if (clock_monotonic_us() >= renew_us) {
			renew_leases(worker);
			renew_us =
			    clock_monotonic_us() + ATTEMPT_LEASE_MS * 1000 / 3;
		}
		make_posters(worker);
		(void)fetcher_wait(worker->fetcher, -1, DRAIN_TICK_MS);
		tell(worker);
	}
}

static void
catch_signals(void)
{
	struct sigaction action = { .sa_handler = ask_to_end };

	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* In the lock's file, for who wants to know which process leads. */
static void
note_leader(int place)
{
	if (ftruncate(place, 0) != 0 ||
	    dprintf(place, "%ld\n", (long)getpid()) < 0)
		log_line(LOG_WARNING, "start", "problem", strerror(errno));
}

/*
 * Ends a leader that has not looked at the waiting room all the while: it
 * stands still, and nobody else works before it is gone.  What it had under way
 * is what any death leaves.
 */
static void
end_leader(const char *place_path)
{
	CLEANUP(cleanup_fd) int place = open(place_path, O_RDONLY | O_CLOEXEC);
	char text[24] = "";
	long pid;

	if (place < 0 || read(place, text, sizeof(text) - 1) <= 0)
		return;
	pid = strtol(text, NULL, 10);
	/* A number is only the leader's as long as it has the lock. */
	if (pid <= 1 || flock(place, LOCK_EX | LOCK_NB) == 0 ||
	    errno != EWOULDBLOCK)
		return;
	log_line(LOG_ERROR, "worker_stood_still", "problem",
	    kill((pid_t)pid, SIGKILL) == 0 ? "killed" : strerror(errno));
}

/* Takes the place, or finds that another is waiting for it already. */
static bool
take_place(const struct worker *worker, int *ret_place)
{
	CLEANUP(cleanup_fd) int room = -1;
	char room_path[CONFIG_VALUE_BYTES_MAX + 32];
	char place_path[CONFIG_VALUE_BYTES_MAX + 32];

	if (!state_path(worker, "worker.next", room_path, sizeof(room_path)) ||
	    !state_path(worker, "worker.lock", place_path,
		sizeof(place_path)) ||
	    !lockfile_take(room_path, WAIT_FOR_ROOM_MS, &room))
		return false;
	for (int i = 0; i < WAIT_FOR_PLACE_MS / WAIT_STEP_MS; i++) {
		if (asked_to_end > 0)
			return false;
		if (lockfile_take(place_path, WAIT_STEP_MS, ret_place))
			return true;
	}
	end_leader(place_path);
	return lockfile_take(place_path, WAIT_FOR_DEATH_MS, ret_place);
}

int
main(int argc, char **argv)
{
	static struct worker worker;
	struct buf problem;
	int place = -1;

	log_program("worker");
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)umask(0027);
	if (argc == 2 && strcmp(argv[1], AUDIT_ARGUMENT) == 0)
		return audit_main();
	catch_signals();
	buf_init(&problem, 8192);
	if (sodium_init() < 0 ||
	    !state_open(&worker.state, STATE_WRITE, &problem)) {
		log_line(LOG_ERROR, "start", "problem",
		    problem.len == 0 ? "libsodium" : problem.ptr);
		return 1;
	}
	incidents_watch(&worker.state.config, "worker");
	if (!take_place(&worker, &place))
		return 0;
	note_leader(place);
	worker.nudge_fd = nudge_receiver(&worker.state.config, NUDGE_WORKER);
	worker.teller_fd = nudge_sender();
	if (worker.nudge_fd < 0 || worker.teller_fd < 0) {
		log_line(LOG_ERROR, "start", "problem", strerror(errno));
		return 1;
	}
	state_open_metrics(&worker.state.config);
	worker.fetcher = fetcher_new();
	lead(&worker);
	/* The next leader binds a socket of its own. */
	(void)close(worker.nudge_fd);
	(void)close(place);
	drain(&worker);
	state_close(&worker.state);
	return 0;
}

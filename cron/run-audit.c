/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "domain/audit.h"
#include "domain/watches.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The audit, once a night: a child, because it reads the whole database while
 * videos wait for nobody.  The worker that began it stays until it is done.
 */

#define HOUR_MS (INT64_C(3600) * 1000)
#define DAY_MS (24 * HOUR_MS)

/* One that was killed is made up for after this long. */
#define RETRY_MS HOUR_MS

static const char watch_name[] = "audit";

/* The next time that the clock shows this hour. */
static int64_t
next_at_ms(int64_t hour, int64_t now_ms)
{
	const int64_t at_ms = now_ms - now_ms % DAY_MS + hour * HOUR_MS;

	return at_ms > now_ms ? at_ms : at_ms + DAY_MS;
}

static void
summarise(const struct audit *audit, struct audit_state *state)
{
	struct buf numbers;

	buf_init(&numbers, sizeof(state->violated) - 1);
	if (!audit->is_whole) {
		state->violations_count = 1;
		buf_append(&numbers, STR("0 (the file is damaged)"));
	}
	for (int n = 1; n <= AUDIT_INVARIANT_MAX; n++) {
		const int64_t count = audit->invariant[n].violations_count;

		state->violations_count += count;
		if (count > 0)
			buf_appendf(&numbers, "%s%d",
			    numbers.len == 0 ? "" : ", ", n);
	}
	(void)str_copy(buf_str(&numbers), state->violated,
	    sizeof(state->violated));
	buf_free(&numbers);
}

/* Reads on one connection, which can only read, and writes on another. */
static enum err
audit(struct audit_state *ret_state)
{
	static struct audit found;
	struct state state;
	struct buf problem;
	enum err err = ERR_SERVICE_UNAVAILABLE;

	buf_init(&problem, 8192);
	if (state_open(&state, STATE_READ, &problem))
		err = audit_run(state.db,
		    config_text(&state.config, CONFIG_STATE_DIR),
		    clock_now_ms(), false, &found);
	state_close(&state);
	if (err == OK && state_open(&state, STATE_WRITE, &problem)) {
		ret_state->made_at_ms = clock_now_ms();
		summarise(&found, ret_state);
		err = watches_audit_done(state.db, ret_state);
		if (err == OK)
			err = watches_set(state.db, watch_name,
			    next_at_ms(config_number(&state.config,
					   CONFIG_AUDIT_HOUR_UTC),
				clock_now_ms()));
	}
	state_close(&state);
	if (problem.len > 0)
		log_line(LOG_ERROR, "audit", "problem", problem.ptr);
	buf_free(&problem);
	return err;
}

int
audit_main(void)
{
	struct audit_state state = { .made_at_ms = 0 };
	struct log log;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpriority(PRIO_PROCESS, 0, 10);
	if (audit(&state) != OK) {
		log_line(LOG_ERROR, "audit", "problem", "it was not made");
		return 1;
	}
	log = log_begin(state.violations_count > 0 ? LOG_ERROR : LOG_INFO,
	    "audit");
	log_int64(&log, "violations", state.violations_count);
	log_text(&log, "invariants", state.violated);
	log_end(&log);
	return 0;
}

bool
audit_is_running(struct worker *worker)
{
	if (worker->audit_pid > 0 &&
	    waitpid(worker->audit_pid, NULL, WNOHANG) != 0)
		worker->audit_pid = 0;
	return worker->audit_pid > 0;
}

static void
begin(struct worker *worker)
{
	static char *const arguments[] = { (char *)(uintptr_t) "rendio-worker",
		(char *)(uintptr_t)AUDIT_ARGUMENT, NULL };
	const pid_t pid = fork();

	if (pid == 0) {
		(void)close_range(3, ~0U, 0);
		(void)execv("/proc/self/exe", arguments);
		_exit(127);
	}
	if (pid > 0)
		worker->audit_pid = pid;
	else
		log_line(LOG_ERROR, "audit", "fork", strerror(errno));
}

void
run_audit(struct worker *worker)
{
	const int64_t hour =
	    config_number(&worker->state.config, CONFIG_AUDIT_HOUR_UTC);
	const int64_t now_ms = clock_now_ms();
	bool due;

	if (audit_is_running(worker) || hour < 0 ||
	    watches_due(worker->state.db, watch_name, next_at_ms(hour, now_ms),
		now_ms, &due) != OK ||
	    !due)
		return;
	if (watches_set(worker->state.db, watch_name, now_ms + RETRY_MS) == OK)
		begin(worker);
}

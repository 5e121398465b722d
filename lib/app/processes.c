/* SPDX-License-Identifier: MIT */
#include "app/processes.h"
#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * A process that dies sooner than that will do so again; without a pause it
 * would be started a thousand times a second.
 */
#define HEALTHY_US INT64_C(50000)

struct processes {
	int (*serve)(void *arg);
	void *arg;
	int count; /* that may run */
	int running;
	pid_t pid[PROCESSES_MAX]; /* 0 = not running */
	int64_t began_us[PROCESSES_MAX];
};

static volatile sig_atomic_t asked_to_end;

static void
note_signal(int number)
{
	if (number == SIGTERM)
		asked_to_end = 1;
}

/* They arrive only while we wait. */
static void
catch_signals(sigset_t *ret_before)
{
	const struct sigaction action = { .sa_handler = note_signal };
	sigset_t ours;

	(void)sigemptyset(&ours);
	(void)sigaddset(&ours, SIGTERM);
	(void)sigaddset(&ours, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &ours, ret_before);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGCHLD, &action, NULL);
}

static void
pause_until_healthy(void)
{
	const struct timespec pause = { 0, HEALTHY_US * 1000 };

	(void)nanosleep(&pause, NULL);
}

static _Noreturn void
become_process(const struct processes *p, pid_t parent, const sigset_t *mask)
{
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	/* Without its first process nobody would replace it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		exit(0);
	exit(p->serve(p->arg));
}

static void
start(struct processes *p, int i, const sigset_t *mask)
{
	const pid_t parent = getpid();
	pid_t pid;

	while ((pid = fork()) < 0)
		pause_until_healthy();
	if (pid == 0)
		become_process(p, parent, mask);
	p->pid[i] = pid;
	p->began_us[i] = clock_monotonic_us();
	p->running++;
}

static void
start_missing(struct processes *p, const sigset_t *mask)
{
	for (int i = 0; i < p->count; i++)
		if (p->pid[i] == 0)
			start(p, i, mask);
}

static void
log_death(pid_t pid, int status)
{
	struct log log = log_begin(LOG_ERROR, "process_died");

	log_int64(&log, "pid", pid);
	if (WIFSIGNALED(status))
		log_int64(&log, "signal", WTERMSIG(status));
	else
		log_int64(&log, "exit_status", WEXITSTATUS(status));
	log_end(&log);
}

/* Replaces those that crashed. */
static void
note_ended(struct processes *p, const sigset_t *mask)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		int i = 0;

		while (i < p->count && p->pid[i] != pid)
			i++;
		assert(i < p->count);
		p->pid[i] = 0;
		p->running--;
		if ((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
		    asked_to_end)
			continue;
		log_death(pid, status);
		if (clock_monotonic_us() - p->began_us[i] < HEALTHY_US)
			pause_until_healthy();
		start(p, i, mask);
	}
}

/* Only while one may still be started is it our business who waits. */
static bool
somebody_waits(const struct processes *p, const sigset_t *mask)
{
	struct pollfd door = { .fd = 0, .events = POLLIN };

	return ppoll(&door, p->running < p->count ? 1 : 0, NULL, mask) > 0;
}

int
processes_run(int count, int (*serve)(void *arg), void *arg)
{
	struct processes p = { .serve = serve, .arg = arg, .count = count };
	sigset_t mask;

	assert(count >= 1);
	assert(count <= PROCESSES_MAX);
	catch_signals(&mask);
	while (!asked_to_end) {
		if (somebody_waits(&p, &mask))
			start_missing(&p, &mask);
		note_ended(&p, &mask);
	}
	for (int i = 0; i < p.count; i++)
		if (p.pid[i] != 0)
			(void)kill(p.pid[i], SIGTERM);
	while (wait(NULL) > 0 || errno == EINTR)
		continue;
	return 0;
}

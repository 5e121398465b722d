/* SPDX-License-Identifier: MIT */
#include "store/turn.h"
#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define WAIT_MS 250

struct queue {
	char path[32];
	int fd;
};

static int
open_queue(void **state)
{
	static struct queue queue;
	int fd;

	(void)snprintf(queue.path, sizeof(queue.path), "/tmp/turn-XXXXXX");
	fd = mkstemp(queue.path);
	assert_true(fd >= 0);
	(void)close(fd);
	queue.fd = turn_open(queue.path);
	assert_true(queue.fd >= 0);
	*state = &queue;
	return 0;
}

static int
close_queue(void **state)
{
	const struct queue *queue = *state;

	turn_close(queue->fd);
	return unlink(queue->path);
}

/* Another process that takes its turn and keeps it for so long. */
static pid_t
start_other(const char *path, unsigned keep_ms)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const int fd = turn_open(path);

		if (!turn_take(fd, 0) || write(ready[1], "", 1) != 1)
			_exit(1);
		(void)usleep(keep_ms * 1000);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pid;
}

static void
a_turn_comes_when_its_holder_dies(void **state)
{
	const struct queue *queue = *state;
	const pid_t other = start_other(queue->path, 60000);

	assert_false(turn_take(queue->fd, 0));
	assert_int_equal(kill(other, SIGKILL), 0);
	assert_int_equal(waitpid(other, NULL, 0), other);
	assert_true(turn_take(queue->fd, 0));
	turn_pass(queue->fd);
}

static void
a_turn_that_does_not_come_is_not_waited_for_for_ever(void **state)
{
	const struct queue *queue = *state;
	const pid_t other = start_other(queue->path, 60000);
	const int64_t began_us = clock_monotonic_us();

	assert_false(turn_take(queue->fd, WAIT_MS));
	assert_true(clock_monotonic_us() - began_us >= WAIT_MS * 1000);
	assert_int_equal(kill(other, SIGKILL), 0);
	assert_int_equal(waitpid(other, NULL, 0), other);
}

static void
who_waits_is_woken_when_the_turn_is_passed(void **state)
{
	const struct queue *queue = *state;
	const pid_t other = start_other(queue->path, WAIT_MS);

	assert_true(turn_take(queue->fd, 60000));
	turn_pass(queue->fd);
	assert_int_equal(waitpid(other, NULL, 0), other);
}

static void
without_a_queue_it_is_always_ones_turn(void **state)
{
	(void)state;
	assert_int_equal(turn_open("/nowhere/at/all"), -1);
	assert_true(turn_take(-1, 0));
	turn_pass(-1);
	turn_close(-1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_turn_comes_when_its_holder_dies),
		cmocka_unit_test(
		    a_turn_that_does_not_come_is_not_waited_for_for_ever),
		cmocka_unit_test(who_waits_is_woken_when_the_turn_is_passed),
		cmocka_unit_test(without_a_queue_it_is_always_ones_turn),
	};

	return cmocka_run_group_tests(tests, open_queue, close_queue);
}

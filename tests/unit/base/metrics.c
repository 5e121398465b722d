/* SPDX-License-Identifier: MIT */
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/rendio-metrics-XXXXXX";

static int
set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

struct wanted {
	enum metric_kind kind;
	const char *name;
	int64_t count;
	int found;
};

static void
look(void *arg, const struct metric *metric)
{
	struct wanted *w = arg;

	if (metric->kind != w->kind || strcmp(metric->name, w->name) != 0)
		return;
	w->count = metric->count[0];
	w->found++;
}

static void
before_a_file_is_open_nothing_is_counted(void **state)
{
	struct wanted w = { METRIC_JOBS, "nobody", -1, 0 };

	(void)state;
	metric_add(metrics_find(METRIC_JOBS, "nobody"), 0, 1);
	metrics_list(look, &w);
	assert_int_equal(w.found, 0);
}

/* What one process does in the next test. */
static void
count_in_a_child(void)
{
	if (!metrics_open(dir))
		_exit(1);
	for (int i = 0; i < 20000; i++)
		metric_add(metrics_find(METRIC_JOBS, "queued"), 0, 1);
	/* As a crash ends it, with nothing written back. */
	(void)kill(getpid(), SIGKILL);
}

static void
processes_count_together_and_one_that_is_killed_loses_nothing(void **state)
{
	struct wanted w = { METRIC_JOBS, "queued", 0, 0 };

	(void)state;
	for (int i = 0; i < 4; i++)
		if (fork() == 0)
			count_in_a_child();
	for (int i = 0; i < 4; i++)
		assert_true(wait(NULL) > 0);
	assert_true(metrics_open(dir));
	metrics_list(look, &w);
	assert_int_equal(w.found, 1);
	assert_int_equal(w.count, 80000);
}

static void
kinds_and_names_are_apart_and_too_long_a_name_is_nowhere(void **state)
{
	struct wanted w = { METRIC_CREDITS, "queued", 0, 0 };
	char name[METRIC_NAME_BYTES + 1];

	(void)state;
	assert_true(metrics_open(dir));
	metric_add(metrics_find(METRIC_CREDITS, "queued"), 0, 3);
	metrics_list(look, &w);
	assert_int_equal(w.count, 3);
	memset(name, 'x', METRIC_NAME_BYTES);
	name[METRIC_NAME_BYTES] = '\0';
	metric_add(metrics_find(METRIC_CREDITS, name), 0, 1);
	w = (struct wanted){ METRIC_CREDITS, name, 0, 0 };
	metrics_list(look, &w);
	assert_int_equal(w.found, 0);
}

static void
a_duration_falls_into_the_first_bound_that_holds_it(void **state)
{
	struct metric metric = { 0 };

	(void)state;
	metric_observe(&metric, 0);
	metric_observe(&metric, 1000);
	metric_observe(&metric, 1001);
	metric_observe(&metric, 10000001);
	assert_int_equal(metric.observed[0], 2);
	assert_int_equal(metric.observed[1], 1);
	assert_int_equal(metric.observed[METRIC_BOUNDS], 1);
	assert_int_equal(metric.observed_us, 10002002);
}

static void
a_status_without_a_place_goes_to_the_others(void **state)
{
	(void)state;
	assert_int_equal(metric_status(metric_status_index(429)), 429);
	assert_int_equal(metric_status_index(418), 0);
	assert_int_equal(metric_status(0), 0);
}

static void
a_file_of_another_version_is_begun_anew(void **state)
{
	struct wanted w = { METRIC_JOBS, "queued", 0, 0 };
	char path[128];
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/metrics", dir);
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "something else", 14), 14);
	(void)close(fd);
	assert_true(metrics_open(dir));
	metrics_list(look, &w);
	assert_int_equal(w.found, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_a_file_is_open_nothing_is_counted),
		cmocka_unit_test(
		    processes_count_together_and_one_that_is_killed_loses_nothing),
		cmocka_unit_test(
		    kinds_and_names_are_apart_and_too_long_a_name_is_nowhere),
		cmocka_unit_test(
		    a_duration_falls_into_the_first_bound_that_holds_it),
		cmocka_unit_test(a_status_without_a_place_goes_to_the_others),
		cmocka_unit_test(a_file_of_another_version_is_begun_anew),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

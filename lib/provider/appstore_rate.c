/* SPDX-License-Identifier: MIT */
#include "provider/appstore_rate.h"

#include "base/cleanup.h"
#include "base/lockfile.h"
#include "base/log.h"

#include <assert.h>
#include <unistd.h>

#define RATES 3
#define ENVIRONMENTS 2

/* Locked for two small transfers. */
#define WAIT_MS 500

/* So much may be sent at once after a pause; Apple counts by the hour. */
#define BURST_US (INT64_C(1000) * 1000)

#define PATH_BYTES (CONFIG_VALUE_BYTES_MAX + 64)

/* Half of Apple's rate, as the time between two calls. */
static int64_t
interval_us(enum appstore_environment environment, enum appstore_rate rate)
{
	static const int64_t per_second[RATES] = {
		[APPSTORE_RATE_50] = 50,
		[APPSTORE_RATE_10] = 10,
		[APPSTORE_RATE_1] = 1,
	};
	const int64_t apples_us = 1000000 / per_second[rate] *
	    (environment == APPSTORE_SANDBOX ? 10 : 1);

	return 2 * apples_us;
}

/*
 * The file holds, for each environment and rate, when the next call would be
 * due if all were evenly spaced: the generic cell rate algorithm.
 */
static bool
take(int fd, off_t at, int64_t interval, int64_t now_us,
    int64_t *ret_retry_at_us)
{
	const int64_t early_us = interval < BURST_US ? BURST_US - interval : 0;
	int64_t due_us = 0;

	if (pread(fd, &due_us, sizeof(due_us), at) != sizeof(due_us))
		due_us = 0;
	/* After a step back of the clock the file speaks of the future. */
	if (due_us < now_us || due_us > now_us + early_us + interval)
		due_us = now_us;
	if (due_us - now_us > early_us) {
		*ret_retry_at_us = due_us - early_us;
		return false;
	}
	due_us += interval;
	if (pwrite(fd, &due_us, sizeof(due_us), at) != sizeof(due_us))
		log_line(LOG_WARNING, "appstore", "problem",
		    "the rate of calls cannot be kept");
	return true;
}

bool
appstore_rate_take(const struct config *config,
    enum appstore_environment environment, enum appstore_rate rate,
    int64_t now_ms, int64_t *ret_retry_at_ms)
{
	CLEANUP(cleanup_fd) int fd = -1;
	char path[PATH_BYTES];
	int64_t retry_at_us;
	size_t slot;

	assert(environment < ENVIRONMENTS);
	slot = (size_t)environment * RATES + (size_t)rate;
	(void)snprintf(path, sizeof(path), "%s/run/appstore-rate",
	    config_text(config, CONFIG_STATE_DIR));
	if (!lockfile_take(path, WAIT_MS, &fd) ||
	    take(fd, (off_t)(slot * sizeof(int64_t)),
		interval_us(environment, rate), now_ms * 1000, &retry_at_us))
		return true;
	*ret_retry_at_ms = (retry_at_us + 999) / 1000;
	return false;
}

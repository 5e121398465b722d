/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "domain/storage.h"
#include "domain/uploads.h"

#include <errno.h>
#include <sys/statvfs.h>

/*
 * What our files take, and how long they stay.
 */

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define MIB (INT64_C(1024) * 1024)

/* An upload that takes longer than this was given up. */
#define UPLOAD_MAX_MS (INT64_C(3600) * 1000)

/* When what is kept for so many days began; 0 days = for ever. */
static int64_t
kept_since_ms(const struct worker *worker, enum config_key days, int64_t now_ms)
{
	const int64_t n = config_number(&worker->state.config, days);

	return n == 0 ? 0 : now_ms - n * DAY_MS;
}

void
retire_media(struct worker *worker)
{
	const int64_t now_ms = clock_now_ms();
	int64_t rows = state_rows_changed(&worker->state);

	/* Failures were logged; the next turn tries again. */
	(void)jobs_retire(worker->state.db,
	    kept_since_ms(worker, CONFIG_RESULT_DAYS, now_ms), JOBS_RETIRED_MAX,
	    now_ms);
	report_purge(worker, "results", rows);
	rows = state_rows_changed(&worker->state);
	(void)uploads_purge(worker->state.db,
	    kept_since_ms(worker, CONFIG_UPLOAD_DAYS, now_ms),
	    now_ms - UPLOAD_MAX_MS, JOBS_RETIRED_MAX);
	report_purge(worker, "uploads", rows);
}

static void
log_level(const struct storage_use *use)
{
	struct log log = log_begin(use->level >= STORAGE_ALARM ? LOG_ERROR :
		use->level == STORAGE_WARNING                  ? LOG_WARNING :
								 LOG_INFO,
	    "storage_level");

	log_text(&log, "level", storage_level_name(use->level));
	log_int64(&log, "used_bytes", use->used_bytes);
	log_int64(&log, "limit_bytes", use->limit_bytes);
	log_end(&log);
}

void
measure_storage(struct worker *worker)
{
	const struct config *config = &worker->state.config;
	char path[CONFIG_VALUE_BYTES_MAX + 16];
	struct storage_use use;
	struct statvfs disk;
	bool is_news;

	(void)snprintf(path, sizeof(path), "%s/media",
	    config_text(config, CONFIG_STATE_DIR));
	if (statvfs(path, &disk) != 0) {
		log_line(LOG_ERROR, "storage", "statvfs", strerror(errno));
		return;
	}
	if (storage_measure(worker->state.db,
		config_number(config, CONFIG_MEDIA_MIB_MAX) * MIB,
		(int64_t)disk.f_bavail * (int64_t)disk.f_frsize,
		config_number(config, CONFIG_MEDIA_FREE_MIB_MIN) * MIB,
		clock_now_ms(), &use, &is_news) == OK &&
	    is_news)
		log_level(&use);
}

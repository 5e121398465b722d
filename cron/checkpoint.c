/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "base/clock.h"

/*
 * The worker is the only checkpointer.  It empties the log when it has grown
 * this far; a small log is left alone, because emptying it costs two syncs
 * and makes writers wait.
 */
#define LOG_BYTES_TO_EMPTY ((int64_t)8 * 1024 * 1024)

/* After a reader was in the way. */
#define PAUSE_US INT64_C(1000000)

void
checkpoint(struct worker *worker)
{
	const int64_t now_us = clock_monotonic_us();

	if (now_us < worker->checkpoint_after_us)
		return;
	if (!state_checkpoint_if(&worker->state, LOG_BYTES_TO_EMPTY))
		worker->checkpoint_after_us = now_us + PAUSE_US;
}

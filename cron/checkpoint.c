/* SPDX-License-Identifier: MIT */
#include "worker.h"

/*
 * The worker is the only checkpointer.  It empties the log when it has grown
 * this far; a small log is left alone, because emptying it costs two syncs
 * and makes writers wait.
 */
#define LOG_BYTES_TO_EMPTY ((int64_t)8 * 1024 * 1024)

void
checkpoint(struct worker *worker)
{
	state_checkpoint_if(&worker->state, LOG_BYTES_TO_EMPTY);
}

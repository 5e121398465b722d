/* SPDX-License-Identifier: MIT */
#ifndef APP_INCIDENTS_H
#define APP_INCIDENTS_H

#include "base/config.h"
#include "base/uuid.h"

/*
 * Incidents: errors that somebody must look at, written down as small files in
 * STATE_DIR/spool for the worker, which counts them and sends them on.  A
 * process writes one file an incident and waits for nobody.
 *
 * An incident is a request that was answered 500, an error in the log, or the
 * death of a program by a signal.  It has what the log has said since the
 * request began, and so nothing that the log may not have.
 */

/*
 * Files that may wait; what comes on top of them is in the log only.  With
 * INCIDENT_BYTES_MAX each that is two megabytes.
 */
#define INCIDENTS_MAX 200
#define INCIDENT_BYTES_MAX ((size_t)8192)

/* A process in a loop of errors is heard this often in a minute. */
#define INCIDENTS_PER_MINUTE_MAX 10

/*
 * From now on errors of this program are written down, and its death.  Called
 * once; the name must live for ever.
 */
void incidents_watch(const struct config *config, const char *program);

/* A request begins: what the log says from now on belongs to it. */
void incidents_begin(struct str request_id);

/* It is over; user_id NULL = nobody's. `code` as in err.h. */
void incidents_end(int status, const char *code, const struct uuid *user_id);

/* The spool's directory; false when it has no name that fits. */
bool incidents_directory(const struct config *config, char *path, size_t size);

#endif

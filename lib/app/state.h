/* SPDX-License-Identifier: MIT */
#ifndef APP_STATE_H
#define APP_STATE_H

#include "app/keys.h"
#include "base/config.h"

/*
 * The state of an installation: its configuration, its keys and its database,
 * for programs that are not endpoints.  What they may know of the store below
 * the domain is here.
 *
 * Where a function returns false, `problem` says why in one line for people.
 */

struct db;

struct state {
	struct config config;
	struct keys keys;
	struct db *db;
	int schema_fd; /* keeps migrations away that we could not live with */
};

/*
 * STATE_READ gives a connection that refuses to write; STATE_STREAMS the same,
 * with no more secrets than streams need.
 */
enum state_access { STATE_READ, STATE_WRITE, STATE_STREAMS };

/*
 * Makes what is missing of an installation: directories, keys, the database
 * with its newest schema.  What is there stays as it is, modes included.
 */
bool state_init(struct buf *problem);

/*
 * Loads everything.  A database whose schema this program cannot work with is
 * refused.  state_close() gives back what was loaded, also after a
 * failure.
 */
bool
state_open(struct state *state, enum state_access access, struct buf *problem);
void state_close(struct state *state);

/* From here on the log says as much as the configuration wants. */
bool state_set_log(const struct config *config, struct buf *problem);

/*
 * In live mode a missing credential is noticed at the start, not by a user.
 * live_keys ends with -1; NULL = none.
 */
bool state_has_keys(const struct config *config, const int *live_keys,
    struct buf *problem);

/* Counts from here on with all others; without a file, which is logged, not. */
void state_open_metrics(const struct config *config);

/*
 * Brings the database to the newest schema; refuses a newer one, and to pull
 * it away from under programs that are at work and could not live with it.
 */
bool state_migrate(int64_t *ret_from, int64_t *ret_to, struct buf *problem);

/* Can this program work with the database as it is? */
bool state_fits(struct buf *problem);
bool state_check_schema(struct db *db, struct buf *problem);

/*
 * Empties the database's log if it holds more than log_bytes.  Only the
 * worker calls this: it is the one checkpointer.  False when that did not
 * work: the next try should be a while later, because each one makes writers
 * wait for a reader that is in the way.
 */
bool state_checkpoint_if(struct state *state, int64_t log_bytes);

/* Bytes that wait in the database's log. */
int64_t state_log_bytes(const struct state *state);

/* Rows that were changed over this connection: has anything happened? */
int64_t state_rows_changed(const struct state *state);

/* What can be said about a database without trusting it. */
struct state_database {
	const char *engine;
	bool engine_has_reset_race; /* see `rendio doctor` */
	bool is_open; /* else nothing below is known */
	int64_t version;
	int64_t newest_version; /* that this program knows */
	bool is_whole;
	int64_t log_bytes;
};

void state_examine(const char *state_dir, struct state_database *ret_database);

#endif

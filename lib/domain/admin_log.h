/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_ADMIN_LOG_H
#define DOMAIN_ADMIN_LOG_H

#include "store/db.h"

/*
 * The admin log: every act of an admin, written in the transaction of the act
 * and never edited or deleted; the schema says so too.
 */

#define ADMIN_NAME_BYTES 65 /* with its NUL */
#define ADMIN_ADDRESS_BYTES 46 /* the longest IPv6 form, with its NUL */

/* A reason is a sentence; the ledger allows no more either. */
#define ADMIN_REASON_BYTES_MAX ((size_t)255)

/* Values longer than this are cut in the log. */
#define ADMIN_VALUE_BYTES_MAX ((size_t)2048)

/* Who acts. */
struct admin_actor {
	bool is_console; /* whoever may run `rendio`; id means nothing */
	struct uuid id;
	char name[ADMIN_NAME_BYTES];
	char address[ADMIN_ADDRESS_BYTES];
};

/* The operator at the machine itself. */
extern const struct admin_actor admin_console;

/* What was done; NULL, "" and 0 where there is nothing to say. */
struct admin_act {
	const char *action; /* a word of ours, "user_adjust" */
	const struct uuid *user_id;
	const struct uuid *subject_id; /* a job, model, theme, admin */
	struct str field;
	struct str old_value;
	struct str new_value;
	int64_t credits;
	struct str reason;
	int64_t undoes_number;
};

/* The caller holds a write transaction; ret_number may be NULL. */
enum err admin_log_append(struct db *db, const struct admin_actor *actor,
    const struct admin_act *act, int64_t now_ms, int64_t *ret_number);

#endif

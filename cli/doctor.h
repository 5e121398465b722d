/* SPDX-License-Identifier: MIT */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli.h"

/*
 * rendio doctor: doctor.c looks at this machine, doctor_outside.c at what is
 * beyond it.
 */

#define DOCTOR_PATH_BYTES_MAX 4096

/* A certificate that ends sooner is about to be forgotten. */
#define DOCTOR_CERTIFICATE_DAYS_MIN 14

enum level { GREEN, YELLOW, RED };

struct doctor {
	const char *state_dir;
	struct buf out;
	struct json_writer json;
	bool is_json;
	bool has_color;
	bool has_red;
};

/* One line: what was looked at, how it is, and the fix if it is not well. */
void doctor_note(struct doctor *d, enum level level, const char *what,
    const char *fix, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* "STATE_DIR/name"; false when it does not fit. */
bool doctor_path(const struct doctor *d, const char *name,
    char path[DOCTOR_PATH_BYTES_MAX]);

/*
 * Our public address as the world sees it, and each company that is
 * configured: tries every credential, in ways that cost nothing.
 */
void doctor_look_outside(struct doctor *d, const struct config *config);

#endif

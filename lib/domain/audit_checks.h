/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_AUDIT_CHECKS_H
#define DOMAIN_AUDIT_CHECKS_H

#include <stddef.h>

/* What the audit asks the database, as data; for audit.c alone. */

struct audit_count {
	int number; /* of the invariant */
	const char *sql;
};

/* Selects the id of what violates the invariant. */
struct audit_check {
	int number;
	const char *problem;
	const char *sql;
};

extern const struct audit_count audit_counts[];
extern const size_t audit_counts_count;

/*
 * One statement sees one moment, so these need no snapshot.  The overdue ones
 * depend on the time, ?1.
 */
extern const struct audit_check audit_checks[];
extern const size_t audit_checks_count;
extern const struct audit_check audit_purchase_checks[];
extern const size_t audit_purchase_checks_count;
extern const struct audit_check audit_overdue_checks[];
extern const size_t audit_overdue_checks_count;

#endif

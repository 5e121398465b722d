/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_AUDIT_PRIVATE_H
#define DOMAIN_AUDIT_PRIVATE_H

#include <stddef.h>

/* A statement that selects the id of what violates an invariant. */
struct check {
	int number;
	const char *problem;
	const char *sql;
};

/* Those about purchases, refunds and debts; audit.c runs them. */
extern const struct check audit_purchase_checks[];
extern const size_t audit_purchase_checks_count;

#endif

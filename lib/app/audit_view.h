/* SPDX-License-Identifier: MIT */
#ifndef APP_AUDIT_VIEW_H
#define APP_AUDIT_VIEW_H

#include "domain/audit.h"
#include "wire/json_writer.h"

/* Writes what an audit found, as one object. */
void view_audit(struct json_writer *w, const struct audit *audit);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef CLI_CATALOG_H
#define CLI_CATALOG_H

#include "cli.h"

#include "domain/acts.h"

/* What the commands for models and themes have in common. */

/* Fields given to one `set`; more than a model or theme has. */
#define CATALOG_FIELDS_MAX 32

typedef enum err catalog_edit(struct db *db, const struct admin_actor *actor,
    const struct uuid *id, const struct act_field *fields, size_t count,
    int64_t now_ms, size_t *ret_bad);

/* `set ID KEY=VALUE...`, all of them or none; the log calls it `action`. */
int catalog_set_fields(const struct args *args, catalog_edit *edit,
    const char *action);

#endif

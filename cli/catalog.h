/* SPDX-License-Identifier: MIT */
#ifndef CLI_CATALOG_H
#define CLI_CATALOG_H

#include "cli.h"

#include "domain/catalog.h"

/* What the commands for models and themes have in common. */

typedef enum err catalog_set(struct db *db, const struct uuid *id,
    struct str field, struct str value);

/*
 * `set ID KEY=VALUE...`: sets one field after the other and stops at the
 * first that cannot be set; `action` is what the log calls it.
 */
int catalog_set_fields(const struct args *args, catalog_set *set,
    const char *action);

#endif

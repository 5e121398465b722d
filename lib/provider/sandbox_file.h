/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_SANDBOX_FILE_H
#define PROVIDER_SANDBOX_FILE_H

#include "base/config.h"

/*
 * Small files below STATE_DIR/sandbox, the memory of sandbox mode's stand-ins:
 * read whole by config_read_file(), replaced whole.  Not synced to the disk: a
 * power cut may empty a sandbox.
 */

#define SANDBOX_PATH_BYTES (CONFIG_VALUE_BYTES_MAX + 256)

/* STATE_DIR/sandbox/folder/name; "" for the folder itself. Names are ours. */
void sandbox_path(const struct config *config, const char *folder,
    const char *name, char path[SANDBOX_PATH_BYTES]);

/* Makes STATE_DIR/sandbox/folder if it is not there. */
bool sandbox_make_folder(const struct config *config, const char *folder);

/* A reader sees the old content or the new, never a part or none. */
bool sandbox_file_replace(const struct config *config, const char *folder,
    const char *name, struct str content);

/* Adds a line's bytes to STATE_DIR/sandbox/name in one write. */
bool sandbox_file_append(const struct config *config, const char *name,
    struct str line);

#endif

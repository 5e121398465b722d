/* SPDX-License-Identifier: MIT */
#ifndef CLI_ARCHIVE_H
#define CLI_ARCHIVE_H

#include "base/config.h"

#include <sys/types.h>

/*
 * Archives, by tar(1).  A backup is one:
 *
 *	manifest.json	when it was made, and of what
 *	rendio.db	the database at that moment
 *	media/		every file that it knows
 *	secrets.sealed	keys, certificate and configuration, sealed with
 *			RENDIO_BACKUP_PASSPHRASE: a tar archive in which files
 *			from outside the state directory are below outside/
 *
 * Where a function returns false it has said why on standard error.
 */

#define ARCHIVE_PATH_BYTES 4096

/* Arguments of one command, with room for every file of a configuration. */
#define ARCHIVE_ARGS_MAX 64

/*
 * Starts a program with these descriptors as its standard input and output;
 * -1 = nothing.  argv ends with NULL.
 */
bool archive_start(const char *const argv[], int in, int out, pid_t *ret_pid);

/* Waits for its end; true when it succeeded. */
bool archive_wait(pid_t pid);

/* Both. */
bool archive_run(const char *const argv[]);

bool archive_remove_tree(const char *path);

/* Forces a file, or the names in a directory, to the disk. */
bool archive_sync(const char *path);

/* "directory/name" */
bool archive_path(const char *directory, const char *name,
    char path[ARCHIVE_PATH_BYTES]);

/* The passphrase; empty when none is configured, false when it is too short. */
bool archive_passphrase(const struct config *config, struct str *ret_phrase);

#endif

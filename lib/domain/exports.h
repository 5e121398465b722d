/* SPDX-License-Identifier: MIT */
#ifndef DOMAIN_EXPORTS_H
#define DOMAIN_EXPORTS_H

#include "domain/sections.h"

/*
 * Exports: everything we hold about a user, told value by value.
 *
 * What is there only to prove something (hashes, salts, MACs, the hashed id of
 * a device) says nothing about the user, and would let its reader in or make
 * a forgery easier; it is left out.
 */

/*
 * Reads all of it.  Needs a snapshot, so that the parts fit together.
 * Errors: ERR_USER_NOT_FOUND.
 */
enum err exports_read(struct db *db, const struct uuid *user_id,
    const struct section_reader *reader);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIDER_DEVICECHECK_APPLE_H
#define PROVIDER_DEVICECHECK_APPLE_H

#include "provider/devicecheck.h"
#include "wire/fetch.h"

/* DeviceCheck at Apple; provider/devicecheck.h is the door. */

enum devicecheck_verdict devicecheck_apple_query(const struct config *config,
    struct str token, struct devicecheck_bits *ret_bits);
enum devicecheck_verdict devicecheck_apple_update(const struct config *config,
    struct str token, bool bit0, bool bit1);

/*
 * What Apple's answers mean.  A device whose bits were never set is a 200 with
 * a plain sentence; anything else that is not two booleans is no answer.
 */
enum devicecheck_verdict
devicecheck_apple_query_answer(const struct fetch_response *response,
    struct devicecheck_bits *ret_bits);
enum devicecheck_verdict
devicecheck_apple_update_answer(const struct fetch_response *response);

#endif

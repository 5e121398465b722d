/* SPDX-License-Identifier: MIT */
#ifndef BASE_LANG_H
#define BASE_LANG_H

#include "base/str.h"

/* The languages that users are spoken to in. */
enum lang { LANG_EN, LANG_TR, LANG_ES, LANG_MAX };

/* "en", "tr", "es". */
const char *lang_name(enum lang lang);

/* Exactly one of the names above. */
bool lang_parse(struct str name, enum lang *ret_lang);

/*
 * The best of our languages for an Accept-Language header (RFC 9110, 12.5.4),
 * region subtags ignored; LANG_EN when none of them is acceptable.
 */
enum lang lang_negotiate(struct str accept_language);

#endif

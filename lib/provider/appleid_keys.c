/* SPDX-License-Identifier: MIT */
#include "provider/appleid_keys.h"

#include "base/cleanup.h"
#include "provider/keyset.h"
#include "wire/fetch.h"
#include "wire/rs256.h"

/* A key that Apple withdraws is refused an hour later at the latest. */
#define AGE_MAX_MS (INT64_C(3600) * 1000)

#define PATH_BYTES (CONFIG_VALUE_BYTES_MAX + 64)

bool
appleid_is_stand_in(const struct config *config)
{
	return config_is_sandbox(config) &&
	    !config_is_set(config, CONFIG_APPLEID_URL);
}

static void
state_path(const struct config *config, const char *name, char path[PATH_BYTES])
{
	(void)snprintf(path, PATH_BYTES, "%s/%s",
	    config_text(config, CONFIG_STATE_DIR), name);
}

bool
appleid_read_sandbox_key(const struct config *config, struct buf *pem)
{
	char path[PATH_BYTES];

	state_path(config, APPLEID_SANDBOX_KEY, path);
	return config_read_file(path, false, pem);
}

static bool
stand_in_keys(const struct config *config, struct buf *key_set)
{
	CLEANUP(buf_free) struct buf pem = { 0 };
	bool ok;

	buf_init(&pem, RS256_KEY_FILE_BYTES_MAX);
	ok = appleid_read_sandbox_key(config, &pem) &&
	    rs256_write_key_set(buf_str(&pem), APPLEID_SANDBOX_KID, key_set);
	if (pem.len > 0)
		explicit_bzero(pem.ptr, pem.len);
	return ok;
}

bool
appleid_keys(const struct config *config, struct arena *arena,
    bool is_key_missing, struct buf *key_set)
{
	char url[FETCH_URL_BYTES_MAX];
	const struct keyset set = {
		.name = "appleid",
		.urls = url,
		.age_max_ms = AGE_MAX_MS,
		.bytes_max = RS256_KEY_SET_BYTES_MAX,
		.is_good = rs256_has_keys,
	};
	bool is_fresh;
	int n;

	if (appleid_is_stand_in(config))
		return !is_key_missing && stand_in_keys(config, key_set);
	n = snprintf(url, sizeof(url), "%s/auth/keys",
	    config_is_set(config, CONFIG_APPLEID_URL) ?
		config_text(config, CONFIG_APPLEID_URL) :
		APPLEID_URL);
	return n > 0 && (size_t)n < sizeof(url) &&
	    keyset_get(config, arena, &set, is_key_missing, key_set, &is_fresh);
}

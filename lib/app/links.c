/* SPDX-License-Identifier: MIT */
#include "app/links.h"
#include "app/paths.h"
#include "wire/base64.h"

#include <sodium.h>

#define LINK_VERSION 1
#define LINK_TIME_BYTES 8
#define LINK_TOKEN_BYTES (1 + LINK_TIME_BYTES + crypto_auth_hmacsha256_BYTES)

/*
 * Expiries are rounded up to this, so that the same link is given out for a
 * while and the phone's cache knows the file again.
 */
#define LINK_STEP_MS (INT64_C(3600) * 1000)

static void
add_field(crypto_auth_hmacsha256_state *state, const void *bytes, size_t n)
{
	uint8_t length[8];

	for (size_t i = 0; i < sizeof(length); i++)
		length[i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
	(void)crypto_auth_hmacsha256_update(state, length, sizeof(length));
	(void)crypto_auth_hmacsha256_update(state, bytes, n);
}

/* Fills in everything but the version and the time, which stand there. */
static void
sign(const struct keys *keys, struct str bucket, struct str name,
    uint8_t token[LINK_TOKEN_BYTES])
{
	crypto_auth_hmacsha256_state state = keys->link_mac;

	add_field(&state, token, 1 + LINK_TIME_BYTES);
	add_field(&state, bucket.ptr, bucket.len);
	add_field(&state, name.ptr, name.len);
	(void)crypto_auth_hmacsha256_final(&state, token + 1 + LINK_TIME_BYTES);
}

void
links_write_token(const struct keys *keys, struct str bucket, struct str name,
    int64_t expires_at_ms, struct buf *out)
{
	uint8_t token[LINK_TOKEN_BYTES] = { LINK_VERSION };

	for (size_t i = 0; i < LINK_TIME_BYTES; i++)
		token[1 + i] =
		    (uint8_t)((uint64_t)expires_at_ms >> (56 - 8 * i));
	sign(keys, bucket, name, token);
	base64_encode(BASE64_URL, token, sizeof(token), out);
}

/* Of a page of the history nothing is printed: printf costs more than a MAC. */
static void
write_base(const struct config *config, struct buf *out)
{
	buf_append(out, str_from(config_text(config, CONFIG_PUBLIC_URL)));
	buf_append(out, STR("/storage/v1"));
}

void
links_write_url(const struct app *app, const char *bucket, const char *name,
    int64_t now_ms, struct buf *out)
{
	const int64_t expires_at_ms =
	    ((now_ms + LINK_LIFE_MS) / LINK_STEP_MS + 1) * LINK_STEP_MS;

	write_base(&app->config, out);
	links_write_path(&app->keys, str_from(bucket), str_from(name),
	    expires_at_ms, out);
}

void
links_write_path(const struct keys *keys, struct str bucket, struct str name,
    int64_t expires_at_ms, struct buf *out)
{
	struct str segment, rest = name;
	bool more;

	buf_append(out, STR("/object/sign/"));
	buf_append(out, bucket);
	do {
		more = str_cut(rest, '/', &segment, &rest);
		buf_append_char(out, '/');
		http_percent_encode(segment, out);
	} while (more);
	buf_append(out, STR("?token="));
	links_write_token(keys, bucket, name, expires_at_ms, out);
}

void
links_write_picture(const struct config *config, const struct keys *keys,
    const struct uuid *object_id, int64_t expires_at_ms, struct buf *out)
{
	char name[UUID_TEXT_BYTES];

	uuid_format(object_id, name);
	write_base(config, out);
	links_write_path(keys, STR("thumbnails"), str_from(name), expires_at_ms,
	    out);
}

enum link_verdict
links_check(const struct keys *keys, struct str bucket, struct str name,
    struct str text, int64_t now_ms)
{
	uint8_t token[BASE64_DECODED_BYTES_MAX(
	    BASE64_ENCODED_LENGTH(LINK_TOKEN_BYTES))];
	uint8_t wanted[LINK_TOKEN_BYTES];
	uint64_t expires_at_ms = 0;
	size_t n;

	if (!base64_decode(BASE64_URL, text, token, sizeof(token), &n) ||
	    n != LINK_TOKEN_BYTES || token[0] != LINK_VERSION)
		return LINK_MALFORMED;
	memcpy(wanted, token, 1 + LINK_TIME_BYTES);
	sign(keys, bucket, name, wanted);
	if (sodium_memcmp(wanted, token, LINK_TOKEN_BYTES) != 0)
		return LINK_FORGED;
	for (size_t i = 0; i < LINK_TIME_BYTES; i++)
		expires_at_ms = expires_at_ms << 8 | token[1 + i];
	return now_ms >= (int64_t)expires_at_ms ? LINK_EXPIRED : LINK_OK;
}

static bool
skip(struct str *s, struct str prefix)
{
	if (!str_starts_with(*s, prefix))
		return false;
	s->ptr += prefix.len;
	s->len -= prefix.len;
	return true;
}

/* What of a URL of ours names an object: "BUCKET/NAME". */
static bool
skip_to_bucket(const struct app *app, struct str *path)
{
	const char *base = config_text(&app->config, CONFIG_PUBLIC_URL);

	if (!skip(path, str_from(base)) ||
	    !skip(path, STR("/storage/v1/object/")))
		return false;
	if (!skip(path, STR("public/")) && !skip(path, STR("sign/")))
		(void)skip(path, STR("authenticated/"));
	return true;
}

bool
links_own_object(const struct app *app, struct arena *arena, struct str url,
    const char *bucket, const struct uuid *user_id, struct str *ret_name)
{
	struct str path, query, name, folder, file;
	struct uuid owner;

	(void)str_cut(url, '?', &path, &query);
	if (!skip_to_bucket(app, &path))
		path = url;
	else if (!http_percent_decode(arena, path, false, &path))
		return false;
	if (!skip(&path, str_from(bucket)) || !skip(&path, STR("/")) ||
	    !paths_read_name(arena, path, &name) ||
	    !str_cut(name, '/', &folder, &file) || file.len == 0 ||
	    !uuid_parse(folder, &owner) || !uuid_equal(&owner, user_id))
		return false;

	*ret_name = name;
	return true;
}

/* SPDX-License-Identifier: MIT */
#include "wire/jws.h"

#include "wire/base64.h"

static bool
decode(struct arena *arena, struct str part, struct str *ret_bytes)
{
	const size_t size = BASE64_DECODED_BYTES_MAX(part.len);
	char *bytes = arena_alloc(arena, size);
	size_t n;

	if (part.len == 0 || !base64_decode(BASE64_URL, part, bytes, size, &n))
		return false;
	*ret_bytes = (struct str){ bytes, n };
	return true;
}

/* An object in a part of the token; NULL if it is not one. */
static const struct json *
read_object(struct arena *arena, struct str part, struct str *ret_text)
{
	const struct json *object;

	if (!decode(arena, part, ret_text))
		return NULL;
	object = json_parse(arena, *ret_text);
	return json_is_object(object) ? object : NULL;
}

static enum jws_verdict
read_chain(const struct json *x5c, struct str chain[X509_CHAIN_LENGTH])
{
	size_t count = 0;

	if (!json_is_array(x5c))
		return JWS_BAD_FORM;
	for (const struct json *c = json_first(x5c); c; c = json_next(c)) {
		if (count == X509_CHAIN_LENGTH)
			return JWS_BAD_CHAIN_LENGTH;
		if (!json_to_str(c, &chain[count++]))
			return JWS_BAD_FORM;
	}
	return count == X509_CHAIN_LENGTH ? JWS_OK : JWS_BAD_CHAIN_LENGTH;
}

static enum jws_verdict
read_header(struct arena *arena, struct str part,
    struct str chain[X509_CHAIN_LENGTH])
{
	const struct json *header;
	struct str text, alg;

	header = read_object(arena, part, &text);
	if (header == NULL)
		return JWS_BAD_FORM;
	if (!json_to_str(json_member(header, "alg"), &alg) ||
	    !str_equal(alg, STR("ES256")) ||
	    json_member(header, "crit") != NULL ||
	    json_member(header, "b64") != NULL)
		return JWS_BAD_ALGORITHM;
	return read_chain(json_member(header, "x5c"), chain);
}

enum jws_verdict
jws_parse(struct arena *arena, struct str text, struct jws *ret_jws)
{
	struct str header, payload, signature, rest;
	enum jws_verdict verdict;
	struct jws jws;
	size_t n;

	/* A third dot would not be of the alphabet. */
	if (text.len > JWS_BYTES_MAX || !str_cut(text, '.', &header, &rest) ||
	    !str_cut(rest, '.', &payload, &signature))
		return JWS_BAD_FORM;
	jws.signed_text =
	    (struct str){ text.ptr, header.len + 1 + payload.len };
	if (!base64_decode(BASE64_URL, signature, jws.signature,
		sizeof(jws.signature), &n) ||
	    n != sizeof(jws.signature))
		return JWS_BAD_FORM;
	verdict = read_header(arena, header, jws.x5c);
	if (verdict != JWS_OK)
		return verdict;
	jws.payload = read_object(arena, payload, &jws.payload_text);
	if (jws.payload == NULL)
		return JWS_BAD_FORM;
	*ret_jws = jws;
	return JWS_OK;
}

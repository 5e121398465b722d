/* SPDX-License-Identifier: MIT */
/* The small words of a request's head: methods, tokens, keys, languages,
 * addresses. */
#include "base/lang.h"
#include "wire/address.h"
#include "wire/http.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str text = { (const char *)data, size };
	enum http_method method;
	struct str token;
	uint8_t network[ADDRESS_NETWORK_BYTES];

	if (size > 4096)
		return 0;
	if (http_method_parse(text, &method))
		assert(size >= 3 && size <= 7);
	if (http_bearer(text, &token))
		assert(token.len < size);
	if (http_token_ok(text, 255)) {
		assert(size >= 1 && size <= 255);
		assert(http_header_value_ok(text));
	}
	(void)lang_negotiate(text);
	/* What is this machine itself is an address. */
	if (address_is_local(text))
		assert(address_network(text, network));
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "wire/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define V4(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

static bool
v4_is_public(uint32_t address)
{
	static const struct {
		uint32_t prefix;
		int bits;
	} special[] = {
		{ V4(0, 0, 0, 0), 8 }, /* this host */
		{ V4(10, 0, 0, 0), 8 }, /* private */
		{ V4(100, 64, 0, 0), 10 }, /* shared by carriers */
		{ V4(127, 0, 0, 0), 8 }, /* loopback */
		{ V4(169, 254, 0, 0), 16 }, /* link-local, cloud metadata */
		{ V4(172, 16, 0, 0), 12 }, /* private */
		{ V4(192, 0, 0, 0), 24 }, /* protocol assignments */
		{ V4(192, 0, 2, 0), 24 }, /* documentation */
		{ V4(192, 88, 99, 0), 24 }, /* 6to4 relays */
		{ V4(192, 168, 0, 0), 16 }, /* private */
		{ V4(198, 18, 0, 0), 15 }, /* benchmarks */
		{ V4(198, 51, 100, 0), 24 }, /* documentation */
		{ V4(203, 0, 113, 0), 24 }, /* documentation */
		{ V4(224, 0, 0, 0), 3 }, /* multicast, reserved */
	};

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if ((address ^ special[i].prefix) >> (32 - special[i].bits) ==
		    0)
			return false;
	return true;
}

/* Only 2000::/3 is public at all; what is taken out of it has <= 32 bits. */
static bool
v6_is_public(const uint8_t bytes[16])
{
	static const struct {
		uint32_t prefix;
		int bits;
	} special[] = {
		{ 0x20010000, 23 }, /* protocol assignments, Teredo */
		{ 0x20010db8, 32 }, /* documentation */
		{ 0x20020000, 16 }, /* 6to4 */
		{ 0x3fff0000, 20 }, /* documentation */
	};
	const uint32_t head = V4(bytes[0], bytes[1], bytes[2], bytes[3]);

	if (head >> 29 != 1)
		return false;
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if ((head ^ special[i].prefix) >> (32 - special[i].bits) == 0)
			return false;
	return true;
}

bool
address_is_public(const struct sockaddr *address)
{
	switch (address->sa_family) {
	case AF_INET:
		return v4_is_public(
		    ntohl(((const struct sockaddr_in *)(const void *)address)
			      ->sin_addr.s_addr));
	case AF_INET6:
		return v6_is_public(
		    ((const struct sockaddr_in6 *)(const void *)address)
			->sin6_addr.s6_addr);
	default:
		return false;
	}
}

bool
address_network(struct str text, uint8_t ret_bytes[ADDRESS_NETWORK_BYTES])
{
	uint8_t bytes[ADDRESS_NETWORK_BYTES] = { 0 };
	char name[INET6_ADDRSTRLEN];
	struct in6_addr in6;
	struct in_addr in;

	if (!str_copy(text, name, sizeof(name)))
		return false;
	if (inet_pton(AF_INET, name, &in) == 1)
		memcpy(bytes, &in, sizeof(in));
	else if (inet_pton(AF_INET6, name, &in6) != 1)
		return false;
	else if (IN6_IS_ADDR_V4MAPPED(&in6))
		memcpy(bytes, &in6.s6_addr[12], sizeof(in));
	else
		memcpy(bytes, in6.s6_addr, sizeof(bytes));
	memcpy(ret_bytes, bytes, sizeof(bytes));
	return true;
}

bool
address_is_local(struct str text)
{
	return str_equal(text, STR("127.0.0.1")) || str_equal(text, STR("::1"));
}

/* In sixteen bytes; IPv4 has its place among them (RFC 4291, 2.5.5.2). */
static bool
parse(struct str text, struct in6_addr *ret_address, bool *ret_is_v4)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char name[INET6_ADDRSTRLEN];

	if (!str_copy(text, name, sizeof(name)))
		return false;
	*ret_is_v4 = inet_pton(AF_INET, name, &ret_address->s6_addr[12]) == 1;
	if (*ret_is_v4) {
		memcpy(ret_address->s6_addr, mapped, sizeof(mapped));
		return true;
	}
	return inet_pton(AF_INET6, name, ret_address) == 1;
}

static bool
is_in_network(const struct in6_addr *address, struct str network)
{
	struct in6_addr base;
	struct str name, length;
	int64_t bits = 128;
	bool is_v4;

	if (str_cut(network, '/', &name, &length)) {
		if (!parse(name, &base, &is_v4) ||
		    !str_to_int64(length, 0, is_v4 ? 32 : 128, &bits))
			return false;
		bits += is_v4 ? 96 : 0;
	} else if (!parse(name, &base, &is_v4))
		return false;
	for (size_t i = 0; i < (size_t)bits; i++) {
		const uint8_t bit = (uint8_t)(0x80 >> i % 8);

		if (((address->s6_addr[i / 8] ^ base.s6_addr[i / 8]) & bit) !=
		    0)
			return false;
	}
	return true;
}

bool
address_in_networks(struct str text, struct str networks)
{
	struct in6_addr address;
	struct str rest;
	bool is_v4;

	if (!parse(text, &address, &is_v4))
		return false;
	while (networks.len > 0) {
		struct str network;
		size_t n = 0;

		while (n < networks.len && networks.ptr[n] != ',' &&
		    networks.ptr[n] != ' ')
			n++;
		network = (struct str){ networks.ptr, n };
		if (network.len > 0 && is_in_network(&address, network))
			return true;
		rest = (struct str){ networks.ptr + n, networks.len - n };
		if (rest.len > 0) {
			rest.ptr++;
			rest.len--;
		}
		networks = rest;
	}
	return false;
}

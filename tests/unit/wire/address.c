/* SPDX-License-Identifier: MIT */
#include "wire/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/un.h>

#include <cmocka.h>

static bool
v4(const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
	return address_is_public((const struct sockaddr *)&in);
}

static bool
v6(const char *text)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return address_is_public((const struct sockaddr *)&in6);
}

static void
addresses_of_the_internet_are_public(void **state)
{
	(void)state;
	assert_true(v4("1.1.1.1"));
	assert_true(v4("17.253.144.10"));
	assert_true(v6("2606:4700::1111"));
	assert_true(v6("2a00:1450:4001:80e::200e"));
}

static void
every_special_v4_range_ends_where_it_should(void **state)
{
	static const struct {
		const char *before, *first, *last, *after;
	} range[] = {
		{ NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0" },
		{ "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0" },
		{ "100.63.255.255", "100.64.0.0", "100.127.255.255",
		    "100.128.0.0" },
		{ "126.255.255.255", "127.0.0.0", "127.255.255.255",
		    "128.0.0.0" },
		{ "169.253.255.255", "169.254.0.0", "169.254.255.255",
		    "169.255.0.0" },
		{ "172.15.255.255", "172.16.0.0", "172.31.255.255",
		    "172.32.0.0" },
		{ "191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0" },
		{ "192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0" },
		{ "192.88.98.255", "192.88.99.0", "192.88.99.255",
		    "192.88.100.0" },
		{ "192.167.255.255", "192.168.0.0", "192.168.255.255",
		    "192.169.0.0" },
		{ "198.17.255.255", "198.18.0.0", "198.19.255.255",
		    "198.20.0.0" },
		{ "198.51.99.255", "198.51.100.0", "198.51.100.255",
		    "198.51.101.0" },
		{ "203.0.112.255", "203.0.113.0", "203.0.113.255",
		    "203.0.114.0" },
		{ "223.255.255.255", "224.0.0.0", "255.255.255.255", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(range) / sizeof(range[0]); i++) {
		assert_false(v4(range[i].first));
		assert_false(v4(range[i].last));
		if (range[i].before != NULL)
			assert_true(v4(range[i].before));
		if (range[i].after != NULL)
			assert_true(v4(range[i].after));
	}
}

static void
only_global_unicast_v6_is_public(void **state)
{
	(void)state;
	assert_false(v6("::"));
	assert_false(v6("::1"));
	assert_false(v6("fe80::1"));
	assert_false(v6("fec0::1"));
	assert_false(v6("fc00::1"));
	assert_false(v6("fdff::1"));
	assert_false(v6("ff02::1"));
	assert_false(v6("100::1"));
	assert_false(v6("1fff:ffff::1"));
	assert_true(v6("2000::1"));
	assert_true(v6("3ffe:ffff::1"));
	assert_false(v6("3fff::1"));
	assert_true(v6("3fff:1000::1"));
	assert_false(v6("4000::1"));
	assert_true(v6("2001:db7:ffff::1"));
	assert_false(v6("2001:db8::1"));
	assert_true(v6("2001:db9::1"));
	assert_true(v6("2001:200::1"));
}

static void
v6_that_hides_v4_is_not_public(void **state)
{
	(void)state;
	assert_false(v6("::ffff:127.0.0.2"));
	assert_false(v6("::ffff:1.1.1.1"));
	assert_false(v6("::127.0.0.1"));
	assert_false(v6("64:ff9b::10.0.0.1"));
	assert_false(v6("64:ff9b:1::1"));
	assert_false(v6("2002:7f00:1::1"));
	assert_false(v6("2001:0:7f00:1::1"));
}

static void
other_families_are_not_public(void **state)
{
	const struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)state;
	assert_false(address_is_public((const struct sockaddr *)&un));
}

static void
expect_network(const char *text, const char *hex)
{
	uint8_t bytes[ADDRESS_NETWORK_BYTES];
	char got[2 * ADDRESS_NETWORK_BYTES + 1];

	assert_true(address_network(str_from(text), bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(got + 2 * i, 3, "%02x", bytes[i]);
	assert_string_equal(got, hex);
}

static void
one_client_is_an_ipv4_address_or_64_bits_of_ipv6(void **state)
{
	(void)state;
	expect_network("192.0.2.7", "c000020700000000");
	expect_network("::ffff:192.0.2.7", "c000020700000000");
	expect_network("2001:db8:1:2:3:4:5:6", "20010db800010002");
	expect_network("2001:db8:1:2::", "20010db800010002");
	expect_network("::1", "0000000000000000");
}

static void
what_is_no_address_has_no_network(void **state)
{
	static const char *const wrong[] = { "", "unix:", "192.0.2", "1.2.3.4 ",
		"1.2.3.4:80", "[::1]", "::1%lo", "localhost",
		"1111111111111111111111111111111111111111111111111" };
	uint8_t bytes[ADDRESS_NETWORK_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(address_network(str_from(wrong[i]), bytes));
}

static void
only_two_addresses_are_this_machine_itself(void **state)
{
	(void)state;
	assert_true(address_is_local(STR("127.0.0.1")));
	assert_true(address_is_local(STR("::1")));
	assert_false(address_is_local(STR("127.0.0.2")));
	assert_false(address_is_local(STR("")));
}

static void
an_address_is_in_its_networks_and_in_no_other(void **state)
{
	static const struct {
		const char *address;
		const char *networks;
		bool is_in;
	} cases[] = {
		{ "192.0.2.7", "192.0.2.7", true },
		{ "192.0.2.7", "192.0.2.8", false },
		{ "192.0.2.7", "198.51.100.0/24, 192.0.2.0/24", true },
		{ "192.0.2.7", "198.51.100.0/24 192.0.2.0/24", true },
		{ "192.0.2.7", "192.0.2.6/31", true },
		{ "192.0.2.8", "192.0.2.6/31", false },
		{ "192.0.2.7", "0.0.0.0/0", true },
		{ "::ffff:192.0.2.7", "192.0.2.0/24", true },
		{ "2001:db8::1", "0.0.0.0/0", false },
		{ "2001:db8::1", "2001:db8::/32", true },
		{ "2001:db9::1", "2001:db8::/32", false },
		{ "2001:db8::1", "::/0", true },
		/* What is no network holds nobody, and hides no other. */
		{ "192.0.2.7", "", false },
		{ "192.0.2.7", "192.0.2.0/33", false },
		{ "192.0.2.7", "192.0.2.0/", false },
		{ "192.0.2.7", "192.0.2.0/-1", false },
		{ "192.0.2.7", "192.0.2", false },
		{ "192.0.2.7", "x, 192.0.2.7", true },
		{ "", "0.0.0.0/0,::/0", false },
		{ "unix:", "0.0.0.0/0,::/0", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(address_in_networks(str_from(cases[i].address),
				     str_from(cases[i].networks)),
		    cases[i].is_in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_the_internet_are_public),
		cmocka_unit_test(every_special_v4_range_ends_where_it_should),
		cmocka_unit_test(only_global_unicast_v6_is_public),
		cmocka_unit_test(v6_that_hides_v4_is_not_public),
		cmocka_unit_test(other_families_are_not_public),
		cmocka_unit_test(
		    one_client_is_an_ipv4_address_or_64_bits_of_ipv6),
		cmocka_unit_test(what_is_no_address_has_no_network),
		cmocka_unit_test(only_two_addresses_are_this_machine_itself),
		cmocka_unit_test(an_address_is_in_its_networks_and_in_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

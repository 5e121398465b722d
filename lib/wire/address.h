/* SPDX-License-Identifier: MIT */
#ifndef WIRE_ADDRESS_H
#define WIRE_ADDRESS_H

#include "base/str.h"

#include <sys/socket.h>

/*
 * May a request that others can steer go to this address?
 *
 * True only for unicast addresses of the public Internet (IANA's registries of
 * special-purpose addresses), so false for loopback, private, link-local,
 * shared (CGNAT), multicast, reserved and documentation ones, and for every
 * IPv6 form that hides an IPv4 address: mapped, NAT64, 6to4, Teredo.  False
 * for other families too.
 */
bool address_is_public(const struct sockaddr *address);

#define ADDRESS_NETWORK_BYTES 8

/*
 * The network that counts as one client of ours: an IPv4 address (4 bytes, the
 * rest zero), or the first 64 bits of an IPv6 address, all of which one
 * customer gets.  False for text that is no address.
 */
bool address_network(struct str text, uint8_t ret_bytes[ADDRESS_NETWORK_BYTES]);

/* Is it 127.0.0.1 or ::1, this machine itself? */
bool address_is_local(struct str text);

/*
 * Is it in one of these networks?  A list of addresses and of networks in
 * CIDR's form, with commas or blanks between them; what in it cannot be
 * understood holds nobody, and text that is no address is in none.
 */
bool address_in_networks(struct str text, struct str networks);

#endif

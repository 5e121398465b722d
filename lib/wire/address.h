/* SPDX-License-Identifier: MIT */
#ifndef WIRE_ADDRESS_H
#define WIRE_ADDRESS_H

#include <stdbool.h>
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

#endif

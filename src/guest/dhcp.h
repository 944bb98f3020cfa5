/* SPDX-License-Identifier: MIT */
/* DHCP messages (RFC 2131), as much as a client needs. Pure. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "guest/boot-line.h"

#define DHCP_SIZE 300 /* what we send: the least that all relays take */

enum dhcp_type { DHCP_DISCOVER = 1, DHCP_OFFER = 2, DHCP_REQUEST = 3, DHCP_ACK = 5, DHCP_NAK = 6 };

struct dhcp_lease {
	enum dhcp_type type;
	struct net_config config; /* prefix 0: the server gave no mask */
	struct in_addr server;
	uint32_t lease_s; /* 0: not said */
};
/* offer: NULL for DISCOVER. */
void dhcp_write(uint8_t ret[DHCP_SIZE], uint32_t xid, const uint8_t mac[6],
		const struct dhcp_lease *offer);
/* -EINVAL: not an answer to xid and mac, or malformed. */
must_check int dhcp_read(const uint8_t *data, size_t len, uint32_t xid, const uint8_t mac[6],
			 struct dhcp_lease *ret);

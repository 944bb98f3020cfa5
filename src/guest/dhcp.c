/* SPDX-License-Identifier: MIT */
#include "guest/dhcp.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

/* offsets in a message */
enum {
	OP = 0,
	HTYPE = 1,
	HLEN = 2,
	XID = 4,
	FLAGS = 10,
	YIADDR = 16,
	CHADDR = 28,
	COOKIE = 236,
	OPTIONS = 240
};
enum {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_REQUESTED = 50,
	OPT_LEASE = 51,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_WANTED = 55,
	OPT_END = 255
};

static const uint8_t cookie[4] = {99, 130, 83, 99};

static uint8_t *add_option(uint8_t *p, uint8_t code, const void *data, uint8_t len)
{
	*p++ = code;
	*p++ = len;
	memcpy(p, data, len);
	return p + len;
}

void dhcp_write(uint8_t ret[DHCP_SIZE], uint32_t xid, const uint8_t mac[6],
		const struct dhcp_lease *offer)
{
	static const uint8_t wanted[] = {OPT_MASK, OPT_ROUTER, OPT_DNS, OPT_LEASE};
	uint8_t type = offer ? DHCP_REQUEST : DHCP_DISCOVER, *p = ret + OPTIONS;

	memset(ret, 0, DHCP_SIZE);
	ret[OP] = 1;
	ret[HTYPE] = 1;
	ret[HLEN] = 6;
	memcpy(ret + XID, &xid, 4);
	ret[FLAGS] = 0x80; /* answer by broadcast: we have no address to answer to */
	memcpy(ret + CHADDR, mac, 6);
	memcpy(ret + COOKIE, cookie, 4);
	p = add_option(p, OPT_TYPE, &type, 1);
	if (offer) {
		p = add_option(p, OPT_REQUESTED, &offer->config.address, 4);
		p = add_option(p, OPT_SERVER, &offer->server, 4);
	}
	p = add_option(p, OPT_WANTED, wanted, sizeof(wanted));
	*p = OPT_END;
}

/* The length of the netmask at p, or 0: it is none. */
static unsigned int mask_prefix(const uint8_t *p)
{
	uint32_t mask;
	unsigned int prefix = 0;

	memcpy(&mask, p, 4);
	mask = ntohl(mask);
	while (mask & 0x80000000) {
		prefix++;
		mask <<= 1;
	}
	return mask ? 0 : prefix;
}

static void take_option(struct dhcp_lease *l, uint8_t code, const uint8_t *data, uint8_t len)
{
	if (code == OPT_TYPE && len == 1)
		l->type = data[0];
	if (len < 4)
		return;
	if (code == OPT_MASK)
		l->config.prefix = mask_prefix(data);
	else if (code == OPT_ROUTER)
		memcpy(&l->config.gateway, data, 4);
	else if (code == OPT_DNS)
		memcpy(&l->config.dns, data, 4);
	else if (code == OPT_SERVER)
		memcpy(&l->server, data, 4);
	else if (code == OPT_LEASE)
		l->lease_s = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
			     (uint32_t)data[2] << 8 | data[3];
}

static int read_options(const uint8_t *p, const uint8_t *end, struct dhcp_lease *l)
{
	while (p < end && *p != OPT_END) {
		if (*p == OPT_PAD) {
			p++;
			continue;
		}
		if (end - p < 2 || end - p - 2 < p[1])
			return -EINVAL;
		take_option(l, p[0], p + 2, p[1]);
		p += 2 + p[1];
	}
	return 0;
}

int dhcp_read(const uint8_t *data, size_t len, uint32_t xid, const uint8_t mac[6],
	      struct dhcp_lease *ret)
{
	struct dhcp_lease l = {0};

	if (len < OPTIONS || data[OP] != 2 || memcmp(data + XID, &xid, 4) != 0 ||
	    memcmp(data + CHADDR, mac, 6) != 0 || memcmp(data + COOKIE, cookie, 4) != 0)
		return -EINVAL;
	memcpy(&l.config.address, data + YIADDR, 4);
	if (read_options(data + OPTIONS, data + len, &l) < 0)
		return -EINVAL;
	if (l.type != DHCP_OFFER && l.type != DHCP_ACK && l.type != DHCP_NAK)
		return -EINVAL;
	*ret = l;
	return 0;
}

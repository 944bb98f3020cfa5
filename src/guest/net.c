/* SPDX-License-Identifier: MIT */
/* The guest's network: lo, and eth0 by address or by DHCP. IPv4. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/io.h"
#include "guest/dhcp.h"
#include "guest/guest.h"

#define INTERFACE	 "eth0"
#define DHCP_CLIENT	 68
#define DHCP_SERVER	 67
#define DHCP_AGAIN_NS	 2000000000ULL
#define DHCP_TRIES	 30
#define DHCP_LEASE_MIN_S 60

struct dhcp {
	struct guest *guest;
	int fd;
	struct source source;
	struct timer timer;
	uint32_t xid;
	uint8_t mac[6];
	bool offered;
	struct dhcp_lease lease;
	unsigned int tries;
};

static int interface_ioctl(int fd, unsigned long request, const char *name, struct ifreq *r)
{
	snprintf(r->ifr_name, sizeof(r->ifr_name), "%s", name);
	return ioctl(fd, request, r) < 0 ? -errno : 0;
}

static int set_up(int fd, const char *name)
{
	struct ifreq r = {0};
	int e = interface_ioctl(fd, SIOCGIFFLAGS, name, &r);

	if (e < 0)
		return e;
	r.ifr_flags |= IFF_UP;
	return interface_ioctl(fd, SIOCSIFFLAGS, name, &r);
}

static int set_address(int fd, unsigned long request, struct in_addr address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = address};
	struct ifreq r = {0};

	memcpy(&r.ifr_addr, &in, sizeof(in));
	return interface_ioctl(fd, request, INTERFACE, &r);
}

static int add_gateway(int fd, struct in_addr gateway)
{
	struct sockaddr_in any = {.sin_family = AF_INET},
			   way = {.sin_family = AF_INET, .sin_addr = gateway};
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = (char[]){INTERFACE}};

	memcpy(&route.rt_dst, &any, sizeof(any));
	memcpy(&route.rt_genmask, &any, sizeof(any));
	memcpy(&route.rt_gateway, &way, sizeof(way));
	return ioctl(fd, SIOCADDRT, &route) < 0 && errno != EEXIST ? -errno : 0;
}

static void write_dns(struct in_addr dns)
{
	char text[64], address[INET_ADDRSTRLEN];

	if (!dns.s_addr)
		return;
	snprintf(text, sizeof(text), "nameserver %s\n",
		 inet_ntop(AF_INET, &dns, address, sizeof(address)));
	/* A root that cannot be written to keeps its own. */
	if (write_file_atomic(AT_FDCWD, "/etc/resolv.conf", text, strlen(text), 0644) < 0)
		return;
}

static int configure(const struct net_config *c)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct in_addr mask = {htonl(0xffffffffu << (32 - c->prefix))};
	int r;

	if (fd < 0)
		return -errno;
	r = set_address(fd, SIOCSIFADDR, c->address);
	if (r == 0)
		r = set_address(fd, SIOCSIFNETMASK, mask);
	if (r == 0)
		r = set_up(fd, INTERFACE);
	if (r == 0 && c->gateway.s_addr)
		r = add_gateway(fd, c->gateway);
	write_dns(c->dns);
	return r;
}

/* ---- DHCP ---- */

static void ask(void *arg);

static void dhcp_end(struct dhcp *d)
{
	loop_del(&d->guest->loop, &d->source);
	loop_cancel(&d->guest->loop, &d->timer);
	close_fd(&d->fd);
}

static void send_message(struct dhcp *d)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(DHCP_SERVER),
				 .sin_addr = {htonl(INADDR_BROADCAST)}};
	uint8_t message[DHCP_SIZE];

	dhcp_write(message, d->xid, d->mac, d->offered ? &d->lease : NULL);
	if (sendto(d->fd, message, sizeof(message), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return; /* it is said again */
}

static void got_lease(struct dhcp *d)
{
	struct guest *g = d->guest;
	char address[INET_ADDRSTRLEN];
	uint64_t lease_s = d->lease.lease_s;
	int r;

	if (!d->lease.config.prefix)
		d->lease.config.prefix = 24;
	r = configure(&d->lease.config);
	inet_ntop(AF_INET, &d->lease.config.address, address, sizeof(address));
	if (r < 0)
		guest_notice(g, "guest", INTERFACE " to %s: %s", address, strerror(-r));
	dhcp_end(d);
	/* Asked again after half the lease. */
	if (!lease_s || lease_s == UINT32_MAX)
		return;
	if (lease_s < DHCP_LEASE_MIN_S)
		lease_s = DHCP_LEASE_MIN_S;
	d->tries = 0;
	loop_timer(&g->loop, &d->timer, g->loop.now_ns + lease_s * 500000000ULL, ask, d);
}

static void on_message(void *arg, uint32_t events)
{
	struct dhcp *d = arg;
	uint8_t data[1500];
	ssize_t n = recv(d->fd, data, sizeof(data), 0);
	struct dhcp_lease lease;

	if (n <= 0 || dhcp_read(data, (size_t)n, d->xid, d->mac, &lease) < 0)
		return;
	if (lease.type == DHCP_OFFER && !d->offered) {
		d->lease = lease;
		d->offered = true;
		send_message(d);
	} else if (lease.type == DHCP_ACK && d->offered) {
		d->lease = lease;
		got_lease(d);
	} else if (lease.type == DHCP_NAK) {
		d->offered = false;
	}
}

static int dhcp_open(struct dhcp *d)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(DHCP_CLIENT)};
	struct ifreq r = {0};
	int one = 1, e;

	d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0)
		return -errno;
	e = set_up(d->fd, INTERFACE);
	if (e == 0)
		e = interface_ioctl(d->fd, SIOCGIFHWADDR, INTERFACE, &r);
	if (e < 0)
		return e;
	memcpy(d->mac, r.ifr_hwaddr.sa_data, 6);
	d->xid = (uint32_t)hash_u64(d->guest->loop.now_ns ^ d->mac[5]);
	if (setsockopt(d->fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) < 0 ||
	    setsockopt(d->fd, SOL_SOCKET, SO_BINDTODEVICE, INTERFACE, sizeof(INTERFACE)) < 0 ||
	    bind(d->fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		return -errno;
	return loop_add(&d->guest->loop, &d->source, d->fd, EPOLLIN, on_message, d);
}

static void ask(void *arg)
{
	struct dhcp *d = arg;
	struct guest *g = d->guest;
	int r = d->fd < 0 ? dhcp_open(d) : 0;

	if (r < 0 || d->tries++ >= DHCP_TRIES) {
		guest_notice(g, "guest", "no address by DHCP: %s",
			     r < 0 ? strerror(-r) : "nobody answers");
		dhcp_end(d);
		return;
	}
	if (d->tries % 4 == 0)
		d->offered = false; /* the one who offered may be gone */
	send_message(d);
	loop_timer(&g->loop, &d->timer, g->loop.now_ns + DHCP_AGAIN_NS, ask, d);
}

void net_start(struct guest *g)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct dhcp *d;
	int r = fd < 0 ? -errno : set_up(fd, "lo");

	if (r == 0 && g->boot.net == BOOT_NET_STATIC)
		r = configure(&g->boot.address);
	if (r < 0)
		guest_notice(g, "guest", "network: %s", strerror(-r));
	if (g->boot.net != BOOT_NET_DHCP)
		return;
	d = calloc(1, sizeof(*d)); /* for as long as the guest runs */
	if (!d)
		return;
	*d = (struct dhcp){.guest = g, .fd = -1};
	ask(d);
}

/* SPDX-License-Identifier: MIT */
#include "vm/netdev.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/str.h"

void netdev_name(const char *zone, char *buf)
{
	if (strlen(zone) + 3 < IFNAMSIZ)
		snprintf(buf, IFNAMSIZ, "cz-%.12s", zone);
	else
		snprintf(buf, IFNAMSIZ, "cz-%.5s-%06x", zone,
			 (unsigned int)(hash_string(zone) & 0xffffff));
}

static int join_bridge(int sock, const char *name, const char *bridge, struct error *reterr)
{
	struct ifreq ifr = {0};

	ifr.ifr_ifindex = (int)if_nametoindex(name);
	if (!str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), bridge))
		return error_set(reterr, -ENAMETOOLONG, "no bridge can be called '%s'", bridge);
	if (ioctl(sock, SIOCBRADDIF, &ifr) < 0)
		return error_errno(reterr, -errno, "put %s on bridge %s", name, bridge);
	return 0;
}

static int bring_up(int sock, const char *name, struct error *reterr)
{
	struct ifreq ifr = {0};

	str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), name);
	if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0)
		return error_errno(reterr, -errno, "read the flags of %s", name);
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
		return error_errno(reterr, -errno, "bring %s up", name);
	return 0;
}

int netdev_tap(const char *zone, const struct zone_net *net, int *ret_fd, struct error *reterr)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	char name[IFNAMSIZ];
	int r = 0;

	if (fd < 0 || sock < 0)
		return error_errno(reterr, -errno, "open /dev/net/tun");
	netdev_name(zone, name);
	if (if_nametoindex(name))
		return error_set(reterr, -EEXIST, "a network device %s is there already", name);
	str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return error_errno(reterr, -errno, "make the tap %s", name);
	if (net->mode == NET_BRIDGE)
		r = join_bridge(sock, name, net->bridge, reterr);
	if (r == 0)
		r = bring_up(sock, name, reterr);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

/* SPDX-License-Identifier: MIT */
/* A zone's tap: it lives as long as its fd, so that none is left over however a zone ends. */
#pragma once
#include "base/error.h"
#include "model/zone-spec.h"

/* "cz-NAME", or a shorter name with a hash of the long one: devices have 15 letters. buf >= 16. */
void netdev_name(const char *zone, char *buf);
/* Makes it, puts it on the bridge (NET_BRIDGE) and brings it up. Root. */
must_check int netdev_tap(const char *zone, const struct zone_net *net, int *ret_fd,
			  struct error *reterr);

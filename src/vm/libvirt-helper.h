/* SPDX-License-Identifier: MIT */
/*
 * What cz-vm and cz-libvirt say to each other: lines of JSON on a socket pair. The first line of
 * cz-vm's is the order: {"uri", "name", "xml", "sockets": [PATH..], "unlink": [PATH..]}; it is
 * answered with the event `started` ("pid", "cpus" as QEMU lists them; with it the sockets'
 * connections and a pidfd) or `failed` ("what", "text"). Then requests ("do") and events.
 */
#pragma once
#include "channel/channel.h"

#define LIBVIRT_LINE_MAX 65536
#define LIBVIRT_SOCKETS	 (CHANNEL_NR + 1)	 /* the ports, the console */
#define LIBVIRT_FDS	 (LIBVIRT_SOCKETS + 1)	 /* and the process */
#define LIBVIRT_MARK	 "urn:control-zone:zone" /* XML namespace of our mark in a domain */

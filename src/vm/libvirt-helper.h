/* SPDX-License-Identifier: MIT */
/*
 * What cz-vm and cz-libvirt say to each other: lines of JSON on a socket pair. The first line of
 * cz-vm's is the order: {"uri", "name", "xml", "sockets": [PATH..], "unlink": [PATH..]}, or to
 * adopt a domain {"uri", "name", "journal": PATH}; it is answered with the event `started` ("pid",
 * "cpus" as QEMU lists them; with it the sockets' connections and a pidfd, unless it is adopted) or
 * `failed` ("what", "text"). Then requests ("do") and events.
 */
#pragma once
#include "channel/channel.h"

#define LIBVIRT_LINE_MAX 65536
#define LIBVIRT_SOCKETS	 (CHANNEL_NR + 1)      /* the ports, the console */
#define LIBVIRT_FDS	 (LIBVIRT_SOCKETS + 1) /* and the process */
#define LIBVIRT_JOURNAL	 "adopted" /* in the run directory: how an adopted domain was found */
#define LIBVIRT_MARK	 "urn:control-zone:zone" /* XML namespace of our mark in a domain */

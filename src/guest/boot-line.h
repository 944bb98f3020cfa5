/* SPDX-License-Identifier: MIT */
/* Our words of the kernel command line (docs/zone-protocol.md). Pure. */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include "channel/channel.h"
#include "model/zone-spec.h"

enum boot_root { BOOT_ROOT_NONE, BOOT_ROOT_VIRTIOFS, BOOT_ROOT_IMAGE };
enum boot_net { BOOT_NET_NONE, BOOT_NET_DHCP, BOOT_NET_STATIC };

struct net_config {
	struct in_addr address, gateway, dns; /* 0: none */
	unsigned int prefix;
};

struct boot_line {
	char name[ZONE_SPEC_NAME_MAX + 1]; /* "zone" when not given */
	bool has_nonce;
	uint8_t nonce[CHANNEL_NONCE];
	enum boot_root root;
	enum boot_net net;
	struct net_config address; /* BOOT_NET_STATIC */
};
/* The first of a word that is given twice counts: users append theirs. What is wrong is as if not
 * given, and said in `wrong`, a text for people ("" when all is well). */
void boot_line_parse(const char *text, struct boot_line *ret, char *wrong, size_t size);
/*
 * Whether preempt= on the command line is in force: the kernel itself ignores what it cannot do.
 * modes: as in /sys/kernel/debug/sched/preempt, "full (lazy)"; "" where the kernel has no choice.
 * `wrong` as above.
 */
void boot_preempt_check(const char *line, const char *modes, char *wrong, size_t size);

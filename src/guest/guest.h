/* SPDX-License-Identifier: MIT */
/* cz-guest: all that it knows. One thread, one loop; modules meet here. */
#pragma once
#include <jansson.h>
#include "guest/boot-line.h"
#include "guest/loop.h"
#include "guest/port.h"
#include "model/zone-spec.h"
#include "sched/bus-user.h"

struct apps;
struct terms;
struct policies;
struct stats;
struct threads;

struct guest {
	struct loop loop;
	struct boot_line boot;
	bool init;	  /* process 1 */
	int initramfs_fd; /* its root directory, which no path leads to once there is another; -1 */
	struct port ports[CHANNEL_NR];
	struct apps *apps;
	struct terms *terms;
	struct policies *policies;
	struct stats *stats;
	struct threads *threads;
	struct bus bus; /* for the schedulers; closed where there is no BPF */
	struct timer tick;
	bool ending;
	char failed[256]; /* why this machine cannot be what it is to be; "": it can */
};

/* Tells the host, and the console. Bounded: more than a few a second are dropped and counted. */
void guest_notice(struct guest *g, const char *kind, const char *fmt, ...) printf_like(3, 4);
/* The machine is to be switched off: apps first, then after grace_ms whatever happens. */
void guest_power_down(struct guest *g, uint64_t grace_ms);
/* Every app has ended, or never will: called by apps.c while ending. */
void guest_apps_ended(struct guest *g);

/* main of `cz-guest` as process 1: what the kernel did not set up. See init.c */
void init_mounts(void);
void init_machine(struct guest *g);
_Noreturn void init_power_off(struct guest *g);
/* Network of the kernel command line; DHCP goes on in the loop. */
void net_start(struct guest *g);

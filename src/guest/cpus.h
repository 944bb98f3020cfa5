/* SPDX-License-Identifier: MIT */
/* The guest's CPUs: how many there are, how many are online. */
#pragma once
#include "base/error.h"

int cpus_present(void);
int cpus_online(void);
/* CPUs 0 to n - 1 online, the others offline. -ERANGE: more than there are. */
must_check int cpus_set_online(unsigned int n, struct error *reterr);
/* The kernel (7.0 on) has a server that gives tasks of sched_ext 5 % of a CPU when other classes
 * take it all: in one piece, 50 ms each second, which is the p99 of who waits meanwhile. A
 * millisecond now and then is enough that none starves. Not shorter and more often: what a turn
 * takes too much because its timer is late, the kernel does not make it pay for. */
void cpus_limit_ext_server(void);

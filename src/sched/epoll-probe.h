/* SPDX-License-Identifier: MIT */
/* The probe that counts epoll_wait of latency-critical tasks (epoll.bpf.c), and the sum over CPUs.
 */
#pragma once
#include "base/error.h"
#include "sched/bus.h"

struct epoll_probe;

/* Loads and attaches; the counts are on the bus. */
must_check int epoll_probe_open(struct epoll_probe **ret, struct error *reterr);
void epoll_probe_close(struct epoll_probe *probe); /* accepts NULL */
/* The counts are one for the system: of probes that are open at the same time one may be attached.
 */
must_check int epoll_probe_attach(struct epoll_probe *probe, struct error *reterr);
void epoll_probe_detach(struct epoll_probe *probe);
must_check int epoll_probe_read(const struct epoll_probe *probe, struct bus_epoll *ret);
/* "do_epoll_wait" or "sys_exit": where it looks. */
const char *epoll_probe_where(const struct epoll_probe *probe);

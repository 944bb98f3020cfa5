// SPDX-License-Identifier: GPL-2.0
/*
 * scx-net: scx-exclusive, but only while the latency-critical work has load.
 *
 * At low load a server takes its events one by one and sleeps between them: it loses little beside
 * others, and restraining best-effort work would gain nothing. At high load it finds many events in
 * each epoll_wait and hardly sleeps: there each turn of others costs its clients. So a probe counts
 * what epoll_wait returns to lc tasks (epoll.bpf.c), and five times a second net-load.c decides: be
 * is restrained, as by scx-exclusive, from --events a second on, or, if there is a fiftieth of
 * that, from --batch events per return on; it is let go below 80 % of both. Then all tasks share
 * fairly by weight, in one queue. A change takes under a second, and there is at most one a second
 * (--dwell).
 *
 * Why both. Events are counted per connection: when be delays the server, requests gather in its
 * sockets, and their events get fewer and come in longer batches: a server that be keeps too busy
 * comes to its epoll_wait ten times a second instead of thousands. So under harm the batches tell,
 * and under restraint the rate does. A return brings at most one event per connection: with fewer
 * connections than --batch, set it lower. If the true rate is below --events and be hurts all the
 * same, the policy goes back and forth, one change a --dwell: lower --events, or use --batch 0.
 *
 * Limits, beside those of scx-exclusive. What does not use epoll has no load here: poll, select,
 * io_uring, a thread per connection (MySQL's default); for these use scx-exclusive. The threshold
 * is a number for one server on one machine: measure what a fifth of its maximum brings beside be.
 * lc tasks are known by their class on the bus, so a server that is only normal is not seen. Tasks
 * that were queued when the restraint changed are served in the old order. The decision is this
 * process's: if it is stopped, the last one stays.
 */
#include "sched/exclusive.bpf.h"

/* read by scx-net.c only */
const volatile __u64 load_events = 2000;
const volatile __u64 load_batch_milli = 4000;
const volatile __u64 load_dwell_ns = NSEC_PER_SEC;

SEC(".struct_ops.link")
struct sched_ext_ops ops = {
    EXCLUSIVE_OPS,
    .name = "cz_net",
};

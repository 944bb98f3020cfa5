// SPDX-License-Identifier: GPL-2.0
/*
 * scx-exclusive: best-effort work runs only where no latency-critical work wants to.
 *
 * Classes come from the bus (bus.h): a thread's own, else that of the nearest cgroup. A thread of
 * unknown class is normal (be with --partial, where it was chosen, or if it is SCHED_IDLE). Order:
 * kernel threads and the zone's agent, lc, normal, be; in a class, by fair shares of weight.
 *
 * A wake-up goes to an idle CPU; else it takes, in the wake-up itself, a CPU on which something of
 * a lower class runs (SCX_ENQ_PREEMPT on that CPU's local queue); else it waits in the queue of its
 * class, which all CPUs serve first. Each CPU's `running` word says what it runs, and is changed
 * when a wake-up is sent there, so that a second one takes another CPU. be is never put on a local
 * queue before the moment it is picked: there it would stay behind lc while other CPUs are idle.
 *
 * Work is conserved: be may have every CPU that nobody else wants. Two things withhold CPUs from
 * it: a thread of the same core that runs lc (SMT), and --threshold: fewer CPUs than that are
 * "acquired or idle", that is not with lc and not with a higher scheduling class (real-time; in
 * partial mode all others: cpu_release and cpu_acquire tell). It is then taken from all CPUs by
 * interrupt, and they idle.
 *
 * Guarantee, so that neither starvation nor the kernel's watchdog happens: each CPU saves a share
 * of its time for be (1 %, or what the bus says) and for normal (10 %), in gaps if there are any;
 * only a task that waited for 1 s (normal: 50 ms) is served from it while others wait, and one that
 * waited for 10 s always. So with lc at full load be runs 1 % of the time, and below that never
 * while lc waits.
 *
 * Limits. The tick ends turns, so a forced turn of 1 ms may last a tick (it is paid for). A class
 * that is changed on the bus is seen within 100 ms. A chosen CPU that a real-time task takes first
 * holds the wake-up until cpu_release gives it back. The threshold and the SMT rule waste CPU time
 * by design. In partial mode lc is in the fair class, which always goes first on its CPU, but the
 * kernel's balancer takes a CPU that runs be for a busy one: two endless loops may share a CPU
 * while be has another (--partial is for lc that sleeps and wakes). From 7.0 the kernel's own
 * server for SCHED_EXT gives be 5 % of a CPU then (in a zone 0.4 %: cz-guest sets it). The
 * guarantee on the bus is one for the class: the last one seen. Caches and memory bandwidth are
 * shared as before.
 */
#include "sched/exclusive.bpf.h"

SEC(".struct_ops.link")
struct sched_ext_ops ops = {
    EXCLUSIVE_OPS,
    .name = "cz_exclusive",
};

/* SPDX-License-Identifier: MIT */
/*
 * The one metric table. A metric is added here, filled by a probe, and shown everywhere: names in
 * JSON, `czctl probes`, `/metrics` and the manual come from this list.
 *   X(ID, name, unit, kind, help)
 */
#pragma once
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

/* Per zone. Counters only grow for one zone id; the pipeline turns them into rates. */
#define ZONE_METRICS(X)                                                                            \
	X(CPU_USAGE_NS, "cpu_usage_ns_total", "ns", COUNTER,                                       \
	  "CPU time used by the zone and its children")                                            \
	X(CPU_PERIODS, "cpu_periods_total", "1", COUNTER,                                          \
	  "enforcement periods of the zone's own CPU quota")                                       \
	X(CPU_THROTTLED, "cpu_throttled_periods_total", "1", COUNTER,                              \
	  "periods in which the own quota ran out")                                                \
	X(CPU_THROTTLED_NS, "cpu_throttled_ns_total", "ns", COUNTER,                               \
	  "time throttled by the own quota")                                                       \
	X(RUN_DELAY_NS, "run_delay_ns_total", "ns", COUNTER,                                       \
	  "time tasks were runnable but not running (kernel schedstat; protected zones)")          \
	X(PSI_CPU_SOME_NS, "psi_cpu_some_ns_total", "ns", COUNTER,                                 \
	  "time some task waited for a CPU (PSI)")                                                 \
	X(PSI_MEM_SOME_NS, "psi_memory_some_ns_total", "ns", COUNTER,                              \
	  "time some task stalled on memory (PSI)")                                                \
	X(PSI_MEM_FULL_NS, "psi_memory_full_ns_total", "ns", COUNTER,                              \
	  "time all tasks stalled on memory (PSI)")                                                \
	X(PSI_IO_SOME_NS, "psi_io_some_ns_total", "ns", COUNTER,                                   \
	  "time some task stalled on io (PSI)")                                                    \
	X(PSI_IO_FULL_NS, "psi_io_full_ns_total", "ns", COUNTER,                                   \
	  "time all tasks stalled on io (PSI)")                                                    \
	X(MEM_BYTES, "memory_bytes", "bytes", GAUGE, "memory charged to the zone")                 \
	X(TASKS, "tasks", "1", GAUGE, "tasks in the zone (protected zones and best-effort zones)")

/* Host totals. */
#define HOST_METRICS(X)                                                                            \
	X(CPU_BUSY_NS, "host_cpu_busy_ns_total", "ns", COUNTER, "CPU time not idle, all CPUs")     \
	X(CPU_IDLE_NS, "host_cpu_idle_ns_total", "ns", COUNTER,                                    \
	  "CPU time idle or in iowait, all CPUs")                                                  \
	X(STEAL_NS, "host_steal_ns_total", "ns", COUNTER, "CPU time taken by the hypervisor")      \
	X(IRQ_NS, "host_irq_ns_total", "ns", COUNTER, "CPU time in hard interrupts")               \
	X(SOFTIRQ_NS, "host_softirq_ns_total", "ns", COUNTER, "CPU time in soft interrupts")       \
	X(MEM_TOTAL_BYTES, "host_memory_bytes", "bytes", GAUGE, "memory of the host")              \
	X(MEM_AVAILABLE_BYTES, "host_memory_available_bytes", "bytes", GAUGE,                      \
	  "memory available without swapping")                                                     \
	X(PSI_CPU_SOME_NS, "host_psi_cpu_some_ns_total", "ns", COUNTER,                            \
	  "time some task waited for a CPU (PSI)")                                                 \
	X(PSI_MEM_SOME_NS, "host_psi_memory_some_ns_total", "ns", COUNTER,                         \
	  "time some task stalled on memory (PSI)")                                                \
	X(PSI_IO_SOME_NS, "host_psi_io_some_ns_total", "ns", COUNTER,                              \
	  "time some task stalled on io (PSI)")

#define X(id, name, unit, kind, help) ZM_##id,
enum zone_metric { ZONE_METRICS(X) ZM_NR };
#undef X
#define X(id, name, unit, kind, help) HM_##id,
enum host_metric { HOST_METRICS(X) HM_NR };
#undef X

struct metric_desc {
	const char *name, *unit;
	enum metric_kind kind;
	const char *help;
};
extern const struct metric_desc zone_metrics[ZM_NR];
extern const struct metric_desc host_metrics[HM_NR];

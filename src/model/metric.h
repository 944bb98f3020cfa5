/* SPDX-License-Identifier: MIT */
/*
 * The one metric table. A metric is added here, filled by a probe, and shown everywhere: names in
 * JSON, `czctl probes`, `/metrics` and the manual come from this list.
 *   X(ID, name, unit, kind, help)
 */
#pragma once
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

/*
 * Per zone. Counters only grow for one zone id; the pipeline turns them into rates. Those of dear
 * files (memory.stat) are not read every tick for zones that are not protected: between readings
 * their growth is 0, then all of it at once.
 */
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
	X(MEM_ANON_BYTES, "memory_anon_bytes", "bytes", GAUGE, "anonymous memory of the zone")     \
	X(MEM_FILE_BYTES, "memory_file_bytes", "bytes", GAUGE, "page cache of the zone")           \
	X(MEM_SWAP_BYTES, "memory_swap_bytes", "bytes", GAUGE, "swap used by the zone")            \
	X(MEM_LIMIT_BYTES, "memory_limit_bytes", "bytes", GAUGE,                                   \
	  "the cgroup's own hard limit; not known: it has none")                                   \
	X(MEM_HIGH_BYTES, "memory_high_bytes", "bytes", GAUGE,                                     \
	  "memory.high, on v1 the soft limit; not known: it has none")                             \
	X(MEM_FAULTS, "page_faults_total", "1", COUNTER, "page faults")                            \
	X(MEM_MAJOR_FAULTS, "major_faults_total", "1", COUNTER,                                    \
	  "page faults that had to read from disk or swap")                                        \
	X(MEM_REFAULT_PAGES, "memory_refault_pages_total", "pages", COUNTER,                       \
	  "pages read again soon after they were reclaimed")                                       \
	X(MEM_SCANNED_PAGES, "memory_scanned_pages_total", "pages", COUNTER,                       \
	  "pages of the zone that reclaim looked at (v2)")                                         \
	X(MEM_RECLAIMED_PAGES, "memory_reclaimed_pages_total", "pages", COUNTER,                   \
	  "pages of the zone that reclaim took (v2)")                                              \
	X(MEM_HIGH_EVENTS, "memory_high_events_total", "1", COUNTER,                               \
	  "times it was throttled at memory.high (v2)")                                            \
	X(MEM_MAX_EVENTS, "memory_max_events_total", "1", COUNTER,                                 \
	  "times it ran into a hard limit (v1: failcnt, its own limit only)")                      \
	X(MEM_OOM_KILLS, "memory_oom_kills_total", "1", COUNTER, "processes the OOM killer ended") \
	X(IO_READ_BYTES, "io_read_bytes_total", "bytes", COUNTER, "read from block devices")       \
	X(IO_WRITE_BYTES, "io_write_bytes_total", "bytes", COUNTER, "written to block devices")    \
	X(IO_READS, "io_reads_total", "1", COUNTER, "reads from block devices")                    \
	X(IO_WRITES, "io_writes_total", "1", COUNTER, "writes to block devices")                   \
	X(IO_REQUESTS, "io_requests_total", "1", COUNTER,                                          \
	  "disk requests completed since the probe was switched on")                               \
	X(IO_REQUEST_NS, "io_request_ns_total", "ns", COUNTER,                                     \
	  "time those requests took; per request: the mean latency")                               \
	X(IO_REQUEST_P99_NS, "io_request_p99_ns", "ns", GAUGE,                                     \
	  "of the last tick's disk requests, 99 % took no longer")                                 \
	X(IO_FOREIGN_NS, "io_foreign_ns_total", "ns", COUNTER,                                     \
	  "request-time in which others had the disk (protected zones)")                           \
	X(SYSCALLS, "syscalls_total", "1", COUNTER,                                                \
	  "system calls that ended since the probe was switched on")                               \
	X(SYSCALL_NS, "syscall_ns_total", "ns", COUNTER,                                           \
	  "time those calls took, sleep included; per call: the mean latency")                     \
	X(VOLUNTARY_SWITCHES, "voluntary_switches_total", "1", COUNTER,                            \
	  "times a task left its CPU to sleep, since the probe was switched on")                   \
	X(INVOLUNTARY_SWITCHES, "involuntary_switches_total", "1", COUNTER,                        \
	  "times a task lost its CPU though it could have gone on")                                \
	X(MIGRATIONS, "migrations_total", "1", COUNTER, "moves of its tasks between CPUs")         \
	X(EPOLL_RETURNS, "epoll_returns_total", "1", COUNTER,                                      \
	  "returns of epoll_wait since the probe was switched on")                                 \
	X(EPOLL_EVENTS, "epoll_events_total", "1", COUNTER,                                        \
	  "events that they brought; per return: how full its event loops are")                    \
	X(SOCKET_SENT_BYTES, "socket_sent_bytes_total", "bytes", COUNTER,                          \
	  "payload sent over IP, since the probe was switched on")                                 \
	X(SOCKET_SENDS, "socket_sends_total", "1", COUNTER, "calls that sent it")                  \
	X(SOCKET_RECEIVED_BYTES, "socket_received_bytes_total", "bytes", COUNTER,                  \
	  "payload received over IP")                                                              \
	X(SOCKET_RECEIVES, "socket_receives_total", "1", COUNTER, "calls that received it")        \
	X(NETNS_RECEIVED_BYTES, "netns_received_bytes_total", "bytes", COUNTER,                    \
	  "received by interfaces of the zone's own network; not known: it has none")              \
	X(NETNS_RECEIVED_PACKETS, "netns_received_packets_total", "1", COUNTER,                    \
	  "packets received there")                                                                \
	X(NETNS_SENT_BYTES, "netns_sent_bytes_total", "bytes", COUNTER, "sent there")              \
	X(NETNS_SENT_PACKETS, "netns_sent_packets_total", "1", COUNTER, "packets sent there")      \
	X(RECLAIM_NS, "reclaim_ns_total", "ns", COUNTER,                                           \
	  "time its tasks spent reclaiming memory, since the probe was switched on")               \
	X(RECLAIMS, "reclaims_total", "1", COUNTER, "how often they had to")                       \
	X(MEM_FOREIGN_PAGES, "memory_foreign_reclaimed_pages_total", "pages", COUNTER,             \
	  "pages of the zone that others took")                                                    \
	X(FUTEX_WAITS, "futex_waits_total", "1", COUNTER,                                          \
	  "waits at futexes, since the probe was switched on")                                     \
	X(FUTEX_WAIT_NS, "futex_wait_ns_total", "ns", COUNTER,                                     \
	  "time those waits took, idle threads included")                                          \
	X(FUTEX_FOREIGN_NS, "futex_foreign_wait_ns_total", "ns", COUNTER,                          \
	  "time of waits that another zone ended")                                                 \
	X(NUMA_MOST_BYTES, "memory_numa_most_bytes", "bytes", GAUGE,                               \
	  "memory on the NUMA node that has most of it")                                           \
	X(NUMA_REMOTE_BYTES, "memory_numa_remote_bytes", "bytes", GAUGE,                           \
	  "memory on nodes whose CPUs the zone may not use")                                       \
	X(IO_READ_LIMIT, "io_read_limit_bytes_per_second", "bytes", GAUGE,                         \
	  "smallest limit of its own on reading from a disk; not known: it has none")              \
	X(IO_WRITE_LIMIT, "io_write_limit_bytes_per_second", "bytes", GAUGE,                       \
	  "the same for writing")                                                                  \
	X(IO_READS_LIMIT, "io_read_limit_per_second", "1", GAUGE, "the same for reads")            \
	X(IO_WRITES_LIMIT, "io_write_limit_per_second", "1", GAUGE, "the same for writes")         \
	X(NET_BYTES, "network_sent_bytes_total", "bytes", COUNTER,                                 \
	  "sent through interfaces since the probe was switched on")                               \
	X(NET_PACKETS, "network_sent_packets_total", "1", COUNTER,                                 \
	  "packets sent, as the stack hands them to an interface")                                 \
	X(NET_RETRANSMITS, "tcp_retransmits_total", "1", COUNTER,                                  \
	  "packets that TCP had to send again")                                                    \
	X(REF_CYCLES, "ref_cycles_total", "1", COUNTER,                                            \
	  "cycles at the rated clock, since the probe was switched on")                            \
	X(INSTRUCTIONS, "instructions_total", "1", COUNTER, "instructions retired")                \
	X(CYCLES, "cycles_total", "1", COUNTER, "cycles of the core's clock")                      \
	X(LLC_REFERENCES, "llc_references_total", "1", COUNTER,                                    \
	  "look-ups in the last-level cache")                                                      \
	X(LLC_MISSES, "llc_misses_total", "1", COUNTER, "those that missed")                       \
	X(CPI_PPM, "cpi_ppm", "ppm", GAUGE, "reference cycles an instruction, in the last tick")   \
	X(IPC_PPM, "ipc_ppm", "ppm", GAUGE, "instructions a cycle of the core's clock")            \
	X(LLC_MPKI_PPM, "llc_mpki_ppm", "ppm", GAUGE,                                              \
	  "misses of the last-level cache a thousand instructions")                                \
	X(LLC_MISS_PPM, "llc_miss_ppm", "ppm", GAUGE, "the part of its look-ups that missed")      \
	X(COUNTED_PPM, "counted_ppm", "ppm", GAUGE,                                                \
	  "the part of its time that the counters ran; the rest is extrapolated")                  \
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
	  "time some task stalled on io (PSI)")                                                    \
	X(CPU_FREQUENCY_HZ, "host_cpu_frequency_hertz", "hertz", GAUGE,                            \
	  "frequency of the CPUs, their mean")                                                     \
	X(CPU_FREQUENCY_MIN_HZ, "host_cpu_frequency_min_hertz", "hertz", GAUGE,                    \
	  "that of the slowest CPU")                                                               \
	X(DISK_READ_BYTES, "host_disk_read_bytes_total", "bytes", COUNTER, "read from disks")      \
	X(DISK_WRITE_BYTES, "host_disk_write_bytes_total", "bytes", COUNTER, "written to disks")   \
	X(DISK_READS, "host_disk_reads_total", "1", COUNTER, "reads from disks")                   \
	X(DISK_WRITES, "host_disk_writes_total", "1", COUNTER, "writes to disks")                  \
	X(DISK_BUSY_NS, "host_disk_busy_ns_total", "ns", COUNTER,                                  \
	  "time in which a disk had requests, all disks")                                          \
	X(NET_RECEIVED_BYTES, "host_net_received_bytes_total", "bytes", COUNTER,                   \
	  "received by the host's interfaces")                                                     \
	X(NET_RECEIVED_PACKETS, "host_net_received_packets_total", "1", COUNTER,                   \
	  "packets received by them")                                                              \
	X(NET_SENT_BYTES, "host_net_sent_bytes_total", "bytes", COUNTER, "sent by them")           \
	X(NET_SENT_PACKETS, "host_net_sent_packets_total", "1", COUNTER, "packets sent by them")   \
	X(NET_DROPPED, "host_net_dropped_packets_total", "1", COUNTER,                             \
	  "packets that they dropped")                                                             \
	X(TCP_RETRANSMITS, "host_tcp_retransmits_total", "1", COUNTER,                             \
	  "TCP segments that the host sent again")

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
/* zone_view.valid and kin: bit m for metric m. */
typedef unsigned __int128 metric_set;
#define METRIC_BIT(m) ((metric_set)1 << (m))
_Static_assert(ZM_NR <= 128 && HM_NR <= 128, "a set of metrics has 128 bits");
/* The lowest of a set that is not empty. */
static inline int metric_lowest(metric_set set)
{
	uint64_t low = (uint64_t)set;

	return low ? __builtin_ctzll(low) : 64 + __builtin_ctzll((uint64_t)(set >> 64));
}
extern const struct metric_desc zone_metrics[ZM_NR];
extern const struct metric_desc host_metrics[HM_NR];

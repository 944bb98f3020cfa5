/* SPDX-License-Identifier: MIT */
/* The counters of a CPU, in two groups; one that the CPU lacks is left out. */
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "probes/pmc.h"

const struct pmc_event pmc_hardware[PMC_NR] = {
    [PMC_REF_CYCLES] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES},
    [PMC_INSTRUCTIONS] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    [PMC_CYCLES] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    [PMC_LLC_REFERENCES] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
    [PMC_LLC_MISSES] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
};
const struct pmc_event pmc_software[PMC_NR] = {
    [PMC_REF_CYCLES] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    [PMC_INSTRUCTIONS] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
    [PMC_CYCLES] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
    [PMC_LLC_REFERENCES] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    [PMC_LLC_MISSES] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN},
};

static int event_open(const struct pmc_event *e, uint32_t cpu, int group_fd)
{
	struct perf_event_attr attr = {
	    .type = e->type,
	    .size = sizeof(attr),
	    .config = e->config,
	    .disabled = group_fd < 0,
	    .read_format =
		PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
	};
	long fd = syscall(SYS_perf_event_open, &attr, -1, (int)cpu, group_fd, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

void pmc_close(int fd[PMC_NR])
{
	for (uint32_t e = 0; e < PMC_NR; e++)
		close_fd(&fd[e]);
}

static int start(const int fd[PMC_NR], uint32_t present)
{
	for (uint32_t g = 0; g < PMC_GROUPS; g++) {
		uint32_t leader = pmc_leader(present, g);

		if (leader < PMC_NR &&
		    ioctl(fd[leader], PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP) < 0)
			return -errno;
	}
	return 0;
}

int pmc_open_cpu(const struct pmc_event events[PMC_NR], uint32_t cpu, int ret_fd[PMC_NR],
		 uint32_t *present)
{
	int leader_fd[PMC_GROUPS] = {-1, -1}, r = -EOPNOTSUPP;

	*present = 0;
	for (uint32_t e = 0; e < PMC_NR; e++) {
		int *leader = &leader_fd[e >= PMC_FIRST_OF_LLC];

		ret_fd[e] = event_open(&events[e], cpu, *leader);
		if (ret_fd[e] < 0) {
			r = ret_fd[e];
			ret_fd[e] = -1;
			continue;
		}
		*present |= 1u << e;
		if (*leader < 0)
			*leader = ret_fd[e];
	}
	if (*present)
		r = start(ret_fd, *present);
	if (r < 0)
		pmc_close(ret_fd);
	return r == -ENOENT || r == -EINVAL ? -EOPNOTSUPP : r;
}

int pmc_read(int leader_fd, struct pmc_reading *ret)
{
	uint64_t buf[3 + PMC_NR];
	ssize_t n = read(leader_fd, buf, sizeof(buf));

	return n < 0 ? -errno : pmc_reading_parse(buf, (size_t)n, ret);
}

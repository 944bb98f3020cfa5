/* SPDX-License-Identifier: MIT */
#include "guest/cpus.h"

#include <fcntl.h>
#include <stdio.h>
#include "base/cpuset.h"
#include "base/io.h"

#define CPU_DIR		  "/sys/devices/system/cpu/"
#define EXT_SERVER	  "/sys/kernel/debug/sched/ext_server/"
#define EXT_SERVER_TIME	  "1000000" /* ns of each period */
#define EXT_SERVER_PERIOD "250000000"

static int read_set(const char *path, struct cpuset *ret)
{
	char text[512];
	ssize_t n = read_file_at(AT_FDCWD, path, text, sizeof(text));

	return n < 0 ? (int)n : cpuset_parse(text, ret);
}

static int count(const char *path)
{
	struct cpuset set;

	return read_set(path, &set) < 0 ? 1 : (int)cpuset_count(&set);
}

int cpus_present(void)
{
	return count(CPU_DIR "present");
}

int cpus_online(void)
{
	return count(CPU_DIR "online");
}

static int set_one(int cpu, bool on, struct error *reterr)
{
	char path[96];
	int r;

	snprintf(path, sizeof(path), CPU_DIR "cpu%d/online", cpu);
	r = write_file_at(AT_FDCWD, path, on ? "1" : "0");
	return r < 0 ? error_errno(reterr, r, "CPU %d %s", cpu, on ? "online" : "offline") : 0;
}

int cpus_set_online(unsigned int n, struct error *reterr)
{
	struct cpuset present, online;
	int r = read_set(CPU_DIR "present", &present), seen = 0;

	if (r == 0)
		r = read_set(CPU_DIR "online", &online);
	if (r < 0)
		return error_errno(reterr, r, "CPUs of the guest");
	if (n > cpuset_count(&present))
		return error_set(reterr, -ERANGE, "%u CPUs online: the zone has %u", n,
				 cpuset_count(&present));
	for (int cpu = cpuset_next(&present, 0); cpu >= 0;
	     cpu = cpuset_next(&present, (unsigned int)cpu + 1)) {
		bool on = (unsigned int)seen++ < n;

		if (on == cpuset_has(&online, (unsigned int)cpu))
			continue;
		r = set_one(cpu, on, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_ext_server(int cpu, const char *what, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), EXT_SERVER "cpu%d/%s", cpu, what);
	return write_file_at(AT_FDCWD, path, value);
}

void cpus_limit_ext_server(void)
{
	struct cpuset present;

	if (read_set(CPU_DIR "present", &present) < 0)
		return;
	/* The time first: it may not be more than the period. */
	for (int cpu = cpuset_next(&present, 0); cpu >= 0;
	     cpu = cpuset_next(&present, (unsigned int)cpu + 1))
		if (set_ext_server(cpu, "runtime", EXT_SERVER_TIME) < 0 ||
		    set_ext_server(cpu, "period", EXT_SERVER_PERIOD) < 0)
			return; /* an older kernel has none */
}

/* SPDX-License-Identifier: MIT */
#include "kernel/procfs.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "kernel/kio.h"
#include "kernel/text.h"

#define USER_HZ	   100 /* fixed in the kernel's ABI on every architecture served here */
#define PF_KTHREAD 0x00200000

int proc_stat_parse(const char *text, struct proc_cpu_times *ret)
{
	/* user nice system idle iowait irq softirq steal; guest time is part of user */
	uint64_t v[8];
	const char *end = strchr(text, '\n'), *p = text + 4;
	const uint64_t tick = 1000000000 / USER_HZ;

	if (strncmp(text, "cpu ", 4) != 0 || !end)
		return -EINVAL;
	for (size_t i = 0; i < 8; i++)
		if (scan_u64(&p, end, &v[i]) < 0)
			return -EINVAL;
	*ret = (struct proc_cpu_times){
	    .busy_ns = (v[0] + v[1] + v[2] + v[5] + v[6]) * tick,
	    .idle_ns = (v[3] + v[4]) * tick,
	    .irq_ns = v[5] * tick,
	    .softirq_ns = v[6] * tick,
	    .steal_ns = v[7] * tick,
	};
	return 0;
}

int proc_cpu_times(const struct kernel *k, struct proc_cpu_times *ret)
{
	char buf[512];
	ssize_t n = kio_read_some_at(k->root_fd, "proc/stat", buf, sizeof(buf));

	return n < 0 ? (int)n : proc_stat_parse(buf, ret);
}

int proc_meminfo_parse(const char *text, uint64_t *ret_total_bytes, uint64_t *ret_available_bytes)
{
	uint64_t total, available;
	const struct text_key keys[] = {{"MemTotal", &total}, {"MemAvailable", &available}};
	int r = text_read_keys(text, keys, 2);

	if (r < 0)
		return r;
	if (r != 2)
		return -EINVAL;
	*ret_total_bytes = saturating_mul(total, 1024);
	*ret_available_bytes = saturating_mul(available, 1024);
	return 0;
}

int proc_meminfo(const struct kernel *k, uint64_t *ret_total_bytes, uint64_t *ret_available_bytes)
{
	char buf[8192];
	ssize_t n = kio_read_text_at(k->root_fd, "proc/meminfo", buf, sizeof(buf));

	return n < 0 ? (int)n : proc_meminfo_parse(buf, ret_total_bytes, ret_available_bytes);
}

/* A process that is gone is -ENOENT, whether its directory or only its task went away. */
static ssize_t read_pid_file(const struct kernel *k, pid_t pid, const char *file, char *buf,
			     size_t size)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "proc/%d/%s", pid, file);
	n = kio_read_some_at(k->root_fd, path, buf, size);
	return n == -ESRCH ? -ENOENT : n;
}

int proc_schedstat_parse(const char *text, uint64_t *ret_ns)
{
	const char *end = strchr(text, '\n'), *p = text;
	uint64_t run_ns, delay_ns;

	if (!end || scan_u64(&p, end, &run_ns) < 0 || scan_u64(&p, end, &delay_ns) < 0)
		return -EINVAL;
	*ret_ns = delay_ns;
	return 0;
}

int proc_run_delay_ns(const struct kernel *k, pid_t pid, pid_t tid, uint64_t *ret_ns)
{
	char buf[128], file[32] = "schedstat";
	ssize_t n;

	if (tid)
		snprintf(file, sizeof(file), "task/%d/schedstat", tid);
	n = read_pid_file(k, pid, file, buf, sizeof(buf));
	return n < 0 ? (int)n : proc_schedstat_parse(buf, ret_ns);
}

int proc_pid_stat_parse(const char *text, struct proc_pid_stat *ret)
{
	/* comm is free text, parentheses included: it ends at the last one */
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	unsigned long long start = 0;
	unsigned int flags;
	int ppid;
	size_t n;

	if (!open || !close || close < open || !strchr(close, '\n'))
		return -EINVAL;
	if (sscanf(
		close + 1,
		" %*c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		&ppid, &flags, &start) < 2)
		return -EINVAL;
	n = (size_t)(close - open - 1);
	*ret = (struct proc_pid_stat){
	    .ppid = ppid, .kthread = flags & PF_KTHREAD, .start_ticks = start};
	memcpy(ret->comm, open + 1, n < sizeof(ret->comm) ? n : sizeof(ret->comm) - 1);
	return 0;
}

int proc_pid_stat(const struct kernel *k, pid_t pid, struct proc_pid_stat *ret)
{
	char buf[1024];
	ssize_t n = read_pid_file(k, pid, "stat", buf, sizeof(buf));

	return n < 0 ? (int)n : proc_pid_stat_parse(buf, ret);
}

int proc_is_kthread(const struct kernel *k, pid_t pid, bool *ret)
{
	struct proc_pid_stat st;
	int r = proc_pid_stat(k, pid, &st);

	if (r < 0)
		return r;
	*ret = st.kthread;
	return 0;
}

static int read_line(const struct kernel *k, const char *path, char *buf, size_t size)
{
	ssize_t n = kio_read_text_at(k->root_fd, path, buf, size);

	if (n < 0)
		return (int)n;
	if (n == 0 || buf[n - 1] != '\n')
		return -EINVAL;
	buf[n - 1] = '\0';
	return 0;
}

int proc_boot_id(const struct kernel *k, char buf[37])
{
	char raw[64];
	int r = read_line(k, "proc/sys/kernel/random/boot_id", raw, sizeof(raw));

	if (r < 0)
		return r;
	if (strlen(raw) != 36)
		return -EINVAL;
	memcpy(buf, raw, 37);
	return 0;
}

int proc_kernel_release(const struct kernel *k, char *buf, size_t size)
{
	char raw[256];
	int r = read_line(k, "proc/sys/kernel/osrelease", raw, sizeof(raw));

	if (r < 0)
		return r;
	return str_copy(buf, size, raw) ? 0 : -E2BIG;
}

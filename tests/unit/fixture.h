/* SPDX-License-Identifier: MIT */
/* Captured machines (tests/fixtures), and the Nth kernel call failing. */
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include "kernel/cgroup.h"
#include "kernel/kernel.h"
#include "kernel/kio.h"

static inline void fixture_open(const char *name, struct kernel *k, struct cgroup_fs *fs)
{
	struct error err = {0};
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CZ_FIXTURES "/%s", name);
	assert_int_equal(kernel_open(path, k, &err), 0);
	assert_true(k->captured);
	if (fs)
		assert_int_equal(cgroup_fs_open(k, fs, &err), 0);
}

static inline void fixture_close(struct kernel *k, struct cgroup_fs *fs)
{
	if (fs)
		cgroup_fs_close(fs);
	kernel_close(k);
}

static inline unsigned int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Fails the `nth` call from now on (1: the next) with `code`; `burst` calls in a row. */
static struct {
	unsigned int nth, burst, calls;
	int code;
} faults;

static inline int fault_nth(enum kio_op op)
{
	unsigned int call = ++faults.calls;

	return call >= faults.nth && call < faults.nth + faults.burst ? faults.code : 0;
}

static inline void faults_begin(unsigned int nth, unsigned int burst, int code)
{
	faults.nth = nth;
	faults.burst = burst;
	faults.calls = 0;
	faults.code = code;
	kio_fault = fault_nth;
}

/* Was the fault reached? */
static inline bool faults_end(void)
{
	kio_fault = NULL;
	return faults.calls >= faults.nth;
}

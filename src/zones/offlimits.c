/* SPDX-License-Identifier: MIT */
/*
 * What is never acted on: the root, what keeps the host manageable, and what the configuration
 * names. Known from names of units, and from a look at all processes now and then, because without
 * systemd nothing in a path says that sshd runs there. A process marks its cgroup and all above it.
 *
 * A name proves little, so only root's processes outside of containers count: else a tenant could
 * call a process "dockerd" and be left alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "kernel/kio.h"
#include "kernel/procfs.h"
#include "zones/internal.h"

#define PROCESS_SCAN_EVERY_NS 30000000000ull

enum mark { MARK_CZD, MARK_INIT, MARK_SSHD, MARK_ENGINE, MARK_SYSTEMD, MARK_KTHREAD, MARK_NR };

static const char *const mark_why[MARK_NR] = {
    [MARK_CZD] = "czd runs in it",
    [MARK_INIT] = "process 1 runs in it",
    [MARK_SSHD] = "sshd runs in it",
    [MARK_ENGINE] = "a container or VM engine runs in it",
    [MARK_SYSTEMD] = "a service of systemd runs in it",
    [MARK_KTHREAD] = "kernel threads run in it",
};

/* Names of units that say it without a look at processes; what is below them is off-limits too.
 * Only names that systemd gave: a tenant could call a cgroup of its own sshd.service. */
static const struct {
	const char *pattern, *why;
} units[] = {
    {"init.scope", "process 1 runs in it"},
    {"systemd-nspawn@*.service", NULL}, /* a container, not a service of systemd */
    {"systemd-*.service", "a service of systemd"},
    {"dbus.service", "the system bus"},
    {"dbus-broker.service", "the system bus"},
    {"ssh.service", "sshd runs in it"},
    {"sshd.service", "sshd runs in it"},
    {"docker.service", "a container engine"},
    {"containerd.service", "a container engine"},
    {"crio.service", "a container engine"},
    {"podman.service", "a container engine"},
    {"kubelet.service", "the kubelet"},
    {"k3s.service", "the kubelet"},
    {"libvirtd.service", "the VM manager"},
    {"virtqemud.service", "the VM manager"},
    {"czd.service", "czd runs in it"},
};

static const struct {
	const char *comm; /* with '*' at the end: a prefix */
	enum mark mark;
	bool child_of_init; /* else it is a session's or a container's */
} processes[] = {
    {"czd", MARK_CZD, false},		{"sshd", MARK_SSHD, true},
    {"dockerd", MARK_ENGINE, false},	{"containerd", MARK_ENGINE, false},
    {"crio", MARK_ENGINE, false},	{"kubelet", MARK_ENGINE, false},
    {"k3s-server", MARK_ENGINE, false}, {"libvirtd", MARK_ENGINE, false},
    {"virtqemud", MARK_ENGINE, false},	{"systemd-*", MARK_SYSTEMD, true},
};

/* Kernel threads that work for one VM and sit in its cgroup on purpose. */
static const char *const vm_kthreads[] = {"vhost-*", "kvm-*"};

static bool comm_match(const char *pattern, const char *comm)
{
	size_t n = strlen(pattern);

	return pattern[n - 1] == '*' ? !strncmp(pattern, comm, n - 1) : !strcmp(pattern, comm);
}

static const char *unit_why(const struct zone *z)
{
	const char *leaf = strrchr(z->path, '/') + 1;

	if (!path_only_slices_above(z->path, leaf))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (path_glob_match(units[i].pattern, leaf))
			return z->kind == ZONE_CGROUP ? units[i].why : NULL;
	return NULL;
}

const char *offlimits_why(const struct zones *zs, const struct zone *z, bool *ret_inherits)
{
	const char *why;

	*ret_inherits = false;
	if (!z->parent)
		return "the root: everything runs in it";
	for (int m = 0; m < MARK_NR; m++)
		if (z->marks & 1u << m)
			return mark_why[m];
	*ret_inherits = true;
	if (z->parent->off_limits_inherits)
		return z->parent->off_limits_why;
	why = unit_why(z);
	if (why)
		return why;
	for (char **p = zs->cfg->off_limits; p && *p; p++)
		if (zone_pattern_match(*p, z))
			return "off-limits by configuration";
	*ret_inherits = false;
	return NULL;
}

static void mark_zone_of(struct zones *zs, pid_t pid, enum mark mark)
{
	char path[ZONE_PATH_MAX];
	struct zone *z;

	if (cgroup_path_of_pid(zs->k, zs->fs, CG_CPU, pid, path, sizeof(path)) < 0)
		return;
	z = tree_by_path(zs, path);
	if (!z || (z->kind != ZONE_CGROUP && mark != MARK_CZD))
		return;
	for (; z; z = z->parent)
		z->marks_new |= (uint8_t)(1u << mark);
}

static bool owned_by_root(const struct zones *zs, pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "proc/%d", pid);
	return kio_fstatat(zs->k->root_fd, path, &st) == 0 && st.st_uid == 0;
}

static void look_at_kthread(struct zones *zs, pid_t pid, const struct proc_pid_stat *st)
{
	for (size_t i = 0; i < ARRAY_SIZE(vm_kthreads); i++)
		if (comm_match(vm_kthreads[i], st->comm))
			return;
	mark_zone_of(zs, pid, MARK_KTHREAD);
}

static void look_at_process(struct zones *zs, pid_t pid)
{
	struct proc_pid_stat st;

	if (proc_pid_stat(zs->k, pid, &st) < 0)
		return;
	if (st.kthread) {
		look_at_kthread(zs, pid, &st);
		return;
	}
	if (pid == 1)
		mark_zone_of(zs, pid, MARK_INIT);
	if (pid == getpid() && !zs->k->captured)
		mark_zone_of(zs, pid, MARK_CZD);
	for (size_t i = 0; i < ARRAY_SIZE(processes); i++) {
		if (!comm_match(processes[i].comm, st.comm))
			continue;
		if ((!processes[i].child_of_init || st.ppid == 1) && owned_by_root(zs, pid))
			mark_zone_of(zs, pid, processes[i].mark);
		return;
	}
}

static void take_over(struct zones *zs)
{
	for (struct zone *z = zs->first; z; z = z->next) {
		if (z->marks == z->marks_new)
			continue;
		z->marks = z->marks_new;
		class_update_marks(zs, z);
	}
}

void offlimits_begin(struct zones *zs)
{
	int err = 0;

	zs->processes.next_ns = zs->now_ns + PROCESS_SCAN_EVERY_NS;
	for (struct zone *z = zs->first; z; z = z->next)
		z->marks_new = 0;
	zs->processes.dir = kio_opendir_at(zs->k->root_fd, "proc", &err);
	/* a captured tree may have no processes; and without fds the next look will do */
	zs->processes.done_once = zs->processes.done_once || !zs->processes.dir;
}

void offlimits_stop(struct zones *zs)
{
	if (zs->processes.dir)
		closedir(zs->processes.dir);
	zs->processes.dir = NULL;
}

bool offlimits_step(struct zones *zs)
{
	struct dirent *e;
	uint32_t pid;

	if (!zs->processes.dir)
		return false;
	e = readdir(zs->processes.dir);
	if (!e) {
		offlimits_stop(zs);
		zs->processes.done_once = true;
		take_over(zs);
	} else if (e->d_name[0] >= '0' && e->d_name[0] <= '9' && parse_u32(e->d_name, &pid) == 0) {
		look_at_process(zs, (pid_t)pid);
	}
	return true;
}

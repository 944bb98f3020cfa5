/* SPDX-License-Identifier: MIT */
/* What zones need beside czd: our own helpers, and a machine's programs and kernels. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "daemon/shape.h"
#include "daemon/zone-mgr.h"
#include "kernel/kimage.h"
#include "sched/policies.h"

#define POLICIES_MAX 64

/* Where they are, and who may say otherwise. */
static const struct {
	const char *env, *candidates[3];
} programs[] = {
    [VM_QEMU] = {"CZ_QEMU", {"/usr/bin/qemu-system-x86_64"}},
    [VM_VIRTIOFSD] = {"CZ_VIRTIOFSD", {"/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"}},
    [VM_QEMU_DATA] = {"CZ_QEMU_DATA", {NULL}},
};

const char *zone_program(enum vm_program which)
{
	const char *path = getenv(programs[which].env);

	for (size_t i = 0; !path && programs[which].candidates[i]; i++)
		if (access(programs[which].candidates[i], X_OK) == 0)
			path = programs[which].candidates[i];
	return path;
}

int zone_libexec_path(const struct zones_mgr *m, const char *name, char *buf, size_t size,
		      struct error *reterr)
{
	int r = str_printf(buf, size, "%s/%s", m->d->opt->libexec_dir, name);

	if (r == 0 && access(buf, X_OK) < 0)
		r = -errno;
	if (r < 0) {
		error_errno(reterr, r, "%s", buf);
		error_hint(reterr, "is Control Zone installed in full? From a build tree: ./dev "
				   "shell, or czd --libexec DIR");
	}
	return r;
}

static int kernels_dir(const struct zones_mgr *m, char *buf, size_t size)
{
	const char *set = getenv("CZ_KERNELS");

	return set && set[0] ? str_printf(buf, size, "%s", set)
			     : str_printf(buf, size, "%s/kernels", m->d->opt->state_dir);
}

/* One of those that are kept: a file, or a directory of its own. */
static int named_kernel(const struct zones_mgr *m, const char *name, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;
	char dir[4096], path[512];
	int r = kernels_dir(m, dir, sizeof(dir));

	if (r < 0)
		return r;
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : kimage_find(fd, name, path, sizeof(path));
	return str_printf(buf, size, "%s/%s", dir, r < 0 ? name : path) < 0 ? -ENAMETOOLONG : r;
}

int zone_kernel_path(const struct zones_mgr *m, const char *name, char *buf, size_t size,
		     struct error *reterr)
{
	int r;

	name = name ? name : getenv("CZ_KERNEL");
	if (name && strchr(name, '/'))
		r = str_printf(buf, size, "%s", name);
	else
		r = named_kernel(m, name ? name : "default", buf, size);
	if (r == 0 && access(buf, R_OK) < 0)
		r = -errno;
	if (r < 0) {
		error_errno(reterr, r, "kernel %s", buf);
		error_hint(reterr, "czctl kernel list shows those that are there; czctl kernel "
				   "fetch gets one");
	}
	return r;
}

/* --- what doctor says ---------------------------------------------------------------------- */

/* path NULL: it is not there, or is no file, and `text` says what that means. */
static void add(json_t *list, const char *name, const char *what, const char *path,
		const char *text)
{
	json_array_append_new(list, json_pack("{s:s,s:s,s:o,s:o}", "name", name, "what", what,
					      "path", path ? shape_text(path) : json_null(), "text",
					      shape_text(path ? path : text)));
}

static void add_helper(json_t *list, const struct zones_mgr *m, const char *name, const char *what)
{
	struct error e = {0};
	char path[4096];
	int r = zone_libexec_path(m, name, path, sizeof(path), &e);

	add(list, name, what, r < 0 ? NULL : path, e.msg);
}

static void add_program(json_t *list, enum vm_program which, const char *name, const char *absent)
{
	const char *path = zone_program(which);

	if (path && access(path, X_OK) < 0)
		add(list, name, name, NULL, "what the environment names cannot be run");
	else
		add(list, name, name, path, absent);
}

/* What the first start of a machine found out, and cz-vm noted (src/vm/kvm.c). */
static const char *kvm_text(const struct zones_mgr *m)
{
	char path[4096], text[16];
	struct utsname u;

	if (access("/dev/kvm", F_OK) < 0)
		return "no /dev/kvm: CPUs are emulated (TCG), and machines are slow";
	if (uname(&u) < 0 ||
	    str_printf(path, sizeof(path), "%s/kvm-%s", m->d->opt->state_dir, u.release) < 0 ||
	    read_file_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return "/dev/kvm is there; the first start tries whether a guest boots on it";
	return strcmp(text, "yes\n") == 0
		   ? "a guest was seen to boot on this kernel"
		   : "/dev/kvm is there, but no guest boots on it with this kernel: CPUs are "
		     "emulated (TCG), and machines are slow";
}

json_t *zone_machines_json(const struct zones_mgr *m)
{
	json_t *list = json_array();
	struct error e = {0};
	char path[4600];
	int r;

	add_helper(list, m, "cz-run", "zones of cgroups");
	add_helper(list, m, "cz-vm", "virtual machines");
	add_program(list, VM_QEMU, "QEMU", "none: install qemu-system-x86, or set CZ_QEMU");
	add(list, "KVM", "KVM", NULL, kvm_text(m));
	add_program(list, VM_VIRTIOFSD, "virtiofsd",
		    "none, and rootfs host, dir and oci need it: install qemu-system-common or "
		    "virtiofsd, or set CZ_VIRTIOFSD");
	r = zone_kernel_path(m, NULL, path, sizeof(path), &e);
	add(list, "kernel", "default kernel", r < 0 ? NULL : path, e.msg);
	r = kernels_dir(m, path, sizeof(path));
	add(list, "kernels", "kernels by name", r < 0 ? NULL : path, "the path is too long");
	add_helper(list, m, "cz-libvirt", "backend libvirt");
	return list;
}

static json_t *policy_json(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(policy_entries); i++)
		if (!strcmp(policy_entries[i].name, name))
			return json_pack("{s:s,s:s,s:s}", "name", name, "summary",
					 policy_entries[i].summary, "needs",
					 policy_entries[i].needs);
	return json_pack("{s:o,s:n,s:s}", "name", shape_text(name), "summary", "needs", "");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(json_string_value(json_object_get(*(json_t *const *)a, "name")),
		      json_string_value(json_object_get(*(json_t *const *)b, "name")));
}

/* What is there to be put into a guest: as initramfs_build() chooses. */
json_t *zone_policies_json(const struct zones_mgr *m)
{
	_cleanup_closedir_ DIR *dir = opendir(m->d->opt->libexec_dir);
	json_t *items[POLICIES_MAX], *rows = json_array();
	struct dirent *entry;
	size_t nr = 0;

	while (dir && nr < ARRAY_SIZE(items) && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "scx-", 4) && !strchr(entry->d_name, '.') &&
		    faccessat(dirfd(dir), entry->d_name, X_OK, 0) == 0)
			items[nr++] = policy_json(entry->d_name + 4);
	qsort(items, nr, sizeof(*items), by_name);
	for (size_t i = 0; i < nr; i++)
		json_array_append_new(rows, items[i]);
	return rows;
}

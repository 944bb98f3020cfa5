/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/io.h"
#include "base/parse.h"
#include "base/str.h"
#include "spec/zone-tree.h"

struct host_check {
	struct walk walk;
	const struct node *root;
	const struct zone_spec *spec;
	int rootfd;
};

static void complain(struct host_check *c, const char *path, const char *fmt, ...)
    printf_like(3, 4);
static void complain(struct host_check *c, const char *path, const char *fmt, ...)
{
	char msg[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	str_copy(c->walk.path, sizeof(c->walk.path), path);
	walk_complain(&c->walk, zone_tree_line(c->root, path), "%s", msg);
	c->walk.path[0] = 0;
}

static void check_cpus(struct host_check *c)
{
	const struct cpuset *wanted = &c->spec->resource.cpus;
	char text[8192], list[200];
	struct cpuset online, outside;

	if (read_file_at(c->rootfd, "sys/devices/system/cpu/online", text, sizeof(text)) < 0 ||
	    cpuset_parse(text, &online) < 0)
		return;
	cpuset_andnot(&outside, wanted, &online);
	if (!cpuset_count(&outside))
		return;
	text[strcspn(text, "\n")] = 0;
	if (cpuset_format(&outside, list, sizeof(list)) < 0)
		str_copy(list, sizeof(list), "many");
	complain(c, "resource.cpuset", "this host has no CPU %s (it has %.100s)", list, text);
}

static void check_memory(struct host_check *c)
{
	const char *path =
	    c->spec->resource.memory_max_bytes ? "resource.memoryMax" : "resource.memory";
	uint64_t wanted = zone_spec_memory_max(c->spec), kib;
	char text[4096], size[2][32];
	const char *p;

	if (read_file_at(c->rootfd, "proc/meminfo", text, sizeof(text)) < 0 ||
	    strncmp(text, "MemTotal:", 9))
		return;
	p = text + 9;
	if (scan_u64(&p, text + strlen(text), &kib) < 0 || wanted <= kib << 10)
		return;
	complain(c, path, "this host has %s, less than %s",
		 format_bytes(kib << 10, size[0], sizeof(size[0])),
		 format_bytes(wanted, size[1], sizeof(size[1])));
}

/* A kernel by name is looked for by czd, not here. */
static void check_path(struct host_check *c, const char *field, const char *path, mode_t type)
{
	char shown[200];
	struct stat st;

	if (!path || path[0] != '/')
		return;
	str_escape(shown, sizeof(shown), path);
	if (fstatat(c->rootfd, path + strspn(path, "/"), &st, 0) < 0)
		complain(c, field, "%s: %s", shown, strerror(errno));
	else if ((st.st_mode & S_IFMT) != type && (type == S_IFDIR || !S_ISBLK(st.st_mode)))
		complain(c, field, "%s is not a %s", shown, type == S_IFDIR ? "directory" : "file");
}

static void check_bridge(struct host_check *c)
{
	const char *bridge = c->spec->resource.net.bridge;
	char path[64];

	if (!bridge)
		return;
	snprintf(path, sizeof(path), "sys/class/net/%.15s/bridge", bridge);
	if (faccessat(c->rootfd, path, F_OK, 0) < 0)
		complain(c, "resource.net.bridge", "this host has no bridge %s", bridge);
}

static void check_resctrl(struct host_check *c)
{
	const struct zone_resource *r = &c->spec->resource;
	const char *const needs = "this host has no resctrl: it has no effect here";

	if (faccessat(c->rootfd, "sys/fs/resctrl/schemata", F_OK, 0) == 0)
		return;
	if (r->llc_mask)
		complain(c, "resource.llc", "%s", needs);
	if (r->membw_percent)
		complain(c, "resource.memoryBandwidth", "%s", needs);
}

size_t zone_spec_check_host(const struct zone_spec *s, int rootfd, const char *name,
			    const char *text, size_t len, struct error_list *found)
{
	static struct error_list ignored; /* large */
	_cleanup_(tree_freep) struct node *root = NULL;
	struct host_check c = {{.name = name, .errs = found}, NULL, s, rootfd};
	mode_t rootfs = s->os.rootfs_kind == ROOTFS_IMAGE ? S_IFREG : S_IFDIR;

	found->nr = found->total = ignored.nr = ignored.total = 0;
	if (text && tree_parse(name, text, len, &root, &ignored) == 0)
		c.root = root;
	check_cpus(&c);
	check_memory(&c);
	check_resctrl(&c);
	check_bridge(&c);
	check_path(&c, "os.kernel", s->os.kernel, S_IFREG);
	check_path(&c, "os.initramfs", s->os.initramfs, S_IFREG);
	check_path(&c, "os.rootfs", s->os.rootfs, rootfs);
	return found->total;
}

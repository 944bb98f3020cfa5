/* SPDX-License-Identifier: MIT */
/*
 * The older form (meta, os, resource) -> the new one: a new tree whose nodes keep their lines is
 * made from the old tree and read as any other, so that errors point into the old file.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/parse.h"
#include "base/str.h"
#include "spec/zone-convert.h"

struct old_key {
	const char *key;
	const char *to; /* path in the new form; NULL: has no place there, and `what` says why */
	void (*how)(struct convert *c, const struct node *n, const char *to); /* NULL: as it is */
	const char *what;
};

struct node *convert_add(struct convert *c, struct node *parent, enum node_kind kind,
			 const char *key, const char *text, uint32_t line)
{
	_cleanup_(tree_freep) struct node *n = calloc(1, sizeof(*n));

	if (!n || (key && !(n->key = strdup(key))) || (text && !(n->text = strdup(text)))) {
		c->walk.code = -ENOMEM;
		return NULL;
	}
	n->kind = kind;
	n->line = n->key_line = line;
	n->quoted = true; /* what was absent has been left out already */
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	return TAKE_PTR(n);
}

static struct node *child(struct node *parent, const char *key)
{
	struct node *n = parent->first;

	while (n && (!n->key || strcmp(n->key, key)))
		n = n->next;
	return n;
}

/* The mapping that holds the last component of path below root; *ret_key is that component. */
static struct node *make_way(struct convert *c, struct node *at, const char *path, uint32_t line,
			     const char **ret_key)
{
	const char *dot;
	char key[32];

	for (; at && (dot = strchr(path, '.')); path = dot + 1) {
		struct node *next;

		snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
		next = child(at, key);
		at = next ? next : convert_add(c, at, NODE_MAPPING, key, NULL, line);
	}
	*ret_key = path;
	return at;
}

void convert_put(struct convert *c, struct node *root, const char *path, const char *text,
		 uint32_t line)
{
	const char *key;
	struct node *parent = make_way(c, root, path, line, &key);

	if (parent)
		convert_add(c, parent, NODE_SCALAR, key, text, line);
}

void convert_copy(struct convert *c, const struct node *n, struct node *parent, const char *key)
{
	struct node *copy = convert_add(c, parent, n->kind, key, n->text, n->line);

	if (!copy)
		return;
	copy->quoted = n->quoted;
	for (const struct node *e = n->first; e; e = e->next)
		convert_copy(c, e, copy, e->key);
}

static void copy_to(struct convert *c, const struct node *n, const char *to)
{
	const char *key;
	struct node *parent = make_way(c, c->root, to, n->line, &key);

	if (parent)
		convert_copy(c, n, parent, key);
}

/* MiB, unless a unit says otherwise. */
static void memory(struct convert *c, const struct node *n, const char *to)
{
	char text[64];
	uint64_t mib;

	snprintf(text, sizeof(text), "%.40s%s", n->text, parse_u64(n->text, &mib) == 0 ? "Mi" : "");
	convert_put(c, c->root, to, text, n->line);
}

/* Parts that begin with a blank were ignored once; here they count. */
static void cpus(struct convert *c, const struct node *n, const char *to)
{
	_cleanup_(strbuf_done) struct strbuf b = {0};

	for (const char *p = n->text; *p; p++)
		if (*p != ' ')
			strbuf_add(&b, p, 1);
	if (b.len != strlen(n->text))
		CONVERT_NOTE(c, n->line,
			     "cpuset: CPUs after a blank were ignored in the older form; now "
			     "they count");
	convert_put(c, c->root, to, b.data ? b.data : "", n->line);
}

/* "QUOTA PERIOD" of cgroups, or what the new form takes. */
static void cpu_max(struct convert *c, const struct node *n, const char *to)
{
	char quota_text[24], text[64];
	const char *blank = strchr(n->text, ' ');
	uint64_t quota, period;

	if (!strncmp(n->text, "max", 3))
		return;
	if (!blank || blank - n->text >= (long)sizeof(quota_text)) {
		convert_put(c, c->root, to, n->text, n->line);
		return;
	}
	snprintf(quota_text, sizeof(quota_text), "%.*s", (int)(blank - n->text), n->text);
	if (parse_u64(quota_text, &quota) < 0 || parse_u64(blank + 1, &period) < 0 || !period ||
	    quota > UINT64_MAX / 1000000) {
		walk_complain(&c->walk, n->line,
			      "cpu.max: expected 'QUOTA PERIOD' in microseconds");
		return;
	}
	quota = quota * 1000000 / period; /* ppm */
	snprintf(text, sizeof(text), "%" PRIu64 ".%06" PRIu64, quota / 1000000, quota % 1000000);
	convert_put(c, c->root, to, text, n->line);
}

static void microseconds(struct convert *c, const struct node *n, const char *to)
{
	char text[64];
	uint64_t us;

	snprintf(text, sizeof(text), "%.40s%s", n->text, parse_u64(n->text, &us) == 0 ? "us" : "");
	convert_put(c, c->root, to, text, n->line);
}

static void mask(struct convert *c, const struct node *n, const char *to)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%.40s", strncmp(n->text, "0x", 2) ? "0x" : "", n->text);
	convert_put(c, c->root, to, text, n->line);
}

static void runtime(struct convert *c, const struct node *n, const char *to)
{
	bool libvirt = !strncmp(n->text, "libvirt", 7);
	char shown[80];

	if (!libvirt && strcmp(n->text, "qemu"))
		CONVERT_NOTE(c, n->line, "vrun: '%s' is not supported; QEMU is used",
			     str_escape(shown, sizeof(shown), n->text));
	convert_put(c, c->root, to, libvirt ? "libvirt" : "qemu", n->line);
}

/* Of n's section, as a number; otherwise what it is by default. */
static uint64_t number_near(const struct node *section, const char *key, uint64_t otherwise)
{
	uint64_t v;

	for (const struct node *e = section->first; e; e = e->next)
		if (!strcmp(e->key, key) && e->kind == NODE_SCALAR && parse_u64(e->text, &v) == 0)
			return v;
	return otherwise;
}

/* Tokens that are filled up within a time -> tokens a second. */
static void bucket(struct convert *c, const struct node *n, const char *to, const char *time_key)
{
	const struct node *sections[] = {zone_tree_find(c->old, "resource"),
					 zone_tree_find(c->old, "hypervisor")};
	uint64_t size, refill_ms = 1000;
	char text[32];

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		if (sections[i] && sections[i]->kind == NODE_MAPPING)
			refill_ms = number_near(sections[i], time_key, refill_ms);
	if (parse_u64(n->text, &size) < 0 || !refill_ms || size > UINT64_MAX / 1000) {
		walk_complain(&c->walk, n->line, "%s: expected a whole number", n->key);
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64, size * 1000 / refill_ms);
	convert_put(c, c->root, to, text, n->line);
}

static void bytes_bucket(struct convert *c, const struct node *n, const char *to)
{
	bucket(c, n, to, "bw_refill_time");
}

static void ops_bucket(struct convert *c, const struct node *n, const char *to)
{
	bucket(c, n, to, "ops_refill_time");
}

/* Read together with its size. */
static void refill_time(struct convert *c, const struct node *n, const char *to)
{
}

const char *convert_text(const struct node *map, const char *key)
{
	for (const struct node *e = map->first; e; e = e->next)
		if (e->key && !strcmp(e->key, key) && e->kind == NODE_SCALAR)
			return e->text;
	return NULL;
}

static void static_net(struct convert *c, const struct node *n, const char *to)
{
	const char *address = convert_text(n, "address"), *netmask = convert_text(n, "netmask");
	const char *gateway = convert_text(n, "gateway");
	struct in_addr bits;
	char text[64];
	uint32_t v;

	if (!address || !netmask || inet_pton(AF_INET, netmask, &bits) != 1 ||
	    (v = ~ntohl(bits.s_addr), v & (v + 1))) {
		walk_complain(&c->walk, n->line, "static_net: expected address, netmask, gateway");
		return;
	}
	snprintf(text, sizeof(text), "%.40s/%d", address, 32 - __builtin_popcount(v));
	convert_put(c, c->root, "resource.net.mode", "bridge", n->line);
	convert_put(c, c->root, "resource.net.bridge", "br0", n->line);
	convert_put(c, c->root, "resource.net.address", text, n->line);
	if (gateway)
		convert_put(c, c->root, "resource.net.gateway", gateway, n->line);
}

static const struct old_key meta_keys[] = {
    {"name", "metadata.name", NULL, NULL},
    {"label", "metadata.labels", copy_to, NULL},
    {"vrun", "os.backend", runtime, NULL},
    {"initramfs", "os.initramfs", NULL, NULL},
    {"rootfs", "os.rootfs.image", NULL, NULL},
    {"kcmdline", "os.cmdline", NULL, NULL},
    {"apps", "apps", convert_apps, NULL},
    {"workdir", NULL, NULL, "czd has directories of its own"},
    {"share_folder", NULL, NULL, "host and guest talk through a channel"},
    {"full_config", NULL, NULL, "see czctl spec explain -f"},
    {0},
};
static const struct old_key os_keys[] = {
    {"kernel", "os.kernel", NULL, NULL},       {"initram_fs", "os.initramfs", NULL, NULL},
    {"initramfs", "os.initramfs", NULL, NULL}, {"rootfs", "os.rootfs.image", NULL, NULL},
    {"kcmdline", "os.cmdline", NULL, NULL},    {0},
};
static const struct old_key resource_keys[] = {
    {"cpuset", "resource.cpuset", cpus, NULL},
    {"cpuset.cpus", "resource.cpuset", cpus, NULL},
    {"cpuset.mems", NULL, NULL, "memory comes from the nodes of the CPUs"},
    {"cpu.max", "resource.cpu.max", cpu_max, NULL},
    {"cpu.max.burst", "resource.cpu.burst", microseconds, NULL},
    {"memory", "resource.memory", memory, NULL},
    {"llc mask", "resource.llc", mask, NULL},
    {"llc_mask", "resource.llc", mask, NULL},
    {"static_net", "resource.net", static_net, NULL},
    {"bw_size", "resource.io.bytes", bytes_bucket, NULL},
    {"bw_one_time_burst", "resource.io.bytesBurst", NULL, NULL},
    {"bw_refill_time", "resource.io.bytes", refill_time, NULL},
    {"ops_size", "resource.io.ops", ops_bucket, NULL},
    {"ops_one_time_burst", "resource.io.opsBurst", NULL, NULL},
    {"ops_refill_time", "resource.io.ops", refill_time, NULL},
    {0},
};

static const struct section {
	const char *key;
	const struct old_key *keys;
} sections[] = {
    {"meta", meta_keys},
    {"os", os_keys},
    {"resource", resource_keys},
    {"hypervisor", resource_keys},
    {0},
};

static bool takes_mapping(const struct old_key *k)
{
	return k->how == copy_to || k->how == static_net || k->how == convert_apps;
}

static void convert_entry(struct convert *c, const struct node *e, const struct old_key *keys)
{
	const struct old_key *k = keys;

	while (k->key && strcmp(k->key, e->key))
		k++;
	if (!k->key)
		walk_unknown_key(&c->walk, e, keys, sizeof(*keys));
	else if (walk_is_absent(e) || (e->kind == NODE_SCALAR && !e->text[0]))
		return;
	else if (!k->to)
		CONVERT_NOTE(c, e->key_line, "'%s' is left out: %s", k->key, k->what);
	else if ((e->kind == NODE_SCALAR) == takes_mapping(k))
		walk_complain(&c->walk, e->line, "%s: expected %s here", k->key,
			      takes_mapping(k) ? "entries" : "one value");
	else if (k->how)
		k->how(c, e, k->to);
	else
		convert_put(c, c->root, k->to, e->text, e->line);
}

static void convert_section(struct convert *c, const struct node *n)
{
	const struct section *s = sections;
	size_t before;

	while (s->key && strcmp(s->key, n->key))
		s++;
	if (!s->key && !strcmp(n->key, "apps")) {
		convert_apps(c, n, "apps");
		return;
	}
	if (!s->key) {
		walk_unknown_key(&c->walk, n, sections, sizeof(sections[0]));
		return;
	}
	before = walk_enter(&c->walk, s->key);
	if (n->kind != NODE_MAPPING && !walk_is_absent(n))
		walk_complain(&c->walk, n->line, "expected entries such as '%s: ...' here",
			      s->keys[0].key);
	for (const struct node *e = n->kind == NODE_MAPPING ? n->first : NULL; e; e = e->next)
		convert_entry(c, e, s->keys);
	walk_leave(&c->walk, before);
}

/* "/etc/zones/web.yaml" is called web. */
static void name_from_file(struct convert *c)
{
	const char *slash = strrchr(c->walk.name, '/');
	char name[256], *dot;

	str_copy(name, sizeof(name), slash ? slash + 1 : c->walk.name);
	dot = strrchr(name, '.');
	if (dot && dot != name)
		*dot = 0;
	convert_put(c, c->root, "metadata.name", name, 1);
	CONVERT_NOTE(c, 0, "named after the file");
}

static void convert(struct convert *c)
{
	convert_put(c, c->root, "apiVersion", "cz/v1", 1);
	convert_put(c, c->root, "kind", "Zone", 1);
	for (const struct node *n = c->old->first; n; n = n->next)
		convert_section(c, n);
	if (!zone_tree_find(c->root, "metadata.name"))
		name_from_file(c);
	if (!zone_tree_find(c->root, "resource.net")) {
		convert_put(c, c->root, "resource.net.mode", "user", 1);
		CONVERT_NOTE(c, 0, "the default network of the older form becomes net.mode user");
	}
}

int zone_spec_convert(const char *name, const char *text, size_t len, struct zone_spec *ret,
		      struct error_list *errs, struct error_list *notes)
{
	_cleanup_(tree_freep) struct node *old = NULL, *root = calloc(1, sizeof(*root));
	struct convert c = {.walk = {.name = name, .errs = errs}, .notes = notes, .root = root};
	int r;

	errs->nr = errs->total = notes->nr = notes->total = 0;
	r = root ? tree_parse(name, text, len, &old, errs) : -ENOMEM;
	if (r == -ENOMEM)
		return walk_fail(errs, name, r, strerror(-r));
	if (r < 0)
		return r;
	if (!zone_tree_is_old(old))
		return walk_fail(errs, name, -EINVAL,
				 "not in the older form (meta, os, resource): nothing to convert");
	root->kind = NODE_MAPPING;
	root->line = 1;
	c.old = old;
	convert(&c);
	return zone_tree_read(&c.walk, root, ret);
}

bool zone_spec_is_old(const char *text, size_t len)
{
	static struct error_list errs; /* large */
	_cleanup_(tree_freep) struct node *root = NULL;

	errs.nr = errs.total = 0;
	return tree_parse("", text, len, &root, &errs) == 0 && zone_tree_is_old(root);
}

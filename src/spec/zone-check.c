/* SPDX-License-Identifier: MIT */
/* What a single field cannot know: whether it agrees with the others. */
#include <string.h>
#include "base/str.h"
#include "spec/zone-tree.h"

struct check {
	struct walk *walk;
	const struct node *root;
	const struct zone_spec *spec;
};

/* Complain about the field at path; fmt tells the rest of the sentence. */
#define WRONG(c, field, ...)                                                                       \
	do {                                                                                       \
		str_copy((c)->walk->path, sizeof((c)->walk->path), field);                         \
		walk_complain((c)->walk, zone_tree_line((c)->root, field), __VA_ARGS__);           \
		(c)->walk->path[0] = 0;                                                            \
	} while (0)

static const struct node *step(const struct node *n, const char *path, size_t len)
{
	size_t index = 0;

	if (path[0] == '[') {
		for (const char *p = path + 1; *p >= '0' && *p <= '9' && index < 4096; p++)
			index = index * 10 + (size_t)(*p - '0');
		for (n = n->kind == NODE_SEQUENCE ? n->first : NULL; n && index; index--)
			n = n->next;
		return n;
	}
	for (n = n->kind == NODE_MAPPING ? n->first : NULL; n; n = n->next)
		if (strlen(n->key) == len && !strncmp(n->key, path, len))
			return n;
	return NULL;
}

static const struct node *find(const struct node *n, const char *path, bool *ret_all)
{
	const struct node *next;
	size_t len;

	for (*ret_all = true; n && *path; path += len) {
		path += *path == '.';
		len = path[0] == '[' ? strcspn(path, "]") + 1 : strcspn(path, ".[");
		next = len <= strlen(path) ? step(n, path, len) : NULL;
		if (!next) {
			*ret_all = false;
			return n;
		}
		n = next;
	}
	return n;
}

const struct node *zone_tree_find(const struct node *root, const char *path)
{
	bool all;
	const struct node *n = find(root, path, &all);

	return all ? n : NULL;
}

uint32_t zone_tree_line(const struct node *root, const char *path)
{
	bool all;
	const struct node *n = find(root, path, &all);

	return n ? n->line : 0;
}

/* What is wrong with a field that is there; NULL: nothing, *ret_fits: nor with what it holds. */
typedef const char *(*field_judge)(const char *path, const struct zone_field *f, bool *ret_fits);

static void check_present(struct check *c, const struct node *n, const struct zone_field *fields,
			  field_judge judge)
{
	for (const struct zone_field *f = fields; f->key; f++) {
		const struct node *e = step(n, f->key, strlen(f->key));
		const char *wrong;
		bool fits = false;
		size_t before;

		if (!e || walk_is_absent(e))
			continue;
		before = walk_enter(c->walk, f->key);
		wrong = judge(c->walk->path, f, &fits);
		if (wrong)
			walk_complain(c->walk, e->key_line, "%s", wrong);
		else if (!fits && f->type == FIELD_SECTION)
			check_present(c, e, f->sub, judge);
		walk_leave(c->walk, before);
	}
}

/* A zone of runtime cgroup has no machine of its own. */
static const char *judge_cgroup(const char *path, const struct zone_field *f, bool *ret_fits)
{
	*ret_fits = false;
	return f->flags & FIELD_VM_ONLY ? "is for zones of runtime vm" : NULL;
}

/* Of a machine that somebody else made all but this is as it is. */
static bool fits_adopted(const char *path)
{
	static const char *const fields[] = {"apiVersion",
					     "kind",
					     "metadata",
					     "class",
					     "slo",
					     "runtime",
					     "restart",
					     "resource.cpuset",
					     "resource.cpu.max",
					     "resource.cpu.weight",
					     "resource.exclusive",
					     "os.backend",
					     "os.adopt"};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(path, fields[i]))
			return true;
	return false;
}

static const char *judge_adopted(const char *path, const struct zone_field *f, bool *ret_fits)
{
	*ret_fits = fits_adopted(path);
	return *ret_fits || f->type == FIELD_SECTION
		   ? NULL
		   : "is the domain's own, which os.adopt takes as it is";
}

static void check_class(struct check *c)
{
	const struct zone_spec *s = c->spec;

	if (slo_is_set(&s->slo) && s->class != CLASS_LC)
		WRONG(c, "slo", "needs class lc; this zone's class is %s",
		      zone_class_name(s->class));
}

static void check_cpu(struct check *c)
{
	const struct zone_resource *r = &c->spec->resource;
	bool vm = c->spec->runtime == RUNTIME_VM;

	if (r->exclusive_cpus && !cpuset_count(&r->cpus))
		WRONG(c, "resource.exclusive", "needs a cpuset");
	if (vm && !r->vcpus && cpuset_count(&r->cpus) > ZONE_VCPUS_MAX)
		WRONG(c, "resource.cpuset",
		      "has more CPUs than a zone may have vcpus (%d): set vcpus", ZONE_VCPUS_MAX);
	else if (r->vcpus_max && zone_spec_vcpus(c->spec) > r->vcpus_max)
		WRONG(c, "resource.vcpusMax", "%u is less than vcpus (%u)", r->vcpus_max,
		      zone_spec_vcpus(c->spec));
	if (vm && r->cpu_max_ppm > 1000000)
		WRONG(c, "resource.cpu.max", "is for each vCPU, so at most 1 CPU (100%%)");
	if (r->cpu_burst_us && !r->cpu_max_ppm)
		WRONG(c, "resource.cpu.burst", "needs cpu.max");
}

static void check_memory(struct check *c)
{
	const struct zone_resource *r = &c->spec->resource;

	if (c->spec->runtime == RUNTIME_VM && r->memory_bytes && r->memory_bytes < 64ull << 20)
		WRONG(c, "resource.memory", "a virtual machine needs 64Mi or more");
	if (r->memory_max_bytes && r->memory_max_bytes < zone_spec_memory(c->spec))
		WRONG(c, "resource.memoryMax", "is less than memory");
	if (r->io.bytes_burst && !r->io.bytes_per_s)
		WRONG(c, "resource.io.bytesBurst", "needs io.bytes");
	if (r->io.ops_burst && !r->io.ops_per_s)
		WRONG(c, "resource.io.opsBurst", "needs io.ops");
}

static void check_net(struct check *c)
{
	const struct zone_net *net = &c->spec->resource.net;
	bool wired = net->mode == NET_TAP || net->mode == NET_BRIDGE;

	if (net->address && !wired)
		WRONG(c, "resource.net.address", "needs mode tap or bridge");
	if (net->gateway && !net->address)
		WRONG(c, "resource.net.gateway", "needs address");
	if (net->dns && net->mode == NET_NONE)
		WRONG(c, "resource.net.dns", "needs a mode other than none");
	if (net->bridge && net->mode != NET_BRIDGE)
		WRONG(c, "resource.net.bridge", "needs mode bridge");
	if (!net->bridge && net->mode == NET_BRIDGE)
		WRONG(c, "resource.net.mode", "bridge needs 'bridge: NAME'");
	if (net->nr_forward && net->mode != NET_USER)
		WRONG(c, "resource.net.forward", "needs mode user");
}

/* What a zone is never given, whoever asks: secrets, other people's files, kernel interfaces, and
 * places where the guest mounts its own. */
static bool share_allowed(const char *path)
{
	static const char *const never[] = {"/etc",  "/root", "/home", "/boot", "/run",
					    "/proc", "/sys",  "/dev",  "/tmp"};
	size_t n;

	if (path[0] != '/' || !path[1] || strstr(path, "//") || strstr(path, "/.") ||
	    path[strlen(path) - 1] == '/' || strlen(path) > 250)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		n = strlen(never[i]);
		if (!strncmp(path, never[i], n) && (!path[n] || path[n] == '/'))
			return false;
	}
	return true;
}

static void check_share(struct check *c)
{
	const struct zone_os *os = &c->spec->os;

	if (os->share && os->rootfs_kind != ROOTFS_HOST)
		WRONG(c, "os.share", "needs rootfs host");
	for (size_t i = 0; os->share && os->share[i]; i++) {
		if (!share_allowed(os->share[i]))
			WRONG(c, "os.share",
			      "'%s' can't be shared (czctl spec explain os.share says what can)",
			      os->share[i]);
	}
}

static void check_os(struct check *c)
{
	const struct zone_os *os = &c->spec->os;

	check_share(c);

	if (os->backend == BACKEND_LIBVIRT && os->machine == MACHINE_MICROVM)
		WRONG(c, "os.machine", "microvm needs backend qemu");
	if (os->adopt && os->backend != BACKEND_LIBVIRT)
		WRONG(c, "os.adopt", "needs backend libvirt");
	if (os->cmdline && (!strncmp(os->cmdline, "cz.", 3) || strstr(os->cmdline, " cz.")))
		WRONG(c, "os.cmdline", "parameters that begin with 'cz.' are czd's own");
}

static void check_sched(struct check *c)
{
	const struct zone_sched *s = &c->spec->sched;
	bool own = s->policy && strcmp(s->policy, "none");

	if (s->options && !own)
		WRONG(c, "scheduler.options", "needs a policy");
	if (s->on_harm && !own)
		WRONG(c, "scheduler.onHarm", "needs a policy to switch to");
	if (s->on_harm && s->nr_rules)
		WRONG(c, "scheduler.onHarm", "cannot go with rules: one of the two decides");
	for (size_t i = 0; i + 1 < s->nr_rules; i++)
		if (!s->rules[i].below_ppm)
			WRONG(c, "scheduler.rules",
			      "rule %zu holds at any load, so those after it never do: give it "
			      "'below'",
			      i + 1);
}

/* WRONG for a field of app number i. */
#define WRONG_APP(c, i, key, ...)                                                                  \
	do {                                                                                       \
		char _path[64];                                                                    \
		snprintf(_path, sizeof(_path), "apps[%zu].%s", i, key);                            \
		WRONG(c, _path, __VA_ARGS__);                                                      \
	} while (0)

static void check_app_cpus(struct check *c, size_t i)
{
	const struct zone_spec *s = c->spec;
	const struct cpuset *cpus = &s->apps[i].cpus;
	struct cpuset outside;

	if (s->runtime == RUNTIME_VM) {
		if (cpuset_next(cpus, zone_spec_vcpus_max(s)) >= 0)
			WRONG_APP(c, i, "cpuset", "the zone has CPUs 0 to %u",
				  zone_spec_vcpus_max(s) - 1);
		return;
	}
	cpuset_andnot(&outside, cpus, &s->resource.cpus);
	if (cpuset_count(&s->resource.cpus) && cpuset_count(&outside))
		WRONG_APP(c, i, "cpuset", "has CPUs that the zone's cpuset has not");
}

static void check_threads(struct check *c, size_t i)
{
	const struct zone_app *a = &c->spec->apps[i];
	char key[40];

	if (a->nr_threads && c->spec->runtime != RUNTIME_VM)
		WRONG_APP(c, i, "threads", "is for zones of runtime vm");
	for (size_t k = 1; k < a->nr_threads; k++) {
		for (size_t above = 0; above < k; above++) {
			const char *name = a->threads[above].name;

			if (strcmp(name, "*") && strcmp(name, a->threads[k].name))
				continue;
			snprintf(key, sizeof(key), "threads[%zu].name", k);
			WRONG_APP(c, i, key, "rule %zu takes these threads already", above + 1);
			break;
		}
	}
}

/* A cgroup zone has a group of each of its apps, and these of its own beside them. */
static void check_cgroup_app(struct check *c, size_t i)
{
	static const char *const taken[] = {"cz-run", "cz-exec"};
	const struct zone_app *a = &c->spec->apps[i];

	if (c->spec->runtime != RUNTIME_CGROUP)
		return;
	for (size_t k = 0; k < ARRAY_SIZE(taken); k++)
		if (!strcmp(a->name, taken[k]))
			WRONG_APP(c, i, "name", "no app may be called %s", taken[k]);
	if (a->bundle)
		WRONG_APP(c, i, "bundle", "is for zones of runtime vm");
}

static void check_app(struct check *c, size_t i)
{
	const struct zone_spec *s = c->spec;
	const struct zone_app *a = &s->apps[i];
	char path[64];
	uint64_t memory = zone_spec_memory_max(s);

	for (size_t k = 0; k < i; k++)
		if (!strcmp(s->apps[k].name, a->name))
			WRONG_APP(c, i, "name", "'%s' is the name of an app above", a->name);
	if (!a->command == !a->bundle)
		WRONG_APP(c, i, "command",
			  a->command ? "an app has either a command or a bundle"
				     : "'command' or 'bundle' is missing");
	if (a->bundle && a->user)
		WRONG_APP(c, i, "user", "is said by the bundle's own config.json");
	if (memory && a->memory_bytes > memory)
		WRONG_APP(c, i, "memory", "is more than the zone has");
	check_app_cpus(c, i);
	check_threads(c, i);
	check_cgroup_app(c, i);
	snprintf(path, sizeof(path), "apps[%zu].health.period", i);
	if (!a->health && zone_tree_find(c->root, path))
		WRONG(c, path, "needs health.command");
}

static void check_size(struct check *c)
{
	_cleanup_free_ char *text = NULL;
	json_t *json = zone_spec_json(c->spec);

	if (json)
		text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(json);
	if (!text)
		c->walk->code = -ENOMEM;
	else if (strlen(text) > ZONE_SPEC_JSON_MAX)
		walk_complain(c->walk, 0,
			      "all texts together are %zu bytes; at most %u are possible",
			      strlen(text), ZONE_SPEC_JSON_MAX);
}

void zone_tree_check(struct walk *w, const struct node *root, const struct zone_spec *s)
{
	struct check c = {w, root, s};

	if (s->runtime == RUNTIME_CGROUP)
		check_present(&c, root, zone_fields, judge_cgroup);
	else if (s->os.adopt)
		check_present(&c, root, zone_fields, judge_adopted);
	check_class(&c);
	check_cpu(&c);
	check_memory(&c);
	check_net(&c);
	check_os(&c);
	check_sched(&c);
	for (size_t i = 0; i < s->nr_apps; i++)
		check_app(&c, i);
	if (!w->errs->total)
		check_size(&c);
}

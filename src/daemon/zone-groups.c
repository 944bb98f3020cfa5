/* SPDX-License-Identifier: MIT */
/*
 * The cgroups of a zone: /cz-zones/NAME with `main` (the supervisor and QEMU) and `vcpuN`, or with
 * `cz-run` and a group for each app. Desired state: no lease, no journal, and no change to verify.
 *
 * Another czd may have a zone of the same name, and thus a group of the same path. Which one is
 * ours RUN_DIR/zones/NAME/group says, "BOOT_ID ID"; no other is killed or removed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "actuate/zone-limits.h"
#include "actuate/zone-make.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/zone-mgr.h"

/* QEMU and its translated code come on top of what the guest has. */
#define VM_MEMORY_EXTRA (1ull << 30)
#define LIMITS_ASK_NS	30000000000ull
#define MARK_MAX	80

static bool is_vm(const struct applied *z)
{
	return z->spec.runtime == RUNTIME_VM;
}

static bool is_there(const struct cgroup_fs *fs, const char *path)
{
	_cleanup_close_ int dirfd = cgroup_open(fs, CG_CPU, path, 0);

	return dirfd >= 0;
}

/* Also over what an interrupted removal left in some of the hierarchies. */
static int make(const struct applied *z, const char *path, bool threaded, struct error *reterr)
{
	const struct cgroup_fs *fs = &z->m->d->fs;
	struct zone_make_options o = {.threaded = threaded};
	uint64_t id;
	int r;

	if (is_there(fs, path))
		return 0;
	r = zone_make(fs, path, &o, &id, reterr);
	if (r == -EEXIST && zone_remove_tree(fs, path) == 0)
		r = zone_make(fs, path, &o, &id, reterr);
	return r;
}

static int make_below(const struct applied *z, const char *name, struct error *reterr)
{
	char path[ZONE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", z->path, name);
	return make(z, path, is_vm(z), reterr);
}

int zone_app_groups(struct applied *z, struct error *reterr)
{
	int r = 0;

	for (size_t i = 0; !is_vm(z) && r == 0 && i < z->spec.nr_apps; i++)
		r = make_below(z, z->spec.apps[i].name, reterr);
	return r;
}

/* What the group that is there is known by. */
static int mark_of(const struct applied *z, char text[static MARK_MAX])
{
	const struct daemon *d = z->m->d;
	_cleanup_close_ int fd = cgroup_open(&d->fs, CG_CPU, z->path, 0);
	char boot[37];
	uint64_t id;
	int r = fd < 0 ? fd : cgroup_id_at(fd, &id);

	if (r == 0)
		r = proc_boot_id(&d->kernel, boot);
	return r < 0 ? r : str_printf(text, MARK_MAX, "%s %" PRIu64 "\n", boot, id);
}

static void mark_path(const struct applied *z, char path[static ZONE_SPEC_NAME_MAX + 16])
{
	snprintf(path, ZONE_SPEC_NAME_MAX + 16, "%s/group", z->name);
}

bool zone_owns_groups(const struct applied *z)
{
	char path[ZONE_SPEC_NAME_MAX + 16], is[MARK_MAX], ours[MARK_MAX];

	mark_path(z, path);
	return mark_of(z, is) == 0 &&
	       read_file_at(z->m->run_dirfd, path, ours, sizeof(ours)) >= 0 && !strcmp(is, ours);
}

int zone_mark_groups(const struct applied *z, struct error *reterr)
{
	char path[ZONE_SPEC_NAME_MAX + 16], text[MARK_MAX];
	int r = mark_of(z, text);

	mark_path(z, path);
	if (r == 0)
		r = write_file_atomic(z->m->run_dirfd, path, text, strlen(text), 0600);
	return r < 0 ? error_errno(reterr, r, "note that %s is ours", z->path) : 0;
}

int zone_path_is_free(const struct applied *z, struct error *reterr)
{
	/* Where nothing runs nothing is lost. */
	if (!is_there(&z->m->d->fs, z->path) || zone_remove_tree(&z->m->d->fs, z->path) == 0)
		return 0;
	error_set(reterr, -EBUSY, "something runs in %s already", z->path);
	if (zone_owns_groups(z))
		error_hint(reterr, "left by zone %s: czctl remove %s ends it", z->name, z->name);
	else
		error_hint(reterr, "another czd's zone of that name? See: czctl list --all");
	return -EBUSY;
}

int zone_make_groups(struct applied *z, struct error *reterr)
{
	char name[16];
	int r;

	made_prepare(z->m->d);
	r = make(z, ZONES_PARENT, false, reterr);
	if (r == 0)
		r = make(z, z->path, false, reterr);
	if (r == 0) {
		z->groups = true;
		r = zone_mark_groups(z, reterr);
	}
	if (r == 0)
		r = make_below(z, is_vm(z) ? "main" : "cz-run", reterr);
	for (uint32_t i = 0; is_vm(z) && r == 0 && i < z->vcpus_max; i++) {
		snprintf(name, sizeof(name), "vcpu%u", i);
		r = make_below(z, name, reterr);
	}
	return r < 0 ? r : zone_app_groups(z, reterr);
}

static int limit_apps(struct applied *z, struct error *reterr)
{
	char path[ZONE_PATH_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < z->spec.nr_apps; i++) {
		const struct zone_app *a = &z->spec.apps[i];
		struct zone_limits l = {.cpu_max_ppm = a->cpu_max_ppm,
					.cpu_weight = a->cpu_weight,
					.memory_bytes = a->memory_bytes};

		snprintf(path, sizeof(path), "%s/%s", z->path, a->name);
		r = zone_limits_set(&z->m->d->fs, path, &l, reterr);
		if (r == 0)
			r = zone_cpus_set(&z->m->d->fs, path, &a->cpus, reterr);
	}
	return r;
}

static int limit_vcpus(struct applied *z, struct error *reterr)
{
	struct zone_limits l = {.cpu_max_ppm = z->spec.resource.cpu_max_ppm,
				.cpu_burst_us = z->spec.resource.cpu_burst_us};
	char path[ZONE_PATH_MAX];
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < z->vcpus_max; i++) {
		snprintf(path, sizeof(path), "%s/vcpu%u", z->path, i);
		r = zone_idle_set(&z->m->d->fs, path, false);
		r = r < 0 ? error_errno(reterr, r, "cpu.idle of %s", path)
			  : zone_limits_set(&z->m->d->fs, path, &l, reterr);
	}
	return r;
}

int zone_set_limits(struct applied *z, struct error *reterr)
{
	const struct zone_resource none = {0};
	/* What is adopted is not in there; its supervisor needs no limits. */
	const struct zone_resource *res = z->spec.os.adopt ? &none : &z->spec.resource;
	const struct cgroup_fs *fs = &z->m->d->fs;
	struct zone_limits l = {.cpu_weight = res->cpu_weight, .io = res->io};
	struct cpuset all = {0};
	int r;

	if (z->spec.os.adopt) {
		l = (struct zone_limits){0};
	} else if (is_vm(z)) {
		l.memory_bytes = z->memory_max_bytes + VM_MEMORY_EXTRA;
	} else {
		l.memory_bytes = res->memory_bytes;
		l.cpu_max_ppm = res->cpu_max_ppm;
		l.cpu_burst_us = res->cpu_burst_us;
	}
	r = zone_cpus_set(fs, ZONES_PARENT, &all, reterr);
	if (r == 0)
		r = zone_cpus_set(fs, z->path, &res->cpus, reterr);
	if (r == 0)
		r = zone_limits_set(fs, z->path, &l, reterr);
	if (r == 0)
		r = is_vm(z) ? limit_vcpus(z, reterr) : limit_apps(z, reterr);
	z->cpus = z->spec.resource.cpus;
	z->vcpus_moved = false;
	return r;
}

bool zone_holds(const struct applied *z, pid_t tid)
{
	const struct daemon *d = z->m->d;
	size_t n = strlen(z->path);
	char path[ZONE_PATH_MAX];

	return tid > 1 &&
	       cgroup_path_of_pid(&d->kernel, &d->fs, CG_CPU, tid, path, sizeof(path)) == 0 &&
	       !strncmp(path, z->path, n) && path[n] == '/';
}

/* Is that thread one of a process in the zone's own group? A guest's QEMU says so; the kernel
 * knows. */
static bool is_ours(const struct applied *z, pid_t tid)
{
	return tid != z->rec.pid && zone_holds(z, tid);
}

/* One CPU each while there are as many; more vCPUs than CPUs share all of them. */
static void cpu_of(const struct applied *z, size_t i, struct cpuset *ret)
{
	int cpu = cpuset_next(&z->cpus, 0);

	*ret = z->cpus;
	if (z->hello.nr_vcpus > cpuset_count(&z->cpus) && z->spec.os.adopt)
		return;
	if (z->spec.resource.vcpus > cpuset_count(&z->cpus))
		return;
	for (size_t k = 0; k < i && cpu >= 0; k++)
		cpu = cpuset_next(&z->cpus, (unsigned int)cpu + 1);
	if (cpu < 0)
		return;
	cpuset_zero(ret);
	cpuset_add(ret, (unsigned int)cpu);
}

/*
 * Without KVM the guest's timers and interrupts are the work of QEMU's main thread, which is in
 * `main`: a vCPU that runs on must not make it wait for the end of a slice (measured: it adds 3 ms
 * to the 99th percentile of timers in the guest). Siblings are all it concerns.
 */
static void let_main_go_first(const struct applied *z, const char *vcpu_path)
{
	if (strcmp(z->hello.accel, "tcg") == 0 && zone_idle_set(&z->m->d->fs, vcpu_path, true) < 0)
		log_debug("zone %s: %s is not in the idle class", z->name, vcpu_path);
}

/* libvirt's daemon has the machine in cgroups of its own, which are not ours to write: it is told
 * by way of cz-vm. It knows no burst. */
static void limit_elsewhere(struct applied *z)
{
	const struct zone_resource *res = &z->spec.resource;
	uint64_t weight = res->cpu_weight;
	size_t nr = z->hello.nr_vcpus;
	json_t *pins = json_array();
	char text[512];

	if (!z->spec.os.adopt && nr > z->vcpus_max)
		nr = z->vcpus_max;
	for (size_t i = 0; i < nr; i++) {
		struct cpuset cpus;

		cpu_of(z, i, &cpus);
		if (cpuset_format(&cpus, text, sizeof(text)) == 0)
			json_array_append_new(pins, json_string(text));
	}
	if (!cgroup_is_v2(&z->m->d->fs, CG_CPU))
		weight = weight * 1024 / 100;
	z->vcpus_moved =
	    zone_link_ask(z->link,
			  json_pack("{s:s,s:o,s:I,s:I}", "do", "limits", "pin", pins, "cpu_max_ppm",
				    (json_int_t)res->cpu_max_ppm, "cpu_shares", (json_int_t)weight),
			  LIMITS_ASK_NS, NULL, NULL) == 0;
}

bool zone_place_vcpus(struct applied *z)
{
	size_t max = z->vcpus_max, moved = 0;
	struct error e = {0};

	if (!is_vm(z) || z->vcpus_moved)
		return false;
	if (z->spec.os.backend == BACKEND_LIBVIRT && z->hello.nr_vcpus &&
	    !is_ours(z, (pid_t)z->hello.vcpus[0].tid)) {
		if (z->link && z->hello.vcpus[0].tid)
			limit_elsewhere(z);
		return false;
	}
	for (size_t i = 0; i < z->hello.nr_vcpus && i < max; i++) {
		pid_t tid = (pid_t)z->hello.vcpus[i].tid;
		char path[ZONE_PATH_MAX];
		struct cpuset cpus;

		if (!tid)
			continue;
		snprintf(path, sizeof(path), "%s/vcpu%zu", z->path, i);
		if (!is_ours(z, tid)) {
			log_warn("zone %s: thread %d of vCPU %zu is not in the zone: left alone",
				 z->name, (int)tid, i);
			continue;
		}
		cpu_of(z, i, &cpus);
		let_main_go_first(z, path);
		if (zone_cpus_set(&z->m->d->fs, path, &cpus, &e) < 0 ||
		    zone_attach_tid(&z->m->d->fs, path, tid) < 0)
			log_warn("zone %s: vCPU %zu stays where it is: %s", z->name, i,
				 e.msg[0] ? e.msg : "its thread is gone");
		else
			moved++;
	}
	z->vcpus_moved = moved > 0;
	return z->vcpus_moved;
}

int zone_remove_groups(struct applied *z)
{
	struct zones_mgr *m = z->m;
	int r = zone_remove_tree(&m->d->fs, z->path);

	if (r < 0 && r != -ENOENT)
		return r;
	z->groups = false;
	if (!zones_mgr_has_groups(m) && zone_remove(&m->d->fs, ZONES_PARENT) < 0)
		log_debug(ZONES_PARENT " stays");
	return 0;
}

void zone_note_groups(struct applied *z)
{
	size_t n = strlen(z->path);

	if (!z->m->d->baseline)
		return;
	pipeline_zones(z->m->d); /* what is new becomes known, and its class */
	zones_for_each(z->m->d->zones, zone)
	{
		bool ours = !strncmp(zone->path, z->path, n) && strchr("/", zone->path[n]);

		if (!ours && strcmp(zone->path, ZONES_PARENT) != 0)
			continue;
		baseline_forget(z->m->d->baseline, zone->id);
		if (baseline_note(z->m->d->baseline, zone->id, zone->path) < 0)
			log_debug("zone %s: knobs will not be noted", zone->path);
	}
}

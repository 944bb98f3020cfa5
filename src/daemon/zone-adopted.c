/* SPDX-License-Identifier: MIT */
/*
 * Zones that adopt a domain of libvirt's (os.adopt). Their supervisor is in /cz-zones/NAME as any
 * other, but what is classed, watched and limited is the domain's own cgroup, which libvirt made:
 * the kernel says which it is, by a thread of the process that libvirt has for it. czd never writes
 * to it for the zone's sake, nor kills anything in it: limits go through cz-libvirt, which notes
 * how it found them (RUN_DIR/zones/NAME/adopted). If both are killed, czd runs it once more to put
 * them back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/zone-mgr.h"
#include "zones/zones.h"

#define VCPU	     "/vcpu"
#define PID_FILES    "run/libvirt/qemu"
#define GIVE_BACK_NS 10000000000ull

const char *zone_watched_path(const struct applied *z)
{
	return z->domain[0] ? z->domain : z->path;
}

/* The thread is what the supervisor says, and that holds no rights; whose process the domain's is,
 * libvirt's daemon wrote down, as root. */
static bool is_of_domain(const struct applied *z, pid_t tid)
{
	int root = z->m->d->kernel.root_fd;
	char path[sizeof(PID_FILES) + 300];
	uint64_t pid;

	if (str_printf(path, sizeof(path), PID_FILES "/%s.pid", z->spec.os.adopt) < 0 ||
	    read_u64_at(root, path, &pid) < 0)
		return false;
	snprintf(path, sizeof(path), "proc/%" PRIu64 "/task/%d", pid, (int)tid);
	return faccessat(root, path, F_OK, 0) == 0;
}

/* ".../qemu-1-web.libvirt-qemu/vcpu0", with or without a "libvirt" before the last: what of it is
 * the domain's. */
static int domain_of(const struct applied *z, pid_t tid, char path[ZONE_PATH_MAX])
{
	const struct daemon *d = z->m->d;
	enum zone_kind kind;
	char name[256], *end;
	int r;

	if (!is_of_domain(z, tid))
		return -EPERM;
	r = cgroup_path_of_pid(&d->kernel, &d->fs, CG_CPU, tid, path, ZONE_PATH_MAX);
	if (r < 0)
		return r;
	end = strrchr(path, '/');
	if (!end || strncmp(end, VCPU, strlen(VCPU)) != 0)
		return -ENOENT;
	*end = 0;
	end = strrchr(path, '/');
	if (end && strcmp(end, "/libvirt") == 0)
		*end = 0;
	zone_friendly_name(path, name, sizeof(name), &kind);
	return kind == ZONE_VM ? 0 : -ENOENT;
}

static bool is_within(const char *path, const char *top)
{
	size_t n = strlen(top);

	return !strncmp(path, top, n) && (!path[n] || path[n] == '/');
}

/* Class and goals of the domain's groups; what `protect` asked for on them goes first. */
void zone_class_domain(struct applied *z)
{
	struct daemon *d = z->m->d;
	enum zone_class class;
	enum zone_kind kind;
	struct slo slo;
	const struct zone *group = z->domain[0] ? zones_by_path(d->zones, z->domain) : NULL;

	if (group && !desired_get(&d->desired, z->domain) &&
	    zones_mgr_class(z->m, z->domain, &class, &slo, &kind) &&
	    zones_set_class(d->zones, group->id, class, &slo) < 0)
		log_debug("zone %s vanished", z->domain);
}

/* Limits that libvirt set for the zone are no change to verify. */
void zone_note_domain(struct applied *z)
{
	if (!z->m->d->baseline || !z->domain[0])
		return;
	zones_for_each(z->m->d->zones, zone)
	{
		if (!is_within(zone->path, z->domain))
			continue;
		baseline_forget(z->m->d->baseline, zone->id);
		if (baseline_note(z->m->d->baseline, zone->id, zone->path) < 0)
			log_debug("zone %s: knobs will not be noted", zone->path);
	}
}

void zone_find_domain(struct applied *z)
{
	char path[ZONE_PATH_MAX] = "";
	const char *why;
	int r;

	if (!z->spec.os.adopt || !z->hello.nr_vcpus)
		return;
	r = domain_of(z, (pid_t)z->hello.vcpus[0].tid, path);
	if (r < 0 && z->domain[0]) /* known from before: it is ending */
		return;
	if (r < 0) {
		why = r == -EPERM ? "the vCPU that was named is none of the domain's"
				  : "libvirt gave the domain no cgroup of its own";
		if (!z->why[0])
			zone_say(z, "%s: it has no class here, and is not watched", why);
		str_copy(z->why, sizeof(z->why), why);
		return;
	}
	if (strcmp(path, z->domain) != 0) {
		str_copy(z->domain, sizeof(z->domain), path);
		pipeline_zones(z->m->d); /* if it is that new */
		zone_class_domain(z);
	}
	zone_note_domain(z);
}

void zone_lose_domain(struct applied *z)
{
	struct daemon *d = z->m->d;
	const struct zone *group = z->domain[0] ? zones_by_path(d->zones, z->domain) : NULL;

	zone_note_domain(z);
	if (group && !desired_get(&d->desired, z->domain) &&
	    zones_clear_class(d->zones, group->id) < 0)
		log_debug("zone %s vanished", z->domain);
	z->domain[0] = 0;
}

/* How the domain was found, if that is still to be put back. */
static bool journal_path(const struct applied *z, char *buf, size_t size)
{
	return str_printf(buf, size, "%s/zones/%s/" ZONE_JOURNAL, z->m->d->opt->run_dir, z->name) ==
		   0 &&
	       access(buf, F_OK) == 0;
}

bool zone_give_back(struct applied *z)
{
	char journal[4096], program[4096];
	struct error e = {0};
	int r;

	if (!journal_path(z, journal, sizeof(journal)))
		return false;
	if (z->gave_back) { /* it did what it could, and said why not more */
		zone_say(z, "the domain is not as it was found in all: see czctl log %s", z->name);
		return false;
	}
	z->gave_back = true;
	z->rec.until_ns = clock_mono_ns() + GIVE_BACK_NS;
	r = zone_libexec_path(z->m, "cz-libvirt", program, sizeof(program), &e);
	if (r == 0)
		r = zone_spawn(z, program, "--give-back", journal, &e);
	if (r < 0)
		log_warn("zone %s: the domain cannot be given back: %s", z->name, e.msg);
	return r == 0;
}

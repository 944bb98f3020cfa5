/* SPDX-License-Identifier: MIT */
/* What an earlier czd left: zones on disk, and their processes if they still run. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/zone-mgr.h"
#include "model/zone-fields.h"
#include "spec/zone-spec-io.h"

#define LAUNCH_MAX (1u << 20)

/* What a zone was started with, as long as it runs; NULL: not known. */
static json_t *launched(const struct zones_mgr *m, const char *name)
{
	_cleanup_free_ char *text = malloc(LAUNCH_MAX);
	char path[ZONE_SPEC_NAME_MAX + 16];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/launch.json", name);
	n = text ? read_file_at(m->run_dirfd, path, text, LAUNCH_MAX) : -ENOMEM;
	return n < 0 ? NULL : json_loadb(text, (size_t)n, 0, NULL);
}

static int launched_spec(const struct zones_mgr *m, const char *name, struct zone_spec *ret)
{
	_cleanup_free_ struct error_list *errs = calloc(1, sizeof(*errs));
	json_t *launch;
	int r;

	if (!errs)
		return -ENOMEM;
	launch = launched(m, name);
	r = zone_spec_from_json("launch.json", json_object_get(launch, "spec"), ret, errs);
	json_decref(launch);
	return r;
}

static int64_t launched_uid(const struct zones_mgr *m, const char *name)
{
	json_t *launch = launched(m, name);
	int64_t uid = json_integer_value(json_object_get(launch, "uid"));

	json_decref(launch);
	return uid;
}

static void recall_machine(struct applied *z)
{
	struct zone_spec s;
	bool known = launched_spec(z->m, z->name, &s) == 0;
	const struct zone_spec *was = known ? &s : &z->spec;

	zone_note_machine(z, was);
	if (known)
		zone_spec_done(&s);
}

static void take_over(struct applied *z)
{
	uint64_t now_ns = clock_mono_ns();

	z->groups = z->rec.state == ZS_RUNNING && zone_owns_groups(z);
	if (z->rec.state != ZS_RUNNING) {
		z->rec.state = z->broken ? ZS_ERROR : z->rec.state;
		return;
	}
	/* The clock of another boot says nothing. */
	if (z->rec.until_ns > now_ns + ZONE_GRACE_MAX_NS)
		z->rec.until_ns = now_ns + ZONE_GRACE_NS;
	z->started_ns = now_ns;
	z->cpus = z->spec.resource.cpus;
	recall_machine(z);
	if (zone_adopt(z) == 0) {
		zone_say(z, "taken over, still running");
		return;
	}
	/* It ended while nobody looked (or the host has been booted anew): started again at once,
	 * unless it never should be. */
	z->rec.pid = 0;
	zone_say(z, "was not running any more");
}

static int load_spec(const struct zones_mgr *m, const char *name, struct zone_spec *ret,
		     struct error *reterr)
{
	_cleanup_free_ struct error_list *errs = calloc(1, sizeof(*errs));
	_cleanup_free_ char *yaml = NULL;
	struct zone_record rec;
	uint64_t hash = 0;
	int r = errs ? zone_store_load(m->dirfd, name, &yaml, &hash, &rec) : -ENOMEM;

	if (r == 0)
		r = zone_spec_load_text("spec.yaml", yaml, strlen(yaml), ret, errs);
	if (r < 0)
		return error_set(reterr, r, "it cannot be loaded: %s",
				 errs && errs->nr ? errs->items[0].text : strerror(-r));
	if (!strcmp(ret->name, name))
		return 0;
	zone_spec_done(ret);
	return error_set(reterr, -EBADMSG, "its spec.yaml is of a zone of another name");
}

/* Known all the same: it can be seen, updated and removed, and what runs of it goes on. */
static int load_broken(struct applied *z, const struct error *e)
{
	z->broken = true;
	str_copy(z->why, sizeof(z->why), e->msg);
	log_error("zone %s: %s", z->name, e->msg);
	if (z->rec.state == ZS_RUNNING && launched_spec(z->m, z->name, &z->spec) == 0)
		return 0;
	zone_spec_defaults(&z->spec);
	z->spec.name = strdup(z->name);
	return z->spec.name ? 0 : -ENOMEM;
}

/* The process that listens on its link.sock, which is in our own run directory: its supervisor. */
static pid_t find_supervisor(const struct zones_mgr *m, const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd < 0 ||
	    str_printf(addr.sun_path, sizeof(addr.sun_path), "%s/zones/%s/link.sock",
		       m->d->opt->run_dir, name) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return 0;
	return peer.pid;
}

/* Of a zone that runs the state can be had from what runs, if its file is lost. */
static int recall_record(const struct zones_mgr *m, const char *name, struct zone_record *ret)
{
	struct zone_record rec = {.state = ZS_RUNNING, .slot = ret->slot};
	struct proc_pid_stat st;
	int64_t uid;
	int r;

	rec.pid = find_supervisor(m, name);
	if (rec.pid <= 1 || proc_pid_stat(&m->d->kernel, rec.pid, &st) < 0)
		return -ESRCH;
	rec.start_ticks = st.start_ticks;
	uid = launched_uid(m, name);
	if (uid >= ZONE_UID_BASE && uid < ZONE_UID_BASE + ZONE_SLOTS_MAX)
		rec.slot = (uint32_t)uid - ZONE_UID_BASE;
	r = zone_store_hash(m->dirfd, name, &rec.spec_hash);
	if (r == 0)
		r = zone_store_state(m->dirfd, name, &rec);
	if (r == 0)
		*ret = rec;
	return r;
}

static void load_one(struct zones_mgr *m, const char *name)
{
	/* Out of the way of those that are read later. */
	struct zone_record rec = {.state = ZS_ERROR,
				  .slot = m->first_slot + ZONE_SLOTS / 2 + (uint32_t)m->nr};
	struct zone_spec spec;
	struct error e = {0};
	struct applied *z;
	int r = zone_name_fits(name) ? zone_store_record(m->dirfd, name, &rec) : -ENOENT;

	if (r == -EBADMSG && recall_record(m, name, &rec) == 0) {
		log_warn(
		    "zone %s: its file 'state' was not what czd wrote: made anew from what runs",
		    name);
		r = 0;
	}
	if (r == -ENOENT || r == -ENOTDIR) {
		log_error("zones/%.80s is no zone, and left as it is", name);
		return;
	}
	r = r < 0 ? error_set(&e, r, "its file 'state' is not what czd wrote")
		  : load_spec(m, name, &spec, &e);
	z = zone_add(m, name);
	if (z)
		z->rec = rec;
	if (z && r == 0)
		z->spec = spec;
	else if (!z || load_broken(z, &e) < 0)
		return;
	zone_look_at_spec(z);
	take_over(z);
}

void zones_load(struct zones_mgr *m)
{
	int fd = openat(m->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *d; dir && (d = readdir(dir)) && m->nr < ZONES_APPLIED_MAX;)
		if (d->d_name[0] != '.' && d->d_type == DT_DIR)
			load_one(m, d->d_name);
}

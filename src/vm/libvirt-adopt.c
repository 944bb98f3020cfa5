/* SPDX-License-Identifier: MIT */
#include "vm/libvirt-adopt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <libvirt/virterror.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "vm/libvirt-knobs.h"

#define PID_FILES "/run/libvirt/qemu"
#define CLAIMS	  "/run/libvirt/control-zone"

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

/* --- the journal --------------------------------------------------------------------------- */

static int keep(const struct adopted *a)
{
	_cleanup_free_ char *text = json_dumps(a->journal, JSON_COMPACT);

	return text ? write_file_atomic(AT_FDCWD, a->path, text, strlen(text), 0600) : -ENOMEM;
}

static int load(const char *path, json_t **ret)
{
	char text[65536];
	ssize_t n = read_file_at(AT_FDCWD, path, text, sizeof(text));

	if (n < 0)
		return (int)n;
	*ret = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	return *ret ? 0 : -EBADMSG;
}

static json_t *knobs_of(const struct adopted *a)
{
	return json_object_get(a->journal, "knobs");
}

/* Of another run of the domain, which began with the owner's own values, none of it holds. */
static bool is_of(const json_t *journal, const char *uuid, unsigned int id)
{
	return strcmp(text_of(journal, "uuid"), uuid) == 0 &&
	       json_integer_value(json_object_get(journal, "id")) == (json_int_t)id &&
	       json_is_object(json_object_get(journal, "knobs"));
}

/* For the whole host: one zone a domain. Only root gets into the folder, so nobody else can be in
 * the way. Kept open: the lock goes with us, and an empty file stays. */
static int claim(const char *uuid)
{
	_cleanup_close_ int fd = -1;
	char path[sizeof(CLAIMS) + VIR_UUID_STRING_BUFLEN];

	if (mkdir(CLAIMS, 0700) < 0 && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), CLAIMS "/%s", uuid);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	TAKE_FD(fd);
	return 0;
}

int adopted_open(struct adopted *a, const char *path, const char *uri)
{
	char uuid[VIR_UUID_STRING_BUFLEN] = "";
	unsigned int id = virDomainGetID(a->domain);
	int r;

	if (virDomainGetUUIDString(a->domain, uuid) < 0)
		return -EIO;
	r = claim(uuid);
	if (r < 0)
		return r;
	a->path = path;
	if (load(path, &a->journal) == 0 && is_of(a->journal, uuid, id))
		return 0;
	json_decref(a->journal);
	a->journal = json_pack("{s:s,s:s,s:I,s:{}}", "uri", uri, "uuid", uuid, "id", (json_int_t)id,
			       "knobs");
	return a->journal ? keep(a) : -ENOMEM;
}

/* --- who it is ----------------------------------------------------------------------------- */

/* libvirt has QEMU name its threads: "CPU 0/KVM". */
static bool is_vcpu(const char *pid, const char *tid, unsigned int *ret_cpu)
{
	char path[600], comm[32];

	snprintf(path, sizeof(path), "/proc/%s/task/%s/comm", pid, tid);
	return read_file_at(AT_FDCWD, path, comm, sizeof(comm)) > 0 &&
	       sscanf(comm, "CPU %u/", ret_cpu) == 1;
}

json_t *adopted_cpus(const struct adopted *a)
{
	_cleanup_closedir_ DIR *tasks = NULL;
	char path[512], pid[32];
	json_t *list = json_array();
	unsigned int cpu;

	snprintf(path, sizeof(path), PID_FILES "/%s.pid", virDomainGetName(a->domain));
	if (read_file_at(AT_FDCWD, path, pid, sizeof(pid)) > 0) {
		pid[strcspn(pid, "\n")] = '\0';
		snprintf(path, sizeof(path), "/proc/%s/task", pid);
		tasks = opendir(path);
	}
	for (struct dirent *d; tasks && (d = readdir(tasks));) {
		if (is_vcpu(pid, d->d_name, &cpu))
			json_array_append_new(list, json_pack("{s:i,s:i}", "cpu-index", (int)cpu,
							      "thread-id", atoi(d->d_name)));
	}
	return list;
}

/* --- setting and putting back -------------------------------------------------------------- */

static void complain(const struct adopted *a, const char *knob, int code)
{
	a->complain(knob, code == -EIO ? virGetLastErrorMessage() : strerror(-code));
}

static void set_one(struct adopted *a, const char *name, const char *text)
{
	json_t *entry = json_object_get(knobs_of(a), name);
	char now[KNOB_SIZE];
	int r = knob_read(a->domain, name, now, sizeof(now));

	if (r == 0 && !strcmp(now, text) && (!entry || !strcmp(text_of(entry, "set"), text)))
		return;
	/* As found: it was noted, and then not written. */
	if (r == 0 && entry && strcmp(now, text_of(entry, "set")) != 0 &&
	    strcmp(now, text_of(entry, "found")) != 0) {
		a->complain(name, "somebody else has changed it since: left alone");
		return;
	}
	if (r == 0) {
		const char *found = entry ? text_of(entry, "found") : now;

		json_object_set_new(knobs_of(a), name,
				    json_pack("{s:s,s:s}", "found", found, "set", text));
		r = keep(a);
	}
	if (r == 0)
		r = knob_write(a->domain, name, text);
	if (r < 0)
		complain(a, name, r);
}

/* 0: it is as it was found, or not ours any more. */
static int put_back(struct adopted *a, const char *name, const json_t *entry)
{
	const char *found = text_of(entry, "found"), *set = text_of(entry, "set");
	char now[KNOB_SIZE];
	int r = knob_read(a->domain, name, now, sizeof(now));

	/* As found: put back before, or never written. */
	if (r < 0 || strcmp(now, found) == 0)
		return r;
	if (strcmp(now, set) != 0) {
		a->complain(name, "somebody else has changed it since: left alone");
		return 0;
	}
	r = knob_write(a->domain, name, found);
	if (r == 0)
		r = knob_read(a->domain, name, now, sizeof(now));
	return r == 0 && strcmp(now, found) != 0 ? -EBUSY : r;
}

/* Puts back what is not in `but`. */
static bool put_back_all(struct adopted *a, const json_t *but)
{
	const char *name;
	json_t *entry;
	void *next;
	bool all = true;

	json_object_foreach_safe(knobs_of(a), next, name, entry)
	{
		int r;

		if (json_object_get(but, name))
			continue;
		r = put_back(a, name, entry);
		if (r < 0) {
			complain(a, name, r);
			all = false;
			continue;
		}
		json_object_del(knobs_of(a), name);
	}
	return all;
}

void adopted_set(struct adopted *a, const json_t *knobs)
{
	const char *name;
	json_t *value;

	put_back_all(a, knobs);
	json_object_foreach((json_t *)knobs, name, value)
	{
		if (json_is_string(value))
			set_one(a, name, json_string_value(value));
	}
	if (keep(a) < 0)
		a->complain("journal", "it can't be written");
}

bool adopted_release(struct adopted *a)
{
	bool all = !a->journal || put_back_all(a, NULL);

	json_decref(a->journal);
	a->journal = NULL;
	if (all)
		unlink(a->path);
	return all;
}

/* --- after a kill -------------------------------------------------------------------------- */

static void to_stderr(const char *knob, const char *text)
{
	fprintf(stderr, "%s: %s\n", knob, text);
}

static int give_back(struct adopted *a)
{
	virConnectPtr conn = virConnectOpen(text_of(a->journal, "uri"));
	bool all = false;

	if (!conn) {
		fprintf(stderr, "connect to libvirt: %s\n", virGetLastErrorMessage());
		return 1;
	}
	a->domain = virDomainLookupByUUIDString(conn, text_of(a->journal, "uuid"));
	if (a->domain && is_of(a->journal, text_of(a->journal, "uuid"), virDomainGetID(a->domain)))
		all = adopted_release(a);
	else /* it has ended, and its knobs with it */
		all = unlink(a->path) == 0;
	if (a->domain)
		virDomainFree(a->domain);
	virConnectClose(conn);
	return all ? 0 : 1;
}

int adopted_give_back(const char *path)
{
	struct adopted a = {.path = path, .complain = to_stderr};
	int r = load(path, &a.journal);

	if (r < 0) {
		fprintf(stderr, "read %s: %s\n", path, strerror(-r));
		return 1;
	}
	r = give_back(&a);
	json_decref(a.journal);
	return r;
}

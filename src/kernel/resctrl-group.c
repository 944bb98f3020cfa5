/* SPDX-License-Identifier: MIT */
/* Groups of resctrl: made, removed, moved, listed; what they may use, on which CPUs. */
#include "kernel/resctrl.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "kernel/kio.h"
#include "kernel/resctrl-private.h"

void resctrl_status(const struct resctrl *rc, char *buf, size_t size)
{
	char text[RESCTRL_STATUS_MAX * 2];

	if (kio_read_some_at(rc->fd, "info/last_cmd_status", text, sizeof(text)) < 0)
		text[0] = 0;
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = p[1] ? ';' : 0;
	str_copy(buf, size, text);
}

const char *resctrl_shown(const char *path)
{
	return path[0] ? path : "the default group";
}

/* The kernel's own sentence says more than an errno. "ok": it failed before it came to resctrl. */
int resctrl_fail(const struct resctrl *rc, int err, struct error *reterr, const char *doing,
		 const char *path)
{
	char status[RESCTRL_STATUS_MAX];

	resctrl_status(rc, status, sizeof(status));
	if (!status[0] || !strcmp(status, "ok"))
		return error_errno(reterr, err, "%s %s", doing, resctrl_shown(path));
	return error_errno(reterr, err, "%s %s: the kernel says \"%s\"", doing, resctrl_shown(path),
			   status);
}

int resctrl_file(char *buf, size_t size, const char *path, const char *file)
{
	return str_printf(buf, size, "%s%s%s", path, path[0] ? "/" : "", file);
}

int resctrl_name_check(const char *name, struct error *reterr)
{
	static const char *const taken[] = {"info", "mon_groups",     "mon_data",	   "tasks",
					    "cpus", "cpus_list",      "schemata",	   "size",
					    "mode", "ctrl_hw_id",     "mon_hw_id",	   ".",
					    "..",   "mba_MBps_event", "mbm_L3_assignments"};
	size_t len = strlen(name);

	if (!len || len >= RESCTRL_NAME_MAX)
		return error_set(reterr, -EINVAL, "a group's name has 1 to %d characters",
				 RESCTRL_NAME_MAX - 1);
	for (const char *p = name; *p; p++)
		if (!isgraph((unsigned char)*p) || *p == '/')
			return error_set(reterr, -EINVAL,
					 "a group's name has no blanks, slashes or odd characters");
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		if (!strcmp(name, taken[i]))
			return error_set(reterr, -EINVAL,
					 "'%s' is a file of resctrl, it cannot be a group's name",
					 name);
	return 0;
}

int resctrl_path(char *buf, size_t size, const char *ctrl, const char *mon, struct error *reterr)
{
	int r = ctrl[0] ? resctrl_name_check(ctrl, reterr) : 0;

	if (r >= 0 && mon)
		r = resctrl_name_check(mon, reterr);
	if (r < 0)
		return r;
	return str_printf(buf, size, "%s%s%s%s", ctrl, mon && ctrl[0] ? "/" : "",
			  mon ? "mon_groups/" : "", mon ? mon : "");
}

static bool is_mon_path(const char *path)
{
	return strstr(path, "mon_groups/") != NULL;
}

int resctrl_create(const struct resctrl *rc, const char *path, struct error *reterr)
{
	int err;

	if (is_mon_path(path) && !rc->info.mon)
		return error_set(reterr, -EOPNOTSUPP,
				 "this CPU monitors nothing: there are no monitoring groups");
	if (!is_mon_path(path) && !rc->info.closids)
		return error_set(reterr, -EOPNOTSUPP,
				 "this CPU only monitors: there are no control groups");
	if (mkdirat(rc->fd, path, 0755) == 0)
		return 0;
	err = -errno;
	resctrl_fail(rc, err, reterr, "create", path);
	if (err == -ENOSPC)
		error_hint(reterr,
			   "this CPU has %u control groups (CLOSIDs) and %u groups to monitor "
			   "(RMIDs), the default one included: remove some that nobody needs",
			   rc->info.closids, rc->info.rmids);
	if (err == -EBUSY)
		error_hint(reterr, "RMIDs of removed groups still tag lines in the cache: wait, or "
				   "raise info/L3_MON/max_threshold_occupancy");
	return err;
}

int resctrl_remove(const struct resctrl *rc, const char *path, struct error *reterr)
{
	if (!path[0])
		return error_set(reterr, -EPERM, "the default group cannot be removed");
	if (unlinkat(rc->fd, path, AT_REMOVEDIR) == 0)
		return 0;
	return resctrl_fail(rc, -errno, reterr, "remove", path);
}

int resctrl_rename(const struct resctrl *rc, const char *from, const char *to, struct error *reterr)
{
	if (renameat(rc->fd, from, rc->fd, to) == 0)
		return 0;
	return resctrl_fail(rc, -errno, reterr, "move", from);
}

/* Directories of dir that are groups: they have tasks. */
static int each_in(const struct resctrl *rc, const char *dir, bool with_mon,
		   int (*cb)(const char *path, void *arg), void *arg)
{
	char path[RESCTRL_PATH_MAX], file[RESCTRL_PATH_MAX + 16];
	int r = 0;
	_cleanup_closedir_ DIR *d = kio_opendir_at(rc->fd, dir[0] ? dir : ".", &r);

	if (!d)
		return r == -ENOENT ? 0 : r; /* removed meanwhile, or no monitoring */
	for (struct dirent *e; r == 0 && (e = readdir(d));) {
		if (e->d_type != DT_DIR || resctrl_name_check(e->d_name, NULL) < 0 ||
		    resctrl_file(path, sizeof(path), dir, e->d_name) < 0 ||
		    resctrl_file(file, sizeof(file), path, "tasks") < 0 ||
		    faccessat(rc->fd, file, F_OK, 0) != 0)
			continue;
		r = cb(path, arg);
		if (r == 0 && with_mon && resctrl_file(file, sizeof(file), path, "mon_groups") == 0)
			r = each_in(rc, file, false, cb, arg);
	}
	return r;
}

int resctrl_each(const struct resctrl *rc, int (*cb)(const char *path, void *arg), void *arg)
{
	int r = cb("", arg);

	if (r == 0)
		r = each_in(rc, "mon_groups", false, cb, arg);
	return r ? r : each_in(rc, "", true, cb, arg);
}

int resctrl_get(const struct resctrl *rc, const char *path, struct resctrl_schemata *ret,
		struct error *reterr)
{
	_cleanup_free_ char *text = malloc(RESCTRL_TEXT_MAX);
	char file[RESCTRL_PATH_MAX];
	ssize_t n;
	int r = text ? resctrl_file(file, sizeof(file), path, "schemata") : -ENOMEM;

	if (r < 0)
		return error_errno(reterr, r, "schemata of %s", resctrl_shown(path));
	n = kio_read_text_at(rc->fd, file, text, RESCTRL_TEXT_MAX);
	r = n < 0 ? (int)n : resctrl_schemata_parse(text, ret);
	return r < 0 ? error_errno(reterr, r, "schemata of %s", resctrl_shown(path)) : 0;
}

int resctrl_write(const struct resctrl *rc, const char *path, const char *name, const char *text,
		  struct error *reterr)
{
	char file[RESCTRL_PATH_MAX], doing[64];
	int r = resctrl_file(file, sizeof(file), path, name);

	if (r >= 0)
		r = write_file_at(rc->fd, file, text);
	if (r >= 0)
		return 0;
	snprintf(doing, sizeof(doing), "set %s of", name);
	return resctrl_fail(rc, r, reterr, doing, path);
}

static const struct resctrl_domain *find(const struct resctrl_schemata *s,
					 enum resctrl_resource res, uint32_t id)
{
	for (size_t i = 0; i < s->lines[res].nr; i++)
		if (s->lines[res].domains[i].id == id)
			return &s->lines[res].domains[i];
	return NULL;
}

static int compare(const struct resctrl_schemata *wanted, const struct resctrl_schemata *got,
		   const char *path, struct error *reterr)
{
	for (enum resctrl_resource res = 0; res < RESCTRL_NR; res++) {
		for (size_t i = 0; i < wanted->lines[res].nr; i++) {
			const struct resctrl_domain *w = &wanted->lines[res].domains[i];
			const struct resctrl_domain *g = find(got, res, w->id);
			bool hex = resctrl_is_cache(res);
			char has[16], wants[16];

			if (g && g->value == w->value)
				continue;
			if (!g)
				return error_set(reterr, -EIO, "%s of %s: domain %u is gone",
						 resctrl_resource_name(res), resctrl_shown(path),
						 w->id);
			snprintf(has, sizeof(has), hex ? "%x" : "%u", g->value);
			snprintf(wants, sizeof(wants), hex ? "%x" : "%u", w->value);
			return error_set(
			    reterr, -EIO, "%s of %s: domain %u has %s, not %s as was written",
			    resctrl_resource_name(res), resctrl_shown(path), w->id, has, wants);
		}
	}
	return 0;
}

struct set_work {
	struct resctrl_schemata wanted, known;
	char text[RESCTRL_TEXT_MAX];
};

int resctrl_set(const struct resctrl *rc, const char *path, const struct resctrl_schemata *s,
		struct error *reterr)
{
	_cleanup_free_ struct set_work *w = malloc(sizeof(*w));
	int r;

	if (!w)
		return error_errno(reterr, -ENOMEM, "schemata");
	w->wanted = *s;
	r = resctrl_get(rc, "", &w->known, reterr);
	if (r >= 0)
		r = resctrl_schemata_check(&rc->info, &w->known, &w->wanted, reterr);
	if (r < 0)
		return r;
	r = resctrl_schemata_format(&w->wanted, w->text, sizeof(w->text));
	if (r < 0)
		return error_errno(reterr, r, "schemata");
	if (!w->text[0])
		return 0;
	r = resctrl_write(rc, path, "schemata", w->text, reterr);
	if (r >= 0)
		r = resctrl_get(rc, path, &w->known, reterr);
	return r < 0 ? r : compare(&w->wanted, &w->known, path, reterr);
}

int resctrl_get_mode(const struct resctrl *rc, const char *path, char *buf, size_t size)
{
	char file[RESCTRL_PATH_MAX];
	ssize_t n = resctrl_file(file, sizeof(file), path, "mode");

	if (n >= 0)
		n = kio_read_text_at(rc->fd, file, buf, size);
	if (n > 0 && buf[n - 1] == '\n')
		buf[n - 1] = 0;
	return n < 0 ? (int)n : 0;
}

int resctrl_set_mode(const struct resctrl *rc, const char *path, const char *mode,
		     struct error *reterr)
{
	char text[64], got[64];
	int r = str_printf(text, sizeof(text), "%s\n", mode);

	if (r >= 0)
		r = resctrl_write(rc, path, "mode", text, reterr);
	if (r >= 0)
		r = resctrl_get_mode(rc, path, got, sizeof(got));
	if (r >= 0 && strcmp(got, mode) != 0)
		return error_set(reterr, -EIO, "%s is %s, not %s", resctrl_shown(path), got, mode);
	return r;
}

int resctrl_get_cpus(const struct resctrl *rc, const char *path, struct cpuset *ret)
{
	char file[RESCTRL_PATH_MAX], text[8192];
	ssize_t n = resctrl_file(file, sizeof(file), path, "cpus_list");

	if (n >= 0)
		n = kio_read_text_at(rc->fd, file, text, sizeof(text));
	return n < 0 ? (int)n : cpuset_parse(text, ret);
}

int resctrl_set_cpus(const struct resctrl *rc, const char *path, const struct cpuset *cpus,
		     struct error *reterr)
{
	char text[8192];
	struct cpuset got;
	int r = cpuset_format(cpus, text, sizeof(text) - 1);

	if (r < 0)
		return error_errno(reterr, r, "CPUs");
	strcat(text, "\n");
	r = resctrl_write(rc, path, "cpus_list", text, reterr);
	if (r < 0)
		return r;
	r = resctrl_get_cpus(rc, path, &got);
	if (r < 0)
		return error_errno(reterr, r, "CPUs of %s", resctrl_shown(path));
	if (!cpuset_equal(&got, cpus))
		return error_set(reterr, -EIO, "%s has other CPUs than were written",
				 resctrl_shown(path));
	return 0;
}

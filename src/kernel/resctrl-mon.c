/* SPDX-License-Identifier: MIT */
/*
 * What resctrl counted of a group: mon_data/mon_L3_00/llc_occupancy and kin; under Sub-NUMA
 * clustering also mon_L3_00/mon_sub_L3_01/... by node, of which the files above are the sums. A
 * counter that the hardware does not have at the moment is unknown, never 0.
 */
#include "kernel/resctrl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "kernel/kio.h"
#include "kernel/resctrl-private.h"
#include "kernel/text.h"

int resctrl_count_parse(const char *text, uint64_t *ret)
{
	static const char *const unknown[] = {"Unavailable\n", "Unassigned\n", "Error\n"};

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		if (!strcmp(text, unknown[i]))
			return -ENODATA;
	return text_u64(text, ret);
}

int resctrl_count_delta(uint64_t before, uint64_t after, uint64_t wraps_at, uint64_t *ret)
{
	if (after >= before) {
		*ret = after - before;
		return 0;
	}
	if (!wraps_at || before >= wraps_at || wraps_at - before + after > wraps_at / 2)
		return -ENODATA;
	*ret = wraps_at - before + after;
	return 0;
}

int resctrl_mon_name_parse(const char *name, uint32_t *ret_id, bool *ret_sub)
{
	static const struct {
		const char *prefix;
		bool sub;
	} kinds[] = {{"mon_L3_", false}, {"mon_sub_L3_", true}};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t len = strlen(kinds[i].prefix);
		uint32_t id;

		if (strncmp(name, kinds[i].prefix, len) != 0)
			continue;
		if (parse_u32(name + len, &id) < 0)
			return -EINVAL;
		*ret_id = id;
		*ret_sub = kinds[i].sub;
		return 0;
	}
	return -EINVAL;
}

static int read_count(int dirfd, const char *file, uint64_t *ret)
{
	char text[64];
	ssize_t n = kio_read_text_at(dirfd, file, text, sizeof(text));
	int r = n < 0 ? (int)n : resctrl_count_parse(text, ret);

	if (r == -ENODATA || r == -ENOENT || r == -EIO) /* not known now, or no such event here */
		*ret = RESCTRL_UNKNOWN;
	else if (r < 0)
		return r;
	return 0;
}

static int read_row(int dirfd, uint32_t domain, int32_t node, struct resctrl_count_row *row)
{
	struct resctrl_count_row out = {.domain = domain, .node = node};
	int r = read_count(dirfd, "llc_occupancy", &out.counts.llc_occupancy_bytes);

	if (r >= 0)
		r = read_count(dirfd, "mbm_total_bytes", &out.counts.mbm_total_bytes);
	if (r >= 0)
		r = read_count(dirfd, "mbm_local_bytes", &out.counts.mbm_local_bytes);
	if (r >= 0)
		*row = out;
	return r;
}

struct reader {
	struct resctrl_count_row *rows;
	size_t nr, max;
};

/* The rows of a directory of domains (parent -1), or of the nodes of one. */
static int read_rows(int dirfd, int64_t parent, struct reader *rd)
{
	int r = 0;
	_cleanup_closedir_ DIR *d = kio_opendir_at(dirfd, ".", &r);

	if (!d)
		return r;
	for (struct dirent *e; r >= 0 && (e = readdir(d));) {
		uint32_t id;
		bool sub;

		if (resctrl_mon_name_parse(e->d_name, &id, &sub) < 0 || sub != (parent >= 0) ||
		    id > INT32_MAX)
			continue;
		if (rd->nr == rd->max)
			return -E2BIG;
		_cleanup_close_ int fd = kio_openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY);

		if (fd < 0)
			return fd;
		r = read_row(fd, parent >= 0 ? (uint32_t)parent : id, sub ? (int32_t)id : -1,
			     &rd->rows[rd->nr]);
		if (r >= 0)
			rd->nr++;
		if (r >= 0 && !sub)
			r = read_rows(fd, id, rd);
	}
	return r;
}

static int by_place(const void *a, const void *b)
{
	const struct resctrl_count_row *x = a, *y = b;

	if (x->domain != y->domain)
		return x->domain < y->domain ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

int resctrl_read_rows(const struct resctrl *rc, const char *path, struct resctrl_count_row *rows,
		      size_t max)
{
	struct reader rd = {.rows = rows, .max = max};
	char dir[RESCTRL_PATH_MAX];
	int r = resctrl_file(dir, sizeof(dir), path, "mon_data");

	if (r < 0)
		return r;
	_cleanup_close_ int fd = kio_openat(rc->fd, dir, O_RDONLY | O_DIRECTORY);

	r = fd < 0 ? fd : read_rows(fd, -1, &rd);
	if (r < 0)
		return r;
	if (rd.nr)
		qsort(rows, rd.nr, sizeof(rows[0]), by_place);
	return (int)rd.nr;
}

static void add(uint64_t *sum, uint64_t v)
{
	if (v == RESCTRL_UNKNOWN || *sum == RESCTRL_UNKNOWN || __builtin_add_overflow(*sum, v, sum))
		*sum = RESCTRL_UNKNOWN;
}

int resctrl_read_counts(const struct resctrl *rc, const char *path, struct resctrl_counts *ret)
{
	size_t max = RESCTRL_DOMAINS_MAX;
	_cleanup_free_ struct resctrl_count_row *rows = calloc(max, sizeof(*rows));
	struct resctrl_counts sum = {0};
	int nr = rows ? resctrl_read_rows(rc, path, rows, max) : -ENOMEM;

	if (nr < 0)
		return nr;
	if (!nr)
		return -ENODATA;
	for (int i = 0; i < nr; i++) {
		if (rows[i].node >= 0)
			continue; /* in the sum of its cache already */
		add(&sum.llc_occupancy_bytes, rows[i].counts.llc_occupancy_bytes);
		add(&sum.mbm_total_bytes, rows[i].counts.mbm_total_bytes);
		add(&sum.mbm_local_bytes, rows[i].counts.mbm_local_bytes);
	}
	*ret = sum;
	return 0;
}

int resctrl_assignments_parse(const char *text, const char *event, bool *ret_all_on,
			      bool *ret_all_off)
{
	size_t len = strlen(event);
	struct text_line l;
	int r;

	while ((r = text_next_line(&text, &l)) > 0) {
		const char *p = l.start + len, *end = l.start + l.len;
		bool on = true, off = true;

		if (l.len <= len || memcmp(l.start, event, len) != 0 || *p != ':')
			continue;
		for (p = memchr(p, '=', (size_t)(end - p)); p;
		     p = memchr(p + 1, '=', (size_t)(end - p - 1))) {
			if (p + 1 == end || (p[1] != 'e' && p[1] != '_'))
				return -EINVAL;
			*(p[1] == 'e' ? &off : &on) = false;
		}
		if (on && off)
			return -EINVAL; /* no domain at all */
		*ret_all_on = on;
		*ret_all_off = off;
		return 0;
	}
	return r < 0 ? r : -ENOENT;
}

int resctrl_assign_counter(const struct resctrl *rc, const char *path, bool local, bool on,
			   struct error *reterr)
{
	static const char name[] = "mbm_L3_assignments";
	const char *event = local ? "mbm_local_bytes" : "mbm_total_bytes";
	char text[4096], file[RESCTRL_PATH_MAX];
	bool all_on, all_off;
	ssize_t n;
	int r;

	if (!rc->info.mbm_assign)
		return error_set(reterr, -EOPNOTSUPP,
				 "counters are not assigned here: every group has its own");
	snprintf(text, sizeof(text), "%s:*=%s\n", event, on ? "e" : "_");
	r = resctrl_write(rc, path, name, text, reterr);
	if (r < 0)
		return r;
	n = resctrl_file(file, sizeof(file), path, name);
	if (n >= 0)
		n = kio_read_text_at(rc->fd, file, text, sizeof(text));
	r = n < 0 ? (int)n : resctrl_assignments_parse(text, event, &all_on, &all_off);
	if (r < 0)
		return error_errno(reterr, r, "%s of %s", name, resctrl_shown(path));
	if (!(on ? all_on : all_off))
		return error_set(reterr, -EIO, "%s of %s did not change", name,
				 resctrl_shown(path));
	return 0;
}

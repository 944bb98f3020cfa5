/* SPDX-License-Identifier: MIT */
/* What the memory and io controllers tell of a cgroup, v1 and v2. */
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "kernel/cgroup.h"
#include "kernel/hostio.h"
#include "kernel/text.h"

#define PAGE_MAX    65536ull
#define NO_LIMIT_V1 (INT64_MAX / PAGE_MAX * PAGE_MAX) /* or more, with smaller pages */

/* Sums of two keys, of which a kernel may lack one (v2 before 5.9: one for both kinds). */
static uint64_t sum_known(uint64_t a, uint64_t b)
{
	if (a == UINT64_MAX || b == UINT64_MAX)
		return a == UINT64_MAX ? b : a;
	return a + b;
}

int cgroup_mem_stat_parse(bool v2, const char *text, struct cgroup_mem_stat *ret)
{
	struct cgroup_mem_stat s;
	uint64_t refault, refault_anon, refault_file;
	const struct text_key v1_keys[] = {
	    {"total_rss", &s.anon_bytes},
	    {"total_cache", &s.file_bytes},
	    {"total_swap", &s.swap_bytes},
	    {"total_pgfault", &s.faults},
	    {"total_pgmajfault", &s.major_faults},
	    {"total_workingset_refault_anon", &refault_anon},
	    {"total_workingset_refault_file", &refault_file},
	};
	const struct text_key v2_keys[] = {
	    {"anon", &s.anon_bytes},
	    {"file", &s.file_bytes},
	    {"pgfault", &s.faults},
	    {"pgmajfault", &s.major_faults},
	    {"workingset_refault", &refault},
	    {"workingset_refault_anon", &refault_anon},
	    {"workingset_refault_file", &refault_file},
	    {"pgscan", &s.scanned_pages},
	    {"pgsteal", &s.reclaimed_pages},
	};
	int r;

	memset(&s, 0xff, sizeof(s));
	refault = refault_anon = refault_file = UINT64_MAX;
	r = v2 ? text_read_keys(text, v2_keys, ARRAY_SIZE(v2_keys))
	       : text_read_keys(text, v1_keys, ARRAY_SIZE(v1_keys));
	if (r <= 0)
		return r < 0 ? r : -EINVAL;
	s.refault_pages = sum_known(sum_known(refault_anon, refault_file), refault);
	*ret = s;
	return 0;
}

int cgroup_mem_events_parse(const char *text, struct cgroup_mem_events *ret)
{
	struct cgroup_mem_events e = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	const struct text_key keys[] = {
	    {"high", &e.high}, {"max", &e.max}, {"oom_kill", &e.oom_kills}, {"oom", &e.oom}};
	int r = text_read_keys(text, keys, ARRAY_SIZE(keys));

	if (r <= 0)
		return r < 0 ? r : -EINVAL;
	*ret = e;
	return 0;
}

int cgroup_mem_limit_parse(bool v2, const char *text, uint64_t *ret_bytes)
{
	uint64_t bytes;
	int r;

	if (v2 && !strcmp(text, "max\n")) {
		*ret_bytes = UINT64_MAX;
		return 0;
	}
	r = text_u64(text, &bytes);
	if (r == 0)
		*ret_bytes = !v2 && bytes >= NO_LIMIT_V1 ? UINT64_MAX : bytes;
	return r;
}

/* "8:0 ..." at the start of a line; NULL: no device, or there is no room. */
static struct cgroup_disk *disk_of(const struct text_line *l, struct cgroup_io *io)
{
	const char *p = l->start, *end = l->start + l->len;
	uint64_t major, minor;
	uint32_t dev;

	if (scan_u64(&p, end, &major) < 0 || p == end || *p++ != ':' ||
	    scan_u64(&p, end, &minor) < 0 || !disk_dev(major, minor, &dev))
		return NULL;
	for (size_t i = 0; i < io->nr_disks; i++)
		if (io->disks[i].dev == dev)
			return &io->disks[i];
	if (io->nr_disks == CGROUP_DISKS_MAX)
		return NULL;
	io->disks[io->nr_disks] = (struct cgroup_disk){.dev = dev};
	return &io->disks[io->nr_disks++];
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..."; a device may stand alone, and floats follow. */
static int io_fields(const struct text_line *l, struct cgroup_io *io)
{
	struct cgroup_disk none, *disk = disk_of(l, io);
	const char *p = l->start, *end = l->start + l->len;
	const struct {
		const char *key;
		uint64_t *sum, *part;
	} keys[] = {
	    {"rbytes=", &io->read_bytes, disk ? &disk->bytes : &none.bytes},
	    {"wbytes=", &io->write_bytes, disk ? &disk->bytes : &none.bytes},
	    {"rios=", &io->reads, disk ? &disk->ops : &none.ops},
	    {"wios=", &io->writes, disk ? &disk->ops : &none.ops},
	};

	none = (struct cgroup_disk){0};
	for (; p < end; p++) {
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			size_t n = strlen(keys[i].key);
			uint64_t v;

			if ((size_t)(end - p) <= n || memcmp(p, keys[i].key, n) != 0)
				continue;
			p += n;
			if (scan_u64(&p, end, &v) < 0)
				return -EINVAL;
			*keys[i].sum += v;
			*keys[i].part += v;
			break;
		}
		while (p < end && *p != ' ')
			p++;
	}
	return 0;
}

int cgroup_io_stat_parse(const char *text, struct cgroup_io *ret)
{
	struct cgroup_io io = {0};
	struct text_line l;
	int r;

	while ((r = text_next_line(&text, &l)) > 0) {
		r = io_fields(&l, &io);
		if (r < 0)
			return r;
	}
	if (r == 0)
		*ret = io;
	return r;
}

/* "8:0 Read 1" lines, and a total at the end. */
int cgroup_blkio_parse(const char *text, bool ops, struct cgroup_io *io)
{
	struct cgroup_io all = *io;
	uint64_t sums[2] = {0};
	struct text_line l;
	int r;

	while ((r = text_next_line(&text, &l)) > 0) {
		static const char *const kinds[] = {"Read ", "Write "};
		const char *end = l.start + l.len, *p = memchr(l.start, ' ', l.len);

		for (int i = 0; p && i < 2; i++) {
			size_t n = strlen(kinds[i]);
			const char *at = p + 1;
			struct cgroup_disk *disk;
			uint64_t v;

			if ((size_t)(end - at) <= n || memcmp(at, kinds[i], n) != 0)
				continue;
			at += n;
			if (scan_u64(&at, end, &v) < 0 || at != end)
				return -EINVAL;
			sums[i] += v;
			disk = disk_of(&l, &all);
			if (disk)
				*(ops ? &disk->ops : &disk->bytes) += v;
		}
	}
	if (r < 0)
		return r;
	*(ops ? &all.reads : &all.read_bytes) = sums[0];
	*(ops ? &all.writes : &all.write_bytes) = sums[1];
	*io = all;
	return 0;
}

uint64_t cgroup_io_limit_parse(const char *text, const char *field)
{
	uint64_t least = UINT64_MAX, v;
	struct text_line l;

	while (text_next_line(&text, &l) > 0) {
		const char *end = l.start + l.len;
		const char *p = field ? memmem(l.start, l.len, field, strlen(field))
				      : memchr(l.start, ' ', l.len);

		if (!p)
			continue;
		p += field ? strlen(field) : 1;
		if (p < end && *p >= '0' && *p <= '9' && scan_u64(&p, end, &v) >= 0 && v < least)
			least = v;
	}
	return least;
}

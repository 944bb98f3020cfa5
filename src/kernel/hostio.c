/* SPDX-License-Identifier: MIT */
#include "kernel/hostio.h"

#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "kernel/text.h"

#define SECTOR_BYTES 512
#define NAME_SIZE    64
#define PAGE_BYTES   4096ull

/* The next word of a line. -EINVAL: none, or it is longer than any name. */
static int next_word(const char **p, const char *end, char word[NAME_SIZE])
{
	size_t n = 0;

	while (*p < end && **p == ' ')
		++*p;
	while (*p + n < end && (*p)[n] != ' ')
		n++;
	if (!n || n >= NAME_SIZE)
		return -EINVAL;
	memcpy(word, *p, n);
	word[n] = 0;
	*p += n;
	return 0;
}

static int next_numbers(const char **p, const char *end, uint64_t *v, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = scan_u64(p, end, &v[i]);
	return r;
}

/* vda1 of vda, nvme0n1p2 of nvme0n1: the kernel lists a disk's partitions after it. */
static bool is_partition(const char *name, const char *disk)
{
	size_t n = strlen(disk);

	if (!n || strncmp(name, disk, n) != 0)
		return false;
	name += n;
	if (isdigit((unsigned char)disk[n - 1]) && *name++ != 'p')
		return false;
	return isdigit((unsigned char)*name) && name[strspn(name, "0123456789")] == 0;
}

/* Is its io that of the disks below? */
enum layer { LAYER_NONE, LAYER_PERHAPS, LAYER_ALWAYS };

static enum layer layer_of(const char *name)
{
	static const struct {
		const char *prefix;
		enum layer layer;
	} kinds[] = {{"dm-", LAYER_ALWAYS},   {"md", LAYER_ALWAYS},    {"drbd", LAYER_ALWAYS},
		     {"loop", LAYER_PERHAPS}, {"zram", LAYER_PERHAPS}, {"ram", LAYER_PERHAPS}};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)))
			return kinds[i].layer;
	return LAYER_NONE;
}

static void add(uint64_t *sum, uint64_t n)
{
	if (__builtin_add_overflow(*sum, n, sum))
		*sum = UINT64_MAX;
}

bool disk_dev(uint64_t major, uint64_t minor, uint32_t *ret)
{
	if (major >= 1 << 12 || minor >= 1 << 20)
		return false;
	*ret = (uint32_t)(major << 20 | minor);
	return true;
}

static void add_disk(struct disk_totals *t, const char *name, const uint64_t number[2],
		     const uint64_t v[8])
{
	struct disk_stat *d = &t->disks[t->nr_disks];

	if (!(v[0] | v[4]) || t->nr_disks == DISK_STATS_MAX ||
	    !disk_dev(number[0], number[1], &d->dev) || !str_copy(d->name, sizeof(d->name), name))
		return;
	d->requests = v[0];
	d->wait_ns = saturating_mul(v[3], 1000000);
	add(&d->requests, v[4]);
	add(&d->wait_ns, saturating_mul(v[7], 1000000));
	t->nr_disks++;
}

int proc_diskstats_parse(const char *text, struct disk_totals *ret)
{
	struct disk_totals all = {0};
	char disk[NAME_SIZE] = "", name[NAME_SIZE];
	struct text_line l;
	int r;

	while ((r = text_next_line(&text, &l)) > 0) {
		/* reads, merged, sectors, ms; the same of writes; in flight, ms busy */
		const char *p = l.start, *end = l.start + l.len;
		uint64_t number[2], v[10];
		enum layer layer;

		if (next_numbers(&p, end, number, 2) < 0 || next_word(&p, end, name) < 0 ||
		    next_numbers(&p, end, v, ARRAY_SIZE(v)) < 0)
			return -EINVAL;
		layer = layer_of(name);
		if (layer == LAYER_ALWAYS || is_partition(name, disk))
			continue;
		add_disk(&all, name, number, v);
		if (layer == LAYER_PERHAPS)
			continue;
		memcpy(disk, name, sizeof(disk));
		add(&all.reads, v[0]);
		add(&all.read_bytes, saturating_mul(v[2], SECTOR_BYTES));
		add(&all.writes, v[4]);
		add(&all.write_bytes, saturating_mul(v[6], SECTOR_BYTES));
		add(&all.busy_ns, saturating_mul(v[9], 1000000));
	}
	if (r == 0)
		*ret = all;
	return r;
}

/* "  eth0: 1 2 ...", where a long number may stand right after the colon. */
static int net_line(const struct text_line *l, char name[NAME_SIZE], uint64_t v[16])
{
	const char *p = l->start, *end = l->start + l->len;
	const char *colon = memchr(p, ':', l->len);
	int r;

	if (!colon)
		return -EINVAL;
	r = next_word(&p, colon, name);
	p = colon + 1;
	return r < 0 ? r : next_numbers(&p, end, v, 16);
}

int proc_net_dev_parse(const char *text, bool (*wanted)(const char *name, void *arg), void *arg,
		       struct net_totals *ret)
{
	struct net_totals all = {0};
	char name[NAME_SIZE];
	struct text_line l;
	uint64_t v[16];
	int r, nr = 0;

	while ((r = text_next_line(&text, &l)) > 0) {
		if (nr++ < 2) {
			if (!memchr(l.start, '|', l.len))
				return -EINVAL;
			continue;
		}
		if (net_line(&l, name, v) < 0)
			return -EINVAL;
		if (!strcmp(name, "lo") || !wanted(name, arg))
			continue;
		add(&all.received_bytes, v[0]);
		add(&all.received_packets, v[1]);
		add(&all.dropped, v[3]);
		add(&all.sent_bytes, v[8]);
		add(&all.sent_packets, v[9]);
		add(&all.dropped, v[11]);
	}
	if (r < 0 || nr < 2)
		return -EINVAL;
	*ret = all;
	return 0;
}

/* The line of names gives the place of the number in the line after it. */
static int value_of(const struct text_line *names, const struct text_line *values, const char *key,
		    uint64_t *ret)
{
	const char *n = names->start, *v = values->start;
	char name[NAME_SIZE], value[NAME_SIZE];

	while (next_word(&n, names->start + names->len, name) == 0 &&
	       next_word(&v, values->start + values->len, value) == 0)
		if (!strcmp(name, key))
			return parse_u64(value, ret);
	return -EINVAL;
}

int proc_tcp_retransmits_parse(const char *text, uint64_t *ret)
{
	struct text_line names, values;

	while (text_next_line(&text, &names) > 0 && text_next_line(&text, &values) > 0)
		if (names.len > 5 && !memcmp(names.start, "Tcp: ", 5))
			return value_of(&names, &values, "RetransSegs", ret);
	return -EINVAL;
}

/* "N0=123" */
static int add_node(const char *word, uint64_t unit, struct numa_bytes *n)
{
	const char *end = word + strlen(word), *p = word + 1;
	uint64_t node, value;

	if (*word != 'N' || scan_u64(&p, end, &node) < 0 || *p != '=' || node >= NUMA_NODES_MAX)
		return -EINVAL;
	p++;
	if (scan_u64(&p, end, &value) < 0 || p != end)
		return -EINVAL;
	add(&n->bytes[node], saturating_mul(value, unit));
	return 0;
}

static bool is_counted(bool v2, const char *key)
{
	return v2 ? !strcmp(key, "anon") || !strcmp(key, "file")
		  : !strncmp(key, "hierarchical_total=", 19);
}

int cgroup_numa_parse(bool v2, const char *text, struct numa_bytes *ret)
{
	struct numa_bytes all = {0};
	struct text_line l;
	bool found = false;
	char word[NAME_SIZE];
	int r;

	while ((r = text_next_line(&text, &l)) > 0) {
		const char *p = l.start, *end = l.start + l.len;

		if (next_word(&p, end, word) < 0)
			return -EINVAL;
		if (!is_counted(v2, word))
			continue;
		found = true;
		while (p < end)
			if (next_word(&p, end, word) < 0 ||
			    add_node(word, v2 ? 1 : PAGE_BYTES, &all) < 0)
				return -EINVAL;
	}
	if (r < 0 || !found)
		return -EINVAL;
	*ret = all;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Requests to block devices per zone, their latency, and who had the disk while those of a
 * protected zone waited (src/bpf/block.bpf.c). The kernel knows a request's cgroup of the io
 * controller, which on v1 is another tree than the cpu controller's: the two are joined by path,
 * once a zone.
 */
#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bpf/block.h"
#include "probes/zone-sums.h"
#include "block.skel.h"

#define P99_PPM	    990000
#define HOLDERS_MAX 256 /* pairs in one tick; the rest is told as nobody's */

struct io_zone {
	uint64_t id, io_id; /* cgroup of the cpu controller, of the io controller (0: has none) */
	uint64_t owner;	    /* as the program was told; 0: none */
	struct block_zone last;
	uint32_t tick; /* in which fresh was begun */
	uint32_t fresh[BLOCK_BUCKETS];
};

struct held {
	uint64_t owner, holder, ns; /* ids of the cpu controller's tree; holder 0: unknown */
};

struct block {
	struct block_bpf *skel;
	bool one_tree;		  /* v2: a zone's id is the same in both */
	struct hash zones, by_io; /* of struct io_zone, by id and by io_id */
	unsigned long long lost_seen;
	uint64_t missed;
	struct held held[HOLDERS_MAX]; /* in the latest tick */
	size_t nr_held;
};

static void block_close(void *state)
{
	struct block *s = state;

	if (!s)
		return;
	block_bpf__destroy(s->skel);
	hash_for_each(&s->zones, e)
		free(e->value);
	hash_done(&s->zones);
	hash_done(&s->by_io);
	free(s);
}
DEFINE_CLEANUP(void *, block_close)

static int block_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	static const char *const hooks[] = {"block_rq_insert", "block_rq_issue", "block_rq_requeue",
					    "block_rq_merge", "block_rq_complete"};
	_cleanup_(block_closep) void *state = NULL;
	struct block *s;
	int r = bpf_hooks_check(hooks, ARRAY_SIZE(hooks), why, size);

	if (r < 0)
		return r;
	if (!cgroup_has(p->fs, CG_IO)) {
		snprintf(why, size, "the io controller (v1: blkio) is not mounted");
		return -EOPNOTSUPP;
	}
	state = s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->one_tree = p->fs->of[CG_IO] == p->fs->of[CG_CPU];
	s->skel = block_bpf__open_and_load();
	if (!s->skel)
		return bpf_refused(-errno, why, size);
	r = block_bpf__attach(s->skel);
	if (r < 0)
		return bpf_refused(r, why, size);
	*ret_state = TAKE_PTR(state);
	return 0;
}

static uint64_t io_id_of(const struct block *s, const struct probes *p, const struct probe_zone *z)
{
	_cleanup_close_ int fd = -1;
	uint64_t id = 0;

	if (s->one_tree)
		return z->id;
	fd = cgroup_open(p->fs, CG_IO, z->path, 0);
	return fd < 0 || cgroup_id_at(fd, &id) < 0 ? 0 : id;
}

static struct io_zone *io_zone_of(struct block *s, const struct probes *p,
				  const struct probe_zone *z)
{
	struct io_zone *io = hash_get(&s->zones, z->id);

	if (!io) {
		io = calloc(1, sizeof(*io));
		if (!io || hash_put(&s->zones, z->id, io) < 0) {
			free(io);
			return NULL;
		}
		io->id = z->id;
		io->tick = p->tick - 1;
	}
	if (!io->io_id) {
		io->io_id = io_id_of(s, p, z);
		if (io->io_id && hash_put(&s->by_io, io->io_id, io) < 0)
			io->io_id = 0;
	}
	return io;
}

/* Tell the program whose requests these are. */
static int set_owner(struct block *s, struct io_zone *io, const struct probe_zone *owner)
{
	uint64_t id = owner ? owner->id : 0;
	int fd = bpf_map__fd(s->skel->maps.owners), r;

	if (id == io->owner || !io->io_id)
		return 0;
	r = id ? bpf_map_update_elem(fd, &io->io_id, &id, BPF_ANY)
	       : bpf_map_delete_elem(fd, &io->io_id);
	if (r < 0 && r != -ENOENT)
		return r;
	io->owner = id;
	return 0;
}

/* What came since the last reading, to the zone and those above it. */
static int add_up(struct block *s, const struct probes *p, struct probe_zone *z,
		  const struct block_zone *now, struct io_zone *io)
{
	for (struct probe_zone *up = z; up; up = up->parent) {
		struct io_zone *at = io_zone_of(s, p, up);

		if (!at)
			return -ENOMEM;
		if (at->tick != p->tick)
			memset(at->fresh, 0, sizeof(at->fresh));
		at->tick = p->tick;
		row_add(&up->row, ZM_IO_REQUESTS, now->count - io->last.count);
		row_add(&up->row, ZM_IO_REQUEST_NS, now->ns - io->last.ns);
		for (int b = 0; b < BLOCK_BUCKETS; b++)
			at->fresh[b] += now->hist[b] - io->last.hist[b];
	}
	io->last = *now;
	return 0;
}

static int block_read(void *state, struct probes *p, struct probe_zone *z)
{
	struct block *s = state;
	struct io_zone *io = io_zone_of(s, p, z);
	struct block_zone now = {0};
	int r;

	if (!io)
		return -ENOMEM;
	r = set_owner(s, io, probe_zone_owner(p, z));
	if (r < 0)
		return r;
	r = io->io_id ? bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.zones), &io->io_id, &now)
		      : -ENOENT;
	if (r < 0 && r != -ENOENT)
		return r;
	if (z->interest == PROBE_PROTECTED)
		row_add(&z->row, ZM_IO_FOREIGN_NS, 0);
	return add_up(s, p, z, &now, io);
}

static uint64_t bucket_end_ns(unsigned int b)
{
	return (1ull << (BLOCK_SHIFT + b / 4)) * (5 + b % 4) / 4;
}

/* 0: no requests. */
static uint64_t p99_ns(const uint32_t *counts)
{
	uint64_t total = 0, seen = 0;

	for (unsigned int b = 0; b < BLOCK_BUCKETS; b++)
		total += counts[b];
	for (unsigned int b = 0; total && b < BLOCK_BUCKETS; b++) {
		seen += counts[b];
		if (seen * 1000000 >= total * P99_PPM)
			return bucket_end_ns(b);
	}
	return 0;
}

static void take_held(struct block *s, struct probes *p, const struct block_cell_key *key,
		      uint64_t ns)
{
	const struct io_zone *holder = hash_get(&s->by_io, key->holder);
	struct probe_zone *owner = hash_get(&p->by_id, key->owner);
	struct held h = {key->owner, holder ? holder->id : 0, ns};
	struct probe_zone *z = hash_get(&p->by_id, h.holder);
	bool own = owner && z && probe_zone_owner(p, z) == owner;

	if (!ns) /* read between its beginning and the first sum */
		return;
	if (owner && !own)
		row_add(&owner->row, ZM_IO_FOREIGN_NS, ns);
	if (s->nr_held == HOLDERS_MAX) {
		s->held[HOLDERS_MAX - 1] = (struct held){key->owner, 0, ns};
		return;
	}
	s->held[s->nr_held++] = h;
}

static void read_cells(struct block *s, struct probes *p)
{
	int fd = bpf_map__fd(s->skel->maps.cells);
	struct block_cell_key key;
	uint64_t ns;

	s->nr_held = 0;
	/* each is taken out: the first is always one not seen yet */
	for (int i = 0; i < BLOCK_CELLS_MAX && bpf_map_get_next_key(fd, NULL, &key) == 0; i++)
		if (bpf_map_lookup_and_delete_elem(fd, &key, &ns) == 0)
			take_held(s, p, &key, ns);
}

static void block_end(void *state, struct probes *p)
{
	struct block *s = state;
	uint64_t missed = bpf_missed(s->skel->obj);

	hash_for_each(&s->zones, e) {
		const struct io_zone *io = e->value;
		struct probe_zone *z = hash_get(&p->by_id, io->id);
		uint64_t ns = io->tick == p->tick ? p99_ns(io->fresh) : 0;

		if (!z)
			continue;
		z->row.valid &= ~METRIC_BIT(ZM_IO_REQUEST_P99_NS);
		if (ns)
			row_set(&z->row, ZM_IO_REQUEST_P99_NS, ns);
	}
	read_cells(s, p);
	if (s->skel->bss->lost != s->lost_seen || missed != s->missed)
		p->stats.errors_total++;
	s->lost_seen = s->skel->bss->lost;
	s->missed = missed;
}

static void block_forget(void *state, const struct probe_zone *z)
{
	struct block *s = state;
	struct io_zone *io = hash_remove(&s->zones, z->id);
	/* One that lived between two readings has an entry too. */
	uint64_t io_id = io ? io->io_id : s->one_tree ? z->id : 0;

	if (!io_id) {
		free(io);
		return;
	}
	hash_remove(&s->by_io, io_id);
	(void)bpf_map_delete_elem(bpf_map__fd(s->skel->maps.owners), &io_id);
	(void)bpf_map_delete_elem(bpf_map__fd(s->skel->maps.zones), &io_id);
	free(io);
}

static size_t block_holders(const void *state, const struct probes *p, uint64_t zone_id,
			    struct holder *ret, size_t max)
{
	const struct block *s = state;
	size_t n = 0;

	for (size_t i = 0; i < s->nr_held && n < max; i++)
		if (s->held[i].owner == zone_id)
			ret[n++] = (struct holder){s->held[i].holder, s->held[i].ns};
	return n;
}

const struct probe probe_block = {
    .name = "block",
    .summary = "latency of disk requests per zone, and who had the disk meanwhile",
    .needs = "BPF with BTF: CAP_BPF and CAP_PERFMON, or root",
    .when = WHEN_ACTIVE,
    .optional = true,
    .metrics = METRIC_BIT(ZM_IO_REQUESTS) | METRIC_BIT(ZM_IO_REQUEST_NS) |
	       METRIC_BIT(ZM_IO_REQUEST_P99_NS) | METRIC_BIT(ZM_IO_FOREIGN_NS),
    .open = block_open,
    .close = block_close,
    .read = block_read,
    .end = block_end,
    .forget = block_forget,
    .holds = HELD_DISK,
    .holders = block_holders,
};

/* SPDX-License-Identifier: MIT */
/*
 * Files kept open under a budget. Reading a kept file costs a fifth of opening, reading and closing
 * it. Each is kept as long as there is room; when there is none, what has not been read for longer
 * than it used to be gives way, then what is read more rarely than the new one. Nothing is evicted
 * for a file read as rarely as itself: that would only be opening with extra steps.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/kio.h"
#include "probes/internal.h"

#define SHORTAGE_STEP 64 /* fds given back when the process has none left */
#define ABSENT_TICKS  64 /* a missing file is looked for again after so many ticks */
#define RARE_TICKS    64 /* between two readings at most; longer ago: no longer read */
#define LONG_AGO      UINT16_MAX

void kept_init(struct kept_files *k, uint32_t budget)
{
	*k = (struct kept_files){.budget = budget, .free_head = NO_SLOT};
	for (int rank = 0; rank < KEPT_RANKS; rank++)
		k->lru[rank] = (struct kept_lru){NO_SLOT, NO_SLOT};
}

void kept_done(struct kept_files *k)
{
	free(k->slots);
	kept_init(k, 0);
}

void kept_zone_init(const struct probes *p, struct probe_zone *z)
{
	for (int f = 0; f < CGF_NR; f++) {
		z->slot[f] = NO_SLOT;
		z->read_tick[f] = (uint16_t)(p->tick - LONG_AGO);
	}
}

static uint16_t ticks_since(const struct probes *p, const struct probe_zone *z, int f)
{
	return (uint16_t)(p->tick - z->read_tick[f]);
}

/* Of a file that is read now: by how long ago the reading before was. */
static uint8_t rank_now(const struct probes *p, const struct probe_zone *z, enum cgroup_file f)
{
	uint16_t since = ticks_since(p, z, f);

	return since <= 2 ? KEPT_TICK : since <= 2 * p->slow_every ? KEPT_SLOW : KEPT_RARE;
}

static void lru_unlink(struct kept_files *k, uint32_t i)
{
	struct kept_file *s = &k->slots[i];
	struct kept_lru *lru = &k->lru[s->rank];

	*(s->prev == NO_SLOT ? &lru->head : &k->slots[s->prev].next) = s->next;
	*(s->next == NO_SLOT ? &lru->tail : &k->slots[s->next].prev) = s->prev;
}

static void lru_push(struct kept_files *k, uint32_t i)
{
	struct kept_file *s = &k->slots[i];
	struct kept_lru *lru = &k->lru[s->rank];

	s->prev = NO_SLOT;
	s->next = lru->head;
	*(lru->head == NO_SLOT ? &lru->tail : &k->slots[lru->head].prev) = i;
	lru->head = i;
}

static void drop(struct kept_files *k, uint32_t i)
{
	struct kept_file *s = &k->slots[i];

	lru_unlink(k, i);
	close(s->fd);
	s->zone->slot[s->file] = NO_SLOT;
	s->next = k->free_head;
	k->free_head = i;
	k->used--;
}

static int grow(struct kept_files *k)
{
	uint32_t cap = k->cap ? k->cap * 2 : 256;
	struct kept_file *slots = realloc(k->slots, cap * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	k->slots = slots;
	for (uint32_t i = cap; i-- > k->cap;) {
		slots[i].next = k->free_head;
		k->free_head = i;
	}
	k->cap = cap;
	return 0;
}

/* The one to give way to a file of this rank, or NO_SLOT. */
static uint32_t find_victim(const struct probes *p, uint8_t rank)
{
	const uint32_t stale[KEPT_RANKS] = {2, 2 * p->slow_every, RARE_TICKS};
	const struct kept_files *k = &p->kept;

	for (int r = 0; r < KEPT_RANKS; r++) {
		uint32_t oldest = k->lru[r].tail;
		const struct kept_file *s = oldest == NO_SLOT ? NULL : &k->slots[oldest];

		if (s && ticks_since(p, s->zone, s->file) > stale[r])
			return oldest;
	}
	for (int r = KEPT_RANKS; --r > rank;)
		if (k->lru[r].tail != NO_SLOT)
			return k->lru[r].tail;
	return NO_SLOT;
}

/* Is there room for one more, if need be by closing another? */
static bool make_room(struct probes *p, uint8_t rank)
{
	struct kept_files *k = &p->kept;
	uint32_t victim;

	if (k->used < k->budget)
		return true;
	victim = find_victim(p, rank);
	if (victim != NO_SLOT)
		drop(k, victim);
	return k->used < k->budget;
}

/* Takes the fd over: kept or closed. */
static void keep(struct probes *p, struct probe_zone *z, enum cgroup_file f, int fd)
{
	uint8_t rank = rank_now(p, z, f);
	struct kept_files *k = &p->kept;
	uint32_t i;

	if (!make_room(p, rank) || (k->free_head == NO_SLOT && grow(k) < 0)) {
		close(fd);
		return;
	}
	i = k->free_head;
	k->free_head = k->slots[i].next;
	k->slots[i] = (struct kept_file){.zone = z, .fd = fd, .file = (uint8_t)f, .rank = rank};
	z->slot[f] = i;
	k->used++;
	lru_push(k, i);
}

/* The process has no fds left: others need some as well, so the budget shrinks for good. */
static void give_back(struct probes *p)
{
	struct kept_files *k = &p->kept;
	int n = 0;

	p->stats.fd_shortage_total++;
	for (int r = KEPT_RANKS; r-- > 0;)
		for (; n < SHORTAGE_STEP && k->lru[r].tail != NO_SLOT; n++)
			drop(k, k->lru[r].tail);
	k->budget = k->used;
}

int kept_open_once(struct probes *p, struct probe_zone *z, enum cgroup_file f)
{
	int fd = cgroup_open_file(p->fs, f, z->path);

	p->stats.opens_total++;
	if (fd == -EMFILE || fd == -ENFILE) {
		give_back(p);
		fd = cgroup_open_file(p->fs, f, z->path);
	}
	return fd;
}

static bool is_absent(const struct probes *p, struct probe_zone *z, enum cgroup_file f)
{
	if ((p->tick + (uint32_t)z->id) % ABSENT_TICKS == 0)
		z->absent &= ~(1u << f);
	return z->absent & 1u << f;
}

static ssize_t read_kept(struct probes *p, struct probe_zone *z, enum cgroup_file f, char *buf,
			 size_t size)
{
	uint32_t i = z->slot[f];
	struct kept_file *s = &p->kept.slots[i];
	ssize_t n = kio_pread_text(s->fd, buf, size);

	if (n < 0) {
		drop(&p->kept, i);
		return n == -ENODEV ? -ENOENT : n;
	}
	lru_unlink(&p->kept, i);
	s->rank = rank_now(p, z, f);
	lru_push(&p->kept, i);
	z->read_tick[f] = (uint16_t)p->tick;
	return n;
}

ssize_t kept_read(struct probes *p, struct probe_zone *z, enum cgroup_file f, char *buf,
		  size_t size)
{
	ssize_t n;
	int fd;

	p->stats.reads_total++;
	if (z->slot[f] != NO_SLOT)
		return read_kept(p, z, f, buf, size);
	if (is_absent(p, z, f))
		return -ENOENT;
	fd = kept_open_once(p, z, f);
	n = fd < 0 ? fd : kio_pread_text(fd, buf, size);
	if (n >= 0) {
		keep(p, z, f, fd);
		z->read_tick[f] = (uint16_t)p->tick;
		return n;
	}
	if (fd >= 0)
		close(fd);
	if (n == -ENOENT || n == -EOPNOTSUPP || n == -ENODEV) {
		z->absent |= 1u << f;
		return -ENOENT;
	}
	return n;
}

void kept_drop_zone(struct probes *p, struct probe_zone *z)
{
	for (int f = 0; f < CGF_NR; f++)
		if (z->slot[f] != NO_SLOT)
			drop(&p->kept, z->slot[f]);
	z->absent = 0;
}

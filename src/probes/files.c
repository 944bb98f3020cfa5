/* SPDX-License-Identifier: MIT */
/*
 * Files kept open under a budget. Reading a kept file costs a tenth of opening it. The CPU usage
 * file of each zone comes first; what else is read is kept as long as there is room, and a file
 * that was not read in this tick or the last gives way to one that is. Nothing is evicted for a
 * file that would in turn be evicted in the same tick: that would only be opening with extra steps.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/kio.h"
#include "probes/internal.h"

#define SHORTAGE_STEP 64 /* fds given back when the process has none left */
#define ABSENT_TICKS  64 /* a missing file is looked for again after so many ticks */

void kept_init(struct kept_files *k, uint32_t budget)
{
	*k = (struct kept_files){
	    .budget = budget, .free_head = NO_SLOT, .lru_head = NO_SLOT, .lru_tail = NO_SLOT};
}

void kept_done(struct kept_files *k)
{
	free(k->slots);
	*k = (struct kept_files){.free_head = NO_SLOT, .lru_head = NO_SLOT, .lru_tail = NO_SLOT};
}

void kept_zone_init(struct probe_zone *z)
{
	for (int f = 0; f < CGF_NR; f++)
		z->slot[f] = NO_SLOT;
}

static void lru_unlink(struct kept_files *k, uint32_t i)
{
	struct kept_file *s = &k->slots[i];

	if (s->file == CGF_USAGE)
		return;
	*(s->prev == NO_SLOT ? &k->lru_head : &k->slots[s->prev].next) = s->next;
	*(s->next == NO_SLOT ? &k->lru_tail : &k->slots[s->next].prev) = s->prev;
}

static void lru_push(struct kept_files *k, uint32_t i)
{
	struct kept_file *s = &k->slots[i];

	if (s->file == CGF_USAGE)
		return;
	s->prev = NO_SLOT;
	s->next = k->lru_head;
	*(k->lru_head == NO_SLOT ? &k->lru_tail : &k->slots[k->lru_head].prev) = i;
	k->lru_head = i;
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

/* Is there room for one more, if need be by closing what was not read lately? */
static bool make_room(struct probes *p, enum cgroup_file f)
{
	struct kept_files *k = &p->kept;
	uint32_t oldest = k->lru_tail;

	if (k->used < k->budget)
		return true;
	if (oldest == NO_SLOT || (f != CGF_USAGE && p->tick - k->slots[oldest].tick < 2))
		return false;
	drop(k, oldest);
	return k->used < k->budget;
}

/* Takes the fd over: kept or closed. */
static void keep(struct probes *p, struct probe_zone *z, enum cgroup_file f, int fd)
{
	struct kept_files *k = &p->kept;
	uint32_t i;

	if (!make_room(p, f) || (k->free_head == NO_SLOT && grow(k) < 0)) {
		close(fd);
		return;
	}
	i = k->free_head;
	k->free_head = k->slots[i].next;
	k->slots[i] = (struct kept_file){.zone = z, .fd = fd, .tick = p->tick, .file = (uint8_t)f};
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
	for (; n < SHORTAGE_STEP && k->lru_tail != NO_SLOT; n++)
		drop(k, k->lru_tail);
	for (struct probe_zone *z = p->last; z && n < SHORTAGE_STEP; z = z->prev)
		if (z->slot[CGF_USAGE] != NO_SLOT) {
			drop(k, z->slot[CGF_USAGE]);
			n++;
		}
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

ssize_t kept_read(struct probes *p, struct probe_zone *z, enum cgroup_file f, char *buf,
		  size_t size)
{
	uint32_t i = z->slot[f];
	ssize_t n;
	int fd;

	p->stats.reads_total++;
	if (i != NO_SLOT) {
		n = kio_pread_text(p->kept.slots[i].fd, buf, size);
		if (n < 0) {
			drop(&p->kept, i);
			return n == -ENODEV ? -ENOENT : n;
		}
		p->kept.slots[i].tick = p->tick;
		lru_unlink(&p->kept, i);
		lru_push(&p->kept, i);
		return n;
	}
	if (is_absent(p, z, f))
		return -ENOENT;
	fd = kept_open_once(p, z, f);
	n = fd < 0 ? fd : kio_pread_text(fd, buf, size);
	if (n >= 0) {
		keep(p, z, f, fd);
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

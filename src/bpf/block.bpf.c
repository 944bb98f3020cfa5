/* SPDX-License-Identifier: MIT */
/*
 * Requests to block devices: how long they take, per zone, and who had the disk meanwhile.
 *
 * A request's time runs from its entry into the io scheduler (or its issue, where there is none) to
 * its completion. A disk that serves n requests at once gives each an n-th of the time: for every
 * zone at a disk the integral of that share is kept, brought up to date at each event. Who had the
 * disk during one request is the difference of these integrals between its end and its start; the
 * differences add up to the time during which the disk served anybody. Only requests of protected
 * zones keep the integrals of their start.
 *
 * Limits: neighbouring requests of two zones that the kernel merges count for one of them. Waiting
 * for a request (no free tag) and throttling by io.max come before and are not seen. What a disk
 * does inside is its own: the share says who used it, not whom it preferred. Layered devices
 * (device mapper) are looked at where requests are, at the bottom. Fifteen zones have a place at a
 * disk; one that made no request for ten seconds gives its place away while no protected zone waits
 * there; others share the last, which has no name.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "bpf/block.h"

#define ROOT_CGROUP_ID 1
#define SLOT_OTHERS    (BLOCK_SLOTS - 1)
#define PLACE_KEPT_NS  10000000000ull

struct slot {
	u64 zone, service_ns, used_ns;
	u32 in_service;
};
struct disk {
	struct bpf_spin_lock lock;
	u32 in_service,
	    victims; /* requests served now; those of protected zones, waiting ones too */
	u64 now_ns;
	struct slot slots[BLOCK_SLOTS];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BLOCK_DISKS_MAX);
	__type(key, u64); /* its request queue's address */
	__type(value, struct disk);
} disks SEC(".maps");

struct flight {
	u64 disk, since_ns, zone;
	u64 owner; /* 0: of no protected zone */
	u32 slot, issued;
	u64 before_ns[BLOCK_SLOTS];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BLOCK_FLIGHTS_MAX);
	__type(key, u64); /* the request's address */
	__type(value, struct flight);
} flights SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BLOCK_ZONES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, u64);
} owners SEC(".maps"); /* zone -> the protected zone it belongs to */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BLOCK_ZONES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct block_zone);
} zones SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BLOCK_CELLS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct block_cell_key);
	__type(value, u64);
} cells SEC(".maps");

unsigned long long lost; /* could not be counted: no room, no memory, an end that was not seen */

/* Values of their own to start maps' with: too large for the stack. */
static const struct disk no_disk;
static const struct flight no_flight;
static const struct block_zone no_zone;

static __always_inline u64 request_zone(struct request *rq)
{
	struct bio *bio = rq->bio;

	if (!bio || !bpf_core_field_exists(bio->bi_blkg))
		return ROOT_CGROUP_ID;
	return bio->bi_blkg->blkcg->css.cgroup->kn->id ?: ROOT_CGROUP_ID;
}

static __always_inline void *get_or_add(void *map, const void *key, const void *none)
{
	void *v = bpf_map_lookup_elem(map, key);

	if (v)
		return v;
	bpf_map_update_elem(map, key, none, BPF_NOEXIST);
	v = bpf_map_lookup_elem(map, key);
	if (!v)
		__sync_fetch_and_add(&lost, 1);
	return v;
}

/* Under the disk's lock, as all that follow. */
static __always_inline void advance(struct disk *d, u64 now_ns)
{
	u64 ns = now_ns - d->now_ns;

	if (now_ns <= d->now_ns)
		return;
	d->now_ns = now_ns;
	if (!d->in_service)
		return;
	for (int i = 0; i < BLOCK_SLOTS; i++)
		d->slots[i].service_ns += ns * d->slots[i].in_service / d->in_service;
}

static __always_inline u32 slot_of(struct disk *d, u64 zone, u64 now_ns)
{
	u32 place = SLOT_OTHERS;

	for (int i = 0; i < SLOT_OTHERS; i++) {
		struct slot *s = &d->slots[i];

		if (s->zone == zone)
			return i;
		if (place == SLOT_OTHERS && (!s->zone || (!s->in_service && !d->victims &&
							  now_ns > s->used_ns + PLACE_KEPT_NS)))
			place = i;
	}
	if (place != SLOT_OTHERS)
		d->slots[place].zone = zone;
	return place;
}

static __always_inline void serve(struct disk *d, struct flight *f, bool on, u64 now_ns)
{
	struct slot *s;

	if (on)
		f->slot = slot_of(d, f->zone, now_ns);
	s = &d->slots[f->slot & (BLOCK_SLOTS - 1)];
	s->in_service += on ? 1 : -1;
	s->used_ns = now_ns;
	d->in_service += on ? 1 : -1;
	f->issued = on;
}

static __always_inline void set_served(struct flight *f, bool on, u64 now_ns)
{
	struct disk *d = bpf_map_lookup_elem(&disks, &f->disk);

	if (!d)
		return;
	bpf_spin_lock(&d->lock);
	advance(d, now_ns);
	if (!!f->issued != on)
		serve(d, f, on, now_ns);
	bpf_spin_unlock(&d->lock);
}

static __always_inline void charge(u64 owner, u64 holder, u64 ns)
{
	struct block_cell_key key = {owner, holder};
	u64 none = 0, *cell;

	if (!ns)
		return;
	cell = get_or_add(&cells, &key, &none);
	if (cell)
		__sync_fetch_and_add(cell, ns);
}

/* The request leaves the disk. With `pay`, who had it meanwhile is charged. */
static __always_inline void leave(struct flight *f, bool pay, u64 now_ns)
{
	struct disk *d = bpf_map_lookup_elem(&disks, &f->disk);
	u64 holders[BLOCK_SLOTS] = {0};

	if (!d)
		return;
	bpf_spin_lock(&d->lock);
	advance(d, now_ns);
	if (f->issued)
		serve(d, f, false, now_ns);
	if (f->owner) {
		d->victims--;
		for (int i = 0; i < BLOCK_SLOTS; i++) {
			f->before_ns[i] = d->slots[i].service_ns - f->before_ns[i];
			holders[i] = d->slots[i].zone;
		}
	}
	bpf_spin_unlock(&d->lock);
	if (!f->owner || !pay)
		return;
	for (int i = 0; i < BLOCK_SLOTS; i++)
		charge(f->owner, holders[i], f->before_ns[i]);
}

/*
 * The request's flight, if it is known. One that is older than the request is of another request
 * that lay at this address before, and whose end was not seen: it is lost, and that is told.
 */
static __always_inline struct flight *find(struct request *rq, u64 now_ns)
{
	u64 key = (u64)rq;
	struct flight *f = bpf_map_lookup_elem(&flights, &key);

	if (!f || rq->start_time_ns <= f->since_ns)
		return f;
	__sync_fetch_and_add(&lost, 1);
	leave(f, false, now_ns);
	bpf_map_delete_elem(&flights, &key);
	return NULL;
}

/* The request's flight, begun now unless it has been. */
static __always_inline struct flight *flight_of(struct request *rq, u64 now_ns)
{
	u64 key = (u64)rq, *owner;
	struct flight *f = find(rq, now_ns);
	struct disk *d;

	if (f)
		return f;
	f = get_or_add(&flights, &key, &no_flight);
	if (!f)
		return NULL;
	f->disk = (u64)rq->q;
	f->since_ns = now_ns;
	f->zone = request_zone(rq);
	d = get_or_add(&disks, &f->disk, &no_disk);
	if (!d)
		return NULL;
	owner = bpf_map_lookup_elem(&owners, &f->zone);
	if (!owner)
		return f;
	f->owner = *owner;
	bpf_spin_lock(&d->lock);
	advance(d, now_ns);
	d->victims++;
	for (int i = 0; i < BLOCK_SLOTS; i++)
		f->before_ns[i] = d->slots[i].service_ns;
	bpf_spin_unlock(&d->lock);
	return f;
}

/* Four steps a power of two. */
static __always_inline u32 bucket_of(u64 ns)
{
	u64 rest = ns >> BLOCK_SHIFT;
	u32 power = 0;

	for (int i = 5; i >= 0; i--)
		if (rest >> (1 << i)) {
			rest >>= 1 << i;
			power += 1 << i;
		}
	if (!(ns >> BLOCK_SHIFT))
		return 0;
	power = power * 4 + ((ns >> (BLOCK_SHIFT + power - 2)) & 3);
	return power < BLOCK_BUCKETS ? power : BLOCK_BUCKETS - 1;
}

static __always_inline void count(u64 zone, u64 ns)
{
	struct block_zone *z = get_or_add(&zones, &zone, &no_zone);
	u32 b = bucket_of(ns);

	if (!z)
		return;
	__sync_fetch_and_add(&z->count, 1);
	__sync_fetch_and_add(&z->ns, ns);
	if (b < BLOCK_BUCKETS)
		__sync_fetch_and_add(&z->hist[b], 1);
}

static __always_inline void end(struct request *rq, bool completed)
{
	u64 key = (u64)rq, now_ns = bpf_ktime_get_ns();
	struct flight *f = find(rq, now_ns);

	if (!f)
		return;
	leave(f, completed, now_ns);
	if (completed && now_ns > f->since_ns)
		count(f->zone, now_ns - f->since_ns);
	bpf_map_delete_elem(&flights, &key);
}

SEC("tp_btf/block_rq_insert")
int BPF_PROG(on_insert, struct request *rq)
{
	flight_of(rq, bpf_ktime_get_ns());
	return 0;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(on_issue, struct request *rq)
{
	u64 now_ns = bpf_ktime_get_ns();
	struct flight *f = flight_of(rq, now_ns);

	if (f)
		set_served(f, true, now_ns);
	return 0;
}

SEC("tp_btf/block_rq_requeue")
int BPF_PROG(on_requeue, struct request *rq)
{
	u64 key = (u64)rq;
	struct flight *f = bpf_map_lookup_elem(&flights, &key);

	if (f)
		set_served(f, false, bpf_ktime_get_ns());
	return 0;
}

/* Absorbed by another request before it was issued. */
SEC("tp_btf/block_rq_merge")
int BPF_PROG(on_merge, struct request *rq)
{
	end(rq, false);
	return 0;
}

/* Once for each part of a request: the last one ends it. */
SEC("tp_btf/block_rq_complete")
int BPF_PROG(on_complete, struct request *rq, int error, unsigned int nr_bytes)
{
	if (nr_bytes >= rq->__data_len)
		end(rq, true);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* SPDX-License-Identifier: MIT */
/*
 * Totals of the host's disks and network interfaces, once a tick. Interfaces with a device of their
 * own count (bridges, tunnels and veth pass on what came through one); where there is none, all do.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "kernel/hostio.h"
#include "kernel/kio.h"
#include "probes/internal.h"

#define TEXT_SIZE  (256 << 10)
#define LOOK_EVERY 60 /* ticks between two looks at what an interface is */

struct host_disk {
	struct disk_totals before;
	char text[TEXT_SIZE];
};

static int host_disk_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	char some[64];

	if (kio_read_some_at(p->k->root_fd, "proc/diskstats", some, sizeof(some)) < 0) {
		snprintf(why, size, "/proc/diskstats is not readable");
		return -EOPNOTSUPP;
	}
	*ret_state = calloc(1, sizeof(struct host_disk));
	return *ret_state ? 0 : -ENOMEM;
}

/* One that is new, or whose counters wrapped, had no requests: how long they take is not known. */
static void note_disk(const struct disk_totals *before, const struct disk_stat *now,
		      struct disk_view *ret)
{
	*ret = (struct disk_view){.dev = now->dev};
	str_copy(ret->name, sizeof(ret->name), now->name);
	for (size_t i = 0; i < before->nr_disks; i++) {
		const struct disk_stat *b = &before->disks[i];

		if (b->dev != now->dev || now->requests < b->requests || now->wait_ns < b->wait_ns)
			continue;
		ret->requests = now->requests - b->requests;
		ret->wait_ns = now->wait_ns - b->wait_ns;
	}
}
_Static_assert(DISK_STATS_MAX <= DISKS_MAX, "a disk for each that is told");

static void host_disk_begin(void *state, struct probes *p)
{
	struct host_disk *s = state;
	struct disk_totals t;

	if (kio_read_text_at(p->k->root_fd, "proc/diskstats", s->text, sizeof(s->text)) < 0 ||
	    proc_diskstats_parse(s->text, &t) < 0) {
		p->stats.errors_total++;
		return;
	}
	for (p->nr_disks = 0; p->nr_disks < t.nr_disks; p->nr_disks++)
		note_disk(&s->before, &t.disks[p->nr_disks], &p->disks[p->nr_disks]);
	s->before = t;
	host_set(&p->host, HM_DISK_READ_BYTES, t.read_bytes);
	host_set(&p->host, HM_DISK_WRITE_BYTES, t.write_bytes);
	host_set(&p->host, HM_DISK_READS, t.reads);
	host_set(&p->host, HM_DISK_WRITES, t.writes);
	host_set(&p->host, HM_DISK_BUSY_NS, t.busy_ns);
}

struct host_net {
	const struct probes *p;
	struct hash kinds; /* hash of its name -> HAS_DEVICE or HAS_NONE */
	bool any_device;
	uint32_t looked_tick;
	char text[TEXT_SIZE];
};
#define HAS_NONE   ((void *)1)
#define HAS_DEVICE ((void *)2)

static int host_net_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	struct host_net *s;
	char some[64];

	if (kio_read_some_at(p->k->root_fd, "proc/net/dev", some, sizeof(some)) < 0) {
		snprintf(why, size, "/proc/net/dev is not readable");
		return -EOPNOTSUPP;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->p = p;
	*ret_state = s;
	return 0;
}

static void host_net_close(void *state)
{
	struct host_net *s = state;

	if (!s)
		return;
	hash_done(&s->kinds);
	free(s);
}

/* Looks, and counts nothing. */
static bool look(const char *name, void *arg)
{
	struct host_net *s = arg;
	uint64_t key = hash_string(name);
	struct stat st;
	char path[128];
	bool device;

	if (hash_get(&s->kinds, key))
		return false;
	device = str_printf(path, sizeof(path), "sys/class/net/%s/device", name) == 0 &&
		 kio_fstatat(s->p->k->root_fd, path, &st) == 0;
	s->any_device |= device;
	return hash_put(&s->kinds, key, device ? HAS_DEVICE : HAS_NONE) < 0;
}

static bool is_counted(const char *name, void *arg)
{
	const struct host_net *s = arg;

	return !s->any_device || hash_get(&s->kinds, hash_string(name)) == HAS_DEVICE;
}

static void host_net_begin(void *state, struct probes *p)
{
	struct host_net *s = state;
	struct net_totals t;
	uint64_t retransmits;

	if (p->tick - s->looked_tick >= LOOK_EVERY) {
		hash_done(&s->kinds);
		s->kinds = (struct hash){0};
		s->any_device = false;
		s->looked_tick = p->tick;
	}
	if (kio_read_text_at(p->k->root_fd, "proc/net/dev", s->text, sizeof(s->text)) < 0 ||
	    proc_net_dev_parse(s->text, look, s, &t) < 0 ||
	    proc_net_dev_parse(s->text, is_counted, s, &t) < 0) {
		p->stats.errors_total++;
		return;
	}
	host_set(&p->host, HM_NET_RECEIVED_BYTES, t.received_bytes);
	host_set(&p->host, HM_NET_RECEIVED_PACKETS, t.received_packets);
	host_set(&p->host, HM_NET_SENT_BYTES, t.sent_bytes);
	host_set(&p->host, HM_NET_SENT_PACKETS, t.sent_packets);
	host_set(&p->host, HM_NET_DROPPED, t.dropped);
	if (kio_read_text_at(p->k->root_fd, "proc/net/snmp", s->text, sizeof(s->text)) >= 0 &&
	    proc_tcp_retransmits_parse(s->text, &retransmits) == 0)
		host_set(&p->host, HM_TCP_RETRANSMITS, retransmits);
}

const struct probe probe_host_disk = {
    .name = "host_disk",
    .summary = "bytes, operations and busy time of the host's disks",
    .needs = "/proc/diskstats",
    .when = WHEN_HOST,
    .open = host_disk_open,
    .close = free,
    .begin = host_disk_begin,
};
const struct probe probe_host_net = {
    .name = "host_net",
    .summary = "bytes, packets, drops and TCP retransmits of the host",
    .needs = "/proc/net/dev, /proc/net/snmp",
    .when = WHEN_HOST,
    .open = host_net_open,
    .close = host_net_close,
    .begin = host_net_begin,
};

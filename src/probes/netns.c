/* SPDX-License-Identifier: MIT */
/*
 * Bytes and packets at the interfaces of zones that have a network of their own (containers, pods):
 * /proc/PID/net/dev of one of their tasks. What several zones share counts for the one above them
 * all, a pod's containers for the pod. A zone in the host's network has no figures here: what is
 * sent there bears nobody's name (see probe sockets).
 *
 * Which network a zone is in is looked at in slow rounds, by one task: czd expects those of one
 * cgroup in one network.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "kernel/hostio.h"
#include "kernel/kio.h"
#include "kernel/text.h"
#include "probes/internal.h"

#define NETWORKS_MAX  4096
#define NORMAL_ROUNDS 6 /* slow rounds between two looks at zones of no class */

struct network {
	struct probe_zone *owner; /* NULL: its zone went; the next look finds another */
	uint64_t tid;		  /* a task in it */
	uint64_t ino;
	uint32_t users; /* zones known to be in it */
	bool known;
	struct net_totals last;
};
struct netns {
	uint64_t host_ino;
	struct hash networks; /* ino -> struct network */
	struct hash of;	      /* zone id -> struct network */
	struct hash owned;    /* owner's id -> struct network: one, the latest */
};

/* The link says "net:[4026531840]". */
static int ns_of(const struct probes *p, const char *task, uint64_t *ret)
{
	char path[64], text[64];
	const char *at = text + 5;
	ssize_t n;

	snprintf(path, sizeof(path), "proc/%s/ns/net", task);
	n = kio_readlinkat(p->k->root_fd, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	return strncmp(text, "net:[", 5) ? -EINVAL : scan_u64(&at, text + n, ret);
}

static int netns_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	struct netns *s;
	uint64_t ino;

	if (p->k->captured || ns_of(p, "self", &ino) < 0) {
		snprintf(why, size, "networks of tasks are not readable (a captured machine?)");
		return -EOPNOTSUPP;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->host_ino = ino;
	*ret_state = s;
	return 0;
}

static void netns_close(void *state)
{
	struct netns *s = state;

	if (!s)
		return;
	hash_for_each(&s->networks, e)
		free(e->value);
	hash_done(&s->networks);
	hash_done(&s->of);
	hash_done(&s->owned);
	free(s);
}

static struct network *network_get(struct netns *s, uint64_t ino)
{
	struct network *n = hash_get(&s->networks, ino);

	if (n || s->networks.count >= NETWORKS_MAX)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n || hash_put(&s->networks, ino, n) < 0) {
		free(n);
		return NULL;
	}
	n->ino = ino;
	return n;
}

static struct probe_zone *common(struct probe_zone *a, struct probe_zone *b)
{
	for (; a; a = a->parent)
		for (struct probe_zone *z = b; z; z = z->parent)
			if (z == a)
				return a;
	return b;
}

static void set_owner(struct netns *s, struct network *n, struct probe_zone *owner)
{
	struct network *before;

	if (n->owner == owner)
		return;
	if (n->owner && hash_get(&s->owned, n->owner->id) == n)
		hash_remove(&s->owned, n->owner->id);
	n->owner = owner;
	if (!owner)
		return;
	before = hash_get(&s->owned, owner->id);
	if (before)
		before->owner = NULL;
	if (hash_put(&s->owned, owner->id, n) < 0)
		n->owner = NULL;
}

static void leave(struct netns *s, const struct probe_zone *z)
{
	struct network *n = hash_remove(&s->of, z->id);

	if (!n)
		return;
	if (--n->users == 0) {
		set_owner(s, n, NULL);
		hash_remove(&s->networks, n->ino);
		free(n);
		return;
	}
	if (n->owner == z)
		set_owner(s, n, NULL);
}

/* In which network is the zone? Any task of it says it. */
static int look(struct netns *s, struct probes *p, struct probe_zone *z)
{
	_cleanup_close_ int fd = kept_open_once(p, z, CGF_TIDS);
	struct text_numbers walk = {.fd = fd};
	struct network *n;
	uint64_t tid, ino = 0;
	char task[24];
	int r = fd < 0 ? fd : text_numbers_next(&walk, &tid);

	if (r <= 0) /* nobody there: it stays where it was */
		return r == -ENODEV ? -ENOENT : r;
	snprintf(task, sizeof(task), "%llu", (unsigned long long)tid);
	r = ns_of(p, task, &ino);
	if (r < 0)
		return r;
	n = hash_get(&s->of, z->id);
	if (n && n->ino != ino) {
		leave(s, z);
		n = NULL;
	}
	if (ino == s->host_ino)
		return 0;
	if (!n) {
		n = network_get(s, ino);
		if (!n || hash_put(&s->of, z->id, n) < 0)
			return -ENOMEM;
		n->users++;
	}
	n->tid = tid;
	set_owner(s, n, n->owner ? common(n->owner, z) : z);
	return 0;
}

static bool any(const char *name, void *arg)
{
	return true;
}

static void count(struct network *n, const struct net_totals *t)
{
	const struct {
		enum zone_metric metric;
		uint64_t now, last;
	} sums[] = {
	    {ZM_NETNS_RECEIVED_BYTES, t->received_bytes, n->last.received_bytes},
	    {ZM_NETNS_RECEIVED_PACKETS, t->received_packets, n->last.received_packets},
	    {ZM_NETNS_SENT_BYTES, t->sent_bytes, n->last.sent_bytes},
	    {ZM_NETNS_SENT_PACKETS, t->sent_packets, n->last.sent_packets},
	};

	for (size_t i = 0; i < ARRAY_SIZE(sums); i++)
		for (struct probe_zone *up = n->owner; up && up->parent; up = up->parent)
			row_add(&up->row, sums[i].metric,
				n->known && sums[i].now > sums[i].last ? sums[i].now - sums[i].last
								       : 0);
	n->last = *t;
	n->known = true;
}

static int read_network(struct probes *p, struct network *n)
{
	char path[64], buf[16384];
	struct net_totals t;
	ssize_t got;
	int r;

	snprintf(path, sizeof(path), "proc/%llu/net/dev", (unsigned long long)n->tid);
	p->stats.reads_total++;
	got = kio_read_text_at(p->k->root_fd, path, buf, sizeof(buf));
	r = got < 0 ? (int)got : proc_net_dev_parse(buf, any, NULL, &t);
	if (r == 0)
		count(n, &t);
	return r == -EINVAL && got == 0 ? -ENOENT : r; /* the task has ended */
}

static int netns_read(void *state, struct probes *p, struct probe_zone *z)
{
	bool normal = z->interest == PROBE_NORMAL && !z->protected_below;
	struct netns *s = state;
	struct network *n = hash_get(&s->owned, z->id);
	int r = 0;

	if (!z->parent)
		return 0;
	if (probe_turn(p, z, normal ? p->slow_every * NORMAL_ROUNDS : p->slow_every))
		r = look(s, p, z);
	if (n && hash_get(&s->owned, z->id) == n)
		r = read_network(p, n);
	return r;
}

static void netns_forget(void *state, const struct probe_zone *z)
{
	struct netns *s = state;
	struct network *n = hash_get(&s->owned, z->id);

	leave(s, z);
	if (n && hash_get(&s->owned, z->id) == n)
		set_owner(s, n, NULL);
}

const struct probe probe_netns = {
    .name = "netns",
    .summary = "bytes and packets of zones that have a network of their own",
    .needs = "/proc/PID/ns/net",
    .when = WHEN_ACTIVE,
    .metrics = METRIC_BIT(ZM_NETNS_RECEIVED_BYTES) | METRIC_BIT(ZM_NETNS_RECEIVED_PACKETS) |
	       METRIC_BIT(ZM_NETNS_SENT_BYTES) | METRIC_BIT(ZM_NETNS_SENT_PACKETS),
    .open = netns_open,
    .close = netns_close,
    .read = netns_read,
    .forget = netns_forget,
};

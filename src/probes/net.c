/* SPDX-License-Identifier: MIT */
/*
 * What zones send through the interfaces of czd's network namespace, and how much of it TCP had to
 * send again (src/bpf/net.bpf.c). The kernel knows a socket's cgroup of the v2 hierarchy, which on
 * a hybrid host is another tree than the cpu controller's: the two are joined by path, once a zone.
 */
#include <bpf/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "bpf/net.h"
#include "net.skel.h"
#include "probes/zone-sums.h"

struct net_zone {
	uint64_t id, net_id; /* cgroup of the cpu controller, of the v2 hierarchy */
	uint32_t tick;	     /* in which most_bytes was begun */
	uint64_t most_bytes; /* through one interface */
};

struct net {
	struct net_bpf *skel;
	bool one_tree;		   /* v2: a zone's id is the same in both */
	struct hash zones, by_net; /* of struct net_zone, by id and by net_id */
	unsigned long long lost_seen;
};

static void net_close(void *state)
{
	struct net *s = state;

	if (!s)
		return;
	net_bpf__destroy(s->skel);
	hash_for_each(&s->zones, e)
		free(e->value);
	hash_done(&s->zones);
	hash_done(&s->by_net);
	free(s);
}
DEFINE_CLEANUP(void *, net_close)

static int net_open(struct probes *p, void **ret_state, char *why, size_t size)
{
	static const char *const hooks[] = {"net_dev_queue", "tcp_retransmit_skb"};
	_cleanup_(net_closep) void *state = NULL;
	struct net *s;
	struct stat st;
	int r = bpf_hooks_check(hooks, ARRAY_SIZE(hooks), why, size);

	if (r < 0)
		return r;
	if (!cgroup_has(p->fs, CG_UNIFIED) || stat("/proc/self/ns/net", &st) < 0) {
		snprintf(why, size, "cgroup v2 is not mounted: sockets belong to no zone");
		return -EOPNOTSUPP;
	}
	state = s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->one_tree = p->fs->of[CG_UNIFIED] == p->fs->of[CG_CPU];
	s->skel = net_bpf__open();
	if (!s->skel)
		return bpf_refused(-errno, why, size);
	s->skel->rodata->netns = (unsigned int)st.st_ino;
	r = net_bpf__load(s->skel);
	if (r == 0)
		r = net_bpf__attach(s->skel);
	if (r < 0)
		return bpf_refused(r, why, size);
	*ret_state = TAKE_PTR(state);
	return 0;
}

static uint64_t net_id_of(const struct net *s, const struct probes *p, const struct probe_zone *z)
{
	_cleanup_close_ int fd = -1;
	uint64_t id = 0;

	if (s->one_tree)
		return z->id;
	fd = cgroup_open(p->fs, CG_UNIFIED, z->path, 0);
	return fd < 0 || cgroup_id_at(fd, &id) < 0 ? 0 : id;
}

static struct net_zone *net_zone_of(struct net *s, const struct probes *p,
				    const struct probe_zone *z)
{
	struct net_zone *n = hash_get(&s->zones, z->id);

	if (!n) {
		n = calloc(1, sizeof(*n));
		if (!n || hash_put(&s->zones, z->id, n) < 0) {
			free(n);
			return NULL;
		}
		n->id = z->id;
		n->tick = p->tick - 1;
	}
	if (!n->net_id) {
		n->net_id = net_id_of(s, p, z);
		if (n->net_id && hash_put(&s->by_net, n->net_id, n) < 0)
			n->net_id = 0;
	}
	return n;
}

static int net_read(void *state, struct probes *p, struct probe_zone *z)
{
	if (!net_zone_of(state, p, z))
		return -ENOMEM;
	row_add(&z->row, ZM_NET_BYTES, 0);
	row_add(&z->row, ZM_NET_PACKETS, 0);
	row_add(&z->row, ZM_NET_RETRANSMITS, 0);
	return 0;
}

/* The interface through which a zone sends most of what it does. */
static void note_interface(struct net *s, const struct probes *p, struct probe_zone *z,
			   const struct net_key *key, uint64_t bytes)
{
	struct net_zone *n = net_zone_of(s, p, z);
	char name[IF_NAMESIZE];

	if (!n || !bytes)
		return;
	if (n->tick != p->tick)
		n->most_bytes = 0;
	n->tick = p->tick;
	if (bytes <= n->most_bytes || !if_indextoname(key->ifindex, name))
		return;
	n->most_bytes = bytes;
	str_copy(z->row.interface, sizeof(z->row.interface), name);
}

static void take(struct net *s, struct probes *p, const struct net_key *key,
		 const struct net_sums *sums)
{
	const struct net_zone *n = hash_get(&s->by_net, key->cgroup);

	for (struct probe_zone *z = n ? hash_get(&p->by_id, n->id) : NULL; z; z = z->parent) {
		row_add(&z->row, ZM_NET_BYTES, sums->bytes);
		row_add(&z->row, ZM_NET_PACKETS, sums->packets);
		row_add(&z->row, ZM_NET_RETRANSMITS, sums->retransmits);
		note_interface(s, p, z, key, sums->bytes);
	}
}

static void net_end(void *state, struct probes *p)
{
	struct net *s = state;
	int fd = bpf_map__fd(s->skel->maps.sent);
	struct net_key key;
	struct net_sums sums;

	/* each is taken out: the first is always one not seen yet */
	for (int i = 0; i < NET_FLOWS_MAX && bpf_map_get_next_key(fd, NULL, &key) == 0; i++)
		if (bpf_map_lookup_and_delete_elem(fd, &key, &sums) == 0)
			take(s, p, &key, &sums);
	if (s->skel->bss->lost != s->lost_seen)
		p->stats.errors_total++;
	s->lost_seen = s->skel->bss->lost;
}

static void net_forget(void *state, const struct probe_zone *z)
{
	struct net *s = state;
	struct net_zone *n = hash_remove(&s->zones, z->id);

	if (n && n->net_id)
		hash_remove(&s->by_net, n->net_id);
	free(n);
}

const struct probe probe_net = {
    .name = "net",
    .summary = "what a zone sends, and what TCP had to send again",
    .needs = "BPF with BTF: CAP_BPF and CAP_PERFMON, or root; cgroup v2",
    .when = WHEN_ACTIVE,
    .optional = true,
    .metrics =
	METRIC_BIT(ZM_NET_BYTES) | METRIC_BIT(ZM_NET_PACKETS) | METRIC_BIT(ZM_NET_RETRANSMITS),
    .open = net_open,
    .close = net_close,
    .read = net_read,
    .end = net_end,
    .forget = net_forget,
};

/* SPDX-License-Identifier: MIT */
/*
 * What zones send: bytes and packets by cgroup and interface, as they are queued there, and TCP
 * segments that were sent again. Whose a packet is, is told by its socket: the v2 cgroup of the
 * task that opened it.
 *
 * Limits: only of one network namespace, czd's. What comes out of another one (a container's veth)
 * has no socket any more. A packet is what the stack hands down: with segmentation by the card, up
 * to 64 KiB.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "bpf/net.h"

#define TCP_TIME_WAIT	 6
#define TCP_NEW_SYN_RECV 12

const volatile unsigned int netns; /* inode */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NET_FLOWS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct net_key);
	__type(value, struct net_sums);
} sent SEC(".maps");

unsigned long long lost; /* could not be counted: no room, no memory */

/* 0: not told, or of another namespace. */
static __always_inline u64 cgroup_of(const struct sock *sk)
{
	u8 state = sk->__sk_common.skc_state;

	/* those are no whole sockets */
	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV)
		return 0;
	if (sk->__sk_common.skc_net.net->ns.inum != netns || !sk->sk_cgrp_data.cgroup)
		return 0;
	return sk->sk_cgrp_data.cgroup->kn->id;
}

static __always_inline struct net_sums *sums_of(u64 cgroup, u32 ifindex)
{
	struct net_key key = {.cgroup = cgroup, .ifindex = ifindex};
	struct net_sums none = {0}, *s = bpf_map_lookup_elem(&sent, &key);

	if (s)
		return s;
	bpf_map_update_elem(&sent, &key, &none, BPF_NOEXIST);
	s = bpf_map_lookup_elem(&sent, &key);
	if (!s)
		__sync_fetch_and_add(&lost, 1);
	return s;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(on_queue, struct sk_buff *skb)
{
	struct sock *sk = skb->sk;
	u64 cgroup = sk ? cgroup_of(sk) : 0;
	struct net_sums *s;

	if (!cgroup)
		return 0;
	s = sums_of(cgroup, skb->dev->ifindex);
	if (s) {
		__sync_fetch_and_add(&s->bytes, skb->len);
		__sync_fetch_and_add(&s->packets, 1);
	}
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(on_retransmit, const struct sock *sk)
{
	u64 cgroup = cgroup_of(sk);
	struct net_sums *s = cgroup ? sums_of(cgroup, 0) : NULL;

	if (s)
		__sync_fetch_and_add(&s->retransmits, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* SPDX-License-Identifier: MIT */
/*
 * What the tasks of a zone send and receive over IP, whichever network they are in: payload at
 * their sockets, headers and repetitions not included. Counted for the zone of the task that calls.
 */
#define ZONE_SUMS_FIELDS 4
#include "zone-sums.bpf.h"
#include <bpf/bpf_tracing.h>

#define AF_INET	 2
#define AF_INET6 10
#define MSG_PEEK 2
enum { SENT_BYTES, SENDS, RECEIVED_BYTES, RECEIVES };

static __always_inline int used(struct sock *sk, int bytes, u32 field)
{
	u16 family = sk->__sk_common.skc_family;
	u64 zone = task_zone(bpf_get_current_task_btf());

	if (bytes < 0 || (family != AF_INET && family != AF_INET6))
		return 0;
	zone_add(zone, field, bytes);
	zone_add(zone, field + 1, 1);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(on_send, struct sock *sk, int bytes)
{
	return used(sk, bytes, SENT_BYTES);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(on_receive, struct sock *sk, int bytes, int flags)
{
	return flags & MSG_PEEK ? 0 : used(sk, bytes, RECEIVED_BYTES);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";

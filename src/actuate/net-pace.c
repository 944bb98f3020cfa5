/* SPDX-License-Identifier: MIT */
/*
 * Two zones could fall on one class: then the second is refused (-EBUSY). The discipline goes with
 * its last class. The order is: the program first and last, for by it the rest is found.
 */
#include "actuate/net-pace.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netlink/route/class.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/qdisc/htb.h>
#include <netlink/route/tc.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "kernel/cgroup.h"

#define PROGRAM	   "cz_pace"
#define OUR_MAJOR  0xc2a0u
#define OUR_ROOT   TC_HANDLE(OUR_MAJOR, 0)
#define MINOR_MAX  0xfffeu
#define PROGRAMS   64 /* of one cgroup */
#define IFNAME_FMT "%15s"

DEFINE_CLEANUP(struct nl_sock *, nl_socket_free)
DEFINE_CLEANUP(struct nl_cache *, nl_cache_free)
DEFINE_CLEANUP(struct rtnl_qdisc *, rtnl_qdisc_put)
DEFINE_CLEANUP(struct rtnl_class *, rtnl_class_put)

static int class_of(int dirfd, uint32_t *ret)
{
	uint64_t id;
	int r = cgroup_id_at(dirfd, &id);

	if (r >= 0)
		*ret = TC_HANDLE(OUR_MAJOR, 1 + (uint32_t)(id % MINOR_MAX));
	return r;
}

/* Fd of our program on that very group. -ENOENT: none. */
static int program_find(int dirfd)
{
	uint32_t ids[PROGRAMS], n = PROGRAMS, flags;
	int r = bpf_prog_query(dirfd, BPF_CGROUP_INET_EGRESS, 0, &flags, ids, &n);

	/* a kernel without such programs, or a group with more of them than we would ever add to */
	for (uint32_t i = 0; r >= 0 && i < n; i++) {
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(ids[i]);

		if (fd >= 0 && bpf_prog_get_info_by_fd(fd, &info, &size) >= 0 &&
		    !strcmp(info.name, PROGRAM))
			return TAKE_FD(fd);
	}
	return -ENOENT;
}

/* skb->priority = class; let it pass. */
static int mark(int dirfd, uint32_t class)
{
	const struct bpf_insn insns[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = (int32_t) class},
	    {.code = BPF_STX | BPF_MEM | BPF_W,
	     .dst_reg = BPF_REG_1,
	     .src_reg = BPF_REG_2,
	     .off = offsetof(struct __sk_buff, priority)},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET_EGRESS);
	_cleanup_close_ int there = program_find(dirfd), fd = -1;

	if (there >= 0)
		return 0;
	fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, PROGRAM, "Dual MIT/GPL", insns,
			   ARRAY_SIZE(insns), &opts);
	if (fd < 0)
		return fd == -EINVAL ? -EOPNOTSUPP : fd;
	return bpf_prog_attach(fd, dirfd, BPF_CGROUP_INET_EGRESS, BPF_F_ALLOW_MULTI);
}

static int unmark(int dirfd)
{
	_cleanup_close_ int fd = program_find(dirfd);

	return fd < 0 ? 0 : bpf_prog_detach2(fd, dirfd, BPF_CGROUP_INET_EGRESS);
}

static int nl_error(int r)
{
	switch (r < 0 ? -r : r) {
	case 0:
		return 0;
	case NLE_EXIST:
		return -EEXIST;
	case NLE_OBJ_NOTFOUND:
	case NLE_NODEV:
		return -ENOENT;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
		return -EPERM;
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

static int open_netlink(struct nl_sock **ret)
{
	_cleanup_(nl_socket_freep) struct nl_sock *sk = nl_socket_alloc();
	int r = sk ? nl_connect(sk, NETLINK_ROUTE) : -NLE_NOMEM;

	if (r < 0)
		return nl_error(r);
	*ret = TAKE_PTR(sk);
	return 0;
}

/* The rate of the class at that interface; 0: there is none. */
static int class_rate(struct nl_sock *sk, int ifindex, uint32_t handle, uint64_t *ret)
{
	_cleanup_(nl_cache_freep) struct nl_cache *classes = NULL;
	_cleanup_(rtnl_class_putp) struct rtnl_class *c = NULL;
	int r = rtnl_class_alloc_cache(sk, ifindex, &classes);

	if (r < 0)
		return nl_error(r);
	*ret = 0;
	c = rtnl_class_get(classes, ifindex, handle);
	return c && rtnl_htb_get_rate64(c, ret) < 0 ? -EIO : 0;
}

/* Where the class is; rate 0: nowhere. */
struct place {
	int ifindex;
	uint64_t rate;
};
static int find_class(struct nl_sock *sk, uint32_t handle, struct place *ret)
{
	_cleanup_(nl_cache_freep) struct nl_cache *all = NULL;
	int r = rtnl_qdisc_alloc_cache(sk, &all);

	if (r < 0)
		return nl_error(r);
	*ret = (struct place){0};
	for (struct nl_object *o = nl_cache_get_first(all); o && !ret->rate;
	     o = nl_cache_get_next(o)) {
		struct rtnl_tc *q = TC_CAST(o);

		if (rtnl_tc_get_handle(q) != OUR_ROOT || rtnl_tc_get_parent(q) != TC_H_ROOT)
			continue;
		ret->ifindex = rtnl_tc_get_ifindex(q);
		r = class_rate(sk, ret->ifindex, handle, &ret->rate);
		if (r < 0)
			return r;
	}
	return 0;
}

int net_pace_read(int dirfd, char *buf, size_t size)
{
	_cleanup_close_ int program = program_find(dirfd);
	_cleanup_(nl_socket_freep) struct nl_sock *sk = NULL;
	char name[IF_NAMESIZE];
	struct place at;
	uint32_t handle;
	int r;

	if (program < 0)
		return str_copy(buf, size, "") ? 0 : -ENAMETOOLONG;
	r = open_netlink(&sk);
	if (r >= 0)
		r = class_of(dirfd, &handle);
	if (r >= 0)
		r = find_class(sk, handle, &at);
	if (r < 0)
		return r;
	if (!at.rate || !if_indextoname((unsigned int)at.ifindex, name))
		return str_copy(buf, size, NET_PACE_MARKED) ? 0 : -ENAMETOOLONG;
	return str_printf(buf, size, "%s %llu", name, (unsigned long long)at.rate);
}

bool net_pace_is_taken(int dirfd)
{
	_cleanup_(nl_socket_freep) struct nl_sock *sk = NULL;
	uint32_t handle;
	struct place at;

	return open_netlink(&sk) >= 0 && class_of(dirfd, &handle) >= 0 &&
	       find_class(sk, handle, &at) >= 0 && at.rate;
}

static struct rtnl_qdisc *our_root(int ifindex)
{
	struct rtnl_qdisc *q = rtnl_qdisc_alloc();

	if (!q)
		return NULL;
	rtnl_tc_set_ifindex(TC_CAST(q), ifindex);
	rtnl_tc_set_parent(TC_CAST(q), TC_H_ROOT);
	rtnl_tc_set_handle(TC_CAST(q), OUR_ROOT);
	if (rtnl_tc_set_kind(TC_CAST(q), "htb") < 0) {
		rtnl_qdisc_put(q);
		return NULL;
	}
	return q;
}

static bool has_our_root(struct nl_sock *sk, int ifindex)
{
	_cleanup_(nl_cache_freep) struct nl_cache *all = NULL;
	_cleanup_(rtnl_qdisc_putp) struct rtnl_qdisc *q = NULL;

	if (rtnl_qdisc_alloc_cache(sk, &all) < 0)
		return false;
	q = rtnl_qdisc_get(all, ifindex, OUR_ROOT);
	return q && rtnl_tc_get_parent(TC_CAST(q)) == TC_H_ROOT;
}

/* No class for the rest: it goes on as if nothing were there. */
static int root_add(struct nl_sock *sk, int ifindex)
{
	_cleanup_(rtnl_qdisc_putp) struct rtnl_qdisc *q = our_root(ifindex);

	if (!q)
		return -ENOMEM;
	if (has_our_root(sk, ifindex))
		return 0;
	rtnl_htb_set_defcls(q, 0);
	return nl_error(rtnl_qdisc_add(sk, q, NLM_F_CREATE | NLM_F_EXCL));
}

static struct rtnl_class *our_class(int ifindex, uint32_t handle)
{
	struct rtnl_class *c = rtnl_class_alloc();

	if (!c)
		return NULL;
	rtnl_tc_set_ifindex(TC_CAST(c), ifindex);
	rtnl_tc_set_parent(TC_CAST(c), OUR_ROOT);
	rtnl_tc_set_handle(TC_CAST(c), handle);
	if (rtnl_tc_set_kind(TC_CAST(c), "htb") < 0) {
		rtnl_class_put(c);
		return NULL;
	}
	return c;
}

static int class_add(struct nl_sock *sk, int ifindex, uint32_t handle, uint64_t rate)
{
	_cleanup_(rtnl_class_putp) struct rtnl_class *c = our_class(ifindex, handle);
	int r;

	if (!c)
		return -ENOMEM;
	if (rtnl_htb_set_rate64(c, rate) < 0 || rtnl_htb_set_ceil64(c, rate) < 0)
		return -EINVAL;
	r = nl_error(rtnl_class_add(sk, c, NLM_F_CREATE | NLM_F_EXCL));
	return r == -EEXIST ? -EBUSY : r;
}

/* The class, and the root with its last one: its only reference is then the root's own. */
static int class_delete(struct nl_sock *sk, int ifindex, uint32_t handle)
{
	_cleanup_(rtnl_class_putp) struct rtnl_class *c = our_class(ifindex, handle);
	_cleanup_(rtnl_qdisc_putp) struct rtnl_qdisc *q = our_root(ifindex);
	_cleanup_(nl_cache_freep) struct nl_cache *left = NULL;
	int r;

	if (!c || !q)
		return -ENOMEM;
	r = nl_error(rtnl_class_delete(sk, c));
	if (r < 0 && r != -ENOENT)
		return r;
	r = nl_error(rtnl_class_alloc_cache(sk, ifindex, &left));
	if (r < 0)
		return r;
	for (struct nl_object *o = nl_cache_get_first(left); o; o = nl_cache_get_next(o))
		if (rtnl_tc_get_handle(TC_CAST(o)) >> 16 == OUR_MAJOR)
			return 0;
	r = nl_error(rtnl_qdisc_delete(sk, q));
	return r == -ENOENT ? 0 : r;
}

/* Everywhere: the interface may have another name now. */
static int clear(struct nl_sock *sk, uint32_t handle)
{
	struct place at;
	int r;

	while ((r = find_class(sk, handle, &at)) >= 0 && at.rate) {
		r = class_delete(sk, at.ifindex, handle);
		if (r < 0)
			return r;
	}
	return r;
}

static int pace(int dirfd, struct nl_sock *sk, uint32_t handle, const char *text)
{
	char name[IF_NAMESIZE], rate_text[32];
	unsigned int ifindex;
	uint64_t rate;
	int r;

	if (sscanf(text, IFNAME_FMT " %31s", name, rate_text) != 2 ||
	    parse_u64(rate_text, &rate) < 0)
		return -EINVAL;
	ifindex = if_nametoindex(name);
	if (!ifindex)
		return -ENODEV;
	r = mark(dirfd, handle);
	if (r >= 0)
		r = root_add(sk, (int)ifindex);
	if (r >= 0) {
		r = class_add(sk, (int)ifindex, handle, rate);
		if (r < 0 && r != -EBUSY) /* the root may be empty now */
			(void)class_delete(sk, (int)ifindex, handle);
	}
	return r;
}

int net_pace_write(int dirfd, const char *text)
{
	_cleanup_(nl_socket_freep) struct nl_sock *sk = NULL;
	uint32_t handle;
	int r = open_netlink(&sk);

	if (r >= 0)
		r = class_of(dirfd, &handle);
	if (r < 0)
		return r;
	if (!*text) {
		r = clear(sk, handle);
		return r < 0 ? r : unmark(dirfd);
	}
	r = clear(sk, handle);
	if (r < 0)
		return r;
	return strcmp(text, NET_PACE_MARKED) ? pace(dirfd, sk, handle, text) : mark(dirfd, handle);
}

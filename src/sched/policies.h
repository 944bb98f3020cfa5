/* SPDX-License-Identifier: MIT */
/* The policies that there are, for those who list them: czd, and each one's own --help. */
#pragma once

struct policy_entry {
	const char *name;    /* of scx-NAME */
	const char *summary; /* one line */
	const char
	    *needs; /* of a zone, beyond runtime vm and a kernel with sched_ext; "" nothing */
};
static const struct policy_entry policy_entries[] = {
    {"fifo", "first come, first served, in long turns", ""},
    {"rr", "turns of equal length", ""},
    {"vtime", "CPU time by cgroup weights, down the whole tree", ""},
    {"central", "one CPU decides for all, and the others are left in peace", "2 vCPUs or more"},
    {"exclusive", "best-effort work runs only where no latency-critical work wants to",
     "apps of classes lc and be"},
    {"net", "as exclusive, but only while the latency-critical work has load",
     "apps of classes lc (that wait in epoll_wait) and be"},
    {"user", "a process decides who runs next, and where", ""},
};

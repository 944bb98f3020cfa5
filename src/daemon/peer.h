/* SPDX-License-Identifier: MIT */
/* Who is at the other end of a connection, as the kernel says. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

struct peer {
	pid_t pid;
	int pidfd; /* the process that connected, whoever has its pid by now; -1 not known */
	uid_t uid;
	bool may_change; /* root, czd's own user, or a member of cz-admin */
	uint64_t client; /* its number, for server_follow */
	int64_t request_id;
};
/* admin_gid: of those who may change; NULL: there is no such group. ret->pidfd is opened only for
 * those who may. */
must_check int peer_of(int fd, const gid_t *admin_gid, struct peer *ret);
void peer_done(struct peer *p);
/* Is pid still the process that connected? Ask before anything is done to it: pids are given away.
 */
bool peer_lives(const struct peer *p);

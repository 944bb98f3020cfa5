/* SPDX-License-Identifier: MIT */
#include "daemon/peer.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* Before Linux 6.5 the socket cannot tell: then whoever has the pid right after connecting counts.
 */
static int peer_pidfd(int fd, pid_t pid)
{
	socklen_t len = sizeof(int);
	int pidfd;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0)
		return pidfd;
	return errno == ENOPROTOOPT && pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

static bool peer_in_group(int fd, gid_t gid)
{
	gid_t groups[256];
	socklen_t len = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(gid_t); i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

int peer_of(int fd, const gid_t *admin_gid, struct peer *ret)
{
	struct ucred cred = {.pid = -1, .uid = (uid_t)-1};
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*ret = (struct peer){.pid = cred.pid, .uid = cred.uid};
	ret->may_change = cred.uid == 0 || cred.uid == geteuid() ||
			  (admin_gid && (cred.gid == *admin_gid || peer_in_group(fd, *admin_gid)));
	ret->pidfd = ret->may_change ? peer_pidfd(fd, cred.pid) : -1;
	return 0;
}

void peer_done(struct peer *p)
{
	close_fd(&p->pidfd);
}

bool peer_lives(const struct peer *p)
{
	return p->pidfd >= 0 && syscall(SYS_pidfd_send_signal, p->pidfd, 0, NULL, 0) == 0;
}

/* SPDX-License-Identifier: MIT */
#include "vm/libvirt-line.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "vm/link.h"

#define START_NS (60ull * 1000 * 1000 * 1000) /* QEMU is asked for its abilities first */

static void take_fds(struct libvirt_fds *fds, struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (fds->nr < LIBVIRT_FDS)
				fds->fd[fds->nr++] = fd;
			else
				close(fd);
		}
	}
}

int libvirt_wait_line(int fd, struct strbuf *in, struct libvirt_fds *fds, const char **ret,
		      size_t *ret_len, size_t *ret_used)
{
	uint64_t deadline_ns = clock_mono_ns() + START_NS, now_ns;
	int r = 0;

	while (r == 0 && (now_ns = clock_mono_ns()) < deadline_ns) {
		char buf[4096], control[CMSG_SPACE(sizeof(int) * LIBVIRT_FDS)];
		struct iovec iov = {buf, sizeof(buf)};
		struct msghdr h = {.msg_iov = &iov,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof(control)};
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n = 0;

		if (poll(&p, 1, (int)((deadline_ns - now_ns) / 1000000) + 1) > 0) {
			n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
			if (n <= 0)
				return n < 0 ? -errno : -ECONNRESET;
			take_fds(fds, &h);
		}
		strbuf_add(in, buf, (size_t)n);
		r = in->failed ? -ENOMEM
			       : link_next_line(in->data, in->len, ret, ret_len, ret_used);
	}
	return r ? r : -ETIMEDOUT;
}

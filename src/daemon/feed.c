/* SPDX-License-Identifier: MIT */
/*
 * Application latencies: lines "v1 ZONE latency_ns VALUE [COUNT]" in Unix datagrams. The sender is
 * whoever the kernel says it is; it may speak only for the zone it lives in (root for any).
 */
#include "daemon/daemon.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "daemon/feedline.h"

#define FEED_SIZE_MAX 8192
/* Datagrams taken in one turn of the loop: a flood waits in the senders' sockets, not here. */
#define FEED_BATCH 32

static bool inside(const char *path, const char *ancestor)
{
	size_t n = strlen(ancestor);

	if (strcmp(ancestor, "/") == 0)
		return true;
	return strncmp(path, ancestor, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static struct victim *allowed_victim(struct daemon *d, const struct ucred *cred,
				     const char *zone_name)
{
	const struct zone *z;
	char path[ZONE_PATH_MAX];

	if (zones_by_name(d->zones, zone_name, &z, NULL) < 0)
		return NULL;
	if (cred->uid != 0) {
		if (cgroup_path_of_pid(&d->kernel, &d->fs, CG_CPU, cred->pid, path, sizeof(path)) <
		    0)
			return NULL;
		if (!inside(path, z->path))
			return NULL;
	}
	return victims_get(&d->victims, z->id);
}

static void take_datagram(struct daemon *d, char *text, const struct ucred *cred)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct feed_line f;
		struct victim *vi =
		    feed_line_parse(line, &f) == 0 ? allowed_victim(d, cred, f.zone) : NULL;

		if (vi && victim_feed(vi, f.latency_ns, f.count) == 0)
			d->self.feed_total++;
		else
			d->self.feed_refused_total++;
	}
}

static const struct ucred *sender(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
		return NULL;
	return (const struct ucred *)CMSG_DATA(c);
}

static int on_feed(sd_event_source *src, int fd, uint32_t revents, void *arg)
{
	struct daemon *d = arg;

	for (int i = 0; i < FEED_BATCH; i++) {
		char text[FEED_SIZE_MAX + 1];
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
		struct iovec iov = {.iov_base = text, .iov_len = FEED_SIZE_MAX};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		const struct ucred *cred;

		if (n < 0)
			return 0;
		cred = sender(&msg);
		if (!cred || (msg.msg_flags & MSG_TRUNC)) {
			d->self.feed_refused_total++;
			continue;
		}
		text[n] = 0;
		take_datagram(d, text, cred);
	}
	return 0;
}

int feed_open(struct daemon *d, struct error *reterr)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int one = 1, r;

	r = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/feed.sock", d->opt->run_dir);
	if (r < 0 || (size_t)r >= sizeof(sa.sun_path))
		return error_set(reterr, -ENAMETOOLONG, "socket path %s/feed.sock is too long",
				 d->opt->run_dir);
	d->feed_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->feed_fd < 0)
		return error_errno(reterr, -errno, "socket");
	unlinkat(d->run_dirfd, "feed.sock", 0);
	if (bind(d->feed_fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    fchmodat(d->run_dirfd, "feed.sock", 0666, 0) < 0 ||
	    setsockopt(d->feed_fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0) {
		r = -errno;
		feed_close(d);
		return error_errno(reterr, r, "listen on %s", sa.sun_path);
	}
	r = sd_event_add_io(d->loop, &d->feed_source, d->feed_fd, EPOLLIN, on_feed, d);
	if (r < 0)
		return error_errno(reterr, r, "watch %s", sa.sun_path);
	sd_event_source_set_priority(d->feed_source, SD_EVENT_PRIORITY_IDLE);
	return 0;
}

void feed_close(struct daemon *d)
{
	d->feed_source = sd_event_source_disable_unref(d->feed_source);
	if (d->feed_fd >= 0)
		unlinkat(d->run_dirfd, "feed.sock", 0);
	close_fd(&d->feed_fd);
}

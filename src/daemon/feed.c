/* SPDX-License-Identifier: MIT */
/*
 * Application latencies: lines "v1 ZONE latency_ns VALUE [COUNT]" in Unix datagrams. The sender is
 * whoever the kernel says it is; it may speak only for the zone it lives in (root for any). One
 * that asks is told what became of its datagram, and sends again what there was no time for.
 */
#include "daemon/daemon.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "daemon/feedline.h"

#define FEED_SIZE_MAX 8192
/*
 * Anybody may send. What is taken in one turn of the loop is bounded, in datagrams and in time, and
 * so are the turns: a flood waits in the senders' sockets, and costs a tenth of one CPU at most.
 */
#define FEED_BATCH	32
#define FEED_TURN_NS	500000ull
#define FEED_TURNS	20
#define FEED_TURNS_USEC 100000

static bool inside(const char *path, const char *ancestor)
{
	size_t n = strlen(ancestor);

	if (strcmp(ancestor, "/") == 0)
		return true;
	return strncmp(path, ancestor, n) == 0 && (path[n] == '/' || path[n] == 0);
}

/* Who sent a datagram, and what its last line was about: looked up once, not for every line. */
struct feeder {
	const struct ucred *cred;
	char path[ZONE_PATH_MAX]; /* "" not looked up yet */
	const char *zone_name;
	struct victim *victim;
	int code; /* why there is no victim */
};

/* What became of a datagram: lines looked at, values taken and refused, why the last one was. */
struct feed_result {
	uint64_t lines, taken, refused;
	int code;
};

static const char *refusal(int code)
{
	switch (code) {
	case -ENOENT:
		return "there is no such zone, or several";
	case -EPERM:
		return "only root and processes inside the zone are believed";
	case -EOPNOTSUPP:
		return "the zone is not protected";
	case -ENOMEM:
		return "out of memory";
	default:
		return "not a line of a feed";
	}
}

static bool may_speak_for(struct daemon *d, struct feeder *f, const struct zone *z)
{
	if (f->cred->uid == 0)
		return true;
	if (!f->path[0] && cgroup_path_of_pid(&d->kernel, &d->fs, CG_CPU, f->cred->pid, f->path,
					      sizeof(f->path)) < 0)
		return false;
	return inside(f->path, z->path);
}

static struct victim *allowed_victim(struct daemon *d, struct feeder *f, const char *zone_name)
{
	const struct zone *z;

	if (f->zone_name && strcmp(f->zone_name, zone_name) == 0)
		return f->victim;
	f->zone_name = zone_name;
	f->victim = NULL;
	if (zones_by_name(d->zones, zone_name, &z, NULL) < 0)
		f->code = -ENOENT;
	else if (!may_speak_for(d, f, z))
		f->code = -EPERM;
	else if (!(f->victim = victims_get(&d->victims, z->id)))
		f->code = -EOPNOTSUPP;
	return f->victim;
}

static void take_line(struct daemon *d, struct feeder *feeder, char *line, struct feed_result *ret)
{
	struct feed_line f = {.count = 1};
	int r = feed_line_parse(line, &f);
	struct victim *vi = r == 0 ? allowed_victim(d, feeder, f.zone) : NULL;

	if (vi)
		r = victim_feed(vi, f.latency_ns, f.count);
	else if (r == 0)
		r = feeder->code;
	ret->lines++;
	if (r == 0) {
		ret->taken += f.count;
		d->self.feed_total++;
	} else {
		ret->refused += f.count;
		ret->code = r;
		d->self.feed_refused_total++;
	}
}

/* False: there was no time for all lines. One is always looked at. */
static bool take_lines(struct daemon *d, char *line, char **save, const struct ucred *cred,
		       uint64_t end_ns, struct feed_result *ret)
{
	struct feeder feeder = {.cred = cred};

	for (; line; line = strtok_r(NULL, "\n", save)) {
		take_line(d, &feeder, line, ret);
		if (clock_mono_ns() >= end_ns)
			return !strtok_r(NULL, "\n", save);
	}
	return true;
}

static void take_datagram(struct daemon *d, char *text, struct msghdr *msg,
			  const struct ucred *cred, uint64_t end_ns)
{
	const struct sockaddr_un *to = msg->msg_name;
	struct feed_result res = {0};
	char *save = NULL, *line = strtok_r(text, "\n", &save), answer[256];
	uint64_t token;
	int n;

	if (!line || feed_ack_parse(line, &token) < 0) {
		if (!take_lines(d, line, &save, cred, end_ns, &res))
			d->self.feed_refused_total++; /* the rest, as one */
		return;
	}
	take_lines(d, strtok_r(NULL, "\n", &save), &save, cred, end_ns, &res);
	/* Abstract names only: a path may lead elsewhere by now, and czd may write to more sockets
	 * than the sender. Who does not read misses it. */
	if (msg->msg_namelen <= sizeof(to->sun_family) || to->sun_path[0])
		return;
	n = snprintf(answer, sizeof(answer), "v1 ack %llu %llu %llu %llu %s %s\n",
		     (unsigned long long)token, (unsigned long long)res.lines,
		     (unsigned long long)res.taken, (unsigned long long)res.refused,
		     res.code ? error_name(res.code) : "-", res.code ? refusal(res.code) : "");
	sendto(d->feed_fd, answer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL, to, msg->msg_namelen);
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
	uint64_t end_ns = clock_mono_ns() + FEED_TURN_NS;

	for (int i = 0; i < FEED_BATCH && (!i || clock_mono_ns() < end_ns); i++) {
		char text[FEED_SIZE_MAX + 1];
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
		struct iovec iov = {.iov_base = text, .iov_len = FEED_SIZE_MAX};
		struct sockaddr_un from;
		struct msghdr msg = {.msg_name = &from,
				     .msg_namelen = sizeof(from),
				     .msg_iov = &iov,
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
		take_datagram(d, text, &msg, cred, end_ns);
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
	sd_event_source_set_ratelimit(d->feed_source, FEED_TURNS_USEC, FEED_TURNS);
	return 0;
}

void feed_close(struct daemon *d)
{
	d->feed_source = sd_event_source_disable_unref(d->feed_source);
	if (d->feed_fd >= 0)
		unlinkat(d->run_dirfd, "feed.sock", 0);
	close_fd(&d->feed_fd);
}

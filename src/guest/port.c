/* SPDX-License-Identifier: MIT */
#include "guest/port.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#define PORTS_DIR "/sys/class/virtio-ports"

/* The device whose name the host gave as ours. */
static int find_device(const char *name, char *ret, size_t size)
{
	_cleanup_closedir_ DIR *dir = opendir(PORTS_DIR);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		char path[300], text[64];

		if (entry->d_name[0] == '.' ||
		    str_printf(path, sizeof(path), "%s/name", entry->d_name) < 0 ||
		    read_file_at(dirfd(dir), path, text, sizeof(text)) < 0)
			continue;
		text[strcspn(text, "\n")] = 0;
		if (!strcmp(text, name))
			return str_printf(ret, size, "/dev/%s", entry->d_name);
	}
	return -ENOENT;
}

/* Edge-triggered: without anybody at the other end such a port says "hung up" all the time. */
static void on_ready(void *arg, uint32_t events)
{
	struct port *p = arg;
	char buf[16384];
	ssize_t n;

	while ((n = read(p->fd, buf, sizeof(buf))) > 0) {
		channel_feed(p->channel, buf, (size_t)n, p->handle, p->arg);
		if (channel_counts(p->channel)->sessions != p->sessions) {
			p->sessions = channel_counts(p->channel)->sessions;
			p->new_session(p->arg);
		}
	}
	if (n == 0 && channel_up(p->channel))
		channel_restart(p->channel);
	port_flush(p);
}

static void try_open(struct port *p)
{
	char path[300];

	if (find_device(channel_port_name(p->which), path, sizeof(path)) < 0)
		return;
	p->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (p->fd >= 0 &&
	    loop_add(p->loop, &p->source, p->fd, EPOLLIN | EPOLLOUT | EPOLLET, on_ready, p) < 0)
		close_fd(&p->fd);
}

int port_init(struct port *p, enum channel_port which, const uint8_t nonce[CHANNEL_NONCE],
	      struct loop *loop, channel_handler handle, void (*new_session)(void *arg), void *arg)
{
	*p = (struct port){.which = which,
			   .loop = loop,
			   .fd = -1,
			   .handle = handle,
			   .new_session = new_session,
			   .arg = arg};
	return channel_new(which, nonce, (uint32_t)(loop->now_ns >> 10), &p->channel);
}

void port_tick(struct port *p)
{
	if (p->fd < 0)
		try_open(p);
	channel_tick(p->channel);
	port_flush(p);
}

void port_flush(struct port *p)
{
	size_t len;
	const void *data;

	while (p->fd >= 0 && (data = channel_pending(p->channel, &len), len)) {
		ssize_t n = write(p->fd, data, len > 32768 ? 32768 : len);

		if (n <= 0)
			break; /* the loop says when there is room again */
		channel_sent(p->channel, (size_t)n);
	}
}

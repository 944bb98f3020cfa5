/* SPDX-License-Identifier: MIT */
/* The sockets of a process: those it listens on, and the connections that were made to these. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/parse.h"
#include "cli/suggest.h"

#define FDS_MAX	     4096
#define PORTS_MAX    64
#define UNIX_ACCEPTS 0x10000 /* __SO_ACCEPTCON */

enum { TCP_IS_ESTABLISHED = 1, TCP_LISTENS = 10 };

int suggest_tcp_line(const char *line, uint32_t *ret_port, uint32_t *ret_state, uint64_t *ret_inode)
{
	unsigned int port, state;
	unsigned long long inode;

	/* sl: local remote st queues timer retransmits uid timeout inode */
	if (sscanf(line,
		   " %*u: %*32[0-9A-Fa-f]:%4X %*32[0-9A-Fa-f]:%*4X %2X %*s %*s %*s %*u %*u %llu",
		   &port, &state, &inode) != 3)
		return -EINVAL;
	if (port > 0xffff || state > 0xff) /* "-1F3" is a number too */
		return -EINVAL;
	*ret_port = port;
	*ret_state = state;
	*ret_inode = inode;
	return 0;
}

int suggest_unix_line(const char *line, bool *ret_listens, uint64_t *ret_inode)
{
	unsigned long long inode;
	unsigned int flags;

	/* address: references protocol flags type state inode */
	if (sscanf(line, "%*x: %*x %*x %8x %*x %*x %llu", &flags, &inode) != 2)
		return -EINVAL;
	*ret_listens = flags & UNIX_ACCEPTS;
	*ret_inode = inode;
	return 0;
}

struct sockets {
	struct hash inodes, *counted;
	uint32_t ports[PORTS_MAX];
	size_t nr_ports;
	uint32_t *listens, *serves;
};

static bool is_ours(const struct sockets *s, uint64_t inode)
{
	return hash_get(&s->inodes, inode) != NULL;
}

/* Processes share sockets that were opened before a fork(). */
static void count_once(struct sockets *s, uint64_t inode, uint32_t *n)
{
	if (!hash_get(s->counted, inode) && hash_put(s->counted, inode, s->counted) == 0)
		++*n;
}

static bool is_our_port(const struct sockets *s, uint32_t port)
{
	for (size_t i = 0; i < s->nr_ports; i++)
		if (s->ports[i] == port)
			return true;
	return false;
}

static void count_listening(struct sockets *s, const char *line)
{
	uint32_t port, state;
	uint64_t inode;

	if (suggest_tcp_line(line, &port, &state, &inode) < 0 || state != TCP_LISTENS ||
	    !is_ours(s, inode))
		return;
	count_once(s, inode, s->listens);
	if (s->nr_ports < PORTS_MAX && !is_our_port(s, port))
		s->ports[s->nr_ports++] = port;
}

static void count_served(struct sockets *s, const char *line)
{
	uint32_t port, state;
	uint64_t inode;

	if (suggest_tcp_line(line, &port, &state, &inode) == 0 && state == TCP_IS_ESTABLISHED &&
	    is_ours(s, inode) && is_our_port(s, port))
		count_once(s, inode, s->serves);
}

static void count_unix(struct sockets *s, const char *line)
{
	uint64_t inode;
	bool listens;

	if (suggest_unix_line(line, &listens, &inode) == 0 && listens && is_ours(s, inode))
		count_once(s, inode, s->listens);
}

static void each_line(struct sockets *s, int procfd, const char *name,
		      void (*take)(struct sockets *s, const char *line))
{
	_cleanup_close_ int fd = openat(procfd, name, O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;

	if (!f)
		return;
	fd = -1;
	while (getline(&line, &cap, f) > 0)
		take(s, line);
}

/* False: may not be read. */
static bool read_inodes(struct sockets *s, int procfd)
{
	_cleanup_close_ int fd = openat(procfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	unsigned long long inode;
	struct dirent *entry;
	char target[64];
	size_t seen = 0;

	if (!dir)
		return false;
	fd = -1;
	while (seen++ < FDS_MAX && (entry = readdir(dir)) != NULL) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = '\0';
		if (sscanf(target, "socket:[%llu]", &inode) == 1 &&
		    hash_put(&s->inodes, inode, s) < 0)
			break;
	}
	return true;
}

bool suggest_sockets(int procfd, struct hash *counted, uint32_t *listens, uint32_t *serves)
{
	struct sockets s = {.counted = counted, .listens = listens, .serves = serves};
	bool seen = read_inodes(&s, procfd);

	if (s.inodes.count) {
		each_line(&s, procfd, "net/tcp", count_listening);
		each_line(&s, procfd, "net/tcp6", count_listening);
		each_line(&s, procfd, "net/unix", count_unix);
		each_line(&s, procfd, "net/tcp", count_served);
		each_line(&s, procfd, "net/tcp6", count_served);
	}
	hash_done(&s.inodes);
	return seen;
}

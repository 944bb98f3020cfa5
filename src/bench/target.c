/* SPDX-License-Identifier: MIT */
/* Where cz-load connects to. */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "bench/load.h"

static int unix_target(const char *path, struct target *t, struct error *reterr)
{
	struct sockaddr_un *a = &t->address.unix_path;

	a->sun_family = AF_UNIX;
	t->length = sizeof(*a);
	if (!str_copy(a->sun_path, sizeof(a->sun_path), path))
		return error_set(reterr, -ENAMETOOLONG, "'%s': too long for a socket's path",
				 t->shown);
	return 0;
}

static int resolve(const char *host, const char *port, struct target *t, struct error *reterr)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
	int r = getaddrinfo(host, port, &hints, &found);

	if (r != 0)
		return error_set(reterr, -EINVAL, "'%s': %s", t->shown, gai_strerror(r));
	memcpy(&t->address.inet, found->ai_addr, found->ai_addrlen);
	t->length = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

int target_parse(const char *text, struct target *ret, struct error *reterr)
{
	struct target t = {0};
	char host[256], *colon, *name = host;
	int r;

	str_escape(t.shown, sizeof(t.shown), text);
	if (text[0] == '/') {
		r = unix_target(text, &t, reterr);
	} else {
		colon = str_copy(host, sizeof(host), text) ? strrchr(host, ':') : NULL;
		if (!colon || colon == host || !colon[1])
			return error_set(
			    reterr, -EINVAL,
			    "'%s' is not an address (HOST:PORT, or the path of a socket)", t.shown);
		*colon = 0;
		if (host[0] == '[' && colon[-1] == ']') {
			colon[-1] = 0;
			name++;
		}
		r = resolve(name, colon + 1, &t, reterr);
	}
	if (r == 0)
		*ret = t;
	return r;
}

int target_connect(const struct target *t, bool nonblocking)
{
	_cleanup_close_ int fd =
	    socket(t->address.any.sa_family,
		   SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
	int one = 1;

	if (fd < 0)
		return -errno;
	/* Not for Unix sockets, where it fails and is not needed. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, &t->address.any, t->length) < 0 && !(nonblocking && errno == EINPROGRESS))
		return -errno;
	return TAKE_FD(fd);
}

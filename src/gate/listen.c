/* SPDX-License-Identifier: MIT */
#include "gate/listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include "base/cleanup.h"
#include "base/str.h"

/* "127.0.0.1:9780", "[::1]:9780" -> an address; names are not looked up. */
static int parse_listen(const char *listen, struct sockaddr_storage *ret, socklen_t *ret_len,
			struct error *reterr)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				 .ai_socktype = SOCK_STREAM},
			*found = NULL;
	const char *colon = strrchr(listen, ':');
	char host[128];
	size_t n = colon ? (size_t)(colon - listen) : 0;
	bool brackets = n > 1 && listen[0] == '[' && listen[n - 1] == ']';

	if (!n || n >= sizeof(host) ||
	    str_printf(host, sizeof(host), "%.*s", (int)(brackets ? n - 2 : n), listen + brackets) <
		0 ||
	    getaddrinfo(host, colon + 1, &hints, &found) != 0) {
		error_set(reterr, -EINVAL, "'%s' is not an address and port", listen);
		error_hint(reterr, "For example 127.0.0.1:9780 or [::1]:9780");
		return -EINVAL;
	}
	memcpy(ret, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static bool is_loopback(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *in = (const void *)a;
	const struct sockaddr_in6 *in6 = (const void *)a;

	return a->ss_family == AF_INET ? ntohl(in->sin_addr.s_addr) >> 24 == 127
				       : IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

int listen_open(const char *listen_at, bool beyond_loopback, uint16_t *ret_port,
		struct error *reterr)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage addr;
	socklen_t len = 0;
	int r = parse_listen(listen_at, &addr, &len, reterr), on = 1;

	if (r < 0)
		return r;
	if (!is_loopback(&addr) && !beyond_loopback) {
		error_set(reterr, -EPERM,
			  "%s can be reached from other hosts, and there is no read token",
			  listen_at);
		error_hint(reterr, "Write one to the file of --read-token; see cz-gate(8).");
		return -EPERM;
	}
	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(reterr, -errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, 1024) < 0) {
		r = error_errno(reterr, -errno, "listen at %s", listen_at);
		error_hint(reterr, r == -EADDRINUSE
				       ? "Is there a cz-gate already? Else choose another: --listen"
				       : "Has this host that address? See: ip address");
		return r;
	}
	len = sizeof(addr);
	if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0)
		*ret_port =
		    ntohs(addr.ss_family == AF_INET ? ((struct sockaddr_in *)&addr)->sin_port
						    : ((struct sockaddr_in6 *)&addr)->sin6_port);
	return TAKE_FD(fd);
}

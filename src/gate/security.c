/* SPDX-License-Identifier: MIT */
#include "gate/security.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"

#define HOST_MAX     256
#define TOKEN_RIGHTS "Its user has to be able to read it, others not: chgrp cz-gate, chmod 0640 %s"

/* The host of "host", "host:port" or "[v6]:port", without the brackets. */
static bool split_host(const char *text, char *host, size_t size)
{
	size_t n;

	if (text[0] == '[') {
		n = strcspn(++text, "]");
		if (text[n] != ']' || (text[n + 1] && text[n + 1] != ':'))
			return false;
	} else {
		n = strcspn(text, ":");
	}
	return n > 0 && str_printf(host, size, "%.*s", (int)(n < size ? n : size), text) == 0;
}

static bool in_list(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (list && *list) {
		size_t n = strcspn(list, ",");

		if (n == len && !strncasecmp(list, word, n))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

bool security_host_is_ours(const struct security *s, const char *text)
{
	char host[HOST_MAX];
	struct in6_addr address;

	if (!split_host(text, host, sizeof(host)))
		return false;
	/* No name server can make an address mean another host. */
	if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
		return true;
	return !strcasecmp(host, "localhost") ||
	       (s->hostname[0] && !strcasecmp(host, s->hostname)) || in_list(s->hosts, host);
}

static bool is_same_origin(const char *origin, const char *host)
{
	const char *at = strstr(origin, "://");

	return at && !strcasecmp(at + 3, host);
}

/* All of both is always looked at: how long it takes says nothing about how much was right. */
static bool token_is(const char *given, const char *want)
{
	char a[TOKEN_MAX + 1] = "", b[TOKEN_MAX + 1] = "";
	unsigned char differ = strlen(given) > TOKEN_MAX || !want[0];

	str_copy(a, sizeof(a), given);
	str_copy(b, sizeof(b), want);
	for (size_t i = 0; i < sizeof(a); i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return !differ;
}

static int check_token(const struct security *s, const struct security_request *r,
		       struct error *reterr)
{
	const char *given = r->authorization ? r->authorization : "";
	bool may_change, may_read;

	given = strncasecmp(given, "Bearer ", 7) ? "" : given + 7;
	may_change = token_is(given, s->change_token);
	may_read = token_is(given, s->read_token) || may_change || !s->read_token[0];
	if (r->changes && !s->change_token[0]) {
		error_set(reterr, -EPERM, "this cz-gate changes nothing: it has no change token");
		error_hint(reterr, "See cz-gate(8), --change-token, or use czctl on the host.");
		return -EPERM;
	}
	if (r->changes ? may_change : may_read)
		return 0;
	error_set(reterr, -EACCES,
		  r->changes ? "changes need the change token" : "reading needs a token");
	error_hint(reterr, "Send it as a header: Authorization: Bearer TOKEN");
	return -EACCES;
}

static int check_origin(const struct security_request *r, struct error *reterr)
{
	bool cross = r->fetch_site && strcasecmp(r->fetch_site, "same-origin") &&
		     strcasecmp(r->fetch_site, "none");

	if (r->origin && !is_same_origin(r->origin, r->host))
		cross = true;
	if (!cross || (r->navigates && !r->origin))
		return 0;
	error_set(reterr, -EPERM, "asked by a page of another site");
	error_hint(reterr, "cz-gate answers its own page, and programs.");
	return -EPERM;
}

int security_check(const struct security *s, const struct security_request *r, struct error *reterr)
{
	int e;

	if (!r->host || !security_host_is_ours(s, r->host)) {
		error_set(reterr, -EPERM, "this host was asked by a name that it does not have");
		error_hint(reterr, "Use its address, or give the name to cz-gate: --hosts NAME");
		return -EPERM;
	}
	e = check_origin(r, reterr);
	if (e < 0 || r->open)
		return e;
	return check_token(s, r, reterr);
}

int security_load_token(const char *path, char token[TOKEN_MAX + 1], struct error *reterr)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char text[TOKEN_MAX + 2];
	struct stat st;
	ssize_t n;

	token[0] = 0;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		error_errno(reterr, -errno, "token file %s", path);
		error_hint(reterr, TOKEN_RIGHTS, path);
		return reterr->code;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(reterr, -EINVAL, "token file %s is no regular file", path);
	if (st.st_mode & 0007) {
		error_set(reterr, -EPERM, "everybody on this host can get at token file %s", path);
		error_hint(reterr, TOKEN_RIGHTS, path);
		return -EPERM;
	}
	n = pread_text(fd, text, sizeof(text));
	if (n < 0 && n != -E2BIG)
		return error_errno(reterr, (int)n, "token file %s", path);
	if (n > 0)
		text[strcspn(text, "\r\n")] = 0;
	if (n < 0 || strlen(text) < TOKEN_MIN || strpbrk(text, " \t")) {
		error_set(
		    reterr, -EINVAL,
		    "token file %s has no token: one line of %d to %d characters without blanks",
		    path, TOKEN_MIN, TOKEN_MAX);
		error_hint(reterr, "(umask 027; head -c 24 /dev/urandom | base64 > %s)", path);
		return -EINVAL;
	}
	return str_copy(token, TOKEN_MAX + 1, text) ? 0 : -EINVAL;
}

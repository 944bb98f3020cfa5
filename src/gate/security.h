/* SPDX-License-Identifier: MIT */
/* Who may ask, by what name, and from what page: decided before anything else is looked at. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

#define TOKEN_MIN 16
#define TOKEN_MAX 256

struct security {
	char read_token[TOKEN_MAX + 1];	  /* "": whoever reaches the address may read */
	char change_token[TOKEN_MAX + 1]; /* "": nothing can be changed */
	const char *hosts; /* names of this host besides the usual, with commas; NULL: none */
	char hostname[256];
};

struct security_request {
	const char *host, *origin, *fetch_site, *authorization; /* header values, NULL: not there */
	bool changes;						/* it is to change something */
	bool navigates; /* a page, which may be linked to from elsewhere */
	bool open;	/* answered without a token: it tells nothing */
};

/*
 * 0: it may. -EPERM: forbidden whoever asks; -EACCES: the token is missing or wrong. Tokens are
 * compared in constant time, and never part of a message.
 */
must_check int security_check(const struct security *s, const struct security_request *r,
			      struct error *reterr);
/* "name", "name:port", "[v6]:port": is this host asked by a name that nobody else could have
 * pointed at it? Addresses are such, and localhost, the host's own name and those of `hosts`. */
bool security_host_is_ours(const struct security *s, const char *host);
/* A token of one line from a file that others may not read. Absent: 0 and "". */
must_check int security_load_token(const char *path, char token[TOKEN_MAX + 1],
				   struct error *reterr);

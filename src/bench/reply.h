/* SPDX-License-Identifier: MIT */
/*
 * Strict, incremental parsers of the replies a load generator gets. Bytes are fed as they come, in
 * any pieces; bodies are skipped, not kept. Whatever is not exactly the protocol is an error: a
 * measurement of something else would be worthless.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define REPLY_LINE_MAX 8192
#define REPLY_BODY_MAX (512ull << 20) /* Redis' own limit */

struct reply {
	bool is_error;	     /* the server refused: -ERR, or an HTTP status of 400 and above */
	bool is_miss;	     /* null bulk: no such key */
	bool closes;	     /* HTTP: the server ends the connection after this one */
	unsigned int status; /* HTTP */
	char text[128];	     /* of an error, escaped */
};

struct reply_parser {
	unsigned int state;
	size_t line_len;
	uint64_t body_left;
	/* HTTP, of the reply being read */
	uint64_t content_length, header_bytes;
	bool has_length, chunked, keep_alive;
	struct reply reply;
	char line[REPLY_LINE_MAX];
};

struct reply_protocol {
	const char *name;
	/*
	 * Consumes data up to the end of one reply. Returns 1 when that reply is complete (*ret),
	 * 0 when more is needed, -EBADMSG when it is not the protocol. *ret_used is always set.
	 */
	int (*feed)(struct reply_parser *p, const char *data, size_t size, size_t *ret_used,
		    struct reply *ret, struct error *reterr);
};

extern const struct reply_protocol reply_resp, reply_http;
/* Ready for the first byte of a new connection; all zero is the same. */
void reply_parser_init(struct reply_parser *p);

/*
 * For the parsers: takes bytes up to CR LF into p->line. Returns 1 with the line NUL-terminated
 * (CR LF removed) and line_len reset, 0 for more, -EBADMSG for control characters or too long.
 */
int reply_line(struct reply_parser *p, const char **data, const char *end, struct error *reterr);

/* SPDX-License-Identifier: MIT */
/* One connection to czd: a JSON object a line, both ways (docs/protocol.md). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "base/error.h"

#define CLIENT_TIMEOUT_MS 5000
#define CLIENT_ANSWER_MAX (64u << 20) /* bytes of one answer line: 65,536 zones fit */

struct client {
	const char *path;
	int fd;
	int64_t id; /* of the latest request */
	char *buf;
	size_t start, len, cap;	  /* buf[start, len) is read, not yet used */
	bool no_answer;		  /* the failure is czd's: not there, hung, or nonsense */
	unsigned int patience_ms; /* for one answer; 0: CLIENT_TIMEOUT_MS */
	const char *waits_for;	  /* what takes so long, said when it does; NULL: nothing */
	bool at_once;		  /* connecting and sending fail rather than wait */
};
#define CLIENT_CLOSED(path_)                                                                       \
	{                                                                                          \
		.path = (path_), .fd = -1                                                          \
	}

struct sockaddr_un;
/* Waits half a second for a czd that is just being started. */
must_check int client_connect(int fd, const struct sockaddr_un *addr);
/*
 * Connects on first use. `args` is consumed; NULL (what json_pack gives for text that is not UTF-8)
 * is an error and nothing is sent. *ret is the answer's "data" (a new
 * reference). -ECONNREFUSED, -ENOENT, -EACCES, -ETIMEDOUT, -EPROTO, ... with a sentence and a hint;
 * an error that czd answers comes back as -errno of its name (-EIO if unknown).
 */
must_check int client_call(struct client *c, const char *verb, json_t *args, json_t **ret,
			   struct error *reterr);
/* As client_call, without waiting for the answer. */
must_check int client_ask(struct client *c, const char *verb, json_t *args, struct error *reterr);
/* The answer to the latest request, or the next one, if it is there: 1 and *ret; 0: not
 * yet, look again when c->fd is readable (at_once is set); errors as client_call. */
must_check int client_poll(struct client *c, json_t **ret, struct error *reterr);
/* The next answer to the latest request (events --follow); waits without end. -ECONNRESET when czd
 * goes away. */
must_check int client_next(struct client *c, json_t **ret, struct error *reterr);
/* Waits until there is (a part of) a further answer, or something to read from other_fd, or for
 * timeout_ms (-1: without end); a signal may end it early. */
enum client_wait { CLIENT_WAIT_NOTHING, CLIENT_WAIT_ANSWER, CLIENT_WAIT_OTHER };
enum client_wait client_wait(const struct client *c, int other_fd, int timeout_ms);
void client_close(struct client *c);
/* -Exxx of an errno's name; -EIO of any other. */
int client_code(const char *name);

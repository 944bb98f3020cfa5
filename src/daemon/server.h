/* SPDX-License-Identifier: MIT */
/*
 * The socket: line-delimited JSON, many clients, none of which can make czd wait or grow. A client
 * that does not read is dropped when CLIENT_OUT_MAX is pending; a line longer than CLIENT_IN_MAX
 * or a request that is no JSON object ends the connection with an error.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include <systemd/sd-event.h>
#include "base/error.h"
#include "daemon/peer.h"

#define CLIENT_IN_MAX	   65536
#define CLIENT_OUT_MAX	   (1024 * 1024)
#define CLIENTS_MAX	   64
#define CLIENTS_ROOT_EXTRA 8
/* A connection idle for so long may be closed to make room for a new one. */
#define CLIENT_IDLE_NS 1000000000ull

struct server;
/*
 * Answer one request: return a new reference to `data` and leave *reterr alone, or return NULL and
 * fill reterr; or return NULL after server_wait(). Called from the event loop.
 */
typedef json_t *(*server_handler)(const struct peer *p, const char *verb, const json_t *args,
				  void *arg, struct error *reterr);

must_check int server_new(sd_event *loop, int run_dirfd, const char *run_dir,
			  server_handler handler, void *arg, struct server **ret,
			  struct error *reterr);
void server_free(struct server *s);
/* Mark a client as following events from now on. */
void server_follow(struct server *s, uint64_t client, int64_t request_id);
/*
 * The request at hand is answered later, by server_answer() with the same ticket (not 0); what else
 * its client asks comes after that. Clients may leave meanwhile.
 */
void server_wait(struct server *s, uint64_t client, uint64_t ticket);
bool server_is_awaited(const struct server *s, uint64_t ticket);
/* To all who wait with that ticket: data (borrowed), or NULL and the error. */
void server_answer(struct server *s, uint64_t ticket, json_t *data, const struct error *e);
/*
 * One more answer (data is borrowed) to a request that was answered already, if the client takes
 * it: -ENOBUFS it has not read what it was sent before, and nothing was queued; -ENOENT it left. A
 * client that is told something in this way makes no room for others.
 */
must_check int server_tell(struct server *s, uint64_t client, int64_t request_id, json_t *data);
bool server_has(const struct server *s, uint64_t client); /* it has not left */
/* Send data (borrowed) to every follower. */
void server_publish(struct server *s, json_t *data);

struct server_stats {
	uint64_t clients, accepted_total, refused_total, dropped_total, requests_total,
	    bad_requests_total;
};
void server_stats(const struct server *s, struct server_stats *ret);

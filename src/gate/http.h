/* SPDX-License-Identifier: MIT */
/*
 * The HTTP side: libmicrohttpd in our event loop. It bounds what a client may send and how long it
 * may take; who may ask is security.h, what is asked is the table of routes.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include <microhttpd.h>
#include "base/error.h"
#include "base/str.h"

#define HTTP_BODY_MAX	 16384 /* of a request */
#define HTTP_HEADER_MAX	 16384 /* all headers of a request, and buffers of its connection */
#define HTTP_CONNECTIONS 2048
#define HTTP_TARGET_MAX	 4096 /* of a path */
#define HTTP_PARTS_MAX	 8

struct gate;
struct http;
struct route;

struct request {
	struct gate *gate;
	struct MHD_Connection *connection;
	const struct route *route;
	char path[HTTP_TARGET_MAX];	   /* cut into parts */
	const char *parts[HTTP_PARTS_MAX]; /* what stands at {names} of the route, decoded */
	size_t nr_parts;
	char allow[24]; /* the methods of a path that is asked with another */
	struct strbuf body;
	json_t *args;		       /* of the body, an object; never NULL in a handler */
	struct MHD_Response *response; /* set: it is answered */
	unsigned int status;
	bool begun, served, too_large;
	bool waits, parked; /* for czd; its connection is suspended */
	bool streams;	    /* without end */
	bool shared;	    /* the response is not this request's own */
};

must_check int http_new(struct gate *g, struct http **ret, struct error *reterr);
void http_free(struct http *h);
/* A connection that was suspended goes on; later, from the loop. */
void http_resume(struct http *h, struct MHD_Connection *connection);
/* Ends a connection that is being answered; later, from the loop. */
void http_end(struct http *h, struct MHD_Connection *connection);
uint16_t http_port(const struct http *h);

/* Answering: exactly one of these, in the handler or after request_wait(). */
/* Before a handler returns without an answer: it comes later. */
void request_wait(struct request *r);
void request_json(struct request *r, unsigned int status, const json_t *body);
/* The status goes by e->code. */
void request_error(struct request *r, const struct error *e);
void request_fail(struct request *r, unsigned int status, int code, const char *message,
		  const char *hint);
/* Consumes the text, which is `type`. */
void request_text(struct request *r, unsigned int status, const char *type, char *text, size_t len);
/* A response whose text, which is consumed, counts against the total that is being sent; NULL: it
 * would be too much. */
struct MHD_Response *http_own_response(struct gate *g, const char *type, char *text, size_t len);
/* Too much is being sent: later. */
void request_busy(struct request *r);
/* Takes over one reference, unless r->shared. */
void request_answer(struct request *r, unsigned int status, struct MHD_Response *response);
/* Of the query; NULL: not given. */
const char *request_query(const struct request *r, const char *name);
const char *request_header(const struct request *r, const char *name);

struct http_stats {
	uint64_t connections, accepted_total, requests_total, refused_total, late_total;
	uint64_t by_class_total[6]; /* answers 1xx .. 5xx at [1] .. [5] */
};
struct http_stats http_stats(const struct http *h);

/* SPDX-License-Identifier: MIT */
/* Answers: bodies with their headers and status. */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "gate/gate.h"
#include "gate/http.h"

#define BYTES_MAX  (128ull << 20) /* of all answers that are being sent */
#define ERROR_TEXT 1024

static void set_header(struct MHD_Response *r, const char *name, const char *value)
{
	if (MHD_add_response_header(r, name, value) != MHD_YES)
		log_debug("header %s is not sent", name);
}

static void common_headers(struct MHD_Response *r)
{
	set_header(r, "X-Content-Type-Options", "nosniff");
	set_header(r, "X-Frame-Options", "DENY");
	set_header(r, "Referrer-Policy", "no-referrer");
	set_header(r, "Cross-Origin-Resource-Policy", "same-origin");
	set_header(r, "Content-Security-Policy",
		   "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
		   "connect-src 'self'; base-uri 'none'; form-action 'none'; "
		   "frame-ancestors 'none'");
	if (!MHD_get_response_header(r, "Cache-Control"))
		set_header(r, "Cache-Control", "no-store");
}

void request_answer(struct request *r, unsigned int status, struct MHD_Response *response)
{
	r->response = response;
	r->status = status;
	if (response && !MHD_get_response_header(response, "X-Frame-Options"))
		common_headers(response);
	r->waits = false;
	if (!r->parked)
		return;
	r->parked = false;
	http_resume(r->gate->http, r->connection);
}

/* A body counts against the total of its process until it was sent. */
struct body {
	struct gate *gate;
	char *text;
	size_t len;
};

static void free_body(void *arg)
{
	struct body *b = arg;

	b->gate->sending_bytes -= b->len;
	free(b->text);
	free(b);
}

struct MHD_Response *http_own_response(struct gate *g, const char *type, char *text, size_t len)
{
	struct body *b = g->sending_bytes + len > BYTES_MAX ? NULL : malloc(sizeof(*b));
	struct MHD_Response *response;

	if (!b) {
		free(text);
		return NULL;
	}
	*b = (struct body){.gate = g, .text = text, .len = len};
	g->sending_bytes += len;
	response = MHD_create_response_from_buffer_with_free_callback_cls(len, text, free_body, b);
	if (!response)
		free_body(b);
	else
		set_header(response, "Content-Type", type);
	return response;
}

static struct MHD_Response *static_response(const char *text, const char *type)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(strlen(text), (char *)text, MHD_RESPMEM_PERSISTENT);

	if (response)
		set_header(response, "Content-Type", type);
	return response;
}

void request_busy(struct request *r)
{
	struct MHD_Response *response = static_response(
	    "{\"error\":{\"name\":\"ENOBUFS\",\"message\":\"too many answers are being "
	    "sent\",\"hint\":\"Try again in a moment.\"}}",
	    "application/json");

	r->shared = false;
	if (response)
		set_header(response, "Retry-After", "1");
	request_answer(r, MHD_HTTP_SERVICE_UNAVAILABLE, response);
}

void request_text(struct request *r, unsigned int status, const char *type, char *text, size_t len)
{
	struct MHD_Response *response = text ? http_own_response(r->gate, type, text, len) : NULL;

	if (response)
		request_answer(r, status, response);
	else
		request_busy(r);
}

void request_json(struct request *r, unsigned int status, const json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	request_text(r, status, "application/json", text, text ? strlen(text) : 0);
}

void request_fail(struct request *r, unsigned int status, int code, const char *message,
		  const char *hint)
{
	/* what was asked may be part of it, cut anywhere: JSON takes no broken UTF-8 */
	char said[ERROR_TEXT], advice[ERROR_TEXT];
	json_t *body = json_pack("{s:{s:s,s:s,s:s}}", "error", "name", error_name(code), "message",
				 str_escape(said, sizeof(said), message), "hint",
				 str_escape(advice, sizeof(advice), hint ? hint : ""));

	request_json(r, status, body);
	json_decref(body);
	if (status == MHD_HTTP_UNAUTHORIZED && r->response)
		set_header(r->response, "WWW-Authenticate", "Bearer realm=\"cz-gate\"");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE && r->response)
		set_header(r->response, "Retry-After", "1");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED && r->response)
		set_header(r->response, "Allow", r->allow);
}

void request_error(struct request *r, const struct error *e)
{
	static const struct {
		int code;
		unsigned int status;
	} statuses[] = {
	    {-ENOENT, MHD_HTTP_NOT_FOUND},
	    {-EINVAL, MHD_HTTP_BAD_REQUEST},
	    {-ERANGE, MHD_HTTP_BAD_REQUEST},
	    {-EPERM, MHD_HTTP_FORBIDDEN},
	    {-EEXIST, MHD_HTTP_CONFLICT},
	    {-EBUSY, MHD_HTTP_SERVICE_UNAVAILABLE},
	    {-EROFS, MHD_HTTP_CONFLICT},
	    {-ENOSYS, MHD_HTTP_NOT_IMPLEMENTED},
	    {-ECONNREFUSED, MHD_HTTP_SERVICE_UNAVAILABLE},
	    {-ECONNRESET, MHD_HTTP_SERVICE_UNAVAILABLE},
	    {-ETIMEDOUT, MHD_HTTP_GATEWAY_TIMEOUT},
	    {-EPROTO, MHD_HTTP_BAD_GATEWAY},
	    {-EPIPE, MHD_HTTP_SERVICE_UNAVAILABLE},
	    {-EOPNOTSUPP, MHD_HTTP_CONFLICT},
	    {-ENOSPC, MHD_HTTP_CONFLICT},
	    {-EACCES, MHD_HTTP_UNAUTHORIZED},
	};
	unsigned int status = MHD_HTTP_INTERNAL_SERVER_ERROR;

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		if (statuses[i].code == e->code)
			status = statuses[i].status;
	}
	request_fail(r, status, e->code, e->msg, e->hint);
}

void request_wait(struct request *r)
{
	r->waits = true;
}

const char *request_query(const struct request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_header(const struct request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

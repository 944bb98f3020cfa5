/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 responses to GET (RFC 9112): bodies by Content-Length or chunked. A body that ends only
 * with the connection is refused: nothing could follow it, and its end could not be told from a
 * broken connection.
 */
#include "bench/reply.h"

#include <string.h>
#include <strings.h>
#include "base/parse.h"
#include "base/str.h"

#define HEADERS_MAX 65536

enum state {
	STATE_STATUS,
	STATE_HEADERS,
	STATE_BODY,
	STATE_CHUNK_SIZE,
	STATE_CHUNK,
	STATE_CHUNK_END,
	STATE_TRAILERS,
	STATE_NR,
};

static int bad_line(const char *line, const char *what, struct error *reterr)
{
	char shown[64];

	return error_set(reterr, -EBADMSG, "'%s' is not %s", str_escape(shown, sizeof(shown), line),
			 what);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK" */
static int take_status(struct reply_parser *p, struct error *reterr)
{
	const char *s = p->line;

	if (strncmp(s, "HTTP/1.", 7) != 0 || (s[7] != '0' && s[7] != '1') || s[8] != ' ' ||
	    s[9] < '1' || s[9] > '9' || !is_digit(s[10]) || !is_digit(s[11]) ||
	    (s[12] && s[12] != ' '))
		return bad_line(s, "the status line of an HTTP/1 response", reterr);
	p->keep_alive = s[7] == '1';
	p->reply.status = (unsigned int)((s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0'));
	p->reply.is_error = p->reply.status >= 400;
	if (p->reply.is_error)
		str_escape(p->reply.text, sizeof(p->reply.text), s);
	p->state = STATE_HEADERS;
	return 0;
}

static int take_content_length(struct reply_parser *p, const char *value, struct error *reterr)
{
	uint64_t length;

	if (parse_u64(value, &length) < 0 || length > REPLY_BODY_MAX)
		return bad_line(value, "a Content-Length", reterr);
	if (p->has_length && length != p->content_length)
		return error_set(reterr, -EBADMSG, "two different Content-Lengths");
	p->has_length = true;
	p->content_length = length;
	return 0;
}

static int take_transfer_encoding(struct reply_parser *p, const char *value, struct error *reterr)
{
	if (strcasecmp(value, "chunked") != 0)
		return bad_line(value, "a Transfer-Encoding known here (chunked)", reterr);
	p->chunked = true;
	return 0;
}

static int take_connection(struct reply_parser *p, const char *value, struct error *reterr)
{
	if (strcasecmp(value, "close") == 0)
		p->keep_alive = false;
	else if (strcasecmp(value, "keep-alive") == 0)
		p->keep_alive = true;
	return 0;
}

static const struct {
	const char *name;
	int (*take)(struct reply_parser *p, const char *value, struct error *reterr);
} headers[] = {
    {"content-length", take_content_length},
    {"transfer-encoding", take_transfer_encoding},
    {"connection", take_connection},
};

/* Splits "Name: value" in place; NULL if it is none. */
static char *header_value(char *line)
{
	size_t n = strcspn(line, ": \t");
	char *value, *end;

	if (n == 0 || line[n] != ':')
		return NULL;
	line[n] = 0;
	value = line + n + 1;
	value += strspn(value, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = 0;
	return value;
}

/* The empty line: what follows? 1 when the response has no body. */
static int end_headers(struct reply_parser *p, struct error *reterr)
{
	unsigned int status = p->reply.status;

	p->reply.closes = !p->keep_alive;
	if (status == 101)
		return error_set(reterr, -EBADMSG, "the server switches protocols, unasked");
	if (status < 200) {
		reply_parser_init(p); /* an interim response; the real one follows */
		return 0;
	}
	if (status == 204 || status == 304)
		return 1;
	if (p->chunked && p->has_length)
		return error_set(reterr, -EBADMSG, "both Content-Length and chunked");
	if (p->chunked) {
		p->state = STATE_CHUNK_SIZE;
		return 0;
	}
	if (!p->has_length)
		return error_set(reterr, -EBADMSG,
				 "neither Content-Length nor chunked: the end of "
				 "the response cannot be seen");
	p->body_left = p->content_length;
	p->state = STATE_BODY;
	return p->body_left == 0;
}

static int take_header(struct reply_parser *p, struct error *reterr)
{
	char *value;

	p->header_bytes += strlen(p->line) + 2;
	if (p->header_bytes > HEADERS_MAX)
		return error_set(reterr, -EBADMSG, "headers of more than %d bytes", HEADERS_MAX);
	if (p->line[0] == 0)
		return end_headers(p, reterr);
	value = header_value(p->line);
	if (!value)
		return bad_line(p->line, "a header", reterr);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (strcasecmp(headers[i].name, p->line) == 0)
			return headers[i].take(p, value, reterr);
	}
	return 0;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "1f" or "1f;extension" */
static int take_chunk_size(struct reply_parser *p, struct error *reterr)
{
	const char *s = p->line;
	uint64_t size = 0;

	if (hex_value(*s) < 0)
		return bad_line(p->line, "the size of a chunk", reterr);
	for (; hex_value(*s) >= 0; s++) {
		size = size * 16 + (uint64_t)hex_value(*s);
		if (size > REPLY_BODY_MAX)
			return bad_line(p->line, "a chunk size in bounds", reterr);
	}
	s += strspn(s, " \t");
	if (*s && *s != ';')
		return bad_line(p->line, "the size of a chunk", reterr);
	p->body_left = size;
	p->state = size ? STATE_CHUNK : STATE_TRAILERS;
	return 0;
}

static int take_chunk_end(struct reply_parser *p, struct error *reterr)
{
	if (p->line[0])
		return bad_line(p->line, "the end of a chunk", reterr);
	p->state = STATE_CHUNK_SIZE;
	return 0;
}

static int take_trailer(struct reply_parser *p, struct error *reterr)
{
	p->header_bytes += strlen(p->line) + 2;
	if (p->header_bytes > HEADERS_MAX)
		return error_set(reterr, -EBADMSG, "trailers of more than %d bytes", HEADERS_MAX);
	if (p->line[0] && !header_value(p->line))
		return bad_line(p->line, "a trailer", reterr);
	return p->line[0] == 0;
}

/* What each state does with a whole line; NULL: it skips a body. */
static int (*const take_line[STATE_NR])(struct reply_parser *, struct error *) = {
    [STATE_STATUS] = take_status,	  [STATE_HEADERS] = take_header,
    [STATE_CHUNK_SIZE] = take_chunk_size, [STATE_CHUNK_END] = take_chunk_end,
    [STATE_TRAILERS] = take_trailer,
};

static int skip_body(struct reply_parser *p, const char **data, const char *end)
{
	size_t n = (size_t)(end - *data);

	if (n > p->body_left)
		n = (size_t)p->body_left;
	*data += n;
	p->body_left -= n;
	if (p->body_left > 0)
		return 0;
	if (p->state == STATE_BODY)
		return 1;
	p->state = STATE_CHUNK_END;
	return 0;
}

static int step(struct reply_parser *p, const char **data, const char *end, struct error *reterr)
{
	int r;

	if (!take_line[p->state])
		return skip_body(p, data, end);
	r = reply_line(p, data, end, reterr);
	return r == 1 ? take_line[p->state](p, reterr) : r;
}

static int feed(struct reply_parser *p, const char *data, size_t size, size_t *ret_used,
		struct reply *ret, struct error *reterr)
{
	const char *start = data, *end = data + size;
	int r = 0;

	while (r == 0 && data < end)
		r = step(p, &data, end, reterr);
	*ret_used = (size_t)(data - start);
	if (r == 1) {
		*ret = p->reply;
		reply_parser_init(p);
	}
	return r;
}

const struct reply_protocol reply_http = {.name = "http", .feed = feed};

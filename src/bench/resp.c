/* SPDX-License-Identifier: MIT */
/* Replies to SET, GET and PING in RESP 2: simple strings, errors, integers and bulk strings. */
#include "bench/reply.h"

#include <string.h>
#include "base/parse.h"
#include "base/str.h"

enum state { STATE_LINE, STATE_BODY, STATE_CR, STATE_LF };

static int finish(struct reply_parser *p, struct reply *ret)
{
	*ret = p->reply;
	reply_parser_init(p);
	return 1;
}

static int bulk_length(struct reply_parser *p, struct error *reterr)
{
	const char *text = p->line + 1;
	char shown[48];

	if (strcmp(text, "-1") == 0) {
		p->reply.is_miss = true;
		return 1;
	}
	if (parse_u64(text, &p->body_left) < 0 || p->body_left > REPLY_BODY_MAX)
		return error_set(reterr, -EBADMSG, "'%s' is not the length of a bulk string",
				 str_escape(shown, sizeof(shown), text));
	p->state = p->body_left ? STATE_BODY : STATE_CR;
	return 0;
}

/* A whole line: 1 if the reply ends with it. */
static int take_line(struct reply_parser *p, struct error *reterr)
{
	char shown[48];
	int64_t value;

	switch (p->line[0]) {
	case '+':
		return 1;
	case '-':
		p->reply.is_error = true;
		str_escape(p->reply.text, sizeof(p->reply.text), p->line + 1);
		return 1;
	case ':':
		if (parse_i64(p->line + 1, &value) == 0)
			return 1;
		break;
	case '$':
		return bulk_length(p, reterr);
	}
	return error_set(reterr, -EBADMSG, "'%s' is not the start of a Redis reply",
			 str_escape(shown, sizeof(shown), p->line));
}

static int expect(struct reply_parser *p, char want, char got, enum state next,
		  struct error *reterr)
{
	if (got != want)
		return error_set(reterr, -EBADMSG,
				 "byte 0x%02x where a bulk string should have ended",
				 (unsigned char)got);
	p->state = next;
	return 0;
}

static void skip_body(struct reply_parser *p, const char **data, const char *end)
{
	size_t n = (size_t)(end - *data);

	if (n > p->body_left)
		n = (size_t)p->body_left;
	*data += n;
	p->body_left -= n;
	if (p->body_left == 0)
		p->state = STATE_CR;
}

static int step(struct reply_parser *p, const char **data, const char *end, struct error *reterr)
{
	int r;

	switch ((enum state)p->state) {
	case STATE_LINE:
		r = reply_line(p, data, end, reterr);
		return r == 1 ? take_line(p, reterr) : r;
	case STATE_BODY:
		skip_body(p, data, end);
		return 0;
	case STATE_CR:
		return expect(p, '\r', *(*data)++, STATE_LF, reterr);
	case STATE_LF:
		r = expect(p, '\n', *(*data)++, STATE_LINE, reterr);
		return r < 0 ? r : 1;
	}
	return -EBADMSG;
}

static int feed(struct reply_parser *p, const char *data, size_t size, size_t *ret_used,
		struct reply *ret, struct error *reterr)
{
	const char *start = data, *end = data + size;
	int r = 0;

	while (r == 0 && data < end)
		r = step(p, &data, end, reterr);
	*ret_used = (size_t)(data - start);
	return r == 1 ? finish(p, ret) : r;
}

const struct reply_protocol reply_resp = {.name = "resp", .feed = feed};

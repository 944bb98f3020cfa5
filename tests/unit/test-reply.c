/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "bench/reply.h"
#include "test.h"

struct result {
	int r; /* of the last feed: 0 more needed, -EBADMSG, or 0 with all replies complete */
	unsigned int replies;
	struct reply last;
	struct error err;
	size_t left; /* bytes not consumed when it failed */
};

/* Feeds text in pieces of `piece` bytes; how it is cut must not matter. */
static struct result feed(const struct reply_protocol *proto, const char *text, size_t size,
			  size_t piece)
{
	struct reply_parser *p = calloc(1, sizeof(*p));
	struct result out = {0};
	size_t at = 0;

	assert_non_null(p);
	while (at < size) {
		size_t n = size - at < piece ? size - at : piece, used;

		out.r = proto->feed(p, text + at, n, &used, &out.last, &out.err);
		assert_true(used <= n);
		at += used;
		if (out.r < 0)
			break;
		out.replies += out.r == 1;
		assert_true(out.r == 1 || used == n);
	}
	out.left = size - at;
	free(p);
	return out;
}

struct sample {
	const char *text;
	unsigned int replies; /* complete ones */
	const char *error;    /* part of the message, or NULL */
};

static void check(const struct reply_protocol *proto, const struct sample *samples, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		size_t size = strlen(samples[i].text);

		for (size_t piece = 1; piece <= size; piece = piece == 1 ? 3 : piece * 7) {
			struct result got = feed(proto, samples[i].text, size, piece);

			if (got.replies != samples[i].replies ||
			    (got.r < 0) != (samples[i].error != NULL))
				fail_msg("sample %zu by %zu: %u replies, %d %s", i, piece,
					 got.replies, got.r, got.err.msg);
			if (samples[i].error && !strstr(got.err.msg, samples[i].error))
				fail_msg("sample %zu: '%s'", i, got.err.msg);
		}
	}
}

static void test_resp(void **state)
{
	static const struct sample samples[] = {
	    {"+OK\r\n", 1, NULL},
	    {"+OK\r\n$3\r\nabc\r\n$-1\r\n:12\r\n-ERR x\r\n", 5, NULL},
	    {"$0\r\n\r\n", 1, NULL},
	    {"$4\r\n\r\n\r\n\r\n", 1, NULL}, /* line ends inside a value are data */
	    {"$3\r\nab", 0, NULL},
	    {"+OK", 0, NULL},
	    {"+OK\n", 0, "byte 0x0a inside a line"},
	    {"+O\rK\r\n", 0, "byte 0x4b inside a line"},
	    {"+O\001K\r\n", 0, "byte 0x01"},
	    {"\r\n", 0, "not the start of a Redis reply"},
	    {"HTTP/1.1 200 OK\r\n", 0, "'HTTP/1.1 200 OK' is not the start"},
	    {"*1\r\n", 0, "'*1' is not the start"},
	    {"$-2\r\n", 0, "'-2' is not the length"},
	    {"$\r\n", 0, "'' is not the length"},
	    {"$3x\r\n", 0, "'3x' is not the length"},
	    {"$99999999999999999999\r\n", 0, "is not the length"},
	    {"$3\r\nabcd\r\n", 0, "byte 0x64 where a bulk string should have ended"},
	    {"$3\r\nabc\rx", 0, "byte 0x78 where"},
	    {":1x\r\n", 0, "':1x' is not"},
	};

	check(&reply_resp, samples, ARRAY_SIZE(samples));
}

static void test_resp_details(void **state)
{
	struct result r = feed(&reply_resp, "$-1\r\n", 5, 5);

	assert_true(r.last.is_miss && !r.last.is_error);
	r = feed(&reply_resp, "+OK\r\n", 5, 5);
	assert_false(r.last.is_miss); /* nothing left over from another reply */
	r = feed(&reply_resp, "-NOAUTH \033[2J needed\r\n", 21, 99);
	assert_true(r.r < 0); /* an escape sequence is no text of Redis */
	r = feed(&reply_resp, "-NOAUTH Authentication required.\r\n", 34, 99);
	assert_true(r.last.is_error);
	assert_string_equal(r.last.text, "NOAUTH Authentication required.");
}

static void test_long_line(void **state)
{
	static char text[REPLY_LINE_MAX + 10];
	struct result r;

	memset(text, 'x', sizeof(text));
	text[0] = '+';
	r = feed(&reply_resp, text, sizeof(text), 1000);
	assert_int_equal(r.r, -EBADMSG);
	assert_non_null(strstr(r.err.msg, "a line of more than 8191 bytes"));
}

#define OK_2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static void test_http(void **state)
{
	static const struct sample samples[] = {
	    {OK_2, 1, NULL},
	    {OK_2 OK_2 OK_2, 3, NULL},
	    {"HTTP/1.1 204 No Content\r\n\r\n" OK_2, 2, NULL},
	    {"HTTP/1.1 100 Continue\r\n\r\n" OK_2, 1, NULL},
	    {"HTTP/1.1 200\r\nCONTENT-LENGTH:  0 \r\n\r\n", 1, NULL},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	     "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n" OK_2,
	     2, NULL},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", 0, NULL},
	    {"HTTP/1.1 200 OK\r\n\r\n", 0, "neither Content-Length nor chunked"},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 0,
	     "both Content-Length and chunked"},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n", 0,
	     "two different Content-Lengths"},
	    {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n", 0, "'-2' is not a Content-Length"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n", 0, "'gzip' is not"},
	    {"HTTP/1.1 200 OK\r\nno colon\r\n", 0, "is not a header"},
	    {"HTTP/1.1 200 OK\r\n: empty\r\n", 0, "is not a header"},
	    {"HTTP/1.1 200 OK\r\n folded\r\n", 0, "is not a header"},
	    {"HTTP/2 200\r\n", 0, "is not the status line"},
	    {"HTTP/1.1 2000 OK\r\n", 0, "is not the status line"},
	    {"HTTP/1.1 099 OK\r\n", 0, "is not the status line"},
	    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", 0, "switches protocols"},
	    {"+PONG\r\n", 0, "'+PONG' is not the status line"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 0,
	     "'x' is not the size of a chunk"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 0,
	     "'b' is not the end of a chunk"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 0,
	     "chunk size in bounds"},
	};

	check(&reply_http, samples, ARRAY_SIZE(samples));
}

static void test_http_details(void **state)
{
	const char *gone = "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
	struct result r = feed(&reply_http, gone, strlen(gone), 9);

	assert_true(r.last.is_error && r.last.closes);
	assert_int_equal(r.last.status, 503);
	assert_string_equal(r.last.text, "HTTP/1.1 503 Busy");
	r = feed(&reply_http, OK_2, strlen(OK_2), 5);
	assert_false(r.last.closes);
	gone = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"; /* 1.0 closes unless it says so */
	r = feed(&reply_http, gone, strlen(gone), 99);
	assert_true(r.last.closes);
}

static void test_http_endless_headers(void **state)
{
	struct reply_parser *p = calloc(1, sizeof(*p));
	const char *start = "HTTP/1.1 200 OK\r\n", *header = "X-Filler: 0123456789\r\n";
	struct error err = {0};
	struct reply reply;
	size_t used, total = 0;
	int r = reply_http.feed(p, start, strlen(start), &used, &reply, &err);

	while (r == 0 && total < 1 << 20) {
		r = reply_http.feed(p, header, strlen(header), &used, &reply, &err);
		total += used;
	}
	assert_int_equal(r, -EBADMSG);
	assert_true(total < 70000);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_resp),	 cmocka_unit_test(test_resp_details),
	    cmocka_unit_test(test_long_line),	 cmocka_unit_test(test_http),
	    cmocka_unit_test(test_http_details), cmocka_unit_test(test_http_endless_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

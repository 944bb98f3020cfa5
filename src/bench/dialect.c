/* SPDX-License-Identifier: MIT */
/* What cz-load says: Redis commands in RESP, and HTTP/1.1 GET. */
#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "bench/load.h"

#define KEY_FORMAT "key:%010" PRIu64
#define KEY_LENGTH 14

static void add_set(struct load *l, uint64_t key, struct strbuf *out)
{
	strbuf_printf(out, "*3\r\n$3\r\nSET\r\n$%d\r\n" KEY_FORMAT "\r\n$%" PRIu64 "\r\n",
		      KEY_LENGTH, key, l->o->value_bytes);
	strbuf_add(out, l->value, l->o->value_bytes);
	strbuf_puts(out, "\r\n");
}

static void add_resp(struct load *l, struct strbuf *out)
{
	uint64_t key = random_next(&l->random) % l->o->keys;

	if (random_next(&l->random) % 1000000 < l->o->set_ratio_ppm)
		add_set(l, key, out);
	else
		strbuf_printf(out, "*2\r\n$3\r\nGET\r\n$%d\r\n" KEY_FORMAT "\r\n", KEY_LENGTH, key);
}

static void add_ping(struct strbuf *out)
{
	strbuf_puts(out, "*1\r\n$4\r\nPING\r\n");
}

static void add_http(struct load *l, struct strbuf *out)
{
	strbuf_printf(out, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: cz-load\r\n\r\n", l->o->path,
		      l->o->host);
}

const struct dialect dialect_resp = {
    .name = "resp",
    .replies = &reply_resp,
    .add_request = add_resp,
    .add_ping = add_ping,
    .add_fill = add_set,
};

const struct dialect dialect_http = {
    .name = "http",
    .replies = &reply_http,
    .add_request = add_http,
};

/* SPDX-License-Identifier: MIT */
/*
 * A guest that means harm: process 1, static. It takes up sessions as it should, so that it is
 * listened to, and then does one evil after the other for PHASE_NS each, for ever: floods, frames
 * and lines beyond all measure, half frames, lies, noise, and not reading at all. The host is what
 * is tested: tests/e2e/test-hostile-guest.py.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "channel/channel.h"
#include "guest-ports.h"

#define PHASE_NS 4000000000ull
#define HEAD	 8
#define BURST	 64 /* evil deeds between two looks at what the host says */

static struct channel *channels[CHANNEL_NR];
static int fds[CHANNEL_NR];
static bool deaf;
static char frame[HEAD + (1 << 20)];

/* Straight to the port: no credits, no limits. Gives up when the host does not read. */
static void put(enum channel_port port, const void *data, size_t len)
{
	const char *p = data;

	for (int tries = 0; len && tries < 20;) {
		ssize_t n = write(fds[port], p, len);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
			continue;
		}
		tries++;
		poll(&(struct pollfd){.fd = fds[port], .events = POLLOUT}, 1, 20);
	}
}

/* `claims` bytes are said to follow; `len` do. */
static void put_frame(enum channel_port port, int type, int stream, const void *data, size_t len,
		      uint32_t claims)
{
	frame[0] = 'C';
	frame[1] = 'Z';
	frame[2] = (char)type;
	frame[3] = (char)stream;
	for (int i = 0; i < 4; i++)
		frame[4 + i] = (char)(claims >> (8 * i));
	if (data)
		memcpy(frame + HEAD, data, len);
	else
		memset(frame + HEAD, 'x', len);
	put(port, frame, HEAD + len);
}

static void say(const char *text)
{
	put_frame(CHANNEL_CONTROL, CHANNEL_MESSAGE, 0, text, strlen(text), (uint32_t)strlen(text));
}

static void flood(unsigned int i)
{
	char escapes[1400];

	for (size_t k = 0; k < sizeof(escapes); k += 14)
		memcpy(escapes + k, "\033[2J\033]0;evil\007\n", 14);
	say("{\"event\":\"stats\",\"apps\":[{\"name\":\"a\",\"cpu_ns\":1}]}");
	say("{\"event\":\"notice\",\"kind\":\"guest\",\"text\":\"flood "
	    "\\u001b[31m\\r\\n<0>flood\"}");
	put_frame(CHANNEL_LOG, CHANNEL_NAME, 1, "talker", 6, 6);
	put_frame(CHANNEL_LOG, CHANNEL_DATA, 1, escapes, sizeof(escapes), sizeof(escapes));
	put_frame(CHANNEL_LOG, CHANNEL_DATA, (int)(i % 40), "line\n", 5, 5);
	put_frame(CHANNEL_TERM, CHANNEL_DATA, (int)(i % 40), "line\n", 5, 5);
}

static void giants(unsigned int i)
{
	static const uint32_t claims[] = {CHANNEL_MESSAGE_MAX, 1u << 20, 1u << 31, UINT32_MAX};

	put_frame(CHANNEL_CONTROL, CHANNEL_MESSAGE, 0, NULL, CHANNEL_MESSAGE_MAX, claims[i % 4]);
	put_frame(CHANNEL_LOG, CHANNEL_DATA, (int)(i % CHANNEL_STREAMS_MAX), NULL, CHANNEL_DATA_MAX,
		  CHANNEL_DATA_MAX);
}

static void halves(unsigned int i)
{
	put_frame(CHANNEL_CONTROL, CHANNEL_MESSAGE, 0, NULL, i % 1000, 60000);
	put_frame(CHANNEL_LOG, CHANNEL_NAME, 0, NULL, i % 7, 12);
	put(CHANNEL_TERM, "CZ", 1 + i % 2);
}

/* `count` times `item` within `before` and `after`. */
static void say_many(const char *before, const char *item, size_t count, const char *after)
{
	static char text[1 << 20];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", before), one = strlen(item);

	for (size_t i = 0; i < count && len + one + strlen(after) < CHANNEL_MESSAGE_MAX; i++) {
		memcpy(text + len, item, one);
		len += one;
	}
	snprintf(text + len, sizeof(text) - len, "%s", after);
	say(text);
}

static void lies(unsigned int i)
{
	static const char *const names[] = {"../../../etc/passwd",
					    "/etc/passwd",
					    "a/../../b",
					    "\033[2J\033]0;evil\007",
					    "..",
					    "",
					    "app\n<0>x"};
	char answer[160];

	say("{\"event\":\"ready\",\"v\":1,\"cpus\":1000000,\"online\":-7,\"kernel\":"
	    "\"\\u001b[2J\\u0007evil\\u009b\",\"uptime_ms\":-1,\"vcpus\":[{\"cpu\":0,\"tid\":1}]}");
	say_many("{\"event\":\"stats\",\"apps\":[{\"name\":\"first\"}", ",{}", 1000000, "]}");
	say_many("{\"event\":\"stats\",\"apps\":[",
		 "{\"name\":\"\\u001b[2J\\r\\n\\u202eevil\",\"cpu_ns\":-1,\"memory_bytes\":-9,"
		 "\"waits\":1e300,"
		 "\"pid\":1,\"restarts\":-5,\"class\":\"lc\",\"state\":\"\\u0007\",\"parts\":[{"
		 "\"ns\":-1}]},",
		 300, "{}],\"policy\":\"\\u001b[5m\"}");
	say_many("{\"event\":\"stats\",\"x\":", "[", 65000, "");
	say_many("{\"event\":\"stats\",\"x\":", "{\"a\":", 10000, "");
	say("{\"event\":\"state\",\"state\":\"stopping\",\"vcpus\":[{\"cpu\":0,\"tid\":1}]}");
	snprintf(answer, sizeof(answer), "{\"id\":%u,\"ok\":true,\"policy\":\"\\u001b[2Jevil\"}",
		 i);
	say(answer);
	for (int s = 0; s < 7; s++) {
		put_frame(CHANNEL_LOG, CHANNEL_NAME, s, names[s], strlen(names[s]),
			  (uint32_t)strlen(names[s]));
		put_frame(CHANNEL_LOG, CHANNEL_DATA, s, "evil\n", 5, 5);
	}
}

static void names(unsigned int i)
{
	char name[16];
	size_t len = (size_t)snprintf(name, sizeof(name), "zz%u", i % 100000);

	put_frame(CHANNEL_LOG, CHANNEL_NAME, 2, name, len, (uint32_t)len);
	put_frame(CHANNEL_LOG, CHANNEL_DATA, 2, "evil\n", 5, 5);
}

static void noise(unsigned int i)
{
	char bytes[4096];

	for (size_t k = 0; k < sizeof(bytes); k++)
		bytes[k] = (char)rand();
	put(i % CHANNEL_NR, bytes, sizeof(bytes));
}

static void silence(unsigned int i)
{
	poll(NULL, 0, 50);
}

static const struct {
	const char *name;
	void (*deed)(unsigned int i);
	bool deaf; /* and what the host says is not read */
} phases[] = {
    {"flood", flood, false},	 {"giants", giants, false}, {"halves", halves, false},
    {"lies", lies, false},	 {"names", names, false},   {"noise", noise, false},
    {"deaf flood", flood, true}, {"deaf", silence, true},
};

static void on_frame(const struct channel_frame *f, void *arg)
{
	char answer[64];
	const char *id;

	if (f->type != CHANNEL_MESSAGE || !(id = memmem(f->data, f->len, "\"id\":", 5)))
		return; /* no credit is ever given back */
	snprintf(answer, sizeof(answer), "{\"id\":%lu,\"ok\":true}", strtoul(id + 5, NULL, 10));
	say(answer);
}

static void behave(enum channel_port port)
{
	static char buf[65536];
	const void *data;
	ssize_t n = 0;
	size_t len;

	for (int i = 0; i < 8 && !deaf && (n = read(fds[port], buf, sizeof(buf))) > 0; i++)
		channel_feed(channels[port], buf, (size_t)n, on_frame, NULL);
	data = channel_pending(channels[port], &len);
	if (len) {
		put(port, data, len);
		channel_sent(channels[port], len);
	}
}

int main(void)
{
	uint64_t next_ns = 0, phase_ns = 0;
	uint8_t nonce[CHANNEL_NONCE];
	unsigned int phase = 0;
	char line[4096];

	guest_start(line, sizeof(line));
	guest_nonce(line, nonce);
	for (enum channel_port i = 0; i < CHANNEL_NR; i++) {
		fds[i] = guest_open_port(i);
		if (channel_new(i, nonce, (uint32_t)clock_mono_ns() | 1, &channels[i]) < 0)
			printf("hostile: no channel\n");
	}
	for (unsigned int i = 0;; i++) {
		uint64_t now_ns = clock_mono_ns();

		for (enum channel_port p = 0; p < CHANNEL_NR; p++)
			behave(p);
		if (now_ns > next_ns) {
			next_ns = now_ns + 1000000000;
			for (enum channel_port p = 0; p < CHANNEL_NR; p++)
				channel_tick(channels[p]);
			if (!phase_ns && channel_up(channels[CHANNEL_CONTROL])) {
				phase_ns = now_ns;
				say("{\"event\":\"ready\",\"v\":1,\"kernel\":\"7\",\"uptime_ms\":1,"
				    "\"cpus\":1,\"online\":1}");
				printf("hostile: %s\n", phases[0].name);
			}
		}
		if (!phase_ns) {
			poll(NULL, 0, 20);
			continue;
		}
		if (now_ns - phase_ns > PHASE_NS) {
			phase = (phase + 1) % (sizeof(phases) / sizeof(phases[0]));
			phase_ns = now_ns;
			deaf = phases[phase].deaf;
			printf("hostile: %s\n", phases[phase].name);
		}
		for (unsigned int k = 0; k < BURST; k++)
			phases[phase].deed(BURST * i + k);
	}
}

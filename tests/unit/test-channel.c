/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/hash.h"
#include "channel/channel.h"
#include "test.h"

static const uint8_t nonce[CHANNEL_NONCE] = {1, 2, 3, 4};

struct side {
	struct channel *c;
	size_t frames, bytes;
	bool keep; /* does not give credits back */
	enum channel_type last;
	char text[64];
};

static void on_frame(const struct channel_frame *f, void *arg)
{
	struct side *s = arg;

	s->frames++;
	s->bytes += f->len;
	s->last = f->type;
	snprintf(s->text, sizeof(s->text), "%.*s", f->len < 60 ? (int)f->len : 60, f->data);
	if (!s->keep)
		channel_consumed(s->c, f->stream, f->len);
}

/* Moves up to max bytes of what `from` has to say, in pieces of `piece`. */
static size_t move(struct side *from, struct side *to, size_t max, size_t piece)
{
	size_t total = 0;

	while (total < max) {
		size_t n;
		const void *data = channel_pending(from->c, &n);
		_cleanup_free_ void *copy = NULL;

		n = n < piece ? n : piece;
		n = n < max - total ? n : max - total;
		if (!n)
			break;
		copy = malloc(n);
		memcpy(copy, data, n);
		channel_sent(from->c, n);
		channel_feed(to->c, copy, n, on_frame, to);
		total += n;
	}
	return total;
}

static void talk(struct side *a, struct side *b)
{
	while (move(a, b, SIZE_MAX, 7) + move(b, a, SIZE_MAX, 4096))
		;
}

static void meet(enum channel_port port, struct side *a, struct side *b)
{
	*a = *b = (struct side){0};
	assert_int_equal(channel_new(port, nonce, 1000, &a->c), 0);
	assert_int_equal(channel_new(port, nonce, 7, &b->c), 0);
	talk(a, b);
	assert_true(channel_up(a->c) && channel_up(b->c));
}

static void part(struct side *a, struct side *b)
{
	channel_free(a->c);
	channel_free(b->c);
}

static void test_message(void **state)
{
	struct side a, b;
	_cleanup_free_ char *big = calloc(1, CHANNEL_MESSAGE_MAX + 1);

	meet(CHANNEL_CONTROL, &a, &b);
	assert_int_equal(channel_write(a.c, CHANNEL_MESSAGE, 0, "{\"do\":1}", 8), 0);
	assert_int_equal(channel_write(b.c, CHANNEL_MESSAGE, 0, "{}", 2), 0);
	assert_int_equal(channel_write(b.c, CHANNEL_MESSAGE, 0, big, CHANNEL_MESSAGE_MAX), 0);
	assert_int_equal(channel_write(b.c, CHANNEL_MESSAGE, 0, big, CHANNEL_MESSAGE_MAX + 1),
			 -EMSGSIZE);
	assert_int_equal(channel_write(b.c, CHANNEL_DATA, 0, "x", 1), -EINVAL);
	assert_int_equal(channel_write(b.c, CHANNEL_HELLO, 0, "x", 1), -EINVAL);
	assert_int_equal(channel_write(b.c, CHANNEL_MESSAGE, 1, "{}", 2), -EINVAL);
	talk(&a, &b);
	assert_string_equal(b.text, "{\"do\":1}");
	assert_int_equal(b.frames, 1);
	assert_int_equal(a.frames, 2);
	assert_int_equal(a.bytes, CHANNEL_MESSAGE_MAX + 2);
	part(&a, &b);
}

static void test_nothing_before_hello(void **state)
{
	struct side a = {0}, b = {0}, stranger = {0};
	const uint8_t other[CHANNEL_NONCE] = {9};

	assert_int_equal(channel_new(CHANNEL_CONTROL, nonce, 1, &a.c), 0);
	assert_int_equal(channel_new(CHANNEL_CONTROL, nonce, 2, &b.c), 0);
	assert_int_equal(channel_new(CHANNEL_CONTROL, other, 3, &stranger.c), 0);
	assert_int_equal(channel_write(a.c, CHANNEL_MESSAGE, 0, "{}", 2), -ENOTCONN);
	assert_int_equal(channel_room(a.c, 0), 0);
	move(&stranger, &a, SIZE_MAX, 3);
	assert_false(channel_up(a.c));
	assert_int_equal(channel_counts(a.c)->junk_bytes + 5 >= 32, true);
	channel_feed(a.c, "login: CZCZ\1", 12, on_frame, &a);
	talk(&a, &b);
	assert_true(channel_up(a.c) && channel_up(b.c));
	assert_int_equal(a.frames + b.frames, 0);
	part(&a, &b);
	channel_free(stranger.c);
}

/* Data written the moment a side is up comes after the hello that brings the other up. */
static void test_data_at_once(void **state)
{
	struct side a = {0}, b = {0};

	assert_int_equal(channel_new(CHANNEL_CONTROL, nonce, 1, &a.c), 0);
	assert_int_equal(channel_new(CHANNEL_CONTROL, nonce, 2, &b.c), 0);
	move(&a, &b, SIZE_MAX, 100);
	move(&b, &a, SIZE_MAX, 100);
	assert_true(channel_up(a.c));
	assert_false(channel_up(b.c));
	assert_int_equal(channel_write(a.c, CHANNEL_MESSAGE, 0, "first", 5), 0);
	talk(&a, &b);
	assert_string_equal(b.text, "first");
	part(&a, &b);
}

/* A hello that was lost is said again, and nothing else is. */
static void test_tick(void **state)
{
	struct side a = {0}, b = {0};
	size_t n;

	assert_int_equal(channel_new(CHANNEL_LOG, nonce, 1, &a.c), 0);
	channel_pending(a.c, &n);
	channel_sent(a.c, n); /* nobody heard it */
	channel_pending(a.c, &n);
	assert_int_equal(n, 0);
	assert_int_equal(channel_new(CHANNEL_LOG, nonce, 2, &b.c), 0);
	channel_tick(a.c);
	talk(&a, &b);
	assert_true(channel_up(a.c) && channel_up(b.c));
	channel_tick(a.c);
	channel_pending(a.c, &n);
	assert_int_equal(n, 0);
	part(&a, &b);
}

/* One side is new (its process was restarted), the other was in the midst of a frame. */
static void test_restart(void **state)
{
	struct side a, b;
	char data[1000] = {0};

	meet(CHANNEL_TERM, &a, &b);
	assert_int_equal(channel_write(a.c, CHANNEL_DATA, 3, data, sizeof(data)), 0);
	assert_int_equal(channel_write(a.c, CHANNEL_DATA, 3, "never", 5), 0);
	move(&a, &b, 500, 500);
	channel_free(b.c);
	b = (struct side){0};
	assert_int_equal(channel_new(CHANNEL_TERM, nonce, 8, &b.c), 0);
	talk(&a, &b);
	assert_true(channel_up(a.c) && channel_up(b.c));
	assert_int_equal(b.frames, 0);
	/* the rest of the frame, and the next: the other side did not know yet */
	assert_int_equal(channel_counts(b.c)->junk_bytes, 8 + 1000 - 500 + 8 + 5);
	assert_int_equal(channel_counts(a.c)->sessions, 2);
	assert_int_equal(channel_write(a.c, CHANNEL_DATA, 3, "hello", 5), 0);
	talk(&a, &b);
	assert_string_equal(b.text, "hello");
	part(&a, &b);
}

/* Bytes that are no frame end the session; a new one begins by itself. */
static void test_garbage(void **state)
{
	struct side a, b;

	meet(CHANNEL_CONTROL, &a, &b);
	channel_feed(a.c, "garbage here", 12, on_frame, &a);
	assert_false(channel_up(a.c));
	talk(&a, &b);
	assert_true(channel_up(a.c) && channel_up(b.c));
	assert_int_equal(channel_counts(a.c)->junk_bytes, 12);
	assert_int_equal(channel_write(b.c, CHANNEL_MESSAGE, 0, "ok", 2), 0);
	talk(&a, &b);
	assert_string_equal(a.text, "ok");
	part(&a, &b);
}

static void test_credits(void **state)
{
	struct side a, b;
	char data[CHANNEL_DATA_MAX] = {0};
	size_t sent = 0;

	meet(CHANNEL_TERM, &a, &b);
	b.keep = true;
	while (channel_write(a.c, CHANNEL_DATA, 0, data, sizeof(data)) == 0)
		sent += sizeof(data);
	assert_int_equal(sent, CHANNEL_WINDOW);
	assert_int_equal(channel_room(a.c, 0), 0);
	talk(&a, &b);
	assert_int_equal(channel_write(a.c, CHANNEL_DATA, 0, "x", 1), -EAGAIN);
	/* another stream does not wait for this one */
	assert_int_equal(channel_write(a.c, CHANNEL_DATA, 1, "x", 1), 0);
	assert_int_equal(channel_write(a.c, CHANNEL_END, 0, NULL, 0), 0);
	talk(&a, &b);
	assert_int_equal(b.bytes, CHANNEL_WINDOW + 1);
	channel_consumed(b.c, 0, SIZE_MAX); /* more than it got: only what it got */
	talk(&a, &b);
	assert_int_equal(channel_room(a.c, 0), CHANNEL_DATA_MAX);
	part(&a, &b);
}

/* A flood that keeps no credits is dropped; the session and the other streams go on. */
static void test_flood(void **state)
{
	struct side a, b;
	uint8_t frame[8 + 1000] = {'C', 'Z', CHANNEL_DATA, 2, 1000 & 255, 1000 >> 8};

	meet(CHANNEL_TERM, &a, &b);
	b.keep = true;
	for (int i = 0; i < 1000; i++)
		channel_feed(b.c, frame, sizeof(frame), on_frame, &b);
	assert_int_equal(b.frames, CHANNEL_WINDOW / 1000);
	assert_int_equal(channel_counts(b.c)->refused_frames, 1000 - b.frames);
	frame[2] = CHANNEL_MESSAGE; /* not of this port */
	channel_feed(b.c, frame, sizeof(frame), on_frame, &b);
	assert_int_equal(b.frames, CHANNEL_WINDOW / 1000);
	assert_int_equal(channel_write(a.c, CHANNEL_DATA, 3, "quiet", 5), 0);
	talk(&a, &b);
	assert_string_equal(b.text, "quiet");
	part(&a, &b);
}

/* Two sides, random writes and random cuts: what arrives is what was sent, in order. */
static void test_random(void **state)
{
	struct side a, b;
	uint64_t x = 1, bytes = 0, frames = 0;
	char data[CHANNEL_DATA_MAX] = {0};

	meet(CHANNEL_LOG, &a, &b);
	for (int step = 0; step < 20000; step++) {
		size_t len;

		x = hash_u64(x + 1);
		len = x % (x & 64 ? 100 : sizeof(data));
		if (channel_write(a.c, CHANNEL_DATA, x >> 59, data, len) == 0) {
			bytes += len;
			frames++;
		}
		move(&a, &b, (x >> 20) % 20000, 1 + (x >> 40) % 5000);
		if (x >> 62 == 0)
			move(&b, &a, SIZE_MAX, 1 + (x >> 50) % 50);
	}
	talk(&a, &b);
	assert_int_equal(b.bytes, bytes);
	assert_int_equal(b.frames, frames);
	assert_int_equal(channel_counts(b.c)->refused_frames, 0);
	assert_int_equal(channel_counts(b.c)->sessions, 1);
	part(&a, &b);
}

static void test_nonce(void **state)
{
	uint8_t n[CHANNEL_NONCE] = {0};

	assert_int_equal(channel_nonce_parse("00112233445566778899aabbccddeeff", n), 0);
	assert_int_equal(n[1], 0x11);
	assert_int_equal(n[15], 0xff);
	assert_int_equal(channel_nonce_parse("00112233445566778899aabbccddeef", n), -EINVAL);
	assert_int_equal(channel_nonce_parse("00112233445566778899aabbccddeefg", n), -EINVAL);
	assert_int_equal(channel_nonce_parse("00112233445566778899aabbccddeeff0", n), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_message),	 cmocka_unit_test(test_nothing_before_hello),
	    cmocka_unit_test(test_data_at_once), cmocka_unit_test(test_tick),
	    cmocka_unit_test(test_restart),	 cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_credits),	 cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_random),	 cmocka_unit_test(test_nonce),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

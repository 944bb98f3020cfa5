/* SPDX-License-Identifier: MIT */
/* QMP against a QEMU that lies, dawdles and shouts. */
#include <stdbool.h>
#include "base/cleanup.h"
#include "vm/json.h"
#include "vm/qmp.h"
#include "test.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"

struct seen {
	int answers, code;
	double value;
	char event[64];
	int events;
	struct qmp *again; /* asks once more from within the answer */
};

static void on_event(void *arg, const char *name, const json_t *data)
{
	struct seen *s = arg;

	s->events++;
	snprintf(s->event, sizeof(s->event), "%s", name);
}

static void on_answer(void *arg, const json_t *result, const struct error *e)
{
	struct seen *s = arg;
	struct qmp *again = s->again;

	assert_true(!result != !e);
	s->answers++;
	s->code = e ? e->code : 0;
	s->value = json_number_value(json_object_get(result, "n"));
	s->again = NULL;
	if (again)
		assert_int_equal(qmp_command(again, "more", NULL, 100, on_answer, s), 0);
}

static int feed(struct qmp *q, const char *text)
{
	return qmp_feed(q, text, strlen(text));
}

static void drain(struct qmp *q, const char *expected)
{
	size_t len;
	const char *data = qmp_pending(q, &len);

	if (expected) {
		assert_int_equal(len, strlen(expected));
		assert_memory_equal(data, expected, len);
	}
	qmp_sent(q, len);
}

static struct qmp *greeted(struct seen *s)
{
	struct qmp *q = NULL;

	assert_int_equal(qmp_new(on_event, s, &q), 0);
	assert_int_equal(feed(q, GREETING), 0);
	drain(q, "{\"execute\":\"qmp_capabilities\"}\n");
	return q;
}

static void test_answers(void **state)
{
	struct seen s = {0};
	struct qmp *q = NULL;

	assert_int_equal(qmp_new(on_event, &s, &q), 0);
	assert_int_equal(qmp_command(q, "quit", json_object(), 1, NULL, NULL), -ENOTCONN);
	assert_int_equal(feed(q, "{\"event\": \"STOP\"}\n"), 0); /* before the hello: nothing */
	assert_int_equal(s.events, 0);
	assert_int_equal(feed(q, GREETING GREETING), 0);
	assert_int_equal(s.events, 1); /* one hello */
	drain(q, NULL);
	assert_int_equal(qmp_command(q, "a", json_pack("{s:i}", "x", 1), 100, on_answer, &s), 0);
	drain(q, "{\"execute\":\"a\",\"arguments\":{\"x\":1},\"id\":1}\n");
	/* in pieces, with events between */
	assert_int_equal(feed(q, "{\"event\":\"STOP\"}\n{\"ret"), 0);
	assert_string_equal(s.event, "STOP");
	assert_int_equal(feed(q, "urn\":{\"n\":7},\"id\":1}"), 0);
	assert_int_equal(s.answers, 0);
	s.again = q;
	assert_int_equal(feed(q, "\n"), 0);
	assert_int_equal(s.answers, 1);
	assert_true(s.value == 7);
	assert_int_equal(feed(q, "{\"error\":{\"class\":\"X\",\"desc\":\"no\\u0007\"},\"id\":2}\n"),
			 0);
	assert_int_equal(s.answers, 2);
	assert_int_equal(s.code, -EIO);
	qmp_free(q);
}

static void test_lies(void **state)
{
	static const char *const lies[] = {
	    "{\"return\":{},\"id\":1}\n",  /* answered already below */
	    "{\"return\":{},\"id\":99}\n", /* never asked */
	    "{\"return\":{},\"id\":-1}\n",
	    "{\"return\":{},\"id\":\"1\"}\n",
	    "{\"return\":{},\"id\":1e300}\n",
	    "{\"return\":{},\"id\":null}\n",
	    "{\"return\":{}}\n",
	    "{\"id\":0,\"return\":1}\n",
	    "{\"event\":5}\n",
	    "{}\n",
	    "{\"return\":{},\"id\":18446744073709551615}\n",
	};
	struct seen s = {0};
	struct qmp *q = greeted(&s);

	assert_int_equal(qmp_command(q, "a", NULL, 100, on_answer, &s), 0);
	assert_int_equal(feed(q, "{\"return\":{},\"id\":1}\n"), 0);
	assert_int_equal(qmp_command(q, "b", NULL, 100, on_answer, &s), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
		assert_int_equal(feed(q, lies[i]), 0);
	assert_int_equal(s.answers, 1);
	/* an answer that is neither */
	assert_int_equal(feed(q, "{\"id\":2}\n"), 0);
	assert_int_equal(s.answers, 2);
	assert_int_equal(s.code, -EIO);
	qmp_free(q);
}

static void test_deadlines(void **state)
{
	struct seen s = {0};
	struct qmp *q = greeted(&s);

	assert_int_equal(qmp_command(q, "a", NULL, 100, on_answer, &s), 0);
	qmp_expire(q, 99);
	assert_int_equal(s.answers, 0);
	qmp_expire(q, 100);
	assert_int_equal(s.answers, 1);
	assert_int_equal(s.code, -ETIMEDOUT);
	assert_int_equal(feed(q, "{\"return\":{},\"id\":1}\n"), 0); /* late */
	assert_int_equal(s.answers, 1);
	/* one that never answers: the table is bounded */
	for (int i = 0; i < QMP_WAITING_MAX; i++)
		assert_int_equal(qmp_command(q, "a", NULL, 100, on_answer, &s), 0);
	assert_int_equal(qmp_command(q, "a", NULL, 100, on_answer, &s), -EBUSY);
	qmp_free(q); /* tells each */
	assert_int_equal(s.answers, 1 + QMP_WAITING_MAX);
	assert_int_equal(s.code, -ECANCELED);
}

static void test_floods(void **state)
{
	_cleanup_free_ char *big = malloc(QMP_LINE_MAX + 2);
	struct seen s = {0};
	struct qmp *q = greeted(&s);
	int r = 0;

	/* one that does not read */
	for (int i = 0; i < 10000 && r == 0; i++) {
		r = qmp_command(q, "query-something-with-a-name", NULL, 1, NULL, NULL);
		qmp_expire(q, 1);
	}
	assert_int_equal(r, -ENOBUFS);
	memset(big, 'x', QMP_LINE_MAX + 1);
	assert_int_equal(qmp_feed(q, big, QMP_LINE_MAX), 0);
	assert_int_equal(qmp_feed(q, "x", 1), -E2BIG);
	qmp_free(q);
	q = greeted(&s);
	assert_int_equal(feed(q, "no JSON\n"), -EPROTO);
	qmp_free(q);
	q = greeted(&s);
	memset(big, '[', 1000);
	memcpy(big, "{\"x\":", 5);
	big[1000] = '\n';
	assert_int_equal(qmp_feed(q, big, 1001), -EPROTO); /* too deep */
	qmp_free(q);
}

static void test_json(void **state)
{
	static const struct json_limits limits = {.depth = 3, .items = 2, .text_bytes = 4};
	static const char wide[] = "{\"a\":[1,2,3],\"b\":\"\xc3\xa4\xc3\xa4\xc3\xa4\",\"c\":1}";
	static const char brackets[] = "{\"in a text\":\"[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[\"}";
	_cleanup_free_ char *text = NULL;
	json_t *value, *copy;
	int r = 0;

	value = json_line_parse(wide, strlen(wide), &r);
	copy = json_copy_within(value, &limits);
	text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text, "{\"a\":[1,2],\"b\":\"\xc3\xa4\xc3\xa4\"}");
	json_decref(copy);
	json_decref(value);
	assert_null(json_line_parse("[1]", 3, &r));
	assert_int_equal(r, -EINVAL);
	value = json_line_parse("{\"n\":18446744073709551615,\"m\":5}", 32, &r);
	assert_true(json_number_value(json_object_get(value, "m")) == 5);
	json_decref(value);
	value = json_line_parse(brackets, strlen(brackets), &r);
	assert_non_null(value);
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answers),   cmocka_unit_test(test_lies),
	    cmocka_unit_test(test_deadlines), cmocka_unit_test(test_floods),
	    cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include "base/cleanup.h"
#include "model/record.h"
#include "test.h"
#include "world.h"

static struct record_reader *reader(void)
{
	struct record_reader *r;

	assert_int_equal(record_reader_new(&r), 0);
	return r;
}

static void test_snapshot_there_and_back(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct record_reader *r = reader();
	const struct snapshot *s;
	struct ledger_view *l;
	struct record rec;
	uint32_t lc, hog;

	world_init(w);
	lc = world_add(w, 0, "redis", CLASS_LC);
	hog = world_add(w, 0, "hog \"\xff", CLASS_BE);
	w->zones[lc].slo = (struct slo){.wait_p99_ns = MSEC / 2, .wait_share_ppm = 50000};
	world_tick(w, SEC);
	l = world_ledger(w, lc, 5000, 4 * MSEC);
	world_part(w, l, CAUSE_NEIGHBOUR, hog, 240 * MSEC);
	world_part(w, l, CAUSE_SELF, 0, 3 * MSEC);
	world_use(w, hog, 700 * MSEC);
	l->feed_count = 7;
	l->feed_p99_ns = 9 * MSEC;
	for (int with_zones = 1; with_zones >= 0; with_zones--) {
		_cleanup_free_ char *text = record_snapshot_text(&w->s, with_zones);

		assert_non_null(text);
		assert_int_equal(record_read(r, text, &rec, NULL), 0);
		assert_int_equal(rec.kind, RECORD_SNAPSHOT);
		s = rec.snapshot;
		assert_int_equal(s->now_ns, 1001 * SEC);
		assert_int_equal(s->window_ns, SEC);
		assert_int_equal(s->nr_zones, 3);
		assert_string_equal(s->zones[1].name, "redis");
		assert_string_equal(s->zones[2].name, "hog \"?");
		assert_int_equal(s->zones[2].parent, 0);
		assert_int_equal(s->zones[2].depth, 1);
		assert_int_equal(s->zones[2].class, CLASS_BE);
		assert_int_equal(s->zones[2].delta[ZM_CPU_USAGE_NS], 700 * MSEC);
		assert_int_equal(s->zones[0].parent, NO_ZONE);
		assert_true(s->zones[0].off_limits);
		assert_memory_equal(&s->zones[1].slo, &w->zones[1].slo, sizeof(struct slo));
		assert_true(cpuset_equal(&s->cpus.online, &w->s.cpus.online));
		assert_int_equal(s->cpus.nr_cpus, 2);
		assert_int_equal(s->nr_ledgers, 1);
		assert_int_equal(s->ledgers[0].wait_ns, 243 * MSEC);
		assert_int_equal(s->ledgers[0].cause_ns[CAUSE_NEIGHBOUR], 240 * MSEC);
		assert_int_equal(s->ledgers[0].feed_p99_ns, 9 * MSEC);
		assert_int_equal(s->ledgers[0].nr_parts, 2);
		assert_int_equal(s->ledgers[0].parts[0].zone, 2);
		assert_int_equal(s->ledgers[0].parts[0].cpu, 1);
		assert_string_equal(s->ledgers[0].parts[0].comm, "stress-ng");
	}
	config_done(&w->cfg);
	free(w);
	record_reader_free(r);
}

static void test_event_there_and_back(void **state)
{
	struct fast_event e = {.now_ns = 10,
			       .since_ns = 4,
			       .foreign_ns = 5,
			       .victim_id = 7,
			       .culprit_id = 8,
			       .cpu = 1,
			       .pid = 9,
			       .comm = "dd"};
	struct record_reader *r = reader();
	_cleanup_free_ char *text = record_event_text(&e);
	struct record rec;

	assert_int_equal(record_read(r, text, &rec, NULL), 0);
	assert_int_equal(rec.kind, RECORD_EVENT);
	assert_memory_equal(&rec.event, &e, sizeof(e));
	record_reader_free(r);
}

static void test_other_lines(void **state)
{
	struct record_reader *r = reader();
	struct record rec;

	assert_int_equal(record_read(r,
				     "{\"mode\":\"enforce\",\"victim\":7,\"until\":90,\"now\":5}",
				     &rec, NULL),
			 0);
	assert_int_equal(rec.kind, RECORD_MODE);
	assert_int_equal(rec.mode, MODE_ENFORCE);
	assert_int_equal(rec.id, 7);
	assert_int_equal(rec.until_ns, 90);
	assert_int_equal(record_read(r, "{\"approve\":3,\"now\":5}", &rec, NULL), 0);
	assert_int_equal(rec.kind, RECORD_APPROVE);
	assert_int_equal(rec.id, 3);
	assert_int_equal(rec.now_ns, 5);
	assert_int_equal(
	    record_read(r, "{\"result\":\"EBUSY\",\"knob\":\"cpu.max\",\"step\":\"undo\"}", &rec,
			NULL),
	    0);
	assert_int_equal(rec.result, -EBUSY);
	assert_int_equal(rec.knob, KNOB_CPU_MAX);
	assert_true(rec.result_is_undo);
	record_reader_free(r);
}

static void test_estimated_has_no_parts(void **state)
{
	struct record_reader *r = reader();
	struct record rec;

	assert_int_equal(record_read(r,
				     "{\"now\":1,\"window\":1,\"zones\":[{\"id\":1}],\"ledgers\":[{"
				     "\"zone\":0,\"wait\":5}]}",
				     &rec, NULL),
			 0);
	assert_true(rec.snapshot->ledgers[0].estimated);
	assert_int_equal(rec.snapshot->ledgers[0].wait_ns, 5);
	record_reader_free(r);
}

static void test_refuses(void **state)
{
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{",
	    "{\"now\":-1}",
	    "{\"now\":1}", /* no zones yet */
	    "{\"now\":1,\"now\":2,\"zones\":[{\"id\":1}]}",
	    "{\"zones\":[]}",
	    "{\"zones\":[{\"id\":1},{\"id\":2}]}", /* no parent */
	    "{\"zones\":[{\"id\":1},{\"id\":2,\"parent\":1}]}",
	    "{\"zones\":[{\"id\":1,\"class\":\"gold\"}]}",
	    "{\"zones\":[{\"id\":1,\"slo\":\"wait.p99=500uss\"}]}",
	    "{\"zones\":[{\"id\":1,\"delta\":{\"speed\":1}}]}",
	    "{\"zones\":[{\"id\":1}],\"ledgers\":[{\"zone\":1,\"parts\":[]}]}",
	    "{\"zones\":[{\"id\":1}],\"ledgers\":[{\"parts\":[]}]}",
	    "{\"zones\":[{\"id\":1}],\"ledgers\":[{\"zone\":0,\"parts\":[[\"bad luck\",1]]}]}",
	    "{\"zones\":[{\"id\":1}],\"ledgers\":[{\"zone\":0,\"parts\":[[\"self\",-1]]}]}",
	    ("{\"zones\":[{\"id\":1}],\"ledgers\":[{\"zone\":0,\"parts\":[[\"self\","
	     "9223372036854775807],[\"self\",9223372036854775807]]}]}"),
	    "{\"zones\":[{\"id\":1}],\"online\":\"3-1\"}",
	    "{\"zones\":[{\"id\":1}],\"online\":\"0-1\",\"cores\":[0]}",
	    "{\"mode\":\"maybe\"}",
	    "{\"approve\":\"one\"}",
	    "{\"result\":\"EWHAT\",\"knob\":\"cpu.idle\"}",
	    "{\"event\":{\"cpu\":4294967296}}",
	};
	struct record rec;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct record_reader *r = reader();
		struct error error = {0};

		if (record_read(r, bad[i], &rec, &error) != -EINVAL || !error.msg[0])
			fail_msg("accepted, or without a sentence: %s", bad[i]);
		record_reader_free(r);
	}
}

/* A bad line does not spoil the reader. */
static void test_goes_on_after_an_error(void **state)
{
	struct record_reader *r = reader();
	struct record rec;

	assert_int_equal(record_read(r, "{\"now\":1,\"zones\":[{\"id\":1}]}", &rec, NULL), 0);
	assert_int_equal(record_read(r, "{\"now\":2,\"ledgers\":[{\"zone\":3}]}", &rec, NULL),
			 -EINVAL);
	assert_int_equal(record_read(r, "{\"now\":3,\"use\":[[0,5]]}", &rec, NULL), 0);
	assert_int_equal(rec.snapshot->zones[0].delta[ZM_CPU_USAGE_NS], 5);
	assert_int_equal(record_read(r, "{\"now\":4,\"use\":[[1,5]]}", &rec, NULL), -EINVAL);
	record_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_snapshot_there_and_back),
	    cmocka_unit_test(test_event_there_and_back),
	    cmocka_unit_test(test_other_lines),
	    cmocka_unit_test(test_estimated_has_no_parts),
	    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_goes_on_after_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

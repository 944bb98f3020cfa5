/* SPDX-License-Identifier: MIT */
/* What czd tells a recorder is what it saw; and files of it, whole, cut short and damaged. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "model/news.h"
#include "model/record-live.h"
#include "replay/file.h"
#include "test.h"
#include "world.h"

#define TICKS 200

static uint64_t seed = 88172645463325252ull;

static uint64_t any(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

/* A tick of a host whose zones come, go, move and change, with readings laid out as czd does. */
static void move_metric(struct zone_view *z, const struct zone_view *before, int m)
{
	uint64_t bit = METRIC_BIT(m);
	bool counter = zone_metrics[m].kind == METRIC_COUNTER;

	z->valid = any(10) ? z->valid | bit : z->valid & ~bit;
	if (!(z->valid & bit))
		z->value[m] = 0;
	else if (any(3))
		z->value[m] = any(20) || !counter ? z->value[m] + any(1000) : any(5);
	if (!(z->valid & before->valid & bit) || !counter || z->value[m] < before->value[m])
		return;
	z->delta[m] = z->value[m] - before->value[m];
	z->delta_valid |= bit;
}

static void tick_zone(struct zone_view *z)
{
	struct zone_view before = *z;

	z->delta_valid = z->moved = 0;
	memset(z->delta, 0, sizeof(z->delta));
	z->has_quota = any(8) ? z->has_quota : !z->has_quota;
	for (int m = 0; m < ZM_NR; m++)
		move_metric(z, &before, m);
	for (int m = 0; m < ZM_NR; m++)
		if ((z->valid ^ before.valid) & METRIC_BIT(m) || z->value[m] != before.value[m])
			z->moved |= METRIC_BIT(m);
	z->quota_moved = z->has_quota != before.has_quota;
	z->interface_moved = false;
	if (z->moved)
		z->io_span_ns = any(3) ? 0 : any(SEC);
	if (any(5) == 0) {
		snprintf(z->interface, sizeof(z->interface), "eth%d", (int)any(3));
		z->interface_moved = true;
	}
}

static void same_zone(const struct zone_view *a, const struct zone_view *b)
{
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->parent, b->parent);
	assert_int_equal(a->depth, b->depth);
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->class, b->class);
	assert_int_equal(a->has_quota, b->has_quota);
	assert_string_equal(a->interface, b->interface);
	assert_int_equal(a->io_span_ns, b->io_span_ns);
	assert_int_equal(a->slo.wait_p99_ns, b->slo.wait_p99_ns);
	assert_int_equal(a->valid, b->valid);
	assert_int_equal(a->delta_valid, b->delta_valid);
	assert_memory_equal(a->value, b->value, sizeof(a->value));
	assert_memory_equal(a->delta, b->delta, sizeof(a->delta));
}

struct host {
	struct snapshot s;
	struct zone_view zones[WORLD_ZONES];
	struct disk_view disks[2];
	struct disk_use uses[2];
	char names[WORLD_ZONES * TICKS][16];
	size_t nr_names;
	uint64_t tree_seq;
};

static void zone_comes(struct host *h)
{
	uint32_t parent = (uint32_t)any(h->s.nr_zones);
	char *name = h->names[h->nr_names++];

	snprintf(name, sizeof(h->names[0]), "z%zu", h->nr_names);
	h->zones[h->s.nr_zones++] = (struct zone_view){.id = 1000 + h->nr_names,
						       .parent = parent,
						       .depth = h->zones[parent].depth + 1,
						       .name = name,
						       .path = name,
						       .told_seq = h->tree_seq};
}

/* A leaf, and never the root; the recorder is told by a line of its own. */
static uint64_t zone_goes(struct host *h)
{
	uint32_t at = (uint32_t)any(h->s.nr_zones);
	uint64_t id = h->zones[at].id;

	for (uint32_t i = 0; i < h->s.nr_zones; i++)
		if (!at || h->zones[i].parent == at)
			return 0;
	memmove(&h->zones[at], &h->zones[at + 1], (h->s.nr_zones - at - 1) * sizeof(h->zones[0]));
	h->s.nr_zones--;
	for (uint32_t i = 0; i < h->s.nr_zones; i++)
		h->zones[i].parent -= h->zones[i].parent != NO_ZONE && h->zones[i].parent > at;
	return id;
}

static void read_line(struct record_reader *r, json_t *line, struct record *ret)
{
	_cleanup_free_ char *text = json_dumps(line, JSON_COMPACT);
	struct error e = {0};

	json_decref(line);
	assert_non_null(text);
	if (record_read(r, text, ret, &e) < 0)
		fail_msg("%s: %.300s", e.msg, text);
}

static void change_tree(struct host *h, struct record_reader *r)
{
	struct record rec;
	uint64_t gone;

	h->tree_seq++;
	if (any(3) == 0 && h->s.nr_zones < WORLD_ZONES)
		zone_comes(h);
	if (any(4) == 0 && (gone = zone_goes(h)))
		read_line(r, json_pack("{s:I}", "gone", (json_int_t)gone), &rec);
	if (any(4) == 0) {
		struct zone_view *z = &h->zones[any(h->s.nr_zones)];

		z->class = (enum zone_class)any(3);
		z->slo.wait_p99_ns = 1000 * any(100);
		z->told_seq = h->tree_seq;
	}
}

/* Two disks, at which two zones did something. */
static void tell_disks(struct host *h)
{
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t zone = (uint32_t)any(h->s.nr_zones);

		h->disks[i] = (struct disk_view){"vdX", 254 << 20 | i, any(100), any(SEC)};
		h->uses[i] =
		    (struct disk_use){h->zones[zone].id, zone, h->disks[i].dev, any(SEC), any(100)};
	}
	h->s.disks = h->disks;
	h->s.disk_uses = h->uses;
	h->s.nr_disks = 2;
	h->s.nr_disk_uses = any(3);
}

static void same_disks(const struct snapshot *a, const struct snapshot *b)
{
	assert_int_equal(a->nr_disks, b->nr_disks);
	assert_memory_equal(a->disks, b->disks, b->nr_disks * sizeof(*b->disks));
	assert_int_equal(a->nr_disk_uses, b->nr_disk_uses);
	for (size_t i = 0; i < b->nr_disk_uses; i++)
		assert_memory_equal(&a->disk_uses[i], &b->disk_uses[i], sizeof(*b->disk_uses));
}

static void tell_host(struct host *h, json_t *line, struct record_host *told, bool whole)
{
	for (int m = 0; m < HM_NR; m++) {
		h->s.host_valid |= METRIC_BIT(m);
		h->s.host_value[m] += any(5);
	}
	record_add_host(line, &h->s, whole ? NULL : told);
	told->valid = h->s.host_valid;
	memcpy(told->value, h->s.host_value, sizeof(told->value));
}

static void test_ticks_there_and_back(void **state)
{
	struct host *h = calloc(1, sizeof(*h));
	struct record_had had = {.whole = true};
	struct record_host told = {0};
	struct record_reader *r;
	struct record rec;

	assert_int_equal(record_reader_new(&r), 0);
	h->zones[0] = (struct zone_view){.id = 1, .parent = NO_ZONE, .name = "/", .path = "/"};
	h->s = (struct snapshot){.nr_zones = 1, .zones = h->zones, .window_ns = SEC};
	for (int t = 1; t <= TICKS; t++) {
		json_t *line;

		if (t > 1)
			change_tree(h, r);
		for (size_t i = 0; i < h->s.nr_zones; i++)
			tick_zone(&h->zones[i]);
		h->s.now_ns = t * SEC;
		had.whole = t == 1 || any(20) == 0;
		tell_disks(h);
		line = record_tick_json(&h->s, &had);
		tell_host(h, line, &told, had.whole);
		had.tree_seq = h->tree_seq;
		read_line(r, line, &rec);
		assert_int_equal(rec.kind, RECORD_SNAPSHOT);
		assert_int_equal(rec.snapshot->nr_zones, h->s.nr_zones);
		for (size_t i = 0; i < h->s.nr_zones; i++)
			same_zone(&rec.snapshot->zones[i], &h->zones[i]);
		same_disks(rec.snapshot, &h->s);
		assert_memory_equal(rec.snapshot->host_value, h->s.host_value,
				    sizeof(h->s.host_value));
	}
	record_reader_free(r);
	free(h);
}

static void test_what_was_done_there_and_back(void **state)
{
	struct finding f = {.seq = 7,
			    .victim_id = 3,
			    .victim_name = "redis",
			    .resource = RESOURCE_IO,
			    .cause = CAUSE_NEIGHBOUR,
			    .severity = SEVERITY_CRITICAL,
			    .open = true,
			    .nr_culprits = 1,
			    .culprits = {{.zone_id = 9, .name = "hog", .share_ppm = 971000}}};
	struct action a = {.seq = 5,
			   .knob = KNOB_CPUSET,
			   .to = "0-1",
			   .state = ACTION_LOST,
			   .outcome = OUTCOME_HELPED,
			   .ended = "the zone is gone"};
	struct record_step s = {
	    .seq = 5, .target_id = 9, .written_ns = 11, .knob = KNOB_CPUSET, .result = -EBUSY};
	json_t *line =
	    json_pack("{s:I,s:[o],s:[o],s:[o],s:[I]}", "again", (json_int_t)1, "findings",
		      record_finding_json(&f), "actions", record_action_json(&a), "steps",
		      record_step_json(&s), "foreign", (json_int_t)4);
	char was[NEWS_TEXT_MAX], is[NEWS_TEXT_MAX];
	struct record_reader *r;
	struct record rec;

	assert_int_equal(record_reader_new(&r), 0);
	read_line(r, line, &rec);
	assert_int_equal(rec.did.nr_findings, 1);
	assert_string_equal(news_finding_text(&rec.did.findings[0], is),
			    news_finding_text(&f, was));
	assert_string_equal(news_action_text(&rec.did.actions[0], is), news_action_text(&a, was));
	assert_int_equal(rec.did.steps[0].result, -EBUSY);
	assert_int_equal(rec.did.steps[0].target_id, 9);
	assert_int_equal(rec.did.foreign[0], 4);
	record_reader_free(r);
}

static int scratch(void)
{
	int fd = memfd_create("recording", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

#define LINES 40

static void write_lines(int fd)
{
	struct recording_writer *w;
	char line[64];

	assert_int_equal(recording_create(fd, &w, NULL), 0);
	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "{\"now\":%d,\"x\":\"%d\"}", i, i * 7919);
		assert_int_equal(recording_write(w, line, strlen(line), NULL), 0);
		if (i % 4 == 3)
			assert_int_equal(recording_flush(w, NULL), 0);
	}
	assert_int_equal(recording_bytes(w), lseek(fd, 0, SEEK_END));
	recording_writer_free(w);
}

/* How many lines can be read; every one must be as written. Returns the end's 0 or -Exxx too. */
static int read_lines(int fd, int *ret_end, bool *ret_cut)
{
	struct recording_reader *r = NULL;
	char *line, want[64];
	int n = 0, got;

	lseek(fd, 0, SEEK_SET);
	got = recording_open(fd, &r, NULL);
	while (!got && (got = recording_next(r, &line, NULL)) > 0) {
		snprintf(want, sizeof(want), "{\"now\":%d,\"x\":\"%d\"}", n, n * 7919);
		assert_string_equal(line, want);
		n++;
		got = 0;
	}
	*ret_end = got;
	*ret_cut = r && recording_is_cut(r);
	recording_reader_free(r);
	return n;
}

static void test_file_there_and_back(void **state)
{
	_cleanup_close_ int fd = scratch();
	bool cut;
	int end;

	write_lines(fd);
	assert_int_equal(read_lines(fd, &end, &cut), LINES);
	assert_int_equal(end, 0);
	assert_false(cut);
}

/* However it was cut off, frames before that are good; only between two frames it does not show. */
static void test_file_cut_anywhere(void **state)
{
	_cleanup_close_ int fd = scratch();
	int before = LINES, unseen = 0;
	off_t size;

	write_lines(fd);
	size = lseek(fd, 0, SEEK_END);
	while (--size >= 8) {
		bool cut;
		int end, n;

		assert_int_equal(ftruncate(fd, size), 0);
		n = read_lines(fd, &end, &cut);
		assert_int_equal(end, 0);
		assert_int_equal(n % 4, 0);
		assert_true(n == before || n == before - 4);
		unseen += !cut;
		before = n;
	}
	assert_int_equal(before, 0);
	assert_int_equal(unseen, LINES / 4);
}

/* A changed byte is found, and what comes before it is as it was. */
static void test_file_damaged_anywhere(void **state)
{
	_cleanup_close_ int fd = scratch();
	off_t size;

	write_lines(fd);
	size = lseek(fd, 0, SEEK_END);
	for (off_t at = 0; at < size; at++) {
		uint8_t was, now;
		bool cut;
		int end;

		assert_int_equal(pread(fd, &was, 1, at), 1);
		now = was ^ 0x10;
		assert_int_equal(pwrite(fd, &now, 1, at), 1);
		assert_true(read_lines(fd, &end, &cut) < LINES);
		assert_true(end < 0 || cut);
		assert_int_equal(pwrite(fd, &was, 1, at), 1);
	}
}

static void test_file_of_something_else(void **state)
{
	static const char *const texts[] = {"", "GIF89a..", "czrec 2\n", "czrec", "PK\3\4"};
	struct recording_reader *r;
	struct error e;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_close_ int fd = scratch();

		assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
		lseek(fd, 0, SEEK_SET);
		assert_int_equal(recording_open(fd, &r, &e), i == 2 ? -EOPNOTSUPP : -EINVAL);
		assert_true(e.msg[0]);
	}
}

/* A disk that is full: an error, and the file can be read. */
static void test_file_on_a_full_disk(void **state)
{
	_cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct recording_writer *w;
	struct error e = {0};

	if (fd < 0)
		skip();
	assert_int_equal(recording_create(fd, &w, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "No space left"));
}

static void test_plain_lines(void **state)
{
	_cleanup_close_ int fd = scratch();
	static const char text[] = "{\"a\":1}\n\n{\"b\":2}";
	struct recording_reader *r;
	char *line;

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(recording_open(fd, &r, NULL), 0);
	assert_int_equal(recording_next(r, &line, NULL), 1);
	assert_string_equal(line, "{\"a\":1}");
	assert_int_equal(recording_next(r, &line, NULL), 1);
	assert_string_equal(line, "");
	assert_int_equal(recording_next(r, &line, NULL), 1);
	assert_string_equal(line, "{\"b\":2}");
	assert_int_equal(recording_offset(r), 9);
	assert_int_equal(recording_next(r, &line, NULL), 0);
	recording_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ticks_there_and_back),
	    cmocka_unit_test(test_what_was_done_there_and_back),
	    cmocka_unit_test(test_file_there_and_back),
	    cmocka_unit_test(test_file_cut_anywhere),
	    cmocka_unit_test(test_file_damaged_anywhere),
	    cmocka_unit_test(test_file_of_something_else),
	    cmocka_unit_test(test_file_on_a_full_disk),
	    cmocka_unit_test(test_plain_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

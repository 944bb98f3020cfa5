/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "model/lifecycle.h"
#include "model/zone-fields.h"
#include "test.h"

/* Rows: from; columns: to; in the order of enum zone_state. */
static const char *const edges[ZS_NR] = {"-x----", "--x-x-", "---x-x",
					 "--x-x-", "------", "--xx--"};
/* The way from one to another: letters of pending, created, running, stopped, zombied, error;
 * "." is there already, "-" no way. */
static const char *const ways[ZS_NR][ZS_NR] = {
    {".", "c", "cr", "-", "cz", "-"}, {"-", ".", "r", "-", "z", "-"},
    {"-", "-", ".", "s", "sz", "-"},  {"-", "-", "r", ".", "z", "-"},
    {"-", "-", "-", "-", ".", "-"},   {"-", "-", "r", "s", "sz", "."},
};

static void test_names(void **state)
{
	enum zone_state s;

	for (enum zone_state i = 0; i < ZS_NR; i++) {
		assert_int_equal(zone_state_parse(zone_state_name(i), &s), 0);
		assert_int_equal(s, i);
	}
	assert_int_equal(zone_state_parse("Running", &s), -EINVAL);
	assert_int_equal(zone_state_parse("", &s), -EINVAL);
	assert_string_equal(zone_state_name(ZS_NR), "?");
}

static void test_every_edge(void **state)
{
	for (enum zone_state from = 0; from < ZS_NR; from++)
		for (enum zone_state to = 0; to < ZS_NR; to++)
			assert_int_equal(zone_step_legal(from, to), edges[from][to] == 'x');
	assert_false(zone_step_legal(ZS_NR, ZS_RUNNING));
	assert_false(zone_step_legal(ZS_RUNNING, ZS_NR));
}

static void check_way(enum zone_state from, enum zone_state to, const char *way)
{
	enum zone_state steps[ZONE_STEPS_MAX], at = from;
	struct error e = {0};
	size_t nr = 99;
	int r = zone_steps(from, to, steps, &nr, &e);

	if (way[0] == '-') {
		assert_int_equal(r, -EPERM);
		assert_int_equal(nr, 99);
		assert_non_null(strstr(e.msg, zone_state_name(from)));
		assert_non_null(strstr(e.msg, zone_state_name(to)));
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(nr, way[0] == '.' ? 0 : strlen(way));
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(zone_state_name(steps[i])[0], way[i]);
		assert_true(zone_step_legal(at, steps[i]));
		at = steps[i];
	}
	assert_int_equal(at, to);
}

static void test_every_way(void **state)
{
	enum zone_state steps[ZONE_STEPS_MAX];
	size_t nr;

	for (enum zone_state from = 0; from < ZS_NR; from++)
		for (enum zone_state to = 0; to < ZS_NR; to++)
			check_way(from, to, ways[from][to]);
	assert_int_equal(zone_steps(ZS_NR, ZS_RUNNING, steps, &nr, NULL), -EINVAL);
}

/* A zone of which everything is set. */
struct world {
	struct zone_spec spec;
	struct zone_app app;
	struct key_value pair;
	char *words[2];
};

static void make_world(struct world *w)
{
	*w = (struct world){.pair = {(char *)"k", (char *)"v"}, .words = {(char *)"w", NULL}};
	zone_spec_defaults(&w->spec);
	zone_app_defaults(&w->app);
	w->spec.name = (char *)"web";
	w->spec.apps = &w->app;
	w->spec.nr_apps = 1;
	w->app.name = (char *)"app";
}

/* Another value for one field: the table says where it is and how it is written. */
static void change(struct world *w, const struct zone_field *f, void *base)
{
	static struct key_value other = {(char *)"k", (char *)"w"};
	static char *words[] = {(char *)"x", (char *)"y", NULL};
	void *field = (char *)base + f->offset;

	switch (f->type) {
	case FIELD_TEXT:
		*(const char **)field = "other";
		break;
	case FIELD_ENUM:
		*(unsigned int *)field ^= 1;
		break;
	case FIELD_BOOL:
	case FIELD_EITHER:
		*(bool *)field ^= true;
		break;
	case FIELD_COUNT:
	case FIELD_LOAD:
	case FIELD_PERCENT:
		*(uint32_t *)field += 7;
		break;
	case FIELD_CPUSET:
		cpuset_add(field, 0); /* one CPU, as without: vcpus stays */
		break;
	case FIELD_SLO:
		((struct slo *)field)->wait_p99_ns += 1000;
		break;
	case FIELD_ROOTFS:
		w->spec.os.rootfs_kind = ROOTFS_HOST;
		break;
	case FIELD_WORDS:
		*(char ***)field = words;
		break;
	case FIELD_MAP:
		*(struct key_value **)field = &other;
		*(size_t *)((char *)base + f->nr_offset) = 1;
		break;
	case FIELD_PORTS:
		w->spec.resource.net.forward[0].host = 1;
		w->spec.resource.net.nr_forward = 1;
		break;
	case FIELD_RULES:
		*(size_t *)((char *)base + f->nr_offset) = 1; /* of which nothing is set */
		break;
	default:
		*(uint64_t *)field += 4096;
	}
}

/* What each field takes to change, by its path; what is not here is hot. */
static enum zone_update needs(const char *path)
{
	static const char *const reboot[] = {
	    "resource.vcpusMax",
	    "resource.memoryMax",
	    "resource.net.",
	    "os.",
	};

	if (!strcmp(path, "metadata.name") || !strcmp(path, "runtime"))
		return UPDATE_REFUSED;
	if (!strcmp(path, "os.bootLimit"))
		return UPDATE_HOT; /* for the next boot, whenever it comes */
	for (size_t i = 0; i < ARRAY_SIZE(reboot); i++)
		if (!strncmp(path, reboot[i], strlen(reboot[i])))
			return UPDATE_REBOOT;
	return UPDATE_HOT;
}

static unsigned int nr_seen;

static void check_field(const struct zone_field *f, const char *path, bool of_app)
{
	struct zone_change c[ZONE_CHANGES_MAX];
	struct world now, then;
	size_t nr;

	make_world(&now);
	make_world(&then);
	now.spec.resource.vcpus_max = then.spec.resource.vcpus_max = 16;
	now.spec.resource.memory_max_bytes = then.spec.resource.memory_max_bytes = 1ull << 40;
	assert_int_equal(zone_diff(&now.spec, &then.spec, c, ZONE_CHANGES_MAX, &nr), UPDATE_STALE);
	assert_int_equal(nr, 0);
	change(&then, f, of_app ? (void *)&then.app : &then.spec);
	assert_int_equal(zone_diff(&now.spec, &then.spec, c, ZONE_CHANGES_MAX, &nr), needs(path));
	if (strcmp(path, "apps.app.name") && strcmp(path, "runtime")) {
		assert_int_equal(nr, 1);
		assert_string_equal(c[0].field, path);
		assert_string_not_equal(c[0].from, c[0].to);
		assert_int_equal(c[0].needs, needs(path));
	}
	nr_seen++;
}

static void check_fields(const struct zone_field *fields, const char *path, bool of_app)
{
	char longer[64];

	for (const struct zone_field *f = fields; f->key; f++) {
		snprintf(longer, sizeof(longer), "%s%s%s", path, path[0] ? "." : "", f->key);
		if (f->type == FIELD_SECTION)
			check_fields(f->sub, longer, of_app);
		else if (f->type == FIELD_APPS)
			check_fields(f->sub, "apps.app", true);
		else if (f->type != FIELD_FIXED)
			check_field(f, longer, of_app);
	}
}

static void test_every_field(void **state)
{
	check_fields(zone_fields, "", false);
	assert_true(nr_seen > 50);
}

static void test_room_to_grow(void **state)
{
	struct zone_change c[4];
	struct world now, then;
	size_t nr;

	make_world(&now);
	make_world(&then);
	then.spec.resource.vcpus = 2; /* the maximum follows: there is no room */
	assert_int_equal(zone_diff(&now.spec, &then.spec, c, 4, &nr), UPDATE_REBOOT);
	assert_int_equal(nr, 2);
	assert_string_equal(c[0].field, "resource.vcpus");
	assert_int_equal(c[0].needs, UPDATE_HOT);
	assert_string_equal(c[1].field, "resource.vcpusMax");
	assert_int_equal(zone_diff(&then.spec, &now.spec, c, 4, &nr), UPDATE_HOT);
	assert_int_equal(nr, 1);
	now.spec.resource.vcpus_max = then.spec.resource.vcpus_max = 2;
	assert_int_equal(zone_diff(&now.spec, &then.spec, c, 4, &nr), UPDATE_HOT);
	make_world(&then);
	make_world(&now);
	then.spec.resource.vcpus = 1; /* what it has anyway */
	then.spec.resource.memory_bytes = 512 << 20;
	assert_int_equal(zone_diff(&now.spec, &then.spec, c, 4, &nr), UPDATE_STALE);
	then.spec.resource.memory_bytes = 256 << 20;
	assert_int_equal(zone_diff(&now.spec, &then.spec, c, 4, &nr), UPDATE_HOT);
	assert_string_equal(c[0].from, "512Mi");
	assert_string_equal(c[0].to, "256Mi");
	assert_int_equal(zone_diff(&then.spec, &now.spec, c, 4, &nr), UPDATE_REBOOT);
}

static void test_apps(void **state)
{
	struct zone_app apps[2], swapped[2];
	struct zone_change c[1];
	struct world now, then;
	size_t nr;

	make_world(&now);
	make_world(&then);
	apps[0] = apps[1] = now.app;
	apps[1].name = (char *)"second";
	swapped[0] = apps[1];
	swapped[1] = apps[0];
	now.spec.apps = apps;
	then.spec.apps = swapped;
	now.spec.nr_apps = then.spec.nr_apps = 2;
	assert_int_equal(zone_diff(&now.spec, &then.spec, c, 1, &nr), UPDATE_STALE);
	swapped[0].name = (char *)"a\033[31m";
	assert_int_equal(zone_diff(&now.spec, &then.spec, c, 1, &nr), UPDATE_HOT);
	assert_int_equal(nr, 2); /* removed and added; one fits */
	assert_string_equal(c[0].field, "apps.second");
	assert_string_equal(c[0].to, "removed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),	 cmocka_unit_test(test_every_edge),
	    cmocka_unit_test(test_every_way),	 cmocka_unit_test(test_every_field),
	    cmocka_unit_test(test_room_to_grow), cmocka_unit_test(test_apps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* zones/ on captured machines: what is found, rules, inheritance, off-limits, and asking by name.
 */
#include "test.h"
#include "fixture.h"

#include "base/cleanup.h"
#include "zones/zones.h"

struct world {
	struct kernel k;
	struct cgroup_fs fs;
	struct config cfg;
	struct zones *zs;
	unsigned int added, removed, classed;
};

static void on_add(const struct zone *z, void *arg)
{
	struct world *w = arg;

	assert_true(!z->parent || zones_by_id(w->zs, z->parent->id) == z->parent);
	w->added++;
}

static void on_remove(const struct zone *z, void *arg)
{
	((struct world *)arg)->removed++;
}

static void on_class(const struct zone *z, void *arg)
{
	((struct world *)arg)->classed++;
}

static void begin(struct world *w, const char *fixture, struct class_rule *rules, size_t nr)
{
	struct zones_events ev = {on_add, on_remove, NULL, on_class, w};

	*w = (struct world){0};
	config_defaults(&w->cfg);
	w->cfg.rules = rules;
	w->cfg.nr_rules = nr;
	fixture_open(fixture, &w->k, &w->fs);
	assert_int_equal(zones_new(&w->k, &w->fs, &w->cfg, &ev, &w->zs, NULL), 0);
	while (zones_process(w->zs, 1, NULL))
		;
	assert_true(zones_ready(w->zs));
}

static void end(struct world *w)
{
	zones_free(w->zs);
	assert_int_equal(w->added, w->removed);
	fixture_close(&w->k, &w->fs);
}

static const struct zone *get(const struct world *w, const char *path)
{
	const struct zone *z = zones_by_path(w->zs, path);

	if (!z)
		fail_msg("no zone %s", path);
	return z;
}

static const struct zone *named(const struct world *w, const char *name)
{
	const struct zone *z = NULL;
	struct error err = {0};

	if (zones_by_name(w->zs, name, &z, &err) < 0)
		fail_msg("%s: %s", name, err.msg);
	return z;
}

static void test_found(void **state)
{
	static const char *const fixtures[] = {"v1", "hybrid", "v2"};

	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		struct world w;
		size_t n = 0;

		begin(&w, fixtures[i], NULL, 0);
		assert_int_equal(zones_count(w.zs), 13);
		assert_int_equal(w.added, 13);
		zones_for_each(w.zs, z)
		{
			((struct zone *)z)->index = (uint32_t)n++;
			assert_true(!z->parent || z->parent->index < z->index);
			assert_int_equal(z->first_seen_ns, 1);
		}
		assert_int_equal(n, 13);
		assert_int_equal(named(&w, "web")->kind, ZONE_VM);
		assert_string_equal(named(&w, "web/vcpu0")->path,
				    "/machine/qemu-1-web.libvirt-qemu/vcpu0");
		assert_non_null(zones_first(w.zs)->off_limits_why);
		end(&w);
	}
}

static void test_rules(void **state)
{
	struct class_rule rules[] = {
	    {.match = (char *)"/system.slice", .class = CLASS_BE},
	    {.match = (char *)"/system.slice/*", .class = CLASS_NORMAL},
	    {.match = (char *)"redis.service", .class = CLASS_LC, .slo = {.wait_p99_ns = 500000}},
	    {.match = (char *)"/kubepods/**", .class = CLASS_BE},
	};
	struct slo slo = {.wait_share_ppm = 50000};
	const struct zone *redis, *pod;
	struct world w;

	begin(&w, "v2", rules, ARRAY_SIZE(rules));
	redis = get(&w, "/system.slice/redis.service");
	assert_true(redis->class == CLASS_LC && redis->class_is_own &&
		    redis->slo.wait_p99_ns == 500000);
	assert_int_equal(get(&w, "/system.slice")->class, CLASS_BE);
	assert_int_equal(get(&w, "/system.slice/batch.service")->class, CLASS_NORMAL);
	assert_int_equal(get(&w, "/kubepods")->class, CLASS_NORMAL);
	pod = get(&w, "/kubepods/burstable");
	assert_true(pod->class == CLASS_BE && pod->class_is_own);
	assert_int_equal(w.classed, 0);

	/* an override wins over rules, is inherited, and stays when the rules change */
	rules[3].match = (char *)"/kubepods/burstable";
	zones_reclassify(w.zs, &w.cfg);
	assert_true(pod->first_child->class == CLASS_BE && !pod->first_child->class_is_own);
	w.classed = 0;
	assert_int_equal(zones_set_class(w.zs, pod->id, CLASS_LC, &slo), 0);
	assert_int_equal(w.classed, 3); /* itself, the pod, the container */
	assert_int_equal(pod->first_child->first_child->class, CLASS_LC);
	assert_int_equal(pod->first_child->slo.wait_share_ppm, 0);
	w.cfg.nr_rules = 0;
	zones_reclassify(w.zs, &w.cfg);
	assert_true(pod->class == CLASS_LC && pod->slo.wait_share_ppm == 50000);
	assert_true(redis->class == CLASS_NORMAL && !redis->class_is_own &&
		    redis->slo.wait_p99_ns == 0);
	assert_int_equal(zones_clear_class(w.zs, pod->id), 0);
	assert_true(pod->class == CLASS_NORMAL && !pod->class_is_own);
	assert_int_equal(zones_set_class(w.zs, 12345, CLASS_LC, NULL), -ENOENT);
	assert_int_equal(zones_clear_class(w.zs, 12345), -ENOENT);
	end(&w);
}

static void test_off_limits(void **state)
{
	char *patterns[] = {(char *)"/kubepods", (char *)"batch.service", NULL};
	struct world w;

	begin(&w, "hybrid", NULL, 0);
	assert_null(get(&w, "/kubepods/burstable")->off_limits_why);
	w.cfg.off_limits = patterns;
	zones_reclassify(w.zs, &w.cfg);
	assert_string_equal(get(&w, "/kubepods")->off_limits_why, "off-limits by configuration");
	assert_non_null(get(&w, "/kubepods/burstable")->off_limits_why);
	assert_non_null(get(&w, "/system.slice/batch.service")->off_limits_why);
	assert_null(get(&w, "/system.slice")->off_limits_why);
	assert_int_equal(w.classed, 5);
	w.cfg.off_limits = NULL;
	end(&w);
}

static void test_by_name(void **state)
{
	const struct zone *z = NULL;
	struct error err = {0};
	struct world w;

	begin(&w, "v2", NULL, 0);
	assert_ptr_equal(named(&w, "redis.service"), get(&w, "/system.slice/redis.service"));
	assert_ptr_equal(named(&w, "/system.slice/redis.service"),
			 get(&w, "/system.slice/redis.service"));
	assert_ptr_equal(named(&w, "redis"), get(&w, "/system.slice/redis.service"));
	assert_ptr_equal(named(&w, "burstable"), get(&w, "/kubepods/burstable"));
	assert_ptr_equal(named(&w, "/"), zones_first(w.zs));
	assert_int_equal(named(&w, "docker-111111111111")->kind, ZONE_CONTAINER);
	/* by what its id begins with */
	assert_int_equal(named(&w, "11111111")->kind, ZONE_CONTAINER);

	assert_int_equal(zones_by_name(w.zs, "reids", &z, &err), -ENOENT);
	assert_string_equal(err.msg, "zone 'reids' not found");
	assert_string_equal(err.hint, "Did you mean 'redis.service'? (czctl list --all shows all)");
	assert_int_equal(zones_by_name(w.zs, "nothing\nlike it", &z, &err), -ENOENT);
	assert_string_equal(err.msg, "zone 'nothing\\x0alike it' not found");
	assert_string_equal(err.hint, "czctl list --all shows all zones");
	assert_int_equal(zones_by_name(w.zs, "", &z, &err), -ENOENT);
	assert_int_equal(zones_by_name(w.zs, "/none", &z, NULL), -ENOENT);
	assert_null(z);
	end(&w);
}

static bool over_at_once(void *arg)
{
	++*(unsigned int *)arg;
	return true;
}

/* The tree is found in as many slices as it takes, and no zone is there twice. */
static void test_slices(void **state)
{
	struct world w = {0};
	unsigned int slices = 0;
	struct slice slice = {over_at_once, &slices};
	struct zones_events ev = {on_add, on_remove, NULL, NULL, &w};

	config_defaults(&w.cfg);
	w.cfg.max_zones = 7;
	fixture_open("v2", &w.k, &w.fs);
	assert_int_equal(zones_new(&w.k, &w.fs, &w.cfg, &ev, &w.zs, NULL), 0);
	while (zones_process(w.zs, 1, &slice))
		assert_true(slices < 10000);
	assert_true(slices > 50);
	assert_int_equal(zones_count(w.zs), 7);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_found),      cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_off_limits), cmocka_unit_test(test_by_name),
	    cmocka_unit_test(test_slices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

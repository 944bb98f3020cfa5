/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include "base/cleanup.h"
#include "spec/zone-spec-io.h"
#include "test.h"

static struct error_list errs;

#define HEAD "apiVersion: cz/v1\nkind: Zone\nmetadata: {name: web}\n" /* 3 lines */

static int load(const char *text, struct zone_spec *ret)
{
	return zone_spec_load_text("z.yaml", text, strlen(text), ret, &errs);
}

static void must_load(const char *text, struct zone_spec *ret)
{
	int r = load(text, ret);

	for (size_t i = 0; r < 0 && i < errs.nr; i++)
		print_error("%s\n", errs.items[i].text);
	assert_int_equal(r, 0);
	assert_int_equal(errs.total, 0);
}

/* The text is refused with exactly these messages (after "z.yaml:"), in order. */
static void expect(const char *text, size_t nr, const char *const messages[])
{
	struct zone_spec s = {.nr_labels = 77};

	assert_int_equal(load(text, &s), -EINVAL);
	assert_int_equal(s.nr_labels, 77); /* untouched */
	for (size_t i = 0; i < nr && i < errs.nr; i++) {
		assert_memory_equal(errs.items[i].text, "z.yaml:", 7);
		assert_string_equal(errs.items[i].text + 7, messages[i]);
	}
	assert_int_equal(errs.total, nr);
}
#define EXPECT(text, ...)                                                                          \
	expect(text, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *),                  \
	       (const char *const[]){__VA_ARGS__})

static const char everything[] =
    "apiVersion: cz/v1\n"
    "kind: Zone\n"
    "metadata: {name: redis-1, labels: {team: data, example.org/tier: \"1\"}}\n"
    "class: lc\n"
    "slo: wait.p99=500us,share=5%\n"
    "runtime: vm\n"
    "restart: always\n"
    "resource:\n"
    "  cpuset: 1-2\n"
    "  exclusive: true\n"
    "  vcpus: 2\n"
    "  vcpusMax: 4\n"
    "  cpu: {max: 50%, burst: 20ms, weight: 200}\n"
    "  memory: 512Mi\n"
    "  memoryMax: 1Gi\n"
    "  llc: 0xf\n"
    "  memoryBandwidth: 40%\n"
    "  io: {bytes: 100MiB/s, bytesBurst: 10M, ops: 500, opsBurst: 50}\n"
    "  net: {mode: user, dns: 192.0.2.53, forward: [\"6379:6379\", \"8080:80\"]}\n"
    "os:\n"
    "  kernel: /boot/vmlinuz\n"
    "  initramfs: /boot/initrd\n"
    "  rootfs: {image: /srv/root.qcow2}\n"
    "  cmdline: quiet loglevel=3\n"
    "  machine: microvm\n"
    "  accel: tcg\n"
    "  backend: qemu\n"
    "scheduler:\n"
    "  policy: exclusive\n"
    "  options: --slice-us 500\n"
    "  mode: full\n"
    "  rules: [{below: 20%, policy: none}, {policy: exclusive, options: -v}]\n"
    "apps:\n"
    "  - name: redis\n"
    "    class: lc\n"
    "    command: [redis-server, --port, 6379]\n"
    "    user: redis\n"
    "    workdir: /srv\n"
    "    env: {HOME: /srv, EMPTY: \"\"}\n"
    "    cpu: {max: 1.5, weight: 10}\n"
    "    memory: 128Mi\n"
    "    cpuset: 0,3\n"
    "    restart: never\n"
    "    health: {command: [sh, -c, \"a\\nb\"], period: 5s}\n"
    "  - {name: side, bundle: /bundles/side}\n";

static void check_resources(const struct zone_resource *r)
{
	assert_int_equal(cpuset_count(&r->cpus), 2);
	assert_true(r->exclusive_cpus && cpuset_has(&r->cpus, 1) && cpuset_has(&r->cpus, 2));
	assert_int_equal(r->vcpus, 2);
	assert_int_equal(r->vcpus_max, 4);
	assert_int_equal(r->cpu_max_ppm, 500000);
	assert_int_equal(r->cpu_burst_us, 20000);
	assert_int_equal(r->cpu_weight, 200);
	assert_int_equal(r->memory_bytes, 512 << 20);
	assert_int_equal(r->memory_max_bytes, 1 << 30);
	assert_int_equal(r->llc_mask, 15);
	assert_int_equal(r->membw_percent, 40);
	assert_int_equal(r->io.bytes_per_s, 100 << 20);
	assert_int_equal(r->io.bytes_burst, 10 << 20);
	assert_int_equal(r->io.ops_per_s, 500);
	assert_int_equal(r->io.ops_burst, 50);
	assert_int_equal(r->net.mode, NET_USER);
	assert_string_equal(r->net.dns, "192.0.2.53");
	assert_int_equal(r->net.nr_forward, 2);
	assert_int_equal(r->net.forward[1].host, 8080);
	assert_int_equal(r->net.forward[1].guest, 80);
}

static void check_os(const struct zone_spec *s)
{
	assert_string_equal(s->os.kernel, "/boot/vmlinuz");
	assert_string_equal(s->os.initramfs, "/boot/initrd");
	assert_int_equal(s->os.rootfs_kind, ROOTFS_IMAGE);
	assert_string_equal(s->os.rootfs, "/srv/root.qcow2");
	assert_string_equal(s->os.cmdline, "quiet loglevel=3");
	assert_int_equal(s->os.machine, MACHINE_MICROVM);
	assert_int_equal(s->os.accel, ACCEL_TCG);
	assert_int_equal(s->os.backend, BACKEND_QEMU);
	assert_string_equal(s->sched.policy, "exclusive");
	assert_string_equal(s->sched.options, "--slice-us 500");
	assert_true(s->sched.full && !s->sched.on_harm);
	assert_int_equal(s->sched.nr_rules, 2);
	assert_int_equal(s->sched.rules[0].below_ppm, 200000);
	assert_string_equal(s->sched.rules[0].policy, "none");
	assert_int_equal(s->sched.rules[1].below_ppm, 0);
	assert_string_equal(s->sched.rules[1].options, "-v");
}

static void check_app(const struct zone_app *a)
{
	assert_string_equal(a->name, "redis");
	assert_int_equal(a->class, CLASS_LC);
	assert_string_equal(a->command[2], "6379");
	assert_null(a->command[3]);
	assert_string_equal(a->user, "redis");
	assert_string_equal(a->workdir, "/srv");
	assert_int_equal(a->nr_env, 2);
	assert_string_equal(a->env[0].key, "HOME");
	assert_string_equal(a->env[1].value, "");
	assert_int_equal(a->cpu_max_ppm, 1500000);
	assert_int_equal(a->cpu_weight, 10);
	assert_int_equal(a->memory_bytes, 128 << 20);
	assert_true(cpuset_has(&a->cpus, 0) && cpuset_has(&a->cpus, 3));
	assert_int_equal(a->restart, RESTART_NEVER);
	assert_string_equal(a->health[2], "a\nb");
	assert_null(a->health[3]);
	assert_int_equal(a->health_period_ns, 5000000000);
}

static void check_everything(const struct zone_spec *s)
{
	assert_string_equal(s->name, "redis-1");
	assert_int_equal(s->nr_labels, 2);
	assert_string_equal(s->labels[1].key, "example.org/tier");
	assert_string_equal(s->labels[1].value, "1");
	assert_int_equal(s->class, CLASS_LC);
	assert_int_equal(s->slo.wait_p99_ns, 500000);
	assert_int_equal(s->slo.wait_share_ppm, 50000);
	assert_int_equal(s->runtime, RUNTIME_VM);
	assert_int_equal(s->restart, RESTART_ALWAYS);
	check_resources(&s->resource);
	check_os(s);
	assert_int_equal(s->nr_apps, 2);
	check_app(&s->apps[0]);
	assert_string_equal(s->apps[1].bundle, "/bundles/side");
	assert_int_equal(s->apps[1].restart, RESTART_ON_FAILURE);
	assert_int_equal(s->apps[1].health_period_ns, 10000000000);
}

static void test_every_field(void **state)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0};

	must_load(everything, &s);
	check_everything(&s);
}

static void test_json_round_trip(void **state)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0}, back = {0};
	json_t *json, *again;

	must_load(everything, &s);
	json = zone_spec_json(&s);
	assert_int_equal(zone_spec_from_json("spec", json, &back, &errs), 0);
	check_everything(&back);
	again = zone_spec_json(&back);
	assert_true(json_equal(json, again));
	json_decref(json);
	json_decref(again);
}

static void check_normal_form(const char *text, const char *normal)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0}, back = {0};
	_cleanup_(strbuf_done) struct strbuf first = {0}, second = {0};

	must_load(text, &s);
	assert_int_equal(zone_spec_yaml(&s, &first), 0);
	if (normal)
		assert_string_equal(first.data, normal);
	must_load(first.data, &back);
	assert_int_equal(zone_spec_yaml(&back, &second), 0);
	assert_string_equal(first.data, second.data);
}

static void test_normal_form(void **state)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0}, back = {0};
	_cleanup_(strbuf_done) struct strbuf text = {0};

	must_load(everything, &s);
	assert_int_equal(zone_spec_yaml(&s, &text), 0);
	must_load(text.data, &back);
	check_everything(&back);
	check_normal_form(everything, NULL);
	check_normal_form(HEAD
			  "apps:\n"
			  "- name: a\n"
			  "  command: [sh, -c, 'echo \"yes\"', true, '', '1', '# x', 'a: b']\n"
			  "  env: {yes: 'no', A: \"tab\\tline\\n\", B: \"\\u00e4 \\U0001f600\"}\n"
			  "  cpu: {max: 150%}\n"
			  "resource: {memory: 536870913, cpu: {max: 12.5%}, io: {bytes: 1000000}}\n"
			  "os: {rootfs: {oci: /a b}}\n",
			  "apiVersion: cz/v1\n"
			  "kind: Zone\n"
			  "metadata:\n"
			  "  name: web\n"
			  "class: normal\n"
			  "runtime: vm\n"
			  "resource:\n"
			  "  cpu:\n"
			  "    max: 12.5%\n"
			  "  memory: \"536870913\"\n"
			  "  io:\n"
			  "    bytes: \"1000000/s\"\n"
			  "os:\n"
			  "  rootfs:\n"
			  "    oci: \"/a b\"\n"
			  "apps:\n"
			  "  - name: a\n"
			  "    command: [sh, \"-c\", \"echo \\\"yes\\\"\", \"true\", \"\", \"1\", "
			  "\"# x\", \"a: b\"]\n"
			  "    env:\n"
			  "      \"yes\": \"no\"\n"
			  "      A: \"tab\\tline\\n\"\n"
			  "      B: \"\xc3\xa4 \xf0\x9f\x98\x80\"\n"
			  "    cpu:\n"
			  "      max: \"1.5\"\n");
}

static void test_lines(void **state)
{
	const char *t = everything;

	assert_int_equal(zone_spec_line(t, strlen(t), "resource.cpu.max"), 13);
	assert_int_equal(zone_spec_line(t, strlen(t), "apps[0].health.period"), 44);
	assert_int_equal(zone_spec_line(t, strlen(t), "apps[1].bundle"), 45);
	assert_int_equal(zone_spec_line(t, strlen(t), "apps[2].bundle"), 0);
	assert_int_equal(zone_spec_line(t, strlen(t), "apps["), 0);
	assert_int_equal(zone_spec_line(t, strlen(t), "resource.nothing"), 0);
}

static void test_defaults(void **state)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0};

	must_load(HEAD, &s);
	assert_string_equal(s.name, "web");
	assert_int_equal(s.class, CLASS_NORMAL);
	assert_int_equal(s.runtime, RUNTIME_VM);
	assert_int_equal(s.restart, RESTART_ON_FAILURE);
	assert_int_equal(zone_spec_vcpus(&s), 1);
	assert_int_equal(zone_spec_vcpus_max(&s), 1);
	assert_int_equal(zone_spec_memory(&s), 512 << 20);
	assert_int_equal(zone_spec_memory_max(&s), 512 << 20);
	assert_false(s.sched.full);
	zone_spec_done(&s);
	must_load(HEAD "slo: wait.p99=1ms\n", &s);
	assert_int_equal(s.class, CLASS_LC);
}

static void test_all_errors_at_once(void **state)
{
	EXPECT("apiVersion: cz/v2\nkind: Zone\nmetadata: {name: -x}\nclas: lc\nresource:\n"
	       "  memory: 1x\n  vcpus: 65\n",
	       "1: apiVersion: 'cz/v2' is not cz/v1",
	       "3: metadata.name: '-x' is not a name: letters, digits and . _ -, beginning with a "
	       "letter or digit; at most 40 characters",
	       "4: unknown key 'clas'. Did you mean 'class'?",
	       "6: resource.memory: '1x' is not a size (512Mi, 2G), 1Mi to 64Ti",
	       "7: resource.vcpus: '65' is out of range: a whole number, 1 to 64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_field), cmocka_unit_test(test_json_round_trip),
	    cmocka_unit_test(test_normal_form), cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_defaults),	cmocka_unit_test(test_all_errors_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

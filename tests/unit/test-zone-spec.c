/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "model/zone-fields.h"
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
    "    threads: [{name: \"redis-serv*\", class: normal}, {name: \"io bound #1\", class: be}]\n"
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
	assert_int_equal(a->nr_threads, 2);
	assert_string_equal(a->threads[0].name, "redis-serv*");
	assert_int_equal(a->threads[0].class, CLASS_NORMAL);
	assert_string_equal(a->threads[1].name, "io bound #1");
	assert_int_equal(a->threads[1].class, CLASS_BE);
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
			  "  threads: [{class: normal, name: '*'}]\n"
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
			  "    threads:\n"
			  "      - name: \"*\"\n"
			  "        class: normal\n"
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
	assert_int_equal(zone_spec_line(t, strlen(t), "apps[0].health.period"), 45);
	assert_int_equal(zone_spec_line(t, strlen(t), "apps[1].bundle"), 46);
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

/* Also of what no check has seen. */
static void test_left_open(void **state)
{
	struct zone_spec s;

	zone_spec_defaults(&s);
	assert_int_equal(cpuset_parse("0-79", &s.resource.cpus), 0);
	assert_int_equal(zone_spec_vcpus(&s), ZONE_VCPUS_MAX);
	assert_int_equal(zone_spec_vcpus_max(&s), ZONE_VCPUS_MAX);
	s.resource.vcpus = 4;
	s.resource.vcpus_max = 2;
	assert_int_equal(zone_spec_vcpus(&s), 4);
	assert_int_equal(zone_spec_vcpus_max(&s), 4);
	s.resource.vcpus_max = 8;
	assert_int_equal(zone_spec_vcpus_max(&s), 8);
	s.resource.memory_bytes = (600 << 20) + 1;
	s.resource.memory_max_bytes = 1 << 20;
	assert_int_equal(zone_spec_memory(&s), (600 << 20) + 1);
	assert_int_equal(zone_spec_memory_max(&s), 601 << 20);
	s.runtime = RUNTIME_CGROUP;
	assert_int_equal(zone_spec_memory_max(&s), (600 << 20) + 1);
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

#define BIG "99999999999999999999999"

static void test_values(void **state)
{
	EXPECT(
	    HEAD "resource: {memory: " BIG ", cpuset: 4096, vcpus: " BIG ", llc: 0x1ffffffff}\n",
	    "4: resource.memory: '" BIG "' is out of range: a size (512Mi, 2G), 1Mi to 64Ti",
	    "4: resource.cpuset: '4096' is not a list of CPUs (0-3,7)",
	    "4: resource.vcpus: '" BIG "' is out of range: a whole number, 1 to 64",
	    "4: resource.llc: '0x1ffffffff' is out of range: a bit mask (0xf), 0x1 to 0xffffffff");
	EXPECT(HEAD "resource:\n  llc: 0x\n  memoryBandwidth: 12.5%\n  cpu: {burst: 1ns}\n"
		    "  io: {bytes: /s, ops: -1}\n  exclusive: yes\n",
	       "5: resource.llc: '0x' is not a bit mask (0xf), 0x1 to 0xffffffff",
	       "6: resource.memoryBandwidth: '12.5%' is not a whole percentage (40%), 1% to 100%",
	       "7: resource.cpu.burst: '1ns' is not a time of whole microseconds (20ms), 1us to 1s",
	       "8: resource.io.bytes: '/s' is not a rate (100Mi/s), 1Ki/s to 1Ti/s",
	       "8: resource.io.ops: '-1' is not a rate (500/s), 1/s to 100000000/s",
	       "9: resource.exclusive: 'yes' is not true or false");
	EXPECT(HEAD "foo: 1\nsol: p99=1ms\n",
	       "4: unknown key 'foo' (known: apiVersion, kind, metadata, class, slo, runtime, "
	       "restart, resource, os, scheduler, apps)",
	       "5: unknown key 'sol'. Did you mean 'slo'?");
	EXPECT(HEAD "class: fast\nslo: wait.p99=5\nrestart: {}\nruntime:\n",
	       "4: class: 'fast' is not one of normal, lc, be",
	       "5: slo: wait.p99: '5' is not a time (ns, us, ms, s)",
	       "6: restart: expected one value, not keys: one of never, on-failure, always",
	       "7: runtime: a value is missing here: one of cgroup, vm");
	EXPECT(HEAD "os: {rootfs: image}\n", "4: os.rootfs: expected none, host, or one of "
					     "{image: PATH}, {dir: PATH}, {oci: PATH}");
	EXPECT(HEAD "os: {rootfs: {image: a, dir: b}}\n",
	       "4: os.rootfs: expected none, host, or one of {image: PATH}, {dir: PATH}, {oci: "
	       "PATH}");
	EXPECT(HEAD "os: {share: [/opt]}\n", "4: os.share: needs rootfs host");
	EXPECT(HEAD "os: {rootfs: host, share: [/home/x]}\n",
	       "4: os.share: '/home/x' can't be shared (czctl "
	       "spec explain os.share says what can)");
	EXPECT(HEAD "os: {rootfs: host, share: [/opt/../etc]}\n",
	       "4: os.share: '/opt/../etc' can't be shared (czctl spec explain os.share says what "
	       "can)");
	EXPECT(HEAD "os: {rootfs: {dir: etc}}\n", "4: os.rootfs: dir: expected an absolute path");
}

static void test_names(void **state)
{
	static const char *const bad[] = {
	    "\"\"",	   "-a",
	    ".a",	   "..",
	    "a/b",	   "a b",
	    "\"a\\nb\"",   "\"a\\e[31m\"",
	    "\"\\u00e4\"", "a1234567890123456789012345678901234567890", /* 41 */
	};
	static const char *const good[] = {"a", "0", "A.b_c-9", "null0",
					   "a123456789012345678901234567890123456789"};
	struct zone_spec s;
	char text[200];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text),
			 "apiVersion: cz/v1\nkind: Zone\nmetadata: {name: %s}\n", bad[i]);
		assert_int_equal(load(text, &s), -EINVAL);
		assert_int_equal(errs.total, 1);
		assert_null(strchr(errs.items[0].text, '\033'));
		assert_null(strchr(errs.items[0].text, '\n'));
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(text, sizeof(text),
			 "apiVersion: cz/v1\nkind: Zone\nmetadata: {name: %s}\n", good[i]);
		must_load(text, &s);
		zone_spec_done(&s);
	}
}

static void test_twice(void **state)
{
	EXPECT(HEAD "class: lc\nclass: be\n", "5: class: is given twice");
	EXPECT(
	    "apiVersion: cz/v1\nkind: Zone\nmetadata: {name: a, name: b, labels: {x: 1, x: 2}}\n",
	    "3: metadata.name: is given twice", "3: metadata.labels: 'x' is given twice");
	EXPECT(HEAD "resource: {net: {mode: user, forward: [\"80:80\", \"80:81\"]}}\n",
	       "4: resource.net.forward: port 80 of the host is given twice");
	EXPECT(HEAD "apps:\n- {name: a, command: [x]}\n- {name: b, command: [x]}\n"
		    "- name: a\n  command: [x]\n",
	       "7: apps[2].name: 'a' is the name of an app above");
	EXPECT(HEAD "apps: [{name: a, command: [x], env: {A: 1, A: 2}}]\n",
	       "4: apps[0].env: 'A' is given twice");
}

static void test_texts(void **state)
{
	EXPECT(HEAD "apps:\n- {name: a, command: [\"\"]}\n- {name: b, command: x}\n"
		    "- {name: c, command: [x, {}]}\n- {name: d, command: [\"\\x07\"]}\n"
		    "- {name: e, command: [x], env: {1: x}}\n- {name: f, command: [\"\\u2028\"]}\n"
		    "- {name: g, command: [x], workdir: \"/a\\nb\"}\n",
	       "5: apps[0].command: the first word is the program: it must not be empty",
	       "6: apps[1].command: expected a list here ('- ...' lines or [a, b])",
	       "7: apps[2].command: a text is missing here (\"\" for an empty one)",
	       "8: apps[3].command: a text with control characters",
	       "9: apps[4].env: '1' is not a key (letters, digits and _, at most 255 characters)",
	       "10: apps[5].command: a text with control characters",
	       "11: apps[6].workdir: '/a\\x0ab' is not an absolute path; at most 4095 characters");
	EXPECT(HEAD "metadata2: x\nos: {cmdline: \"a\\tb\"}\n",
	       "4: unknown key 'metadata2'. Did you mean 'metadata'?",
	       "5: os.cmdline: 'a\\x09b' is not one line of text; at most 1024 characters");
}

static void test_missing(void **state)
{
	EXPECT("", "1: 'apiVersion' is missing", "1: 'kind' is missing",
	       "1: 'metadata' is missing");
	EXPECT("apiVersion: cz/v1\nkind: Pod\nmetadata:\n", "2: kind: 'Pod' is not Zone",
	       "3: metadata: 'name' is missing");
	EXPECT("- x\n", "1: expected entries such as 'apiVersion: ...' here",
	       "1: 'apiVersion' is missing", "1: 'kind' is missing", "1: 'metadata' is missing");
	EXPECT("meta: {name: x}\n",
	       " this is the older form; see it in the new one: czctl spec convert");
}

/* Fields that are good by themselves and do not agree. */
static void test_agreement(void **state)
{
	EXPECT(HEAD "class: be\nslo: share=5%\n",
	       "5: slo: needs class lc; this zone's class is be");
	EXPECT(HEAD
	       "resource:\n  exclusive: true\n  vcpus: 4\n  vcpusMax: 2\n  cpu:\n    max: 1.5\n"
	       "    burst: 1ms\n  memory: 32Mi\n  memoryMax: 16Mi\n",
	       "5: resource.exclusive: needs a cpuset",
	       "7: resource.vcpusMax: 2 is less than vcpus (4)",
	       "9: resource.cpu.max: is for each vCPU, so at most 1 CPU (100%)",
	       "11: resource.memory: a virtual machine needs 64Mi or more",
	       "12: resource.memoryMax: is less than memory");
	EXPECT(
	    HEAD
	    "resource:\n  cpuset: 0-64\n  cpu: {burst: 1ms}\n  io: {bytesBurst: 1M, opsBurst: 1}\n",
	    "5: resource.cpuset: has more CPUs than a zone may have vcpus (64): set vcpus",
	    "6: resource.cpu.burst: needs cpu.max", "7: resource.io.bytesBurst: needs io.bytes",
	    "7: resource.io.opsBurst: needs io.ops");
	EXPECT(HEAD "resource:\n  net:\n    address: 192.0.2.1/24\n    dns: 192.0.2.9\n"
		    "    bridge: br0\n    forward: [\"1:1\"]\n",
	       "6: resource.net.address: needs mode tap or bridge",
	       "7: resource.net.dns: needs a mode other than none",
	       "8: resource.net.bridge: needs mode bridge",
	       "9: resource.net.forward: needs mode user");
	EXPECT(HEAD "resource:\n  net: {mode: bridge, bridge: b, address: \"2001:db8::2/64\"}\n",
	       "5: resource.net.address: '2001:db8::2/64' is not an IPv4 address and its prefix "
	       "(192.0.2.10/24); at most 49 characters");
	EXPECT(HEAD "resource:\n  net:\n    mode: bridge\n    gateway: 192.0.2.1\n",
	       "7: resource.net.gateway: needs address",
	       "6: resource.net.mode: bridge needs 'bridge: NAME'");
	EXPECT(HEAD "os: {backend: libvirt, machine: microvm, cmdline: a cz.nonce=1}\n",
	       "4: os.machine: microvm needs backend qemu",
	       "4: os.cmdline: parameters that begin with 'cz.' are czd's own");
	EXPECT(HEAD
	       "scheduler:\n  options: -x\n  onHarm: true\n  rules: [{policy: a}, {policy: b}]\n",
	       "5: scheduler.options: needs a policy",
	       "6: scheduler.onHarm: needs a policy to switch to",
	       "6: scheduler.onHarm: cannot go with rules: one of the two decides",
	       "7: scheduler.rules: rule 1 holds at any load, so those after it never do: give it "
	       "'below'");
}

static void test_apps_agree(void **state)
{
	EXPECT(HEAD "apps:\n- name: a\n- {name: b, command: [x], bundle: /b}\n"
		    "- {name: c, command: [x], memory: 1Gi, cpuset: 0-1, health: {period: 5s}}\n"
		    "- {name: d, bundle: /b, user: web, workdir: /w, env: {A: b}}\n",
	       "5: apps[0].command: 'command' or 'bundle' is missing",
	       "6: apps[1].command: an app has either a command or a bundle",
	       "7: apps[2].memory: is more than the zone has",
	       "7: apps[2].cpuset: the zone has CPUs 0 to 0",
	       "7: apps[2].health.period: needs health.command",
	       "8: apps[3].user: is said by the bundle's own config.json");
}

static void test_threads(void **state)
{
	_cleanup_(strbuf_done) struct strbuf text = {0};
	_cleanup_(zone_spec_done) struct zone_spec s = {0};

	EXPECT(HEAD "apps:\n- name: a\n  command: [x]\n  threads:\n"
		    "  - {name: sixteen-letters-, class: be}\n  - {name: b}\n"
		    "  - {name: \"\\x07\", class: fast}\n  - {class: lc}\n  - lc\n",
	       "8: apps[0].threads[0].name: 'sixteen-letters-' is not a thread's name, or a "
	       "pattern (bio_*); at most 15 characters",
	       "9: apps[0].threads[1]: 'class' is missing",
	       "10: apps[0].threads[2].name: '\\x07' is not a thread's name, or a pattern (bio_*); "
	       "at most 15 characters",
	       "10: apps[0].threads[2].class: 'fast' is not one of normal, lc, be",
	       "11: apps[0].threads[3]: 'name' is missing",
	       "12: apps[0].threads[4]: expected '- name: ...' here");
	EXPECT(HEAD "apps:\n- name: a\n  command: [x]\n  threads:\n"
		    "  - {name: b, class: be}\n  - {name: '*', class: lc}\n"
		    "  - {name: c, class: be}\n  - {name: b, class: lc}\n",
	       "10: apps[0].threads[2].name: rule 2 takes these threads already",
	       "11: apps[0].threads[3].name: rule 1 takes these threads already");
	EXPECT(HEAD "runtime: cgroup\napps:\n- name: a\n  command: [x]\n"
		    "  threads: [{name: b, class: be}]\n",
	       "8: apps[0].threads: is for zones of runtime vm");
	strbuf_puts(&text, HEAD "apps:\n- name: a\n  command: [x]\n  threads:\n");
	for (int i = 0; i < ZONE_THREADS_MAX; i++)
		strbuf_printf(&text, "  - {name: t%d, class: be}\n", i);
	must_load(text.data, &s);
	assert_int_equal(s.apps[0].nr_threads, ZONE_THREADS_MAX);
	strbuf_puts(&text, "  - {name: more, class: be}\n");
	EXPECT(text.data, "8: apps[0].threads: 17 entries; at most 16 are possible");
}

static void test_adopt(void **state)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0};

	EXPECT(HEAD "os: {adopt: web}\n", "4: os.adopt: needs backend libvirt");
	EXPECT(HEAD "os:\n  backend: libvirt\n  adopt: web\n  kernel: k\n"
		    "resource:\n  memory: 1Gi\n  cpu:\n    burst: 1ms\n    max: 50%\n"
		    "scheduler: {policy: x}\napps: [{name: a, command: [x]}]\n",
	       "11: resource.cpu.burst: is the domain's own, which os.adopt takes as it is",
	       "9: resource.memory: is the domain's own, which os.adopt takes as it is",
	       "7: os.kernel: is the domain's own, which os.adopt takes as it is",
	       "13: scheduler.policy: is the domain's own, which os.adopt takes as it is",
	       "14: apps: is the domain's own, which os.adopt takes as it is");
	must_load(HEAD "os: {backend: libvirt, adopt: my domain}\nclass: lc\nslo: wait.p99=2ms\n"
		       "resource: {cpuset: 0-1, exclusive: true, cpu: {max: 50%, weight: 10}}\n",
		  &s);
	assert_string_equal(s.os.adopt, "my domain");
}

static void test_cgroup(void **state)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0};

	EXPECT(HEAD "runtime: cgroup\napps:\n- {name: cz-run, command: [x]}\n"
		    "- {name: cz-exec, command: [x]}\n- {name: a, bundle: /b}\n",
	       "6: apps[0].name: no app may be called cz-run",
	       "7: apps[1].name: no app may be called cz-exec",
	       "8: apps[2].bundle: is for zones of runtime vm");
	EXPECT(HEAD "runtime: cgroup\nos: {}\nscheduler:\n  policy: x\n"
		    "resource: {vcpus: 1, net: {mode: none}, cpuset: 0-1}\n"
		    "apps: [{name: a, command: [x], cpuset: 1-2}]\n",
	       "8: resource.vcpus: is for zones of runtime vm",
	       "8: resource.net: is for zones of runtime vm", "5: os: is for zones of runtime vm",
	       "6: scheduler: is for zones of runtime vm",
	       "9: apps[0].cpuset: has CPUs that the zone's cpuset has not");
	must_load(HEAD "runtime: cgroup\nresource: {cpu: {max: 3}, memory: 1M}\n", &s);
	assert_int_equal(s.resource.cpu_max_ppm, 3000000);
	assert_int_equal(zone_spec_memory_max(&s), 1 << 20);
}

/* n times "BEFORE i AFTER", between head and tail. */
static int load_repeated(const char *head, size_t n, const char *before, const char *after,
			 const char *tail, struct zone_spec *ret)
{
	_cleanup_(strbuf_done) struct strbuf b = {0};

	strbuf_puts(&b, head);
	for (size_t i = 0; i < n; i++)
		strbuf_printf(&b, "%s%zu%s", before, i, after);
	strbuf_puts(&b, tail);
	return load(b.data, ret);
}

static void test_bounds(void **state)
{
	static const char words[] = HEAD "apps: [{name: a, command: [x", apps[] = HEAD "apps:\n";
	struct zone_spec s;
	char zeros[501];

	memset(zeros, '0', sizeof(zeros));
	zeros[500] = 0;
	assert_int_equal(load("a: &a [x]\n", &s), -EINVAL);
	assert_int_equal(load_repeated("a: ", 5000, "[", "", "", &s), -EINVAL);
	assert_int_equal(load_repeated(words, 255, ", ", "", "]}]\n", &s), 0);
	zone_spec_done(&s);
	assert_int_equal(load_repeated(words, 256, ", ", "", "]}]\n", &s), -EINVAL);
	assert_int_equal(load_repeated(apps, 32, "- {name: a", ", command: [x]}\n", "", &s), 0);
	zone_spec_done(&s);
	assert_int_equal(load_repeated(apps, 33, "- {name: a", ", command: [x]}\n", "", &s),
			 -EINVAL);
	assert_int_equal(load_repeated(words, 200, ", x", zeros, "]}]\n", &s), -EINVAL);
	assert_non_null(strstr(errs.items[0].text, "bytes; at most 49152 are possible"));
	assert_int_equal(load_repeated("a:\n", 100001, "- ", "\n", "", &s), -EINVAL);
	assert_int_equal(load_repeated("", 70, "u", ": 1\n", "", &s), -EINVAL);
	assert_int_equal(errs.total, 73);
	assert_int_equal(errs.nr, ERROR_LIST_MAX);
}

static int from_json(const char *text, struct zone_spec *ret)
{
	json_t *json = json_loads(text, JSON_ALLOW_NUL, NULL);
	int r;

	assert_non_null(json);
	r = zone_spec_from_json("spec", json, ret, &errs);
	json_decref(json);
	return r;
}

#define JSON_HEAD "{\"apiVersion\":\"cz/v1\",\"kind\":\"Zone\",\"metadata\":{\"name\":\"x\"}"

static void test_json(void **state)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0};

	assert_int_equal(from_json(JSON_HEAD
				   ",\"runtime\":\"cgroup\",\"resource\":{\"cpu\":{\"max\":"
				   "1.5},\"memory\":1048576,\"io\":null}}",
				   &s),
			 0);
	assert_int_equal(s.resource.cpu_max_ppm, 1500000);
	assert_int_equal(s.resource.memory_bytes, 1 << 20);
	zone_spec_done(&s);
	assert_int_equal(from_json("[]", &s), -EINVAL);
	assert_int_equal(from_json("{}", &s), -EINVAL);
	assert_int_equal(from_json(JSON_HEAD ",\"class\":7,\"clas\":true}", &s), -EINVAL);
	assert_int_equal(errs.total, 2);
	assert_string_equal(errs.items[0].text, "spec: class: '7' is not one of normal, lc, be");
	assert_string_equal(errs.items[1].text, "spec: unknown key 'clas'. Did you mean 'class'?");
	assert_int_equal(from_json(JSON_HEAD ",\"class\":\"a\\u0000b\"}", &s), -EINVAL);
	assert_string_equal(errs.items[0].text, "spec: a text contains a NUL character");
	assert_int_equal(from_json("[[[[[[[[[[1]]]]]]]]]]", &s), -EINVAL);
	assert_string_equal(errs.items[0].text, "spec: nested too deep");
}

static struct error_list notes;

static void test_convert(void **state)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0};
	const char *text =
	    "os:\n"
	    "  kernel: /k\n"
	    "  initram_fs: /i\n"
	    "  rootfs: /r.qcow2\n"
	    "  kcmdline: console=ttyS0\n"
	    "resource:\n"
	    "  cpuset: 130-133, 7\n"
	    "  memory: 4096\n"
	    "  static_net: {address: 192.0.2.10, netmask: 255.255.255.0, gateway: 192.0.2.2}\n";

	assert_true(zone_spec_is_old(text, strlen(text)));
	assert_false(zone_spec_is_old(everything, strlen(everything)));
	assert_int_equal(zone_spec_convert("/a/web.v2.yaml", text, strlen(text), &s, &errs, &notes),
			 0);
	assert_string_equal(s.name, "web.v2");
	assert_string_equal(s.os.kernel, "/k");
	assert_string_equal(s.os.initramfs, "/i");
	assert_int_equal(s.os.rootfs_kind, ROOTFS_IMAGE);
	assert_string_equal(s.os.rootfs, "/r.qcow2");
	assert_string_equal(s.os.cmdline, "console=ttyS0");
	assert_int_equal(cpuset_count(&s.resource.cpus), 5);
	assert_int_equal(s.resource.memory_bytes, 4ull << 30);
	assert_int_equal(s.resource.net.mode, NET_BRIDGE);
	assert_string_equal(s.resource.net.bridge, "br0");
	assert_string_equal(s.resource.net.address, "192.0.2.10/24");
	assert_string_equal(s.resource.net.gateway, "192.0.2.2");
	assert_int_equal(notes.total, 2); /* the blank, the name */
}

static void test_convert_more(void **state)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0};
	const char *text =
	    "meta: {name: x, workdir: /w, label: {a: b}, vrun: cloud-hypervisor}\n"
	    "resource: {cpu.max: 50000 100000, cpu.max.burst: 1000, llc mask: ff, bw_size: "
	    "1000000,\n"
	    "  bw_refill_time: 100, ops_size: 500}\n"
	    "apps:\n"
	    "- metadata: {name: p}\n"
	    "  spec: {containers: [{name: a, command: [x], args: [y], env: [{name: K, value: "
	    "v}]}]}\n"
	    "- {name: b, command: [z], resources: {limits: {cpu: 500m, memory: 64Mi}}}\n";

	assert_int_equal(zone_spec_convert("f", text, strlen(text), &s, &errs, &notes), 0);
	assert_string_equal(s.name, "x");
	assert_string_equal(s.labels[0].value, "b");
	assert_int_equal(s.resource.cpu_max_ppm, 500000);
	assert_int_equal(s.resource.cpu_burst_us, 1000);
	assert_int_equal(s.resource.llc_mask, 255);
	assert_int_equal(s.resource.io.bytes_per_s, 10000000);
	assert_int_equal(s.resource.io.ops_per_s, 500);
	assert_int_equal(s.resource.net.mode, NET_USER);
	assert_int_equal(s.nr_apps, 2);
	assert_string_equal(s.apps[0].command[1], "y");
	assert_string_equal(s.apps[0].env[0].value, "v");
	assert_int_equal(s.apps[1].cpu_max_ppm, 500000);
	assert_int_equal(s.apps[1].memory_bytes, 64 << 20);
	assert_int_equal(notes.total, 3); /* the directory, vrun, the network */
}

static void test_convert_wrong(void **state)
{
	struct zone_spec s;
	const char *text =
	    "meta: {nam: x}\nos:\n  kernel: k/k\nresource:\n  memory: 1x\n  cpuset: []\n"
	    "  static_net: {address: 192.0.2.10, netmask: 255.0.255.0}\n";

	assert_int_equal(zone_spec_convert("z", text, strlen(text), &s, &errs, &notes), -EINVAL);
	assert_int_equal(errs.total, 5);
	assert_string_equal(errs.items[0].text,
			    "z:1: meta: unknown key 'nam'. Did you mean 'name'?");
	assert_string_equal(errs.items[1].text, "z:6: resource: cpuset: expected one value here");
	assert_string_equal(errs.items[2].text,
			    "z:7: resource: static_net: expected address, netmask, gateway");
	assert_string_equal(errs.items[4].text, "z:5: resource.memory: '1x' is not a size (512Mi, "
						"2G), 1Mi to 64Ti");
	assert_int_equal(errs.items[3].line, 3);
	assert_int_equal(zone_spec_convert("z", HEAD, strlen(HEAD), &s, &errs, &notes), -EINVAL);
}

static void test_host(void **state)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0};
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *text = HEAD "resource:\n  cpuset: \"4095\"\n  vcpus: 1\n  memory: 60Ti\n"
				"os:\n  kernel: /nowhere/vmlinuz\n  rootfs:\n    dir: /proc/stat\n";

	must_load(text, &s);
	assert_int_equal(zone_spec_check_host(&s, root, "z", text, strlen(text), &notes), 4);
	assert_memory_equal(notes.items[0].text, "z:5: resource.cpuset: this host has no CPU 4095",
			    47);
	assert_memory_equal(notes.items[1].text, "z:7: resource.memory: this host has ", 36);
	assert_string_equal(notes.items[2].text,
			    "z:9: os.kernel: /nowhere/vmlinuz: No such file or directory");
	assert_string_equal(notes.items[3].text, "z:11: os.rootfs: /proc/stat is not a directory");
}

static void test_examples(void **state)
{
	static const char *const files[] = {"redis-vm", "batch-cgroup", "tiny-vm"};
	char path[512];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_(zone_spec_done) struct zone_spec s = {0};

		snprintf(path, sizeof(path), SOURCE "/examples/zones/%s.yaml", files[i]);
		assert_int_equal(zone_spec_load_file(AT_FDCWD, path, &s, &errs), 0);
	}
	assert_int_equal(
	    zone_spec_load_file(AT_FDCWD, "/nonexistent", &(struct zone_spec){0}, &errs), -ENOENT);
}

static void test_schema_is_current(void **state)
{
	json_t *kept = json_load_file(SOURCE "/docs/zone.schema.json", 0, NULL);
	json_t *now = zone_spec_schema();

	/* czctl spec schema > docs/zone.schema.json */
	assert_true(json_equal(kept, now));
	json_decref(kept);
	json_decref(now);
}

static size_t check_manual(const char *page, const struct zone_field *fields, const char *above)
{
	char path[64], item[80];
	size_t nr = 0;

	for (const struct zone_field *f = fields; f->key; f++, nr++) {
		snprintf(path, sizeof(path), "%s%s%s", above, above[0] ? "." : "", f->key);
		snprintf(item, sizeof(item), "\n.It Sy %s\n", path);
		if (!strstr(page, item))
			fail_msg("man/cz-zone.5 has no paragraph '.It Sy %s'", path);
		if (f->sub)
			nr += check_manual(page, f->sub, path);
	}
	return nr;
}

static void test_manual_has_every_field(void **state)
{
	static char page[1 << 17];
	size_t items = 0;

	assert_true(read_file_at(AT_FDCWD, SOURCE "/man/cz-zone.5", page, sizeof(page)) > 0);
	for (const char *p = page; (p = strstr(p, "\n.It Sy ")); p++)
		items++;
	assert_int_equal(check_manual(page, zone_fields, ""), items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_field),
	    cmocka_unit_test(test_json_round_trip),
	    cmocka_unit_test(test_normal_form),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_left_open),
	    cmocka_unit_test(test_all_errors_at_once),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_twice),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_missing),
	    cmocka_unit_test(test_agreement),
	    cmocka_unit_test(test_apps_agree),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_adopt),
	    cmocka_unit_test(test_cgroup),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_convert),
	    cmocka_unit_test(test_convert_more),
	    cmocka_unit_test(test_convert_wrong),
	    cmocka_unit_test(test_host),
	    cmocka_unit_test(test_examples),
	    cmocka_unit_test(test_schema_is_current),
	    cmocka_unit_test(test_manual_has_every_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

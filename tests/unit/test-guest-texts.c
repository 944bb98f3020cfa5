/* SPDX-License-Identifier: MIT */
/* What cz-guest reads that others wrote: the kernel command line, users, DHCP, options of policies.
 */
#include <arpa/inet.h>
#include "base/cleanup.h"
#include "guest/app-spec.h"
#include "guest/boot-line.h"
#include "guest/dhcp.h"
#include "guest/policy-proc.h"
#include "guest/task.h"
#include "guest/user.h"
#include "test.h"

static void test_boot_line(void **state)
{
	struct boot_line b;
	char wrong[128];

	boot_line_parse("console=ttyS0 quiet cz.name=web cz.nonce=000102030405060708090a0b0c0d0e0f "
			"cz.root=virtiofs cz.net=192.0.2.10/24,192.0.2.1,192.0.2.53\n",
			&b, wrong, sizeof(wrong));
	assert_string_equal(wrong, "");
	assert_string_equal(b.name, "web");
	assert_true(b.has_nonce);
	assert_int_equal(b.nonce[15], 15);
	assert_int_equal(b.root, BOOT_ROOT_VIRTIOFS);
	assert_int_equal(b.net, BOOT_NET_STATIC);
	assert_int_equal(b.address.prefix, 24);
	assert_int_equal(b.address.gateway.s_addr, inet_addr("192.0.2.1"));
	assert_int_equal(b.address.dns.s_addr, inet_addr("192.0.2.53"));

	boot_line_parse("", &b, wrong, sizeof(wrong));
	assert_string_equal(b.name, "zone");
	assert_false(b.has_nonce);
	/* the user's words come later and do not count */
	boot_line_parse("cz.root=image cz.net=dhcp cz.root=none", &b, wrong, sizeof(wrong));
	assert_int_equal(b.root, BOOT_ROOT_IMAGE);
	assert_int_equal(b.net, BOOT_NET_DHCP);
}

static void test_preempt(void **state)
{
	static const struct {
		const char *line, *modes, *wrong;
	} cases[] = {
	    {"quiet", "full (lazy)\n", ""},
	    {"quiet preempt=full cz.name=a", "(full) lazy\n", ""},
	    {"preempt=full preempt=lazy\n", "full (lazy)\n", ""},
	    {"preempt=none", "full (lazy) \n",
	     "no preempt=none in this kernel; it has: full (lazy)"},
	    {"preempt=full", "", "no preempt=full: this kernel's preemption is fixed"},
	    {"preempt=", "(lazy)", "no preempt= in this kernel; it has: (lazy)"},
	    {"xpreempt=none", "(lazy)", ""},
	    {"preempt=a-word-that-is-longer-than-any-mode", "(full)",
	     "no preempt=a-word-that-is-longer-t in this kernel; it has: (full)"},
	};
	char wrong[128];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		boot_preempt_check(cases[i].line, cases[i].modes, wrong, sizeof(wrong));
		assert_string_equal(wrong, cases[i].wrong);
	}
}

static void test_boot_line_wrong(void **state)
{
	static const char *const lines[] = {
	    "cz.root=disk",	  "cz.nonce=12", "cz.net=192.0.2.1",	  "cz.net=192.0.2.1/33",
	    "cz.net=192.0.2.1/0", "cz.net=x/24", "cz.net=192.0.2.1/24,x", "cz.name="};
	struct boot_line b;
	char wrong[128];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		boot_line_parse(lines[i], &b, wrong, sizeof(wrong));
		assert_string_not_equal(wrong, "");
		assert_false(b.has_nonce);
		assert_int_equal(b.root, BOOT_ROOT_NONE);
		assert_int_equal(b.net, BOOT_NET_NONE);
	}
}

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "broken:x:zero:0\n"
			     "web:x:1000:1001:Web:/srv/web:/bin/bash\n"
			     "last:x:7:8::/:";
static const char group[] =
    "root:x:0:\nvideo:x:44:web,other\naudio:x:45:other\nwebbers:x:46:other,web\n";

static void test_users(void **state)
{
	struct user u;

	assert_int_equal(user_find(passwd, group, "web", &u), 0);
	assert_int_equal(u.uid, 1000);
	assert_int_equal(u.gid, 1001);
	assert_string_equal(u.home, "/srv/web");
	assert_int_equal(u.nr_groups, 3);
	assert_int_equal(u.groups[0], 1001);
	assert_int_equal(u.groups[1], 44);
	assert_int_equal(u.groups[2], 46);
	assert_int_equal(user_find(passwd, group, "last", &u), 0);
	assert_int_equal(u.gid, 8);
	assert_int_equal(user_find(passwd, group, "1000", &u), 0);
	assert_string_equal(u.name, "web");
	assert_int_equal(user_find(passwd, group, "1000:5", &u), 0);
	assert_int_equal(u.gid, 5);
	assert_int_equal(user_find("", "", "77", &u), 0);
	assert_int_equal(u.uid, 77);
	assert_int_equal(u.gid, 77);
	assert_int_equal(u.nr_groups, 0);
	assert_int_equal(user_find(passwd, group, "broken", &u), -ENOENT);
	assert_int_equal(user_find(passwd, group, "4294967295", &u), -ENOENT);
	assert_int_equal(user_find(passwd, group, "", &u), -ENOENT);
}

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

static size_t answer(uint8_t *m, uint32_t xid)
{
	static const uint8_t options[] = {53, 1, 5,    0,    1,	 4, 255, 255, 252, 0, 3,  4,
					  10, 0, 2,    2,    6,	 4, 10,	 0,   2,   3, 51, 4,
					  0,  0, 0x0e, 0x10, 54, 4, 10,	 0,   2,   2, 255};

	memset(m, 0, 300);
	m[0] = 2;
	memcpy(m + 4, &xid, 4);
	m[16] = 10, m[18] = 2, m[19] = 15;
	memcpy(m + 28, mac, 6);
	m[236] = 99, m[237] = 130, m[238] = 83, m[239] = 99;
	memcpy(m + 240, options, sizeof(options));
	return 240 + sizeof(options);
}

static void test_dhcp(void **state)
{
	struct dhcp_lease l = {0};
	uint8_t m[300];
	size_t len = answer(m, 42);

	assert_int_equal(dhcp_read(m, len, 42, mac, &l), 0);
	assert_int_equal(l.type, DHCP_ACK);
	assert_int_equal(l.config.address.s_addr, inet_addr("10.0.2.15"));
	assert_int_equal(l.config.prefix, 22);
	assert_int_equal(l.config.gateway.s_addr, inet_addr("10.0.2.2"));
	assert_int_equal(l.config.dns.s_addr, inet_addr("10.0.2.3"));
	assert_int_equal(l.lease_s, 3600);
	assert_int_equal(dhcp_read(m, len, 43, mac, &l), -EINVAL);
	assert_int_equal(dhcp_read(m, len, 42, (const uint8_t[6]){0}, &l), -EINVAL);
	assert_int_equal(dhcp_read(m, 239, 42, mac, &l), -EINVAL);
	m[241] = 200; /* an option longer than the message */
	assert_int_equal(dhcp_read(m, len, 42, mac, &l), -EINVAL);
}

static void test_dhcp_request(void **state)
{
	struct dhcp_lease l = {.config.address = {inet_addr("10.0.2.15")},
			       .server = {inet_addr("10.0.2.2")}};
	uint8_t m[DHCP_SIZE];

	dhcp_write(m, 42, mac, &l);
	assert_int_equal(m[0], 1);
	assert_int_equal(m[10], 0x80);
	assert_memory_equal(m + 240, "\65\1\3\62\4\12\0\2\17\66\4\12\0\2\2", 15);
	dhcp_write(m, 42, mac, NULL);
	assert_memory_equal(m + 240, "\65\1\1\67", 4);
}

static void test_policy(void **state)
{
	struct policy_choice a, b;
	struct error e = {0};
	char text[] = "  --slice  5ms --x ", *words[4];

	assert_int_equal(policy_choose("rr", "--slice 5ms", true, &a, &e), 0);
	assert_int_equal(policy_choose("rr", "--slice 5ms", false, &b, &e), 0);
	assert_false(policy_choice_equal(&a, &b));
	assert_int_equal(policy_choose("none", "x", false, &a, &e), 0);
	assert_int_equal(policy_choose(NULL, NULL, true, &b, &e), 0);
	assert_true(policy_choice_equal(&a, &b));
	assert_int_equal(policy_choose("../rr", NULL, true, &a, &e), -EINVAL);
	assert_int_equal(policy_choose("r/r", NULL, true, &a, &e), -EINVAL);
	assert_int_equal(policy_choose("", NULL, true, &a, &e), -EINVAL);
	assert_int_equal(policy_choose("a123456789012345678901234567890123", NULL, true, &a, &e),
			 -EINVAL);
	assert_int_equal(policy_words(text, words, 4), 3);
	assert_string_equal(words[1], "5ms");
	assert_null(words[3]);
	strcpy(text, "a b c d");
	assert_int_equal(policy_words(text, words, 4), -E2BIG);
}

static void test_same_process(void **state)
{
	char *one[] = {"a", "b", NULL}, *two[] = {"a", NULL}, *three[] = {"a", "b", NULL};
	struct key_value env[] = {{"K", "v"}};
	struct zone_app a = {.command = one, .env = env, .nr_env = 1}, b = a;
	char **text;

	b.command = three;
	b.cpu_weight = 7;
	b.class = CLASS_LC;
	assert_true(app_same_process(&a, &b));
	b.command = two;
	assert_false(app_same_process(&a, &b));
	b = a;
	b.user = "web";
	assert_false(app_same_process(&a, &b));
	b = a;
	b.env = &(struct key_value){"K", "w"};
	assert_false(app_same_process(&a, &b));
	b.nr_env = 0;
	assert_false(app_same_process(&a, &b));
	text = app_env(&a);
	assert_string_equal(text[0], "K=v");
	assert_null(text[1]);
	app_env_free(text);
}

static void test_thread_rules(void **state)
{
	static struct zone_app a = {
	    .threads = {{(char *)"GC Thread#*", CLASS_BE},
			{(char *)"GC*", CLASS_LC},
			{(char *)"w[0-9]?", CLASS_LC},
			{(char *)"a\\*", CLASS_BE}},
	    .nr_threads = 4,
	};
	static const struct {
		const char *name;
		int rule; /* -1: none */
	} cases[] = {{"GC Thread#12", 0}, {"GC", 1}, {"GC Thread", 1}, {"w12", 2}, {"w1", -1},
		     {"xGC", -1},	  {"", -1},  {"a*", 3},	       {"ab", -1}, {"w1/", 2}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_ptr_equal(app_thread_rule(&a, cases[i].name),
				 cases[i].rule < 0 ? NULL : &a.threads[cases[i].rule]);
	a.nr_threads = 0;
	assert_null(app_thread_rule(&a, "GC"));
}

static void test_task_names(void **state)
{
	const char *class = NULL;
	struct error e = {0};
	int priority = -1;

	assert_string_equal(task_class_name(7), "ext");
	assert_null(task_class_name(4));
	assert_null(task_class_name(99));
	assert_int_equal(task_get(0, &class, &priority, &e), 0);
	static const char *const wrong[] = {"no such", "",  "fif",	"fifo:0", "fifo:100",
					    "fifo:",   ":", "normal:3", "fifox",  "rr:1 "};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(task_set(0, wrong[i], &e), -EINVAL);
	assert_int_equal(task_set(0, "batch", &e), 0);
	assert_int_equal(task_get(0, &class, &priority, &e), 0);
	assert_string_equal(class, "batch");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_boot_line),
	    cmocka_unit_test(test_preempt),
	    cmocka_unit_test(test_boot_line_wrong),
	    cmocka_unit_test(test_users),
	    cmocka_unit_test(test_dhcp),
	    cmocka_unit_test(test_dhcp_request),
	    cmocka_unit_test(test_policy),
	    cmocka_unit_test(test_same_process),
	    cmocka_unit_test(test_thread_rules),
	    cmocka_unit_test(test_task_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* An OCI bundle's config.json, as people write it and as it comes broken -> what crun is told. */
#include <jansson.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "guest/bundle.h"
#include "test.h"

#define MOUNTS "\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]}"
#define ROOT   "\"root\":{\"path\":\"r\"}," MOUNTS

static const struct zone_app plain = {.name = (char *)"a"};

static json_t *made(const char *text, const struct zone_app *app)
{
	_cleanup_free_ char *out = NULL;
	struct error e = {0};
	json_t *j;

	if (bundle_config(text, strlen(text), app, &out, &e) < 0)
		fail_msg("%s", e.msg);
	j = json_loads(out, 0, NULL);
	assert_non_null(j);
	return j;
}

static void assert_made(const char *text, const struct zone_app *app, const char *want)
{
	_cleanup_(json_decrefp) json_t *got = made(text, app), *wanted = json_loads(want, 0, NULL);

	assert_non_null(wanted);
	if (!json_equal(got, wanted))
		fail_msg("%s", json_dumps(got, JSON_COMPACT));
}

static void assert_refused(const char *text, size_t len, const char *why)
{
	struct error e = {0};
	char *out = NULL;

	assert_int_equal(bundle_config(text, len, &plain, &out, &e), -EINVAL);
	assert_null(out);
	if (!strstr(e.msg, why))
		fail_msg("'%s' is not in: %s", why, e.msg);
}

static void test_no_terminal_no_cgroup(void **state)
{
	assert_made(
	    "{\"ociVersion\":\"1.0.0\",\"process\":{\"terminal\":true,\"args\":[\"a\",\"\"],"
	    "\"cwd\":\"/x\",\"env\":[\"A=1\"]},\"root\":{\"path\":\"rootfs\"},\"linux\":{"
	    "\"resources\":{\"memory\":{\"limit\":1}},\"cgroupsPath\":\"/up\",\"intelRdt\":{},"
	    "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"}]},\"annotations\":{\"k\":"
	    "\"v\"}}",
	    &plain,
	    "{\"ociVersion\":\"1.0.0\",\"process\":{\"terminal\":false,\"args\":[\"a\",\"\"],"
	    "\"cwd\":\"/x\",\"env\":[\"A=1\"]},\"root\":{\"path\":\"rootfs\"},\"linux\":{"
	    "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"}]},\"annotations\":{\"k\":"
	    "\"v\"}}");
	/* a root of its own place; nothing that could be left out */
	assert_made("{\"process\":{\"args\":[\"a\"]},\"root\":{\"path\":\"/abs/root\"}," MOUNTS "}",
		    &plain,
		    "{\"process\":{\"args\":[\"a\"],\"terminal\":false,\"env\":[]},"
		    "\"root\":{\"path\":\"/abs/root\"}," MOUNTS "}");
}

static void test_env_and_workdir(void **state)
{
	struct key_value env[] = {{(char *)"A", (char *)"new"}, {(char *)"C", (char *)""}};
	struct zone_app app = {.env = env, .nr_env = 2, .workdir = (char *)"/w"};

	assert_made("{\"process\":{\"args\":[\"a\"],\"cwd\":\"/x\",\"env\":[\"A=1\",\"AB=2\",\"A\","
		    "\"A=3\",\"B=A=4\"]}," ROOT "}",
		    &app,
		    "{\"process\":{\"args\":[\"a\"],\"cwd\":\"/w\",\"terminal\":false,\"env\":["
		    "\"AB=2\",\"A\",\"B=A=4\",\"A=new\",\"C=\"]}," ROOT "}");
}

#define OTHER(linux_) "{\"process\":{\"args\":[\"a\"]},\"root\":{\"path\":\"r\"}" linux_ "}"

static void test_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
	    {"", "line 1: "},
	    {"{\n\"process\": {\"args\"", "line 2: "},
	    {"{\"process\":{},\"process\":{}}", "duplicate"},
	    {"{} {}", "line 1: "},
	    {"[]", "process.args: "},
	    {"{" ROOT "}", "process.args: "},
	    {"{\"process\":[],\"root\":{\"path\":\"r\"}}", "process.args: "},
	    {"{\"process\":{\"args\":[]}," ROOT "}", "process.args: "},
	    {"{\"process\":{\"args\":[\"\"]}," ROOT "}", "process.args: "},
	    {"{\"process\":{\"args\":\"sh\"}," ROOT "}", "process.args: "},
	    {"{\"process\":{\"args\":[\"a\",1]}," ROOT "}", "process.args: "},
	    {"{\"process\":{\"args\":[\"a\"],\"env\":{}}," ROOT "}", "process.env: "},
	    {"{\"process\":{\"args\":[\"a\"],\"env\":[1]}," ROOT "}", "process.env: "},
	    {"{\"process\":{\"args\":[\"a\"]}}", "root.path: "},
	    {"{\"process\":{\"args\":[\"a\"]},\"root\":{\"path\":\"\"}}", "root.path: "},
	    {"{\"process\":{\"args\":[\"a\"]},\"root\":\"r\"}", "root.path: "},
	    {OTHER(""), "linux.namespaces: "},
	    {OTHER(",\"linux\":[]"), "linux.namespaces: "},
	    {OTHER(",\"linux\":{\"namespaces\":[1,{\"type\":\"pid\"}]}"), "linux.namespaces: "},
	    {OTHER(",\"linux\":{\"namespaces\":[{\"type\":\"mount\",\"path\":\"/p\"}]}"),
	     "linux.namespaces: "},
	    {"{\"process\":{\"args\":[\"a\\u0000b\"]}," ROOT "}", "line 1: "},
	    {"\xff\xfe\x1b[2J", "line 1: "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(cases[i].text, strlen(cases[i].text), cases[i].why);
	assert_refused("{}\0", 3, "line 1: ");
}

/* What could fill a stack is refused, what fills the file is not. */
static void test_large(void **state)
{
	_cleanup_(strbuf_done) struct strbuf deep = {0}, wide = {0};

	for (size_t i = 0; i < BUNDLE_CONFIG_MAX; i++)
		strbuf_puts(&deep, "[");
	assert_refused(deep.data, deep.len, "depth");
	strbuf_puts(&wide, "{" ROOT ",\"process\":{\"args\":[\"a\"");
	while (wide.len < BUNDLE_CONFIG_MAX - 16)
		strbuf_puts(&wide, ",\"x\"");
	strbuf_puts(&wide, "]}}");
	json_decref(made(wide.data, &plain));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_terminal_no_cgroup),
	    cmocka_unit_test(test_env_and_workdir),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* cz-gate: who may ask, what is asked, pages of rows. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test.h"
#include "base/io.h"
#include "gate/gate.h"
#include "gate/routes.h"
#include "gate/sandbox.h"

#define READ_TOKEN   "read-read-read-read"
#define CHANGE_TOKEN "change-change-change"

static const struct security guarded = {.read_token = READ_TOKEN,
					.change_token = CHANGE_TOKEN,
					.hosts = "cz.example,other",
					.hostname = "box"};

static int check(const struct security *s, struct security_request r)
{
	struct error e = {0};
	int code = security_check(s, &r, &e);

	assert_true(code == 0 || e.msg[0]);
	assert_null(strstr(e.msg, READ_TOKEN));
	assert_null(strstr(e.msg, CHANGE_TOKEN));
	return code;
}

static void test_hosts(void **state)
{
	static const struct {
		const char *host;
		bool ours;
	} cases[] = {
	    {"127.0.0.1", true},
	    {"127.0.0.1:9780", true},
	    {"[::1]:9780", true},
	    {"[::1]", true},
	    {"localhost:9780", true},
	    {"LocalHost", true},
	    {"box", true},
	    {"cz.example:80", true},
	    {"other", true},
	    {"10.1.2.3:80", true},
	    {"evil.example", false},
	    {"", false},
	    {":80", false},
	    {"[::1", false},
	    {"[::1]x", false},
	    {"127.0.0.1.evil.example", false},
	    {"cz.exampl", false},
	    {"cz.example,other", false},
	    {"localhost.evil.example", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(security_host_is_ours(&guarded, cases[i].host), cases[i].ours);
}

static void test_other_sites_are_refused(void **state)
{
	const struct security open = {0};
	struct security_request r = {.host = "127.0.0.1:9780"};

	assert_int_equal(check(&open, r), 0);
	r.origin = "http://127.0.0.1:9780";
	assert_int_equal(check(&open, r), 0);
	r.origin = "http://evil.example";
	assert_int_equal(check(&open, r), -EPERM);
	r.origin = "http://127.0.0.1:81"; /* another port is another site */
	assert_int_equal(check(&open, r), -EPERM);
	r.origin = "null";
	assert_int_equal(check(&open, r), -EPERM);
	r.origin = NULL;
	r.fetch_site = "cross-site";
	assert_int_equal(check(&open, r), -EPERM);
	r.navigates = true; /* a link to the page */
	assert_int_equal(check(&open, r), 0);
	r.host = NULL;
	assert_int_equal(check(&open, r), -EPERM);
}

static void test_tokens(void **state)
{
	const struct security open = {0};
	struct security_request r = {.host = "localhost"};

	assert_int_equal(check(&guarded, r), -EACCES);
	r.open = true;
	assert_int_equal(check(&guarded, r), 0);
	r.open = false;
	r.authorization = "Bearer " READ_TOKEN;
	assert_int_equal(check(&guarded, r), 0);
	r.changes = true;
	assert_int_equal(check(&guarded, r), -EACCES);
	r.authorization = "Bearer " CHANGE_TOKEN;
	assert_int_equal(check(&guarded, r), 0);
	r.changes = false;
	assert_int_equal(check(&guarded, r), 0);
	static const char *const wrong[] = {"Bearer ",
					    "Bearer",
					    "",
					    "Basic " READ_TOKEN,
					    "Bearer " READ_TOKEN "x",
					    "Bearer read-read-read-rea"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		r.authorization = wrong[i];
		assert_int_equal(check(&guarded, r), -EACCES);
	}
	/* without a change token nobody changes anything, an empty one included */
	r = (struct security_request){
	    .host = "localhost", .changes = true, .authorization = "Bearer "};
	assert_int_equal(check(&open, r), -EPERM);
}

static void put_file(const char *path, const char *text, mode_t mode)
{
	assert_int_equal(write_file_atomic(AT_FDCWD, path, text, strlen(text), mode), 0);
}

static void test_token_files(void **state)
{
	char dir[] = "/tmp/cz-gate-XXXXXX", path[64], token[TOKEN_MAX + 1];
	struct error e = {0};

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/token", dir);
	assert_int_equal(security_load_token(path, token, &e), 0);
	assert_string_equal(token, "");
	put_file(path, CHANGE_TOKEN "\n", 0600);
	assert_int_equal(security_load_token(path, token, &e), 0);
	assert_string_equal(token, CHANGE_TOKEN);
	put_file(path, CHANGE_TOKEN "\n", 0604);
	assert_int_equal(security_load_token(path, token, &e), -EPERM);
	put_file(path, "short\n", 0600);
	assert_int_equal(security_load_token(path, token, &e), -EINVAL);
	put_file(path, "", 0600);
	assert_int_equal(security_load_token(path, token, &e), -EINVAL);
	put_file(path, "with a blank in the middle\n", 0600);
	assert_int_equal(security_load_token(path, token, &e), -EINVAL);
	assert_int_equal(security_load_token(dir, token, &e), -EINVAL);
	unlink(path);
	rmdir(dir);
}

static const struct route *find(struct request *r, const char *method, const char *path,
				unsigned int *status)
{
	*r = (struct request){0};
	str_copy(r->path, sizeof(r->path), path);
	return route_find(r, method, status);
}

static void test_routes(void **state)
{
	struct request *r = calloc(1, sizeof(*r));
	const struct route *route;
	unsigned int status;

	route = find(r, "GET", "/api/v1/zones/batch%2Fstress-ng/why", &status);
	assert_non_null(route);
	assert_string_equal(route->verb, "why");
	assert_int_equal(r->nr_parts, 1);
	assert_string_equal(r->parts[0], "batch/stress-ng");
	route = find(r, "POST", "/api/v1/actions/7/approve", &status);
	assert_non_null(route);
	assert_true(route->changes);
	assert_null(find(r, "DELETE", "/api/v1/zones", &status));
	assert_int_equal(status, 405);
	static const char *const nothing[] = {
	    "/api/v1/nix", "/api/v1/zones/",	     "/api/v1/zones//why", "//",
	    "/api/v1",	   "/a/b/c/d/e/f/g/h/i/j/k", "/api/v1/zones/a/b/c"};
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		assert_null(find(r, "GET", nothing[i], &status));
		assert_int_equal(status, 404);
	}
	assert_null(find(r, "GET", "", &status));
	assert_int_equal(status, 414);
	free(r);
}

/* Every change needs the change token, and nothing that reads is a POST. */
static void test_what_changes_is_marked(void **state)
{
	static const char *const changing[] = {"protect", "unprotect", "try", "approve", "undo"};

	for (size_t i = 0; i < nr_routes; i++) {
		const struct route *r = &routes[i];

		assert_int_equal(r->changes, !strcmp(r->method, "POST"));
		assert_false(r->changes && r->open);
		for (size_t k = 0; r->verb && k < sizeof(changing) / sizeof(changing[0]); k++)
			assert_true(strcmp(r->verb, changing[k]) || r->changes);
	}
}

static json_t *rows(int n)
{
	json_t *list = json_array();

	for (int i = n; i > 0; i--) /* not in order */
		json_array_append_new(
		    list, json_pack("{s:i,s:o}", "seq", i, "path", json_sprintf("/z%03d", i)));
	return json_pack("{s:o}", "rows", list);
}

/* All pages together have every row once. */
static void walk_pages(const char *key, const char *limit, int n, int pages)
{
	char cursor[64] = "";
	int seen = 0, asked = 0;

	do {
		json_t *data = rows(n);
		const char *next;
		struct error e = {0};

		assert_int_equal(page_cut(data, "rows", key, limit, cursor[0] ? cursor : NULL, &e),
				 0);
		for (size_t i = 0; i < json_array_size(json_object_get(data, "rows")); i++)
			assert_int_equal(
			    json_integer_value(json_object_get(
				json_array_get(json_object_get(data, "rows"), i), "seq")),
			    ++seen);
		next = json_string_value(json_object_get(data, "next_cursor"));
		str_copy(cursor, sizeof(cursor), next ? next : "");
		asked++;
		json_decref(data);
	} while (cursor[0]);
	assert_int_equal(seen, n);
	assert_int_equal(asked, pages);
}

static void test_pages(void **state)
{
	static const char *const bad[] = {"0", "10001", "-1", "x", ""};
	struct error e = {0};

	walk_pages("seq", "10", 25, 3);
	walk_pages("path", "10", 25, 3);
	walk_pages("seq", "25", 25, 1);
	walk_pages("seq", NULL, 25, 1);
	walk_pages("seq", "10", 0, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *data = rows(3);

		assert_int_equal(page_cut(data, "rows", "seq", bad[i], NULL, &e), -EINVAL);
		json_decref(data);
	}
}

static bool is_refused(long r)
{
	return r == -1 && errno == EPERM;
}

/* In a process of its own, which stays locked. What went wrong, 0: nothing. */
static int locked_up(void)
{
	void *p;

	if (sandbox_become("nobody", NULL) < 0 || sandbox_lock(NULL) < 0)
		return 1;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ) < 0)
		return 2;
	if (!is_refused(mprotect(p, 4096, PROT_READ | PROT_EXEC)))
		return 3;
	if (!is_refused(
		(long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)))
		return 4;
	if (!is_refused(socket(AF_INET, SOCK_STREAM, 0)) || socket(AF_UNIX, SOCK_STREAM, 0) < 0)
		return 5;
	if (!is_refused(ioctl(STDIN_FILENO, TIOCSTI, "x")) || !is_refused(fork()))
		return 6;
	return is_refused(execl("/bin/true", "true", NULL)) ? 0 : 7;
}

static void test_sandbox(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(locked_up());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hosts),  cmocka_unit_test(test_other_sites_are_refused),
	    cmocka_unit_test(test_tokens), cmocka_unit_test(test_token_files),
	    cmocka_unit_test(test_routes), cmocka_unit_test(test_what_changes_is_marked),
	    cmocka_unit_test(test_pages),  cmocka_unit_test(test_sandbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Addresses of this very program, of damaged copies of it, of the kernel; and its own stacks. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "cli/stack.h"
#include "cli/symbols-parse.h"
#include "test.h"

static volatile uint64_t sink;
static atomic_bool stop;

__attribute__((noinline)) static void a_static_function(void)
{
	while (!stop)
		for (int i = 0; i < 1000; i++)
			sink += (uint64_t)i;
}

static void *thread(void *arg)
{
	a_static_function();
	return arg;
}

static void test_mappings(void **state)
{
	static const char *const bad[] = {"",
					  "x",
					  "1-2",
					  "2-1 r-xp 0 08:01 5 /x",
					  "1-1 r-xp 0 08:01 5 /x",
					  "1-2 r-x 0 08:01 5",
					  "1-2 r-xp 0 08:01",
					  "-",
					  "1-2 r-xp 0 zz 5 /x"};
	struct mapping m;

	assert_int_equal(
	    mapping_parse("7f01-7f05 r-xp 00001000 fd:01 1234                 /a b/c (deleted)",
			  &m),
	    0);
	assert_true(m.start == 0x7f01 && m.end == 0x7f05 && m.offset == 0x1000 && m.inode == 1234 &&
		    m.exec);
	assert_string_equal(m.path, "/a b/c (deleted)");
	assert_int_equal(mapping_parse("1-2 rw-p 00000000 00:00 0 ", &m), 0);
	assert_false(m.exec);
	assert_string_equal(m.path, "");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(mapping_parse(bad[i], &m), -EINVAL);
}

static void test_kernel_symbols(void **state)
{
	struct kernel_symbol s;
	char line[4000];

	assert_int_equal(kernel_symbol_parse("ffffffff81000000 T _text\n", &s), 0);
	assert_true(s.addr == 0xffffffff81000000 && !strcmp(s.name, "_text") && !s.module[0]);
	assert_int_equal(kernel_symbol_parse("ffffffffc0001000 t kvm_run\t[kvm]\n", &s), 0);
	assert_string_equal(s.module, "kvm");
	assert_int_equal(kernel_symbol_parse("ffffffff82000000 D jiffies\n", &s), -ENOENT);
	assert_int_equal(kernel_symbol_parse("nonsense", &s), -EINVAL);
	assert_int_equal(kernel_symbol_parse("", &s), -EINVAL);
	snprintf(line, sizeof(line), "1 t %03990d", 7);
	assert_int_equal(kernel_symbol_parse(line, &s), 0);
	assert_int_equal(strlen(s.name), SYMBOL_NAME_MAX - 1);
}

/* The same address through the whole of it: maps, the child, the ELF file. */
static void test_own_addresses(void **state)
{
	_cleanup_close_ int procfd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct address a[3] = {
	    {.addr = 1}, {.addr = (uintptr_t)a_static_function}, {.addr = (uintptr_t)&sink}};
	struct address swap;
	struct symbol s[3];

	if (a[1].addr > a[2].addr) { /* they have to be in order */
		swap = a[1];
		a[1] = a[2];
		a[2] = swap;
	}
	assert_int_equal(symbols_resolve(procfd, a, 3, s), 0);
	assert_int_equal(s[0].key, 0); /* not mapped */
	for (size_t i = 1; i < 3; i++) {
		if (a[i].addr == (uintptr_t)&sink) {
			assert_int_equal(s[i].key, 0); /* not code */
			continue;
		}
		assert_string_equal(s[i].text, "a_static_function (test-symbols)");
		assert_int_not_equal(s[i].key, 0);
	}
	assert_int_equal(symbols_resolve(procfd, a, 0, s), 0);
	assert_int_equal(symbols_resolve(procfd, a, SYMBOL_NR_MAX + 1, s), -E2BIG);
}

static void test_a_library(void **state)
{
	_cleanup_close_ int procfd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct address a = {.addr = (uintptr_t)dlsym(RTLD_DEFAULT, "lfind")};
	struct symbol s;

	assert_int_equal(symbols_resolve(procfd, &a, 1, &s), 0);
	assert_non_null(strstr(s.text, "lfind")); /* from .dynsym */
	assert_non_null(strstr(s.text, "(lib"));
}

static void test_code_without_a_file(void **state)
{
	_cleanup_close_ int procfd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct address a = {.addr = (uintptr_t)code + 16};
	struct symbol s;

	assert_true(code != MAP_FAILED);
	assert_int_equal(symbols_resolve(procfd, &a, 1, &s), 0);
	assert_string_equal(s.text, "generated code+0x10");
	munmap(code, 4096);
}

static void test_no_process(void **state)
{
	struct address a[2] = {{.addr = 0x1234}, {.addr = 0xffffffff81000000, .kernel = true}};
	struct symbol s[2];

	assert_int_equal(symbols_resolve(-1, a, 2, s), -EPROTO);
	assert_string_equal(s[0].text, "0x1234");
	assert_string_equal(s[1].text, "(kernel)");
}

static char *whole_program(size_t *ret_size)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/exe", "re");
	size_t cap = 64 << 20;
	char *data = malloc(cap);

	assert_true(file && data);
	*ret_size = fread(data, 1, cap, file);
	assert_true(*ret_size > 4096 && *ret_size < cap);
	return data;
}

/* Every damage is answered with some names or none. */
static void test_damaged_files(void **state)
{
	size_t size = 0;
	_cleanup_free_ char *good = whole_program(&size), *bad = malloc(size);
	struct lookup lookups[256];
	uint32_t seed = 12345;
	size_t named = 0;

	assert_non_null(bad);
	assert_int_not_equal(elf_version(EV_CURRENT), EV_NONE);
	for (int round = 0; round < 300; round++) {
		size_t len = round % 3 == 1 ? seed % size : size;
		Elf *elf;

		memcpy(bad, good, size);
		for (int i = 0; round && i < 8; i++) { /* round 0 is the good one */
			seed = seed * 1664525 + 1013904223;
			bad[i < 4 ? seed % 64 : seed % size] ^= (char)(1 << (seed >> 29));
		}
		for (size_t i = 0; i < ARRAY_SIZE(lookups); i++)
			lookups[i] = (struct lookup){.addr = size * i / ARRAY_SIZE(lookups)};
		elf = elf_memory(bad, len);
		if (!elf)
			continue;
		elf_lookup(elf, lookups, ARRAY_SIZE(lookups));
		elf_end(elf);
		for (size_t i = 0; i < ARRAY_SIZE(lookups); i++) {
			assert_non_null(memchr(lookups[i].name, 0, SYMBOL_NAME_MAX));
			named += round == 0 && lookups[i].name[0];
		}
	}
	assert_true(named > 10);
}

static void test_own_stacks(void **state)
{
	struct stacks *stacks = calloc(1, sizeof(*stacks));
	struct error e = {0};
	char comm[32] = "";
	pthread_t t[2];
	FILE *file = fopen("/proc/self/comm", "re");
	int r;

	assert_true(stacks && file && fscanf(file, "%31s", comm) == 1);
	fclose(file);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, thread, NULL), 0);
	r = stacks_sample(getpid(), comm, 100000000, stacks, &e);
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	if (r == -EACCES || r == -EPERM || r == -ENOSYS) {
		print_message("not allowed here: %s\n", e.msg);
		free(stacks);
		skip();
	}
	assert_int_equal(r, 0);
	assert_true(stacks->samples > 5 && stacks->nr > 0);
	assert_true(stacks->top[0].samples * 2 > stacks->samples);
	assert_string_equal(stacks->top[0].frames[0], "a_static_function (test-symbols)");
	free(stacks);
}

static void test_no_stacks(void **state)
{
	struct stacks *stacks = calloc(1, sizeof(*stacks));
	struct error e = {0};
	pid_t pid = fork();

	assert_non_null(stacks);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(stacks_sample(pid, "another", 1000000, stacks, &e), -ESRCH);
	assert_non_null(strstr(e.msg, "is gone"));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(stacks_sample(pid, "", 1000000, stacks, &e), -ESRCH);
	free(stacks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mappings),
	    cmocka_unit_test(test_kernel_symbols),
	    cmocka_unit_test(test_own_addresses),
	    cmocka_unit_test(test_a_library),
	    cmocka_unit_test(test_code_without_a_file),
	    cmocka_unit_test(test_no_process),
	    cmocka_unit_test(test_damaged_files),
	    cmocka_unit_test(test_own_stacks),
	    cmocka_unit_test(test_no_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

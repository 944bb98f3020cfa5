/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "test.h"

struct dir {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	static struct dir d;

	strcpy(d.path, "/tmp/cz-test-io.XXXXXX");
	if (!mkdtemp(d.path))
		return -1;
	d.fd = open(d.path, O_DIRECTORY | O_CLOEXEC);
	*state = &d;
	return d.fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct dir *d = *state;
	DIR *list = fdopendir(d->fd);
	struct dirent *e;

	while ((e = readdir(list)))
		unlinkat(dirfd(list), e->d_name, 0);
	closedir(list);
	return rmdir(d->path);
}

static void put(struct dir *d, const char *name, const char *text)
{
	assert_int_equal(write_file_atomic(d->fd, name, text, strlen(text), 0600), 0);
}

static void test_read(void **state)
{
	struct dir *d = *state;
	char buf[8];

	put(d, "f", "1234567");
	assert_int_equal(read_file_at(d->fd, "f", buf, sizeof(buf)), 7);
	assert_string_equal(buf, "1234567");
	put(d, "f", "12345678");
	assert_int_equal(read_file_at(d->fd, "f", buf, sizeof(buf)), -E2BIG);
	put(d, "f", "");
	assert_int_equal(read_file_at(d->fd, "f", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	assert_int_equal(read_file_at(d->fd, "none", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(read_file_at(d->fd, ".", buf, sizeof(buf)), -EISDIR);
	assert_int_equal(read_file_at(d->fd, "f", buf, 0), -E2BIG);
}

static void test_pread(void **state)
{
	struct dir *d = *state;
	_cleanup_close_ int fd = -1;
	static char big[6000], back[8000];

	memset(big, 'x', sizeof(big) - 1);
	put(d, "f", big);
	fd = openat(d->fd, "f", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < 2; i++) /* again from the start */
		assert_int_equal(pread_text(fd, back, sizeof(back)), sizeof(big) - 1);
	assert_string_equal(back, big);
	assert_int_equal(pread_text(fd, back, 100), -E2BIG);
	assert_int_equal(pread_text(-1, back, 100), -EBADF);
}

static void test_pread_pieces(void **state)
{
	/* A seq_file that outgrows a page comes in pieces: all of it must arrive. */
	_cleanup_close_ int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	static char buf[1 << 18];
	ssize_t n;

	if (fd < 0)
		skip();
	n = pread_text(fd, buf, sizeof(buf));
	assert_true(n > 4096);
	assert_non_null(strstr(buf, "[stack]"));
	assert_int_equal(buf[n - 1], '\n');
}

static void test_write(void **state)
{
	struct dir *d = *state;
	struct stat st;
	char buf[16];

	assert_int_equal(write_file_at(d->fd, "new", "1"), -ENOENT); /* does not create */
	put(d, "f", "old");
	assert_int_equal(write_file_at(d->fd, "f", "new"), 0);
	assert_int_equal(read_file_at(d->fd, "f", buf, sizeof(buf)), 3);
	assert_string_equal(buf, "new");
	assert_int_equal(write_file_atomic(d->fd, "m", "a\0b", 3, 0644), 0);
	assert_int_equal(fstatat(d->fd, "m", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(write_file_atomic(d->fd, "no/such", "x", 1, 0644), -ENOENT);
}

/* A replacement that fails leaves the old file and no temporary behind. */
static void test_atomic_failure(void **state)
{
	struct dir *d = *state;
	int entries = 0;
	DIR *list;

	assert_int_equal(mkdirat(d->fd, "taken", 0700), 0);
	assert_int_equal(write_file_atomic(d->fd, "taken", "x", 1, 0600), -EISDIR);
	list = opendir(d->path);
	for (struct dirent *e; (e = readdir(list));)
		entries += strncmp(e->d_name, "taken.", 6) == 0;
	closedir(list);
	assert_int_equal(entries, 0);
	assert_int_equal(unlinkat(d->fd, "taken", AT_REMOVEDIR), 0);
}

static void test_u64(void **state)
{
	struct dir *d = *state;
	uint64_t v = 5;

	put(d, "f", "1024\nmore\n");
	assert_int_equal(read_u64_at(d->fd, "f", &v), 0);
	assert_int_equal(v, 1024);
	put(d, "f", "max\n");
	assert_int_equal(read_u64_at(d->fd, "f", &v), 0);
	assert_true(v == UINT64_MAX);
	put(d, "f", "");
	assert_int_equal(read_u64_at(d->fd, "f", &v), -EINVAL);
	put(d, "f", "-1\n");
	assert_int_equal(read_u64_at(d->fd, "f", &v), -EINVAL);
}

static void test_clocks(void **state)
{
	uint64_t a = clock_mono_ns(), cpu = clock_thread_cpu_ns(), b = clock_mono_ns();

	assert_true(a > 0 && b >= a && cpu > 0);
	assert_true(clock_real_ns() > 1600000000ull * 1000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read),	   cmocka_unit_test(test_pread),
	    cmocka_unit_test(test_pread_pieces),   cmocka_unit_test(test_write),
	    cmocka_unit_test(test_atomic_failure), cmocka_unit_test(test_u64),
	    cmocka_unit_test(test_clocks),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: MIT */
/* What cz-vm writes and reads: initramfs, disks, images, logs, the shared tree's list. */
#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/io.h"
#include "vm/cpio.h"
#include "vm/disk.h"
#include "vm/initramfs.h"
#include "vm/link.h"
#include "vm/console-line.h"
#include "vm/logfile.h"
#include "vm/logs.h"
#include "vm/oci-layer.h"
#include "vm/sha256.h"
#include "vm/share.h"
#include "vm/term.h"
#include "test.h"

static void test_cpio(void **state)
{
	_cleanup_close_ int fd = memfd_create("out", 0), data = memfd_create("in", 0);
	char whole[4096], head[111];
	struct cpio c;
	ssize_t n;

	assert_int_equal(write(data, "12345", 5), 5);
	cpio_begin(&c, fd);
	cpio_file(&c, "/a/b/five", 0755, data);
	cpio_dir(&c, "a"); /* there already */
	cpio_symlink(&c, "a/link", "b");
	assert_int_equal(cpio_end(&c), 0);
	n = pread(fd, whole, sizeof(whole), 0);
	assert_int_equal(n % 4, 0);
	/* the first entry: a folder, its name padded to four bytes */
	snprintf(head, sizeof(head), "070701%08x%08x%08x%08x%08x%08x%08x", 1, 040755, 0, 0, 2, 0,
		 0);
	assert_memory_equal(whole, head, 62);
	assert_string_equal(whole + 110, "a");
	assert_memory_equal(whole + 112, "070701", 6);
	assert_non_null(memmem(whole, (size_t)n,
			       "a/b/five\0\0"
			       "12345\0\0\0"
			       "070701",
			       24));
	assert_memory_equal(whole + n - 14, "TRAILER!!!", 11);
	assert_int_equal(c.ino, 5);
}

static void test_cpio_refuses(void **state)
{
	static const char *const bad[] = {"../a", "a/../b", "", "/", "a/./b"};
	_cleanup_close_ int fd = memfd_create("out", 0), pipe_like = open("/dev/null", O_RDONLY);
	struct cpio c;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cpio_begin(&c, fd);
		cpio_text(&c, bad[i], 0644, "x");
		assert_int_equal(cpio_end(&c), -EINVAL);
	}
	cpio_begin(&c, fd);
	cpio_file(&c, "a", 0644, pipe_like);
	assert_int_equal(cpio_end(&c), -EINVAL);
}

static void test_disk(void **state)
{
	uint8_t head[104] = {0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3};
	struct error e = {0};
	enum disk_format format;
	uint64_t bytes, size = htobe64(1 << 20), offset = htobe64(104);

	memcpy(head + 24, &size, 8);
	assert_int_equal(disk_inspect(head, 104, 4096, &format, &bytes, &e), 0);
	assert_int_equal(format, DISK_QCOW2);
	assert_int_equal(bytes, 1 << 20);
	memcpy(head + 8, &offset, 8);
	assert_int_equal(disk_inspect(head, 104, 4096, &format, &bytes, &e), -EPERM);
	memset(head + 8, 0, 8);
	head[19] = 5; /* a name's length alone */
	assert_int_equal(disk_inspect(head, 104, 4096, &format, &bytes, &e), -EPERM);
	head[19] = 0;
	head[79] = 4; /* data file */
	assert_int_equal(disk_inspect(head, 104, 4096, &format, &bytes, &e), -EPERM);
	head[79] = 0;
	head[7] = 4;
	assert_int_equal(disk_inspect(head, 104, 4096, &format, &bytes, &e), -EINVAL);
	head[7] = 3;
	assert_int_equal(disk_inspect(head, 60, 60, &format, &bytes, &e), -EINVAL);
	memset(head + 24, 0xff, 8);
	assert_int_equal(disk_inspect(head, 104, 4096, &format, &bytes, &e), -EFBIG);
	head[0] = 0; /* whatever else it is, it is raw, and never guessed to be more */
	assert_int_equal(disk_inspect(head, 104, 1000, &format, &bytes, &e), 0);
	assert_int_equal(format, DISK_RAW);
	assert_int_equal(bytes, 1024);
	assert_int_equal(disk_inspect(head, 0, 0, &format, &bytes, &e), -EFBIG);
}

static void test_accounts(void **state)
{
	char out[256];

	assert_int_equal(share_accounts("root:$6$hash:0:0:root:/root:/bin/sh\n"
					"www:x:33:33::/:/bin/false\n"
					"alice:x:1000:1000::/home/alice:/bin/sh\n"
					"nobody:x:65534:65534::/:/bin/false\n"
					"junk\n:x:1:\nbad:x:y:\n",
					out, sizeof(out)),
			 0);
	assert_string_equal(out, "root:x:0:0:root:/root:/bin/sh\n"
				 "www:x:33:33::/:/bin/false\n"
				 "nobody:x:65534:65534::/:/bin/false\n");
	assert_int_equal(
	    share_accounts("sudo:hash:27:alice,bob\nalice:x:1000:\n", out, sizeof(out)), 0);
	assert_string_equal(out, "sudo:x:27:alice,bob\n");
	assert_int_equal(share_accounts("root:x:0:0:root:/root:/bin/sh\n", out, 8), -E2BIG);
}

/* Nothing that is a secret, or has some, gets onto the list by accident. */
static void test_allow_list(void **state)
{
	static const char *const never[] = {
	    "etc/shadow",  "etc/gshadow", "etc/ssh", "etc/ssl/private",
	    "etc/sudoers", "home",	  "root",    "var",
	    "run",	   "boot",	  "srv"};

	for (size_t i = 0; i < share_host_nr; i++) {
		const char *path = share_host[i].path;

		assert_true(path[0] != '/' && !strstr(path, ".."));
		for (size_t k = 0; k < ARRAY_SIZE(never); k++) {
			size_t n = strlen(path);

			assert_string_not_equal(path, never[k]);
			/* no entry has one of them inside */
			assert_false(strncmp(never[k], path, n) == 0 && never[k][n] == '/');
		}
	}
}

static void test_console_line(void **state)
{
	static const char text[] =
	    "[    1.0] Kernel panic - not syncing: Attempted to kill init! \x1b[2J\r\n"
	    "[    1.1] ---[ end Kernel panic - not syncing: other ]---\r\n";
	struct console_line c = {0};
	char endless[4096];

	memset(endless, 'x', sizeof(endless));
	console_line_feed(&c, endless, sizeof(endless));
	console_line_feed(&c, "Kernel panic - not syncing: not seen, too far\n", 46);
	assert_string_equal(c.panic, "");
	for (size_t i = 0; i < sizeof(text); i++)
		console_line_feed(&c, text + i, 1);
	assert_string_equal(c.panic, "Attempted to kill init! \\x1b[2J");
}

static void test_logfile(void **state)
{
	char dir[] = "/tmp/cz-log-XXXXXX", chunk[4096];
	_cleanup_close_ int fd = -1;
	struct logfile l;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	memset(chunk, 'a', sizeof(chunk));
	assert_int_equal(logfile_open(&l, fd, "x.log"), 0);
	for (size_t i = 0; i < 3 * LOGFILE_MAX / sizeof(chunk) + 1; i++)
		logfile_write(&l, chunk, sizeof(chunk));
	assert_int_equal(fstatat(fd, "x.log", &st, 0), 0);
	assert_int_equal(st.st_size, sizeof(chunk));
	assert_int_equal(fstatat(fd, "x.log.1", &st, 0), 0);
	assert_int_equal(st.st_size, LOGFILE_MAX);
	assert_int_equal(l.lost_total, 0);
	logfile_done(&l);
	/* no link is followed, out of the folder or elsewhere */
	assert_int_equal(symlinkat("/tmp/cz-nowhere", fd, "y.log"), 0);
	assert_int_equal(logfile_open(&l, fd, "y.log"), -ELOOP);
	unlinkat(fd, "x.log", 0);
	unlinkat(fd, "x.log.1", 0);
	unlinkat(fd, "y.log", 0);
	rmdir(dir);
}

/* A guest may name streams as it likes: files there are for the zone's apps only. */
static void test_logs_of_apps_only(void **state)
{
	char dir[] = "/tmp/cz-logs-XXXXXX", name[16];
	json_t *apps = json_pack("[{s:s},{s:s}]", "name", "web", "name", "db");
	int dirfd, pair[2];
	struct channel_frame f = {.type = CHANNEL_NAME, .data = name};
	struct logs *l;
	sd_event *loop;

	assert_non_null(mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(logs_new(loop, dirfd, pair[0], &l), 0);
	for (int i = 0; i < 3000; i++) {
		f.len = (size_t)snprintf(name, sizeof(name), "zz%d", i);
		assert_false(logs_frame(l, apps, &f));
		assert_int_equal(faccessat(dirfd, "app-zz0.log", F_OK, 0), -1);
	}
	f.len = (size_t)snprintf(name, sizeof(name), "web");
	assert_false(logs_frame(l, NULL, &f));
	assert_true(logs_frame(l, apps, &f));
	assert_int_equal(unlinkat(dirfd, "app-web.log", 0), 0);
	assert_int_equal(unlinkat(dirfd, "console.log", 0), 0);
	assert_int_equal(rmdir(dir), 0); /* nothing else was made */
	logs_free(l);
	sd_event_unref(loop);
	json_decref(apps);
	close_fd(&dirfd);
	close_fd(&pair[1]);
}

static void test_lines_and_frames(void **state)
{
	static char big[LINK_LINE_MAX + 2];
	const char *line;
	size_t len, used;
	enum channel_type type;

	assert_int_equal(link_next_line("ab\ncd", 5, &line, &len, &used), 1);
	assert_int_equal(len, 2);
	assert_int_equal(used, 3);
	assert_int_equal(link_next_line("cd", 2, &line, &len, &used), 0);
	assert_int_equal(link_next_line(NULL, 0, &line, &len, &used), 0);
	memset(big, 'x', sizeof(big));
	assert_int_equal(link_next_line(big, LINK_LINE_MAX, &line, &len, &used), 0);
	assert_int_equal(link_next_line(big, LINK_LINE_MAX + 1, &line, &len, &used), -E2BIG);

	assert_int_equal(term_frame_parse((uint8_t *)"\0\2\0\0ab", 6, &type, &len), 1);
	assert_int_equal(type, CHANNEL_DATA);
	assert_int_equal(len, 2);
	assert_int_equal(term_frame_parse((uint8_t *)"\0\2\0\0a", 5, &type, &len), 0);
	assert_int_equal(term_frame_parse((uint8_t *)"\0\2\0", 3, &type, &len), 0);
	assert_int_equal(term_frame_parse((uint8_t *)"\1\0\0\0", 4, &type, &len), -EPROTO);
	assert_int_equal(term_frame_parse((uint8_t *)"\2\3\0\0abc", 7, &type, &len), -EPROTO);
	assert_int_equal(term_frame_parse((uint8_t *)"\0\1\0\1", 4, &type, &len), -EPROTO);
	assert_int_equal(term_frame_parse((uint8_t *)"\5\0\0\0", 4, &type, &len), -EPROTO);
}

static void test_sha256(void **state)
{
	struct sha256 s;
	char hex[65];

	sha256_begin(&s);
	sha256_end(&s, hex);
	assert_string_equal(hex,
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_begin(&s);
	sha256_add(&s, "abcdbcdecdefdefgefghfghighij", 28);
	sha256_add(&s, "hijkijkljklmklmnlmnomnopnopq", 28);
	sha256_end(&s, hex);
	assert_string_equal(hex,
			    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void test_tar(void **state)
{
	uint8_t block[TAR_BLOCK] = "name";
	static char records[] = "12 path=abc\n20 linkpath=x/y/zzz\n10 size=7\n";
	static struct oci_entry e;
	char path[64];
	unsigned int sum = 0;

	memset(&e, 0, sizeof(e));
	assert_int_equal(oci_tar_head((uint8_t[TAR_BLOCK]){0}, &e), 0);
	assert_int_equal(oci_tar_head(block, &e), -EBADMSG); /* the sum */
	memcpy(block + 124, "00000000017", 11);
	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	snprintf((char *)block + 148, 8, "%06o", sum);
	assert_int_equal(oci_tar_head(block, &e), 1);
	assert_string_equal(e.path, "name");
	assert_int_equal(e.bytes, 15);
	assert_int_equal(e.type, '0');
	assert_int_equal(oci_tar_pax(records, strlen(records), &e), 0);
	assert_string_equal(e.path, "abc");
	assert_string_equal(e.link, "x/y/zzz");
	assert_int_equal(e.bytes, 7);
	assert_int_equal(oci_tar_pax(strdupa("99 path=a\n"), 10, &e), -EBADMSG);
	assert_int_equal(oci_tar_pax(strdupa("1 path=a\n"), 9, &e), -EBADMSG);

	strcpy(path, "/./a//b/.");
	assert_int_equal(oci_plain_path(path), 0);
	assert_string_equal(path, "a/b");
	strcpy(path, "a/../../etc");
	assert_int_equal(oci_plain_path(path), -EPERM);
	strcpy(path, "..a/b..");
	assert_int_equal(oci_plain_path(path), 0);
	assert_string_equal(path, "..a/b..");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cpio),
	    cmocka_unit_test(test_cpio_refuses),
	    cmocka_unit_test(test_disk),
	    cmocka_unit_test(test_accounts),
	    cmocka_unit_test(test_allow_list),
	    cmocka_unit_test(test_console_line),
	    cmocka_unit_test(test_logfile),
	    cmocka_unit_test(test_logs_of_apps_only),
	    cmocka_unit_test(test_lines_and_frames),
	    cmocka_unit_test(test_sha256),
	    cmocka_unit_test(test_tar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

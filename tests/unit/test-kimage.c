/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <sys/stat.h>
#include <zstd.h>
#include "base/cleanup.h"
#include "kernel/kimage.h"
#include "test.h"

/* Type information made by hand: `params` of scx_bpf_create_dsq, and whether there is an _impl. */
struct blob {
	char data[1024];
	size_t len;
};

static uint32_t add(struct blob *b, const void *data, size_t len)
{
	uint32_t at = (uint32_t)b->len;

	assert_true(b->len + len <= sizeof(b->data));
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return at;
}

static uint32_t add_text(struct blob *b, const char *text)
{
	return add(b, text, strlen(text) + 1);
}

static void add_type(struct blob *b, uint32_t name, unsigned int kind, unsigned int nr,
		     uint32_t size)
{
	struct btf_type t = {.name_off = name, .info = kind << 24 | nr, .size = size};

	add(b, &t, sizeof(t));
}

static struct blob make_btf(unsigned int params, bool impl, bool ops)
{
	struct btf_header h = {.magic = BTF_MAGIC, .version = 1, .hdr_len = sizeof(h)};
	struct blob types = {0}, strings = {0}, out = {0};
	struct btf_param p[4] = {{0}};
	uint32_t four = 4;

	add_text(&strings, "");
	add_type(&types, add_text(&strings, "int"), BTF_KIND_INT, 0, 4);
	add(&types, &four, sizeof(four));
	add_type(&types, add_text(&strings, ops ? "sched_ext_ops" : "other"), BTF_KIND_STRUCT, 0,
		 0);
	add_type(&types, 0, BTF_KIND_FUNC_PROTO, params, 1);
	add(&types, p, params * sizeof(p[0]));
	add_type(&types, add_text(&strings, "scx_bpf_create_dsq"), BTF_KIND_FUNC, 0, 3);
	if (impl)
		add_type(&types, add_text(&strings, "scx_bpf_create_dsq_impl"), BTF_KIND_FUNC, 0,
			 3);
	h.type_len = (uint32_t)types.len;
	h.str_off = h.type_len;
	h.str_len = (uint32_t)strings.len;
	add(&out, &h, sizeof(h));
	add(&out, types.data, types.len);
	add(&out, strings.data, strings.len);
	return out;
}

static void test_facts(void **state)
{
	static const struct {
		unsigned int params;
		bool impl, ops, usable;
	} cases[] = {
	    {2, false, true, true}, /* before the implicit argument */
	    {2, true, true, true},  /* with it, built as it should be */
	    {3, true, true, true},
	    {3, false, true, false}, /* with it, and without what libbpf looks for */
	    {2, false, false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct blob b = make_btf(cases[i].params, cases[i].impl, cases[i].ops);
		struct kimage k = {.has_btf = true};

		assert_int_equal(btf_look(b.data, b.len, &k.btf), 0);
		assert_int_equal(k.btf.sched_ext_ops, cases[i].ops);
		assert_int_equal(kimage_sched_ext(&k), cases[i].usable);
	}
}

static void test_damaged_btf(void **state)
{
	struct blob good = make_btf(2, true, true);
	struct btf_facts facts;

	for (size_t len = 0; len < good.len; len++) {
		_cleanup_free_ char *cut = malloc(len + 1); /* so that overruns show */

		memcpy(cut, good.data, len);
		assert_int_equal(btf_look(cut, len, &facts), -EINVAL);
	}
	for (size_t i = 0; i < good.len; i++) {
		struct blob b = good;

		b.data[i] ^= 0x80;
		if (btf_look(b.data, b.len, &facts) < 0)
			assert_true(i < sizeof(struct btf_header) || i == good.len - 1);
	}
}

/* An ELF file of two sections: the BTF, and their names. */
static size_t make_elf(char *out, size_t size, const struct blob *btf)
{
	static const char names[] = "\0.BTF";
	Elf64_Ehdr e = {.e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 2, .e_shstrndx = 1};
	Elf64_Shdr s[2] = {{.sh_name = 1, .sh_type = SHT_PROGBITS}, {.sh_type = SHT_STRTAB}};
	size_t len = sizeof(e) + sizeof(s) + sizeof(names) + btf->len;

	assert_true(len <= size);
	memcpy(e.e_ident, ELFMAG, SELFMAG);
	e.e_ident[EI_CLASS] = ELFCLASS64;
	e.e_ident[EI_DATA] = ELFDATA2LSB;
	e.e_shoff = sizeof(e);
	s[1].sh_offset = sizeof(e) + sizeof(s);
	s[1].sh_size = sizeof(names);
	s[0].sh_offset = s[1].sh_offset + sizeof(names);
	s[0].sh_size = btf->len;
	memcpy(out, &e, sizeof(e));
	memcpy(out + sizeof(e), s, sizeof(s));
	memcpy(out + s[1].sh_offset, names, sizeof(names));
	memcpy(out + s[0].sh_offset, btf->data, btf->len);
	return len;
}

#define BANNER "7.9.1-test (a@b) #1 SMP PREEMPT_DYNAMIC Debian 7.9.1"

static size_t make_image(unsigned char *out, size_t size, const struct blob *btf)
{
	char elf[2048];
	uint32_t len = (uint32_t)make_elf(elf, sizeof(elf), btf), offset = 8, packed;

	memset(out, 0, size);
	packed = (uint32_t)ZSTD_compress(out + 1024 + offset, size - 2048, elf, len, 1);
	memcpy(out + 1024 + offset + packed, &len, sizeof(len));
	packed += (uint32_t)sizeof(len);
	out[0x1f1] = 1;
	memcpy(out + 0x202, "HdrS", 4);
	out[0x20e] = 0x80;
	memcpy(out + 0x280, BANNER, sizeof(BANNER));
	memcpy(out + 0x248, &offset, sizeof(offset));
	memcpy(out + 0x24c, &packed, sizeof(packed));
	return 1024 + offset + packed;
}

static void write_file(int dirfd, const char *path, const void *data, size_t len)
{
	_cleanup_close_ int fd =
	    openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
}

static const char config[] =
    "# a comment\nCONFIG_HZ_1000=y\nCONFIG_HZ=1000\n# CONFIG_PREEMPT is not "
    "set\nCONFIG_PREEMPT_VOLUNTARY=y\n";

static void test_files(void **state)
{
	char dir[] = "/tmp/cz-test-kimage-XXXXXX", path[256];
	struct blob btf = make_btf(2, false, true);
	unsigned char image[8192];
	size_t len = make_image(image, sizeof(image), &btf);
	struct kimage k;
	struct error e = {0};
	int fd;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(fd, "a", 0700), 0);
	write_file(fd, "a/vmlinuz", image, len);
	write_file(fd, "plain", image, len - 100);
	assert_int_equal(kimage_find(fd, "a", path, sizeof(path)), 0);
	assert_string_equal(path, "a/vmlinuz");
	assert_int_equal(kimage_probe(fd, path, &k, &e), 0);
	assert_string_equal(k.version, "7.9.1-test");
	assert_string_equal(k.preempt, "");
	assert_true(k.preempt_dynamic);
	assert_int_equal(k.hz, 0);
	assert_int_equal(k.size_bytes, len);
	assert_true(kimage_sched_ext(&k));
	write_file(fd, "a/config", config, sizeof(config) - 1);
	assert_int_equal(kimage_probe(fd, path, &k, &e), 0);
	assert_int_equal(k.hz, 1000);
	assert_string_equal(k.preempt, "voluntary");
	assert_false(k.preempt_dynamic);
	assert_int_equal(kimage_find(fd, "plain", path, sizeof(path)), 0);
	assert_int_equal(kimage_probe(fd, path, &k, &e), -EINVAL); /* cut */
	assert_int_equal(kimage_find(fd, "b", path, sizeof(path)), -ENOENT);
	assert_int_equal(kimage_find(fd, "..", path, sizeof(path)), -EINVAL);
	assert_int_equal(kimage_find(fd, "a/vmlinuz", path, sizeof(path)), -EINVAL);
	assert_int_equal(kimage_find(fd, "", path, sizeof(path)), -EINVAL);
	assert_int_equal(kimage_probe(fd, "a", &k, &e), -EINVAL); /* a directory */
	assert_int_equal(unlinkat(fd, "a/vmlinuz", 0) | unlinkat(fd, "a/config", 0) |
			     unlinkat(fd, "a", AT_REMOVEDIR) | unlinkat(fd, "plain", 0),
			 0);
	close(fd);
	assert_int_equal(rmdir(dir), 0);
}

static void test_damaged_image(void **state)
{
	struct blob btf = make_btf(2, false, true);
	unsigned char image[8192];
	size_t len = make_image(image, sizeof(image), &btf), payload_len;
	const uint8_t *payload;
	struct kimage k = {0};

	assert_int_equal(bzimage_parts(image, len, &k, &payload, &payload_len), 0);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(bzimage_parts(image, cut, &k, &payload, &payload_len), -EINVAL);
	image[1024 + 8] ^= 1; /* not zstd's magic */
	assert_int_equal(bzimage_parts(image, len, &k, &payload, &payload_len), -ENOTSUP);
}

static void test_config(void **state)
{
	struct kimage k = {0};

	kimage_read_config("CONFIG_PREEMPT=yes\nCONFIG_HZ=abc\n", &k);
	assert_string_equal(k.preempt, "");
	assert_int_equal(k.hz, 0);
	kimage_read_config("CONFIG_PREEMPT=y\nCONFIG_PREEMPT_DYNAMIC=y\nCONFIG_HZ=250", &k);
	assert_string_equal(k.preempt, "full");
	assert_true(k.preempt_dynamic);
	assert_int_equal(k.hz, 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_facts),  cmocka_unit_test(test_damaged_btf),
	    cmocka_unit_test(test_files),  cmocka_unit_test(test_damaged_image),
	    cmocka_unit_test(test_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

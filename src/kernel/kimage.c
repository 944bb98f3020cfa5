/* SPDX-License-Identifier: MIT */
/*
 * The boot protocol of x86 says where a bzImage keeps its version and its packed vmlinux; that is
 * unpacked into memory, and its BTF looked at.
 */
#include "kernel/kimage.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "kernel/kio.h"

/* In the setup header. */
#define SETUP_SECTORS  0x1f1
#define SETUP_MAGIC    0x202 /* "HdrS" */
#define SETUP_VERSION  0x20e /* of the kernel: text at 0x200 + this */
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define SETUP_LEAST    0x250
#define SECTOR	       512

#define CONFIG_MAX (512u << 10)

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* "7.2.12-amd64 (who@where) #1 SMP PREEMPT_DYNAMIC ..." */
static void read_banner(const char *banner, struct kimage *ret)
{
	size_t len = strcspn(banner, " ");

	if (len < sizeof(ret->version)) {
		memcpy(ret->version, banner, len);
		ret->version[len] = 0;
	}
	/* " PREEMPT " is said of lazy kernels too */
	ret->preempt_dynamic = strstr(banner, " PREEMPT_DYNAMIC ");
	if (strstr(banner, " PREEMPT_RT "))
		str_copy(ret->preempt, sizeof(ret->preempt), "rt");
}

int bzimage_parts(const uint8_t *data, size_t len, struct kimage *ret, const uint8_t **ret_payload,
		  size_t *ret_len)
{
	char banner[256];
	size_t start, at;
	uint32_t payload_len;

	if (len < SETUP_LEAST || memcmp(data + SETUP_MAGIC, "HdrS", 4))
		return -EINVAL;
	at = 0x200 + (size_t)(data[SETUP_VERSION] | data[SETUP_VERSION + 1] << 8);
	if (at > 0x200 && at < len) {
		snprintf(banner, sizeof(banner), "%.*s",
			 (int)(len - at < sizeof(banner) ? len - at : sizeof(banner)), data + at);
		read_banner(banner, ret);
	}
	start = ((data[SETUP_SECTORS] ? data[SETUP_SECTORS] : 4u) + 1u) * SECTOR +
		(size_t)get32(data + PAYLOAD_OFFSET);
	payload_len = get32(data + PAYLOAD_LENGTH);
	if (start > len || payload_len > len - start || payload_len < 8)
		return -EINVAL;
	if (get32(data + start) != ZSTD_MAGICNUMBER)
		return -ENOTSUP;
	*ret_payload = data + start;
	*ret_len = payload_len - 4; /* behind the frame: the length once more */
	return 0;
}

static int unpack(const uint8_t *packed, size_t len, char **ret, size_t *ret_len)
{
	/* the kernel's build writes the length behind the frame, not into it */
	uint32_t size = get32(packed + len);
	_cleanup_free_ char *out = NULL;
	size_t n;

	if (size > KIMAGE_SIZE_MAX)
		return -EFBIG;
	out = malloc(size ? size : 1);
	if (!out)
		return -ENOMEM;
	n = ZSTD_decompress(out, size, packed, len);
	if (ZSTD_isError(n))
		return -EINVAL;
	*ret = TAKE_PTR(out);
	*ret_len = n;
	return 0;
}

static void look_at_elf(const char *elf, size_t len, struct kimage *ret)
{
	const void *btf;
	size_t btf_len;

	ret->has_btf =
	    elf_find_btf(elf, len, &btf, &btf_len) == 0 && btf_look(btf, btf_len, &ret->btf) == 0;
}

static int look_at(const uint8_t *data, size_t len, struct kimage *ret, struct error *reterr)
{
	_cleanup_free_ char *elf = NULL;
	const uint8_t *payload;
	size_t size;
	int r;

	if (len >= 4 && !memcmp(data, "\177ELF", 4)) {
		look_at_elf((const char *)data, len, ret);
		return 0;
	}
	r = bzimage_parts(data, len, ret, &payload, &size);
	if (r == 0)
		r = unpack(payload, size, &elf, &size);
	if (r == -ENOTSUP)
		return error_set(reterr, r, "its vmlinux is not packed with zstd");
	if (r < 0)
		return error_set(reterr, r, "not a kernel (bzImage or vmlinux), or damaged");
	look_at_elf(elf, size, ret);
	return 0;
}

/* Whether text has that line. */
static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = text; (p = strstr(p, line)); p += len)
		if ((p == text || p[-1] == '\n') && (p[len] == '\n' || !p[len]))
			return true;
	return false;
}

void kimage_read_config(const char *text, struct kimage *ret)
{
	static const struct {
		const char *line, *name;
	} kinds[] = {
	    {"CONFIG_PREEMPT_RT=y", "rt"},     {"CONFIG_PREEMPT_LAZY=y", "lazy"},
	    {"CONFIG_PREEMPT=y", "full"},      {"CONFIG_PREEMPT_VOLUNTARY=y", "voluntary"},
	    {"CONFIG_PREEMPT_NONE=y", "none"},
	};
	const char *hz = strstr(text, "\nCONFIG_HZ=");
	uint64_t v;

	if (hz) {
		hz += strlen("\nCONFIG_HZ=");
		if (scan_u64(&hz, hz + strlen(hz), &v) == 0 && v <= 100000)
			ret->hz = (uint32_t)v;
	}
	ret->preempt_dynamic = has_line(text, "CONFIG_PREEMPT_DYNAMIC=y");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (has_line(text, kinds[i].line)) {
			str_copy(ret->preempt, sizeof(ret->preempt), kinds[i].name);
			return;
		}
	}
}

static void find_config(int dirfd, const char *path, struct kimage *ret)
{
	_cleanup_free_ char *text = malloc(CONFIG_MAX);
	const char *slash = strrchr(path, '/');
	int len = slash ? (int)(slash - path) + 1 : 0;
	static const char *const places[] = {"config", "modules/config", "../config"};
	char place[4200];

	for (size_t i = 0; text && i < ARRAY_SIZE(places); i++) {
		if (str_printf(place, sizeof(place), "%.*s%s", len, path, places[i]) < 0)
			return;
		if (kio_read_some_at(dirfd, place, text, CONFIG_MAX) > 0) {
			kimage_read_config(text, ret);
			return;
		}
	}
}

int kimage_probe(int dirfd, const char *path, struct kimage *ret, struct error *reterr)
{
	_cleanup_close_ int fd = kio_openat(dirfd, path, O_RDONLY | O_NONBLOCK);
	struct kimage k = {0};
	struct stat st;
	void *data;
	int r;

	if (fd < 0)
		return error_errno(reterr, fd, "cannot be opened");
	r = kio_fstatat(fd, "", &st);
	if (r < 0)
		return error_errno(reterr, r, "cannot be read");
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > KIMAGE_SIZE_MAX)
		return error_set(reterr, -EINVAL, "not a kernel: no file of a sensible size");
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return error_errno(reterr, -errno, "cannot be read");
	k.size_bytes = (uint64_t)st.st_size;
	r = look_at(data, (size_t)st.st_size, &k, reterr);
	munmap(data, (size_t)st.st_size);
	if (r < 0)
		return r;
	find_config(dirfd, path, &k);
	*ret = k;
	return 0;
}

bool kimage_sched_ext(const struct kimage *k)
{
	return k->has_btf && k->btf.sched_ext_ops && k->btf.create_dsq;
}

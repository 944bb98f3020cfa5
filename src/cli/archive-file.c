/* SPDX-License-Identifier: MIT */
/*
 * libarchive would do, but brings libxml2 and ICU to each start of czctl; a ustar header is one
 * block, and the compressors are libraries that are there already.
 */
#include "cli/archive-file.h"

#include <fcntl.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include "base/io.h"

#define BLOCK	   512
#define ZSTD_LEVEL 9
#define GZIP_BITS  (15 + 16)

struct archive_file {
	bool gzip;
	struct strbuf tar;
};

/* POSIX.1-1988; numbers are octal text. */
struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
	char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a header is a block");

void archive_file_free(struct archive_file *a)
{
	if (a)
		strbuf_done(&a->tar);
	free(a);
}

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len > n && !strcmp(name + len - n, end);
}

int archive_file_new(const char *name, struct archive_file **ret, struct error *reterr)
{
	bool gzip = ends_in(name, ".tar.gz") || ends_in(name, ".tgz");

	if (!gzip && !ends_in(name, ".tar.zst"))
		return error_set(reterr, -EINVAL,
				 "'%.200s' is no name for a bundle: it ends in .tar.zst or .tar.gz",
				 name);
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return error_errno(reterr, -ENOMEM, "make the archive");
	(*ret)->gzip = gzip;
	return 0;
}

static void add_padding(struct strbuf *b, size_t size)
{
	static const char zeros[BLOCK];

	strbuf_add(b, zeros, (BLOCK - size % BLOCK) % BLOCK);
}

/* Leading zeros, and a NUL at the end. */
static void octal(char *field, size_t size, uint64_t value)
{
	field[--size] = '\0';
	for (; size; value >>= 3)
		field[--size] = (char)('0' + (value & 7));
}

int archive_file_add(struct archive_file *a, const char *name, const void *data, size_t size,
		     uint64_t real_ns, struct error *reterr)
{
	struct ustar h = {.mode = "0000600",
			  .uid = "0000000",
			  .gid = "0000000",
			  .type = '0',
			  .magic = "ustar",
			  .version = {'0', '0'},
			  .checksum = "       "};
	const unsigned char *bytes = (const unsigned char *)&h;
	unsigned int sum = 0;

	if (!str_copy(h.name, sizeof(h.name), name))
		return error_set(reterr, -ENAMETOOLONG, "make the archive: name '%s'", name);
	octal(h.size, sizeof(h.size), size);
	octal(h.mtime, sizeof(h.mtime), real_ns / 1000000000);
	h.checksum[7] = ' '; /* summed up as blanks */
	for (size_t i = 0; i < sizeof(h); i++)
		sum += bytes[i];
	octal(h.checksum, sizeof(h.checksum) - 1, sum);
	strbuf_add(&a->tar, (const char *)&h, sizeof(h));
	strbuf_add(&a->tar, data, size);
	add_padding(&a->tar, size);
	return a->tar.failed ? error_errno(reterr, -ENOMEM, "make the archive") : 0;
}

static int by_zstd(const struct strbuf *tar, void *buf, size_t *size)
{
	*size = ZSTD_compress(buf, *size, tar->data, tar->len, ZSTD_LEVEL);
	return ZSTD_isError(*size) ? -EIO : 0;
}

static int by_gzip(const struct strbuf *tar, void *buf, size_t *size)
{
	z_stream z = {.next_in = (Bytef *)tar->data,
		      .avail_in = (uInt)tar->len,
		      .next_out = buf,
		      .avail_out = (uInt)*size};
	int r;

	if (tar->len > UINT32_MAX || *size > UINT32_MAX)
		return -EFBIG;
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_BITS, 8, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return -ENOMEM;
	r = deflate(&z, Z_FINISH);
	*size = z.total_out;
	deflateEnd(&z);
	return r == Z_STREAM_END ? 0 : -EIO;
}

int archive_file_write(struct archive_file *a, const char *name, struct error *reterr)
{
	static const char end[2 * BLOCK];
	_cleanup_free_ void *buf = NULL;
	size_t size;
	int r;

	strbuf_add(&a->tar, end, sizeof(end));
	if (a->tar.failed)
		return error_errno(reterr, -ENOMEM, "make the archive");
	size = ZSTD_compressBound(a->tar.len) + a->tar.len / 100 + BLOCK; /* enough for both */
	buf = malloc(size);
	if (!buf)
		return error_errno(reterr, -ENOMEM, "make the archive");
	r = a->gzip ? by_gzip(&a->tar, buf, &size) : by_zstd(&a->tar, buf, &size);
	if (r < 0)
		return error_errno(reterr, r, "compress the archive");
	r = write_file_atomic(AT_FDCWD, name, buf, size, 0600);
	return r < 0 ? error_errno(reterr, r, "write %s", name) : 0;
}

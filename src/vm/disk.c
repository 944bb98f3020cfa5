/* SPDX-License-Identifier: MIT */
#include "vm/disk.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"

#define CLUSTER 65536u
#define MAGIC	0x514649fbu /* "QFI\xfb" */
#define HEAD	104u
/* Feature bits a reader must know: dirty, corrupt and zstd are QEMU's own business. */
#define DATA_FILE 4u

struct qcow2_head { /* big endian; docs/interop/qcow2.txt of QEMU */
	uint32_t magic, version;
	uint64_t backing_offset;
	uint32_t backing_len, cluster_bits;
	uint64_t bytes;
	uint32_t crypt, l1_entries;
	uint64_t l1_offset, refs_offset;
	uint32_t refs_clusters, snapshots;
	uint64_t snapshots_offset, incompatible, compatible, autoclear;
	uint32_t ref_order, head_len;
} __attribute__((packed));
_Static_assert(sizeof(struct qcow2_head) == HEAD, "as on disk");

static int inspect_qcow2(const struct qcow2_head *h, struct error *reterr)
{
	uint32_t version = be32toh(h->version);

	if (version != 2 && version != 3)
		return error_set(reterr, -EINVAL, "the image is qcow2 of an unknown version");
	if (h->backing_offset || h->backing_len)
		return error_set(reterr, -EPERM,
				 "the image names a backing file: it would be read as "
				 "part of the disk, whatever it is");
	if (version == 3 && (be64toh(h->incompatible) & DATA_FILE))
		return error_set(reterr, -EPERM, "the image keeps its data in another file");
	if (h->crypt)
		return error_set(reterr, -EINVAL, "the image is encrypted");
	return 0;
}

int disk_inspect(const uint8_t *head, size_t len, uint64_t file_bytes, enum disk_format *ret_format,
		 uint64_t *ret_bytes, struct error *reterr)
{
	uint64_t bytes = (file_bytes + 511) / 512 * 512;
	struct qcow2_head h = {0};
	enum disk_format format;
	int r;

	memcpy(&h, head, len < sizeof(h) ? len : sizeof(h));
	format = be32toh(h.magic) == MAGIC ? DISK_QCOW2 : DISK_RAW;
	if (format == DISK_QCOW2) {
		/* version 2 has a shorter head, but never a shorter file */
		r = len < sizeof(h) ? error_set(reterr, -EINVAL, "the image ends in its head")
				    : inspect_qcow2(&h, reterr);
		if (r < 0)
			return r;
		bytes = be64toh(h.bytes);
	}
	if (bytes == 0 || bytes > DISK_BYTES_MAX)
		return error_set(reterr, -EFBIG, "the image is empty or larger than 4 TiB");
	*ret_format = format;
	*ret_bytes = bytes;
	return 0;
}

/* An empty layer: head, reference counts of the first clusters, and an L1 table of zeroes. */
static int write_layer(int fd, uint64_t bytes)
{
	uint64_t l1_entries = (bytes + CLUSTER * 8192ull - 1) / (CLUSTER * 8192ull);
	struct qcow2_head h = {
	    .magic = htobe32(MAGIC),
	    .version = htobe32(3),
	    .cluster_bits = htobe32(16),
	    .bytes = htobe64(bytes),
	    .l1_entries = htobe32((uint32_t)l1_entries),
	    .l1_offset = htobe64(3ull * CLUSTER),
	    .refs_offset = htobe64(CLUSTER),
	    .refs_clusters = htobe32(1),
	    .ref_order = htobe32(4),
	    .head_len = htobe32(HEAD),
	};
	uint64_t block = htobe64(2ull * CLUSTER);
	uint16_t refs[4] = {htobe16(1), htobe16(1), htobe16(1), htobe16(1)};

	/* 4 TiB need 8,192 L1 entries: one cluster. */
	if (ftruncate(fd, 4ll * CLUSTER) < 0)
		return -errno;
	if (pwrite(fd, &h, sizeof(h), 0) != sizeof(h) ||
	    pwrite(fd, &block, sizeof(block), CLUSTER) != sizeof(block) ||
	    pwrite(fd, refs, sizeof(refs), 2ll * CLUSTER) != sizeof(refs))
		return -EIO;
	return 0;
}

static int make_layer(int dirfd, uint64_t bytes, uid_t uid, gid_t gid)
{
	_cleanup_close_ int fd = openat(dirfd, "disk.qcow2.new",
					O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = write_layer(fd, bytes);
	if (r == 0 && (fchown(fd, uid, gid) < 0 || fsync(fd) < 0 ||
		       renameat(dirfd, "disk.qcow2.new", dirfd, "disk.qcow2") < 0))
		r = -errno;
	if (r < 0)
		unlinkat(dirfd, "disk.qcow2.new", 0);
	return r;
}

static int inspect_fd(int fd, enum disk_format *ret_format, uint64_t *ret_bytes,
		      struct error *reterr)
{
	uint8_t head[HEAD];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return error_errno(reterr, -errno, "stat");
	if (!S_ISREG(st.st_mode))
		return error_set(reterr, -EINVAL, "not a regular file");
	n = pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return error_errno(reterr, -errno, "read");
	return disk_inspect(head, (size_t)n, (uint64_t)st.st_size, ret_format, ret_bytes, reterr);
}

static int open_layer(int dirfd, uint64_t bytes, uid_t uid, gid_t gid, int *ret,
		      struct error *reterr)
{
	_cleanup_close_ int fd = openat(dirfd, "disk.qcow2", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	enum disk_format format;
	uint64_t has;
	int r = 0;

	if (fd < 0 && errno == ENOENT) {
		r = make_layer(dirfd, bytes, uid, gid);
		fd = openat(dirfd, "disk.qcow2", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0 || r < 0)
		return error_errno(reterr, r < 0 ? r : -errno, "make the zone's disk.qcow2");
	r = inspect_fd(fd, &format, &has, reterr);
	if (r < 0)
		return error_wrap(reterr, r, "disk.qcow2");
	if (format != DISK_QCOW2 || has != bytes) {
		r = error_set(reterr, -ESTALE, "disk.qcow2 was made for another image");
		error_hint(reterr, "remove the zone and apply it again");
		return r;
	}
	*ret = TAKE_FD(fd);
	return 0;
}

int disk_open(const char *path, int dirfd, uid_t uid, gid_t gid, int *ret_base,
	      enum disk_format *ret_format, int *ret_layer, struct error *reterr)
{
	_cleanup_close_ int base = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum disk_format format;
	uint64_t bytes;
	int r;

	if (base < 0)
		return error_errno(reterr, -errno, "open the image %s", path);
	r = inspect_fd(base, &format, &bytes, reterr);
	if (r < 0)
		return error_wrap(reterr, r, "%s", path);
	r = open_layer(dirfd, bytes, uid, gid, ret_layer, reterr);
	if (r < 0)
		return r;
	*ret_base = TAKE_FD(base);
	*ret_format = format;
	return 0;
}

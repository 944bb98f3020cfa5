/* SPDX-License-Identifier: MIT */
/*
 * A zone's disk: the user's image, never written to, below a qcow2 layer of the zone's own. The
 * image may be hostile: its header is read here with bounds, and one that would make QEMU open
 * other files (backing or data file) is refused. QEMU is told both formats and the chain; it never
 * guesses.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

enum disk_format { DISK_RAW, DISK_QCOW2 };
#define DISK_BYTES_MAX (4ull << 40)

/* head: the first bytes of the image, file_bytes its whole size. -EINVAL, -EFBIG, -EPERM (refused).
 */
must_check int disk_inspect(const uint8_t *head, size_t len, uint64_t file_bytes,
			    enum disk_format *ret_format, uint64_t *ret_bytes,
			    struct error *reterr);
/* Opens the image at path read only, and makes or opens dirfd/disk.qcow2, owned by uid, as a layer
 * on it. A layer that was made for a disk of another size is refused. */
must_check int disk_open(const char *path, int dirfd, uid_t uid, gid_t gid, int *ret_base,
			 enum disk_format *ret_format, int *ret_layer, struct error *reterr);

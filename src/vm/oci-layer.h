/* SPDX-License-Identifier: MIT */
/*
 * One layer of an OCI image: a tar archive (ustar, GNU and PAX long names) into the current
 * directory, where ".wh.NAME" removes NAME and ".wh..wh..opq" empties its folder. The caller has
 * made the current directory "/" (chroot). Files, folders and links only: devices are left out,
 * since a guest has its own.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define OCI_PATH_MAX	1024
#define OCI_ENTRIES_MAX 1000000
#define OCI_BYTES_MAX	(16ull << 30)

must_check int oci_layer_unpack(int from, struct error *reterr);

/* The pure parts. */
struct oci_entry {
	char type;
	uint32_t mode;
	uint64_t bytes, uid, gid, mtime_s;
	char path[OCI_PATH_MAX],
	    link[OCI_PATH_MAX]; /* path: relative, no "..", no leading "/" or "./" */
};
#define TAR_BLOCK 512
/* 1: an entry, without the names that come in blocks of their own; 0: the end; -EBADMSG. */
must_check int oci_tar_head(const uint8_t block[TAR_BLOCK], struct oci_entry *ret);
/* PAX records: path, linkpath and size count. */
must_check int oci_tar_pax(char *text, size_t len, struct oci_entry *e);
/* Makes e->path plain. -EPERM: it leads out of the tree. */
must_check int oci_plain_path(char *path);

/* SPDX-License-Identifier: MIT */
/*
 * The tree that a guest shares, and virtiofsd that serves it. The tree is put together by read-only
 * bind mounts in a mount namespace of virtiofsd's own, which is all that virtiofsd sees: what is
 * not in it can't be read, and nothing can be written, whatever guest or virtiofsd try.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "vm/launch.h"

/* Of rootfs `host`: what of the host is in the tree, paths from the root. */
struct share_entry {
	const char *path;
	enum {
		SHARE_TREE,
		SHARE_FILE,
		SHARE_ACCOUNTS
	} kind; /* accounts: system's only, no hashes */
};
extern const struct share_entry share_host[];
extern const size_t share_host_nr;
/* The lines of /etc/passwd or /etc/group that a guest gets: ids below 1000 and nobody's, and no
 * password. */
must_check int share_accounts(const char *text, char *ret, size_t size);

/*
 * Starts virtiofsd as a child that dies with us or with QEMU, and returns it and the connection for
 * QEMU.
 * Root. The tree is `dir` (a folder), or with NULL the host's. With a socket_path virtiofsd listens
 * there instead, and *ret_fd is -1. virtiofsd keeps a file open for each that the guest's cache
 * knows: *ret_files is how many it may have.
 */
must_check int share_start(const struct launch *l, const char *dir, const char *socket_path,
			   int *ret_fd, pid_t *ret_pid, uint64_t *ret_files, struct error *reterr);
/* With fewer a look at the whole tree (find /) is enough to run out of them. */
#define SHARE_FILES_FEW 200000

/* SPDX-License-Identifier: MIT */
/* The first line of cz-libvirt's, which tells of the start and brings fds along. */
#pragma once
#include <stddef.h>
#include "base/error.h"
#include "base/str.h"
#include "vm/libvirt-helper.h"

struct libvirt_fds {
	int fd[LIBVIRT_FDS];
	size_t nr;
};
/* Blocks until a line is whole, at most a minute: *ret points into in, *ret_used bytes of which are
 * the line's; what follows stays there. fds: the caller's to close, also on failure. */
must_check int libvirt_wait_line(int fd, struct strbuf *in, struct libvirt_fds *fds,
				 const char **ret, size_t *ret_len, size_t *ret_used);

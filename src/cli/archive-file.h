/* SPDX-License-Identifier: MIT */
/* A tar archive that is put together in memory, compressed as its name says. */
#pragma once
#include <stdint.h>
#include "base/cleanup.h"
#include "base/str.h"

struct archive_file;
/* name ends in .tar.zst or .tar.gz, else -EINVAL. */
must_check int archive_file_new(const char *name, struct archive_file **ret, struct error *reterr);
/* A regular file of mode 0600. */
must_check int archive_file_add(struct archive_file *a, const char *name, const void *data,
				size_t size, uint64_t real_ns, struct error *reterr);
/* To that file, mode 0600; nothing is there when it fails. */
must_check int archive_file_write(struct archive_file *a, const char *name, struct error *reterr);
void archive_file_free(struct archive_file *a);
DEFINE_CLEANUP(struct archive_file *, archive_file_free)

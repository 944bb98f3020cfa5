/* SPDX-License-Identifier: MIT */
/* A log that a guest fills: at most LOGFILE_MAX bytes, and as much again in "NAME.1". */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define LOGFILE_MAX	 (1u << 20)
#define LOGFILE_NAME_MAX 64

struct logfile {
	int dirfd; /* borrowed */
	int fd;
	char name[LOGFILE_NAME_MAX];
	size_t bytes;
	uint64_t lost_total; /* bytes that could not be written */
};
/* Goes on with a file that is there. */
must_check int logfile_open(struct logfile *l, int dirfd, const char *name);
void logfile_write(struct logfile *l, const void *data, size_t len);
void logfile_done(struct logfile *l);

/* SPDX-License-Identifier: MIT */
/*
 * Knob files with one line a device ("254:0 rbps=... " or "254:0 BYTES"), as one text: sorted lines
 * joined by ";". Writing such a text takes a write for each device that changes, and one for each
 * that is no longer in it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

/* -ENAMETOOLONG: more lines than fit. */
must_check int lines_read(int dirfd, const char *name, char *buf, size_t size);
must_check int lines_write(int dirfd, const char *name, bool v2, const char *text);
/* The line of dev in text; false: it has none. */
bool lines_get(const char *text, const char *dev, char *buf, size_t size);
/* Puts line in place of dev's; text stays sorted. -ENAMETOOLONG. */
must_check int lines_set(char *text, size_t size, const char *dev, const char *line);

/* v1 memory.oom_control as "0" or "1": does its OOM killer let tasks wait? */
must_check int oom_pause_read(int dirfd, const char *name, char *buf, size_t size);

/* SPDX-License-Identifier: MIT */
/* /proc/self/mountinfo, and the lists of words that it and other kernel files have. */
#pragma once
#include <stdbool.h>
#include "kernel/kernel.h"
#include "kernel/text.h"

/* Words of one line; they point into it. options: those of the file system; may be empty. */
struct mount_words {
	struct text_line mount, type, options;
};
must_check int mountinfo_parse(const char *line, size_t len, struct mount_words *ret);
bool word_is(const struct text_line *w, const char *s);
/* A mount point as the kernel writes it ("\\040" for a blank) -> as it is. -ENAMETOOLONG. */
must_check int mount_path(const struct text_line *mount, char *buf, size_t size);
/* Is `word` one of the words of a list? */
bool list_has(const char *list, const char *separators, const char *word);
/* Calls cb for each line (without its newline) until it returns other than 0, and returns that. */
must_check int mountinfo_each(const struct kernel *k,
			      int (*cb)(const char *line, size_t len, void *arg), void *arg);

/* SPDX-License-Identifier: MIT */
/* What every reader of a tree needs: where it is, complaints that say so, files of bounded size. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "spec/tree.h"

struct walk {
	const char *name; /* of the file */
	struct error_list *errs;
	char path[256]; /* of the key being read: "guard.lease" */
	int code;	/* -ENOMEM once memory ran out */
};

/* "NAME:LINE: path: message". */
void walk_complain(struct walk *w, uint32_t line, const char *fmt, ...) printf_like(3, 4);
/* Enter key, or "[INDEX]"; the result is what walk_leave takes to go back. */
must_check size_t walk_enter(struct walk *w, const char *key);
void walk_leave(struct walk *w, size_t before);
/* An entry without a value, as when all below it is commented out. */
bool walk_is_absent(const struct node *n);
/* What is wrong with it, if it is no scalar or absent. */
const char *walk_lack(const struct node *n);
/* n->key is none of the rows, which begin with their name; the last has none. */
void walk_unknown_key(struct walk *w, const struct node *n, const void *rows, size_t row_size);
/* The number of entries of a list, at most max; 0 after a complaint. */
must_check size_t walk_list(struct walk *w, const struct node *n, size_t max);

/* The only item of errs; returns code. */
int walk_fail(struct error_list *errs, const char *name, int code, const char *what);
/* A whole file of at most SPEC_SIZE_MAX bytes, NUL-terminated; the caller frees it. */
must_check int walk_read_file(int dirfd, const char *path, char **ret, size_t *ret_len,
			      struct error_list *errs);

/* SPDX-License-Identifier: MIT */
/*
 * czd.yaml -> struct config. All errors of a file are found in one go, each with its line, so that
 * a person fixes them in one go. Nothing is half loaded: *ret is set on success only.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "model/config.h"

#define SPEC_SIZE_MAX  (1u << 20) /* bytes of a file */
#define SPEC_RULES_MAX 4096u	  /* entries of `zones` and of `off_limits` */

#define ERROR_LIST_MAX 64
struct error_item {
	uint32_t line;	/* 1 is the first; 0: the file as a whole */
	char text[512]; /* ready to print: "czd.yaml:14: slo.wait.p99: '500uss' is not a time (...)"
			 */
};
struct error_list {
	size_t nr;    /* kept in items, in the order of the file */
	size_t total; /* found; more than nr when the list was full */
	struct error_item items[ERROR_LIST_MAX];
};

/*
 * Keys that are absent keep their default (config_defaults). 0; -EINVAL: the text is wrong;
 * -ENOMEM. Every failure leaves at least one item in errs, where `name` is what the messages call
 * the file. The caller frees *ret with config_done.
 */
must_check int spec_load_text(const char *name, const char *text, size_t len, struct config *ret,
			      struct error_list *errs);
/* The same for a file below dirfd (or AT_FDCWD). Also -ENOENT, -EACCES, ...; -EFBIG: more than
 * SPEC_SIZE_MAX. */
must_check int spec_load_file(int dirfd, const char *path, struct config *ret,
			      struct error_list *errs);

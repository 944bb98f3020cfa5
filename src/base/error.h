/* SPDX-License-Identifier: MIT */
/*
 * Errors: functions return 0 (or a count) or -Exxx. Where a person reads the failure, the last
 * parameter is `struct error *reterr`: the caller's, fixed size, no heap, untouched on success,
 * and may be NULL.
 */
#pragma once
#include <errno.h>
#include <stdarg.h>

#define must_check	       __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

struct error {
	int code;	/* -Exxx, 0 when unset */
	char msg[512];	/* one sentence: what failed and why */
	char hint[256]; /* what to do about it; may be empty */
};

/* Fill reterr (if any) and return code. If fmt ends in ": %m"-like text the caller passes it. */
int error_set(struct error *reterr, int code, const char *fmt, ...) printf_like(3, 4);
/* As error_set, and appends ": <strerror(-code)>". */
int error_errno(struct error *reterr, int code, const char *fmt, ...) printf_like(3, 4);
/* Prefix context to a message already set: "outer: inner". Returns reterr->code. */
int error_wrap(struct error *reterr, int code, const char *fmt, ...) printf_like(3, 4);
/* Set the hint: the next thing a person should do. */
void error_hint(struct error *reterr, const char *fmt, ...) printf_like(2, 3);
/* "EPERM" for -EPERM; "E?" when unknown. Stable text for JSON. */
const char *error_name(int code);

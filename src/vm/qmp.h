/* SPDX-License-Identifier: MIT */
/*
 * The client side of QEMU's monitor protocol. No I/O, no clock: what was read goes into
 * qmp_feed(), what is to be written comes out of qmp_pending(). A guest may have taken QEMU over:
 * lines are bounded, an answer counts only for a command that waits for it, and what an answer
 * holds is for the asker to check.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "base/error.h"

#define QMP_LINE_MAX	(1u << 20)
#define QMP_WAITING_MAX 32
#define QMP_OUT_MAX	65536

struct qmp;
/* Once for each command: `result` what QEMU returned (borrowed), or NULL and `e` why not.
 * -ETIMEDOUT: no answer in time (a later one is dropped); -ECANCELED: qmp_free(). */
typedef void (*qmp_answer)(void *arg, const json_t *result, const struct error *e);
/* name "": QEMU has said hello, commands are taken from now on. */
typedef void (*qmp_event)(void *arg, const char *name, const json_t *data);

must_check int qmp_new(qmp_event event, void *arg, struct qmp **ret);
void qmp_free(struct qmp *q); /* not from within a callback */

/* -EPROTO, -E2BIG: this is not QMP, give the connection up; -ENOMEM. */
must_check int qmp_feed(struct qmp *q, const void *data, size_t len);
/* Takes args (may be NULL) in any case. -ENOTCONN: before the hello; -EBUSY: too many wait;
 * -ENOBUFS: QEMU does not read. answer may be NULL. */
must_check int qmp_command(struct qmp *q, const char *name, json_t *args, uint64_t deadline_ns,
			   qmp_answer answer, void *arg);
/* Ends the commands whose deadline has passed. */
void qmp_expire(struct qmp *q, uint64_t now_ns);
const void *qmp_pending(struct qmp *q, size_t *ret_len);
void qmp_sent(struct qmp *q, size_t len);

/* SPDX-License-Identifier: MIT */
/*
 * Reading history takes time that nobody else shall wait for: a thread does it, with a connection
 * to the file of its own, one question after the other. So many may wait; an answer is there in
 * time, or it is given up.
 */
#pragma once
#include <systemd/sd-event.h>
#include "gate/history-question.h"
#include "gate/http.h"

#define READER_WAITING_MAX 32
#define READER_PATIENCE_NS 5000000000ull /* from asking to the answer */

struct reader;
/* Before system calls are filtered: it starts the thread. */
must_check int reader_new(struct gate *g, const char *path, struct reader **ret);
void reader_free(struct reader *r); /* who waits is told that cz-gate ends; accepts NULL */
/* Answers the request, later; at once with 503 when too many wait. */
void reader_ask(struct reader *r, struct request *request, const struct question *q);
struct reader_stats {
	uint64_t asked_total, refused_total, late_total;
};
struct reader_stats reader_stats(const struct reader *r);

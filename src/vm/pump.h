/* SPDX-License-Identifier: MIT */
/* A socket on the event loop, whose two directions belong to a parser without I/O of its own. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>
#include "base/error.h"

/* Of one socket in one turn of the loop: what feed() is given at most. */
#define PUMP_TURN_BYTES 65536

struct pump_ops {
	int (*feed)(void *arg, const void *data, size_t len); /* negative: close */
	const void *(*pending)(void *arg, size_t *ret_len);
	void (*sent)(void *arg, size_t len);
	/* At its end, code why (0: end of file). The owner calls pump_done() now or later. */
	void (*closed)(void *arg, int code);
};
struct pump {
	const struct pump_ops *ops;
	void *arg;
	int fd; /* owned */
	sd_event_source *source;
};
/* Takes fd on success. `name` is of static storage. */
must_check int pump_init(struct pump *p, sd_event *loop, int fd, const char *name,
			 const struct pump_ops *ops, void *arg);
void pump_done(struct pump *p); /* also a zeroed one */
/* Reads what is there, without the loop; of one that is still written to, a few MiB. */
void pump_drain(struct pump *p);
/* There is something to write. */
void pump_kick(struct pump *p);
/* Reads no more until resumed: whoever takes the data is full. */
void pump_hold(struct pump *p, bool hold);

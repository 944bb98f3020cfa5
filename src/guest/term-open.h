/* SPDX-License-Identifier: MIT */
/* The beginning of a terminal: its request, its tty or pipes, its program. */
#pragma once
#include "guest/guest.h"

struct term {
	struct guest *guest;
	unsigned int stream;
	bool used, tty;
	pid_t pid; /* 0: it has ended */
	bool ended;
	int exit;
	int in, out[2]; /* a tty: in and out[0] are its other end, out[1] is -1 */
	struct source in_source, out_source[2];
	struct timer timer;
	bool in_closed;
	size_t nr_pending;
	char *pending; /* CHANNEL_WINDOW bytes */
};
/* request: as the first line on term.sock. Sets all of it but `used`. */
must_check int term_open(struct term *t, const char *request, size_t len, struct error *reterr);

/* SPDX-License-Identifier: MIT */
/* Terminals: a shell or a program for each stream of the term port, with or without a tty. */
#pragma once
#include <sys/types.h>
#include "guest/guest.h"

must_check int terms_init(struct guest *g);
void term_frame(const struct channel_frame *f, void *guest);
/* A new session: whoever sat at the terminals is gone. */
void term_session(void *guest);
bool terms_reaped(struct guest *g, pid_t pid, int exit);
/* The host may have made room. */
void terms_wake(struct guest *g);

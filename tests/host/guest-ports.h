/* SPDX-License-Identifier: MIT */
/* What every small guest of ours does as process 1 before it is itself. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "channel/channel.h"

/* Mounts, modules, line-buffered output; line: the kernel's command line, as far as it fits. */
void guest_start(char *line, size_t size);
/* The nonce on it; zeroes where there is none. Ends the line there. */
void guest_nonce(char *line, uint8_t ret[CHANNEL_NONCE]);
int guest_open_port(enum channel_port port); /* not blocking; -1: none */

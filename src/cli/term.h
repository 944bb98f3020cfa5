/* SPDX-License-Identifier: MIT */
/* A terminal of a zone: term.sock, spoken to directly (docs/zone-protocol.md, "Terminals"). */
#pragma once
#include "cli/verb.h"

#define TERM_FRAME_MAX 65536
#define EXIT_TERM_LOST 255

enum term_frame { TERM_DATA, TERM_STDERR, TERM_SIZE, TERM_END, TERM_CLOSED };

/* request is consumed. Raw mode when this is a terminal and tty is wanted. The command's exit code.
 */
must_check int term_run(struct cli *cli, const char *zone, json_t *request, bool tty);

/* SPDX-License-Identifier: MIT */
/*
 * Command lines of the processes that czd names. czctl reads them, as its user: they may hold
 * secrets, and reading one faults in pages of that process, which czd must never wait for.
 */
#pragma once
#include <jansson.h>

/* Adds `cmdline` to every row: null where the process is gone, or may not be looked at. */
void commands_add(json_t *rows);

/* SPDX-License-Identifier: MIT */
/* What cz-work and cz-load share: stopping, pinning, precise timers, JSON and error output. */
#pragma once
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include "base/cpuset.h"
#include "base/error.h"

enum bench_exit { EXIT_OK, EXIT_FAILED, EXIT_USAGE };
enum bench_output { OUTPUT_TEXT, OUTPUT_JSON };
extern const char *const bench_outputs[]; /* choices of -o */

/* Set by SIGINT and SIGTERM; whoever loops looks at it, ends, and prints what it has. */
extern volatile sig_atomic_t bench_stopped;

/* Handlers for SIGINT and SIGTERM, SIGPIPE ignored, timer slack of 1 ns instead of 50 us. */
void bench_init(void);
/* Restrict this process to the CPUs; nothing to do for an empty set. */
must_check int bench_pin(const struct cpuset *cpus, struct error *reterr);
/* Sleep until the monotonic time, or until stopped. */
void bench_sleep_until(uint64_t mono_ns);
/* Print and free; -EIO when stdout fails. flags are jansson's. */
must_check int bench_print_json(json_t *object, size_t flags, struct error *reterr);
/* null for NaN and infinities: a figure that is not known. */
json_t *bench_real(double v);
/* "cz-work: message" and the hint on stderr; returns the exit status. */
int bench_fail(const char *tool, const struct error *err, enum bench_exit status);

/* SPDX-License-Identifier: MIT */
/* What a policy prints: one JSON object a line. */
#pragma once
#include <stdint.h>
#include "base/error.h"
#include "base/options.h"
#include "base/str.h"
#include "sched/exit.h"

struct policy;
struct policy_settings;

void report_line(const struct strbuf *line);
void report_ms(const char *event, const char *key, uint64_t ns);
void report_ready(const struct policy *policy, uint64_t verify_ns, uint64_t insns);
void report_error(const struct error *error);
void report_exit(const struct sched_exit *ended); /* kind 0: never attached, by the user */
/* --list-options */
void report_options(const struct option_desc *table, const struct policy_settings *settings);
/* For --help: the lines of default values. */
void report_defaults(const struct option_desc *table, const struct policy_settings *settings);

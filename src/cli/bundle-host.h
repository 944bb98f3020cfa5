/* SPDX-License-Identifier: MIT */
/* What a bundle says of the host besides what czd says, and what its journal has. */
#pragma once
#include <jansson.h>
#include "base/str.h"
#include "cli/redact.h"

/* Kernel, CPU, distribution, pressure, cgroup mounts, and of the kernel's command line the options
 * that matter to scheduling, by name. */
json_t *bundle_host(void);
/* This host's names and its users', to be found in text. */
void bundle_learn_host(struct redact *r);
/* What czd and cz-gate logged in that time; -ENODATA there is none, with a sentence. */
must_check int bundle_journal(const char *from_ms, const char *to_ms, struct strbuf *ret,
			      struct error *reterr);

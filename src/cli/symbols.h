/* SPDX-License-Identifier: MIT */
/*
 * Code addresses of a process -> what a person calls them: "burn (cz-work)", "cz-work+0x2f10" where
 * there is no symbol, "do_idle (kernel)".
 *
 * The ELF files belong to whoever the process belongs to, so a child reads them: it has dropped to
 * nobody (when started by root), may not gain anything, has little time and memory, and holds
 * nothing but the files and the pipe it answers on. What comes back is text to be escaped.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define SYMBOL_MAX     200
#define SYMBOL_NR_MAX  4096 /* addresses at once */
#define SYMBOL_TIME_NS 3000000000ull

struct address {
	uint64_t addr;
	bool kernel;
};
struct symbol {
	uint64_t
	    key; /* equal: the same function (or page, where there is no symbol); 0: not code */
	char text[SYMBOL_MAX];
};

/*
 * procfd: /proc/PID; addresses: the kernel's last, each kind in order. Fills ret[0..nr) always; an
 * error (-Exxx) means without symbols, as the addresses alone allow. -E2BIG: more than
 * SYMBOL_NR_MAX, ret untouched.
 */
must_check int symbols_resolve(int procfd, const struct address *addresses, size_t nr,
			       struct symbol *ret);
/* What can be said about an address without looking. */
void symbol_unknown(const struct address *a, struct symbol *ret);

/* SPDX-License-Identifier: MIT */
/*
 * The parsers behind symbols.h: pure, no files opened. What they are given belongs to strangers:
 * any input is answered, at worst with no names. Run them only where they may be killed
 * (symbols.c): a hostile ELF file can still cost time and memory.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gelf.h>
#include "base/error.h"

#define SYMBOL_NAME_MAX 120
#define SYMBOLS_MAX	(4u << 20) /* looked at in one file */

/* One line of /proc/PID/maps; path points into the line. */
struct mapping {
	uint64_t start, end, offset, inode;
	bool exec;
	const char *path; /* "" for anonymous memory */
};
/* -EINVAL: not such a line. */
must_check int mapping_parse(const char *line, struct mapping *ret);

/* One line of /proc/kallsyms that is code; module "" for the kernel itself. */
struct kernel_symbol {
	uint64_t addr;
	char name[SYMBOL_NAME_MAX], module[64];
};
/* -EINVAL: not such a line, -ENOENT: data. */
must_check int kernel_symbol_parse(const char *line, struct kernel_symbol *ret);

struct lookup {
	uint64_t addr;		    /* in: ELF: offset in the file */
	char name[SYMBOL_NAME_MAX]; /* out: "" when nothing covers it */
};
/* Names of the functions that cover each offset, from .symtab and .dynsym. */
void elf_lookup(Elf *elf, struct lookup *lookups, size_t nr);

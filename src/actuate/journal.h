/* SPDX-License-Identifier: MIT */
/*
 * The journal: one JSON object per line.
 *   {"journal":1,"boot":"BOOT-ID","last_seq":      12}
 *   {"op":"do","seq":12,"zone":"345","knob":"cpu.idle","path":"/batch","from":"0","to":"1","at":0,
 *    "parts":[{"file":"cpu.idle","id":"345","old":"0","new":"1"},...]}
 *   {"op":"end","seq":12,"how":"restored","rebase":[{"seq":13,"part":0,"old":"100"}]}
 * Ids are text: 64 bits do not fit every JSON reader. Bytes outside printable ASCII are \u00XX, so
 * a path is kept to the byte. "do" is complete before its first file is written. With nothing open
 * the file is cut back to its header; with something open it is rewritten when it outgrows 1 MiB.
 *
 * The lock (flock on the file) makes one process its writer. It needs no fsync: knobs die with the
 * boot just as /run does.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "actuate/entry.h"
#include "base/str.h"

#define JOURNAL_OPEN_MAX 1024
struct journal {
	int dirfd;     /* borrowed: the run directory */
	int fd;	       /* -1: none could be opened */
	bool writable; /* else `why` says what is wrong */
	struct error why;
	char boot[37];
	uint64_t size; /* bytes that count; anything beyond is a torn line */
	uint64_t rewrite_above;
	uint64_t last_seq;
	struct entry **open; /* oldest first; owned */
	size_t nr;
	struct strbuf pending; /* "end" lines that could not be written yet */
	uint32_t bad_lines, unknown_lines;
	bool torn; /* the last line has no end */
};

/* 0 also when the journal can't be written (writable false): what it holds can still be undone.
 * -EBUSY: another process has it. */
must_check int journal_open(struct journal *j, int dirfd, const char *boot, struct error *reterr);
void journal_done(struct journal *j);
/* Try to become writable (again). */
must_check int journal_retry(struct journal *j, struct error *reterr);

/* Writes the intent; takes e over on success only. */
must_check int journal_begin(struct journal *j, struct entry *e);
/* The older entry gave up `index`-th part of a younger one its own old text, see actuate.c. */
struct rebase {
	const struct entry *entry;
	size_t part;
};
/* Closes and frees e. Never fails: a line that can't be written is kept for later. */
void journal_end(struct journal *j, struct entry *e, const char *how, const struct rebase *rebases,
		 size_t nr_rebases);

/* Journal text into an empty j; every line that is not understood is skipped and counted.
 * ret_boot "" when the header can't be read. -ENOMEM. */
must_check int journal_parse(struct journal *j, const char *text, size_t len, char ret_boot[37]);
void journal_format_header(const struct journal *j, struct strbuf *b);
void journal_format_entry(const struct entry *e, struct strbuf *b);
void journal_format_end(const struct entry *e, const char *how, const struct rebase *rebases,
			size_t nr, struct strbuf *b);
/* Open entry by seq or NULL. */
struct entry *journal_find(const struct journal *j, uint64_t seq);
must_check int journal_add_open(struct journal *j, struct entry *e);
void journal_drop_open(struct journal *j, struct entry *e); /* frees e */

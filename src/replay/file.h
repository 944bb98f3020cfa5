/* SPDX-License-Identifier: MIT */
/*
 * Recordings as files: the lines of model/record.h, compressed.
 *
 *   "czrec 1\n", then frames: length of the payload (32 bits, little-endian), CRC-32 of length and
 *   payload (32 bits), payload. The payloads are one zstd stream, flushed at the end of each frame,
 *   and each holds whole lines.
 *
 * So whatever ends the writing, all frames but the last can be read. Plain lines are read as well.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define RECORDING_FRAME_MAX (16u << 20) /* bytes of a payload */
#define RECORDING_TEXT_MAX  (64u << 20) /* of a frame's lines, and of a line */

struct recording_writer;
/* Writes the beginning. The fd is borrowed; a regular file that is empty. */
must_check int recording_create(int fd, struct recording_writer **ret, struct error *reterr);
/* One line, without the newline. Kept until recording_flush(), or until there are many. */
must_check int recording_write(struct recording_writer *w, const char *line, size_t len,
			       struct error *reterr);
/* As a frame, if there is anything. On failure (-ENOSPC, ...) what could not be written whole is
 * taken off the file again: it can be read up to there. */
must_check int recording_flush(struct recording_writer *w, struct error *reterr);
uint64_t recording_bytes(const struct recording_writer *w); /* in the file so far */
void recording_writer_free(struct recording_writer *w);

struct recording_reader;
/* The fd is borrowed. -EINVAL: not a recording; -EOPNOTSUPP: of a later version. */
must_check int recording_open(int fd, struct recording_reader **ret, struct error *reterr);
/*
 * The next line, NUL-terminated without its newline, valid until the next call: 1; 0 at the end;
 * -EBADMSG: damaged from byte recording_offset() on. A last frame that is not whole is an end.
 */
must_check int recording_next(struct recording_reader *r, char **ret, struct error *reterr);
uint64_t recording_offset(const struct recording_reader *r); /* of the frame or line at hand */
bool recording_is_cut(const struct recording_reader *r);     /* it ended within a frame */
void recording_reader_free(struct recording_reader *r);

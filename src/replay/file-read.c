/* SPDX-License-Identifier: MIT */
/* Reads what anybody may have written: every length is bounded before memory is taken for it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include "replay/file.h"
#include "replay/frame.h"

#define READ_SIZE      (64u << 10)
#define WINDOW_LOG_MAX 23 /* 8 MiB */

struct recording_reader {
	int fd;
	bool plain, cut, at_end;
	uint64_t offset, next_offset; /* of the frame (plain: line) at hand, and of the next */
	ZSTD_DCtx *zstd;
	uint8_t *frame;
	size_t frame_cap;
	char *text; /* [start, len): lines, not yet given out */
	size_t start, len, cap;
};

/* As many bytes as there are, at most len. */
static ssize_t read_up_to(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int damaged(const struct recording_reader *r, const char *what, struct error *reterr)
{
	return error_set(reterr, -EBADMSG, "damaged at byte %llu: %s",
			 (unsigned long long)r->offset, what);
}

/* Room for more text, and a NUL after it. */
static int reserve_text(struct recording_reader *r, size_t more)
{
	size_t cap = r->cap ? r->cap : READ_SIZE;
	char *grown;

	if (r->start) {
		memmove(r->text, r->text + r->start, r->len - r->start);
		r->len -= r->start;
		r->start = 0;
	}
	if (r->len + more > RECORDING_TEXT_MAX)
		return -E2BIG;
	while (cap < r->len + more + 1)
		cap *= 2;
	if (cap == r->cap)
		return 0;
	grown = realloc(r->text, cap);
	if (!grown)
		return -ENOMEM;
	r->text = grown;
	r->cap = cap;
	return 0;
}

static int take_magic(struct recording_reader *r, struct error *reterr)
{
	char magic[FRAME_MAGIC_LEN];
	ssize_t n = read_up_to(r->fd, magic, sizeof(magic));
	int err;

	if (n < 0)
		return error_errno(reterr, (int)n, "recording");
	if (n == sizeof(magic) && !memcmp(magic, FRAME_MAGIC, sizeof(magic))) {
		r->next_offset = FRAME_MAGIC_LEN;
		return 0;
	}
	if (n >= 6 && !memcmp(magic, FRAME_MAGIC, 6))
		return error_set(reterr, -EOPNOTSUPP, "a recording of a version not known here");
	if (n < 1 || magic[0] != '{')
		return error_set(reterr, -EINVAL, "not a recording of czctl record");
	r->plain = true;
	err = reserve_text(r, (size_t)n);
	if (err)
		return error_errno(reterr, err, "recording");
	memcpy(r->text, magic, (size_t)n);
	r->len = (size_t)n;
	return 0;
}

int recording_open(int fd, struct recording_reader **ret, struct error *reterr)
{
	struct recording_reader *r = calloc(1, sizeof(*r));
	int err;

	if (r)
		r->zstd = ZSTD_createDCtx();
	if (!r || !r->zstd) {
		free(r);
		return error_errno(reterr, -ENOMEM, "recording");
	}
	r->fd = fd;
	ZSTD_DCtx_setParameter(r->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	err = take_magic(r, reterr);
	if (err) {
		recording_reader_free(r);
		return err;
	}
	*ret = r;
	return 0;
}

void recording_reader_free(struct recording_reader *r)
{
	if (!r)
		return;
	ZSTD_freeDCtx(r->zstd);
	free(r->frame);
	free(r->text);
	free(r);
}

uint64_t recording_offset(const struct recording_reader *r)
{
	return r->offset;
}

bool recording_is_cut(const struct recording_reader *r)
{
	return r->cut;
}

static int decompress(struct recording_reader *r, size_t len, struct error *reterr)
{
	ZSTD_inBuffer in = {r->frame + FRAME_HEAD_LEN, len, 0};

	for (;;) {
		ZSTD_outBuffer out;
		size_t n;
		int err = reserve_text(r, READ_SIZE);

		if (err == -E2BIG)
			return damaged(r, "more text than a frame may hold", reterr);
		if (err)
			return error_errno(reterr, err, "recording");
		out = (ZSTD_outBuffer){r->text + r->len, READ_SIZE, 0};
		n = ZSTD_decompressStream(r->zstd, &out, &in);
		if (ZSTD_isError(n))
			return damaged(r, ZSTD_getErrorName(n), reterr);
		r->len += out.pos;
		if (in.pos == in.size && out.pos < out.size)
			break;
	}
	return r->len && r->text[r->len - 1] == '\n' ? 0 : damaged(r, "a line without end", reterr);
}

static int at_end(struct recording_reader *r, bool cut)
{
	r->at_end = true;
	r->cut = cut;
	return 0;
}

/* 1: there are lines; 0: the end. */
static int read_frame(struct recording_reader *r, struct error *reterr)
{
	uint8_t head[FRAME_HEAD_LEN];
	ssize_t n = read_up_to(r->fd, head, sizeof(head));
	uint32_t len;

	r->offset = r->next_offset;
	if (n < 0)
		return error_errno(reterr, (int)n, "recording");
	if (n < (ssize_t)sizeof(head))
		return at_end(r, n > 0);
	len = frame_u32(head);
	if (!len || len > RECORDING_FRAME_MAX)
		return damaged(r, "a frame of an impossible length", reterr);
	if (r->frame_cap < FRAME_HEAD_LEN + (size_t)len) {
		uint8_t *grown = realloc(r->frame, FRAME_HEAD_LEN + (size_t)len);

		if (!grown)
			return error_errno(reterr, -ENOMEM, "recording");
		r->frame = grown;
		r->frame_cap = FRAME_HEAD_LEN + (size_t)len;
	}
	memcpy(r->frame, head, sizeof(head));
	n = read_up_to(r->fd, r->frame + FRAME_HEAD_LEN, len);
	if (n < 0)
		return error_errno(reterr, (int)n, "recording");
	if (n < (ssize_t)len)
		return at_end(r, true);
	if (frame_crc(r->frame, len) != frame_u32(head + 4))
		return damaged(r, "the checksum does not fit", reterr);
	r->next_offset += FRAME_HEAD_LEN + len;
	n = decompress(r, len, reterr);
	return n < 0 ? (int)n : 1;
}

static int read_plain(struct recording_reader *r, struct error *reterr)
{
	int err = reserve_text(r, READ_SIZE);
	ssize_t n;

	if (err == -E2BIG)
		return damaged(r, "a line without end", reterr);
	if (err)
		return error_errno(reterr, err, "recording");
	n = read_up_to(r->fd, r->text + r->len, READ_SIZE);
	if (n < 0)
		return error_errno(reterr, (int)n, "recording");
	r->len += (size_t)n;
	if (n > 0)
		return 1;
	if (r->len == r->start)
		return at_end(r, false);
	r->text[r->len++] = '\n'; /* people forget it; there is room */
	return 1;
}

int recording_next(struct recording_reader *r, char **ret, struct error *reterr)
{
	char *line, *newline;
	int n;

	for (;;) {
		newline =
		    r->len > r->start ? memchr(r->text + r->start, '\n', r->len - r->start) : NULL;
		if (newline)
			break;
		if (r->at_end)
			return 0;
		n = r->plain ? read_plain(r, reterr) : read_frame(r, reterr);
		if (n < 0)
			return n;
	}
	line = r->text + r->start;
	if (r->plain) {
		r->offset = r->next_offset;
		r->next_offset += (uint64_t)(newline - line) + 1;
	}
	*newline = 0;
	r->start += (size_t)(newline - line) + 1;
	if (strlen(line) != (size_t)(newline - line))
		return damaged(r, "a NUL within a line", reterr);
	*ret = line;
	return 1;
}

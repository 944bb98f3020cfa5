/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include "replay/file.h"
#include "replay/frame.h"

#define LEVEL	   6
#define WINDOW_LOG 20		/* what the compressor remembers: 1 MiB */
#define KEEP_MAX   (256u << 10) /* lines that wait for more */

struct recording_writer {
	int fd;
	uint64_t bytes;
	ZSTD_CCtx *zstd;
	char *text; /* lines that are not in the file yet */
	size_t len, cap;
	uint8_t *frame;
	size_t frame_cap;
};

static int write_all(struct recording_writer *w, const uint8_t *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(w->fd, data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int err = n < 0 ? -errno : -EIO;

			/* Without it the reader stops at the same place. */
			if (done && ftruncate(w->fd, (off_t)w->bytes) < 0)
				return err;
			return err;
		}
		done += (size_t)n;
	}
	w->bytes += len;
	return 0;
}

int recording_create(int fd, struct recording_writer **ret, struct error *reterr)
{
	struct recording_writer *w = calloc(1, sizeof(*w));
	int err = -ENOMEM;

	if (w)
		w->zstd = ZSTD_createCCtx();
	if (w && w->zstd) {
		w->fd = fd;
		ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL);
		ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_windowLog, WINDOW_LOG);
		err = write_all(w, (const uint8_t *)FRAME_MAGIC, FRAME_MAGIC_LEN);
	}
	if (err) {
		recording_writer_free(w);
		return error_errno(reterr, err, "recording");
	}
	*ret = w;
	return 0;
}

void recording_writer_free(struct recording_writer *w)
{
	if (!w)
		return;
	ZSTD_freeCCtx(w->zstd);
	free(w->text);
	free(w->frame);
	free(w);
}

uint64_t recording_bytes(const struct recording_writer *w)
{
	return w->bytes;
}

int recording_write(struct recording_writer *w, const char *line, size_t len, struct error *reterr)
{
	size_t need = w->len + len + 1;

	if (len >= RECORDING_TEXT_MAX)
		return error_set(reterr, -EFBIG, "a line of more than %u MiB",
				 RECORDING_TEXT_MAX >> 20);
	if (w->len && need > KEEP_MAX) {
		int err = recording_flush(w, reterr);

		if (err)
			return err;
		need = len + 1;
	}
	if (need > w->cap) {
		char *grown = realloc(w->text, need * 2);

		if (!grown)
			return error_errno(reterr, -ENOMEM, "recording");
		w->text = grown;
		w->cap = need * 2;
	}
	memcpy(w->text + w->len, line, len);
	w->text[w->len + len] = '\n';
	w->len = need;
	return 0;
}

static int reserve_frame(struct recording_writer *w)
{
	size_t need = FRAME_HEAD_LEN + ZSTD_compressBound(w->len) + 64;
	uint8_t *grown;

	if (need <= w->frame_cap)
		return 0;
	grown = realloc(w->frame, need);
	if (!grown)
		return -ENOMEM;
	w->frame = grown;
	w->frame_cap = need;
	return 0;
}

int recording_flush(struct recording_writer *w, struct error *reterr)
{
	ZSTD_inBuffer in = {w->text, w->len, 0};
	ZSTD_outBuffer out;
	int err;

	if (!w->len)
		return 0;
	err = reserve_frame(w);
	if (err)
		return error_errno(reterr, err, "recording");
	out = (ZSTD_outBuffer){w->frame + FRAME_HEAD_LEN, w->frame_cap - FRAME_HEAD_LEN, 0};
	/* The bound is for a whole; it holds for a flush with some bytes more. */
	if (ZSTD_compressStream2(w->zstd, &out, &in, ZSTD_e_flush) != 0 ||
	    out.pos > RECORDING_FRAME_MAX)
		return error_set(reterr, -EIO, "recording: a frame could not be compressed");
	frame_put_head(w->frame, (uint32_t)out.pos);
	err = write_all(w, w->frame, FRAME_HEAD_LEN + out.pos);
	w->len = 0;
	return err ? error_errno(reterr, err, "recording") : 0;
}

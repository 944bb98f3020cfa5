/* SPDX-License-Identifier: MIT */
/*
 * The journal as a file: lock, append, cut back, rewrite. Every append is one pwrite() at the known
 * end; what a failed one left beyond it is cut off, or overwritten by the next. A journal that was
 * deleted or changed under our feet is written anew from memory before the next line.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "actuate/journal.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"

#define FILE_NAME     "journal"
#define FILE_NEW      "journal.new"
#define FILE_OLD_BOOT "journal.old-boot"
#define FILE_BAD      "journal.bad"
#define READ_MAX      (16u << 20)
#define REWRITE_ABOVE (1u << 20)
#define PENDING_MAX   (1u << 20)
#define RESERVE_BYTES 4096

static int degrade(struct journal *j, int err, const char *what)
{
	j->writable = false;
	error_errno(&j->why, err, "the journal can't be %s", what);
	return err;
}

static bool is_current(const struct journal *j, int fd)
{
	struct stat ours, named;

	return !fstat(fd, &ours) && !fstatat(j->dirfd, FILE_NAME, &named, AT_SYMLINK_NOFOLLOW) &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/* Opens and locks. Locked but no longer the named file: the holder before us replaced it. */
static int open_locked(struct journal *j, int flags)
{
	for (int tries = 0; tries < 16; tries++) {
		_cleanup_close_ int fd =
		    openat(j->dirfd, FILE_NAME, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		struct stat st;

		if (fd < 0)
			return -errno;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (!S_ISREG(st.st_mode))
			return -EIO;
		if (!stat_is_trusted(&st))
			return -EKEYREJECTED; /* what it says would be written to the host */
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK ? -EBUSY : -errno;
		if (is_current(j, fd))
			return TAKE_FD(fd);
	}
	return -EBUSY;
}

static int write_at(int fd, const char *data, size_t len, uint64_t offset)
{
	ssize_t n = pwrite(fd, data, len, (off_t)offset);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -ENOSPC;
}

/* Header and open entries into a new file that takes the old one's name and lock. */
static int rewrite(struct journal *j)
{
	_cleanup_(strbuf_done) struct strbuf b = {0};
	_cleanup_close_ int fd = -1;
	int r;

	journal_format_header(j, &b);
	for (size_t i = 0; i < j->nr; i++)
		journal_format_entry(j->open[i], &b);
	if (b.failed)
		return -ENOMEM;
	unlinkat(j->dirfd, FILE_NEW, 0);
	fd = openat(j->dirfd, FILE_NEW, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : write_at(fd, b.data, b.len, 0);
	if (r >= 0 && renameat(j->dirfd, FILE_NEW, j->dirfd, FILE_NAME) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(j->dirfd, FILE_NEW, 0);
		return r;
	}
	close_fd(&j->fd);
	j->fd = TAKE_FD(fd);
	j->size = b.len;
	strbuf_reset(&j->pending); /* their entries are not in the new file */
	return 0;
}

/* Nothing open: needs no space, so it works on a full file system too. */
static int cut_back(struct journal *j)
{
	_cleanup_(strbuf_done) struct strbuf b = {0};
	int r;

	journal_format_header(j, &b);
	if (b.failed)
		return -ENOMEM;
	r = write_at(j->fd, b.data, b.len, 0);
	if (r >= 0 && ftruncate(j->fd, (off_t)b.len) < 0)
		r = -errno;
	if (r < 0)
		return r;
	j->size = b.len;
	strbuf_reset(&j->pending);
	return 0;
}

/* Is the file still there as we left it? */
static int ensure_intact(struct journal *j)
{
	struct stat st;
	int r;

	if (j->fd < 0 || fstat(j->fd, &st) < 0)
		return -EBADF;
	if (st.st_nlink && (uint64_t)st.st_size == j->size)
		return 0;
	if (st.st_nlink && (uint64_t)st.st_size > j->size)
		return ftruncate(j->fd, (off_t)j->size) < 0 ? -errno : 0; /* torn tail */
	r = rewrite(j);
	if (r >= 0)
		log_warn("the journal was removed or cut by somebody else; written anew with %zu "
			 "open actions",
			 j->nr);
	return r;
}

static int append(struct journal *j, const struct strbuf *line)
{
	int r;

	if (line->failed)
		return -ENOMEM;
	if (!j->writable)
		return -EROFS;
	r = ensure_intact(j);
	if (r < 0)
		return degrade(j, r, "written");
	strbuf_add(&j->pending, line->data, line->len);
	if (j->pending.failed)
		return -ENOMEM;
	r = write_at(j->fd, j->pending.data, j->pending.len, j->size);
	if (r >= 0) {
		j->size += j->pending.len;
		strbuf_reset(&j->pending);
		return 0;
	}
	j->pending.len -= line->len;
	j->pending.data[j->pending.len] = '\0';
	/* If this fails too the tail stays: the next append cuts it. */
	if (ftruncate(j->fd, (off_t)j->size) < 0)
		log_debug("cut the torn tail of the journal: %s", strerror(errno));
	return degrade(j, r, "written");
}

static void rewrite_if_large(struct journal *j)
{
	if (j->size <= j->rewrite_above)
		return;
	/* Twice what is needed at least, so that it does not happen again at once. */
	if (rewrite(j) >= 0)
		j->rewrite_above = j->size * 2 > REWRITE_ABOVE ? j->size * 2 : REWRITE_ABOVE;
	else
		j->rewrite_above *= 2;
}

int journal_begin(struct journal *j, struct entry *e)
{
	_cleanup_(strbuf_done) struct strbuf line = {0};
	uint64_t last = j->last_seq;
	int r = journal_add_open(j, e);

	if (r < 0)
		return r;
	journal_format_entry(e, &line);
	if (e->seq > j->last_seq)
		j->last_seq = e->seq;
	/* Off the list while it is written: a rewrite must not write it too. */
	j->nr--;
	r = append(j, &line);
	if (r < 0) {
		j->last_seq = last;
		return r;
	}
	j->nr++;
	rewrite_if_large(j);
	return 0;
}

void journal_end(struct journal *j, struct entry *e, const char *how, const struct rebase *rebases,
		 size_t nr_rebases)
{
	_cleanup_(strbuf_done) struct strbuf line = {0};

	journal_format_end(e, how, rebases, nr_rebases, &line);
	journal_drop_open(j, e);
	if (j->fd >= 0 && !j->nr && cut_back(j) >= 0)
		return;
	if (append(j, &line) >= 0 || line.failed)
		return;
	/* Should it get lost: the values are back, and the next undo finds nothing left to do. */
	if (j->pending.len < PENDING_MAX)
		strbuf_add(&j->pending, line.data, line.len);
}

static int load(struct journal *j, char ret_boot[37])
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len = 0;
	int r;

	if (fstat(j->fd, &st) < 0)
		return -errno;
	if (st.st_size > READ_MAX)
		log_warn("the journal is larger than %u bytes: the rest is not read", READ_MAX);
	text = malloc(READ_MAX < st.st_size ? READ_MAX + 1 : (size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (len < READ_MAX && len < (size_t)st.st_size) {
		ssize_t n =
		    pread(j->fd, text + len,
			  (size_t)st.st_size - len < READ_MAX - len ? (size_t)st.st_size - len
								    : READ_MAX - len,
			  (off_t)len);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	r = journal_parse(j, text, len, ret_boot);
	j->torn = r == 0 && j->size < len;
	/* What cannot be read may name a knob that is still changed: it is kept for a person. */
	if (r == 0 && (j->bad_lines || j->torn) && (!ret_boot[0] || !strcmp(ret_boot, j->boot)) &&
	    write_file_atomic(j->dirfd, FILE_BAD, text, len, 0600) < 0)
		log_debug("%s could not be kept", FILE_BAD);
	return r;
}

static void forget(struct journal *j)
{
	while (j->nr)
		journal_drop_open(j, j->open[j->nr - 1]);
	strbuf_reset(&j->pending);
	j->size = j->last_seq = 0;
	j->bad_lines = j->unknown_lines = 0;
	j->torn = false;
}

/* Knobs die with the boot: what another boot's journal says is void here. */
static int set_aside(struct journal *j)
{
	int r;

	log_notice("the journal is of another boot: set aside as %s, nothing of it is undone",
		   FILE_OLD_BOOT);
	forget(j);
	if (!j->writable)
		return 0; /* nothing can be moved; nothing will be undone either */
	if (renameat(j->dirfd, FILE_NAME, j->dirfd, FILE_OLD_BOOT) < 0)
		return degrade(j, -errno, "set aside");
	r = rewrite(j);
	return r < 0 ? degrade(j, r, "written") : 0;
}

/* Header and tail as they should be. */
static int mend(struct journal *j, const char *boot)
{
	int r = 0;

	if (j->bad_lines || j->torn)
		log_warn(
		    "the journal has %u lines that can't be read: skipped, and kept in %s; what "
		    "they name may still be changed",
		    j->bad_lines + j->torn, FILE_BAD);
	if (!j->writable)
		return 0;
	if (!boot[0])
		r = rewrite(j); /* new, or its header is damaged: ids and values still guard undo */
	else if (!j->nr)
		r = cut_back(j);
	else
		r = ensure_intact(j);
	return r < 0 ? degrade(j, r, "written") : 0;
}

static int attach(struct journal *j, struct error *reterr)
{
	char boot[37];
	int r, fd;

	j->writable = true;
	fd = open_locked(j, O_RDWR | O_CREAT);
	if (fd == -EKEYREJECTED) {
		error_set(
		    reterr, -EPERM,
		    "%s in the run directory belongs to somebody else, or others may write it: "
		    "it is not believed",
		    FILE_NAME);
		error_hint(reterr, "Look at it, and remove it");
		return -EPERM;
	}
	if (fd < 0 && fd != -EBUSY) {
		r = degrade(j, fd, "opened");
		fd = open_locked(j, O_RDONLY);
		if (fd < 0 && fd != -EBUSY)
			return 0;
	}
	if (fd == -EBUSY) {
		error_hint(reterr, "stop the other one first, or ask it: czctl undo");
		return error_set(reterr, -EBUSY, "another czd holds the journal of this host");
	}
	j->fd = fd;
	r = load(j, boot);
	if (r == -ENOMEM)
		return error_errno(reterr, r, "read the journal");
	if (r < 0) {
		degrade(j, r, "read");
		return 0;
	}
	/* Failures from here on are kept in `why`; observing goes on. */
	r = boot[0] && strcmp(boot, j->boot) ? set_aside(j) : mend(j, boot);
	return r == -ENOMEM ? r : 0;
}

int journal_open(struct journal *j, int dirfd, const char *boot, struct error *reterr)
{
	*j = (struct journal){.dirfd = dirfd, .fd = -1, .rewrite_above = REWRITE_ABOVE};
	if (!str_copy(j->boot, sizeof(j->boot), boot))
		return -EINVAL;
	return attach(j, reterr);
}

void journal_done(struct journal *j)
{
	forget(j);
	free(j->open);
	strbuf_done(&j->pending);
	close_fd(&j->fd);
	*j = (struct journal){.fd = -1};
}

/* A place for the next intents; where it can't be reserved, the write will tell. */
static int reserve(struct journal *j)
{
	if (!fallocate(j->fd, FALLOC_FL_KEEP_SIZE, (off_t)j->size, RESERVE_BYTES))
		return 0;
	return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
}

int journal_retry(struct journal *j, struct error *reterr)
{
	int r;

	if (j->writable)
		return 0;
	if (j->fd < 0) {
		r = attach(j, reterr);
		if (r < 0 || j->writable)
			return r;
		return error_set(reterr, j->why.code, "%s", j->why.msg);
	}
	/* Opened for reading only, or never begun: the entries in memory are what counts. */
	if (!j->size || (fcntl(j->fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		r = rewrite(j);
	else
		r = ensure_intact(j);
	if (r >= 0)
		r = reserve(j);
	if (r < 0) {
		degrade(j, r, "written");
		return error_set(reterr, r, "%s", j->why.msg);
	}
	j->writable = true;
	j->why = (struct error){0};
	return 0;
}

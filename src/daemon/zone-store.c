/* SPDX-License-Identifier: MIT */
#include "daemon/zone-store.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/str.h"

#define SPEC_FILE	   "spec.yaml"
#define STATE_FILE	   "state"
#define NEW_PREFIX	   ".new-"
#define SPEC_FILE_SIZE_MAX (256u << 10)

static const char *const wish_names[WISH_NR] = {
    [WISH_NONE] = "-", [WISH_REBOOT] = "reboot", [WISH_STOP] = "stop", [WISH_REMOVE] = "remove"};

int zone_record_format(const struct zone_record *rec, char *buf, size_t size)
{
	return str_printf(buf, size, "v1 %s %u %d %" PRIu64 " %016" PRIx64 " %s %" PRIu64 "\n",
			  zone_state_name(rec->state), rec->slot, (int)rec->pid, rec->start_ticks,
			  rec->spec_hash, wish_names[rec->wish], rec->until_ns);
}

static int wish_parse(const char *text, enum zone_wish *ret)
{
	for (enum zone_wish w = 0; w < WISH_NR; w++) {
		if (!strcmp(wish_names[w], text)) {
			*ret = w;
			return 0;
		}
	}
	return -EBADMSG;
}

int zone_record_parse(const char *text, struct zone_record *ret)
{
	struct zone_record rec = {0};
	char state[16], wish[16] = "-";
	int pid, end = 0, wish_end = 0;

	if (sscanf(text, "v1 %15s %u %d %" SCNu64 " %" SCNx64 "%n %15s %" SCNu64 "%n", state,
		   &rec.slot, &pid, &rec.start_ticks, &rec.spec_hash, &end, wish, &rec.until_ns,
		   &wish_end) < 5 ||
	    strcmp(text + (wish_end ? wish_end : end), "\n") != 0 || pid < 0 ||
	    zone_state_parse(state, &rec.state) < 0 || wish_parse(wish, &rec.wish) < 0)
		return -EBADMSG;
	rec.pid = pid;
	*ret = rec;
	return 0;
}

int remove_all_at(int dirfd, const char *name)
{
	int fd, r = 0;
	DIR *dir;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *d; r == 0 && (d = readdir(dir));)
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			r = remove_all_at(fd, d->d_name);
	closedir(dir);
	return r < 0 ? r : unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* In place by rename, and on the disk when this returns. */
static int put(int dirfd, const char *file, const char *text)
{
	int r = write_file_atomic(dirfd, file, text, strlen(text), 0600), fd;

	if (r < 0)
		return r;
	fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0 || fsync(dirfd) < 0)
		r = -errno;
	close_fd(&fd);
	return r;
}

static int put_record(int dirfd, const struct zone_record *rec)
{
	char text[192];
	int r = zone_record_format(rec, text, sizeof(text));

	return r < 0 ? r : put(dirfd, STATE_FILE, text);
}

static int open_zone(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void remove_unfinished(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *d; dir && (d = readdir(dir));)
		if (!strncmp(d->d_name, NEW_PREFIX, strlen(NEW_PREFIX)) &&
		    remove_all_at(dirfd, d->d_name) < 0)
			continue; /* the next start tries again */
}

int zone_store_open(const char *state_dir, int *ret_dirfd, struct error *reterr)
{
	char path[4096];
	int r = str_printf(path, sizeof(path), "%s/zones", state_dir), fd;

	if (r == 0 && mkdir(path, 0711) < 0 && errno != EEXIST)
		r = -errno;
	if (r < 0)
		return error_errno(reterr, r, "make %s/zones", state_dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(reterr, -errno, "open %s", path);
	remove_unfinished(fd);
	*ret_dirfd = fd;
	return 0;
}

static int fill_new(int dirfd, const char *name, const char *yaml, const struct zone_record *rec)
{
	_cleanup_close_ int fd = open_zone(dirfd, name);
	int r = fd < 0 ? fd : 0;

	if (r == 0 && mkdirat(fd, "log", 0700) < 0)
		r = -errno;
	if (r == 0)
		r = put(fd, SPEC_FILE, yaml);
	return r < 0 ? r : put_record(fd, rec);
}

int zone_store_create(int dirfd, const char *name, const char *yaml, struct zone_record *rec,
		      struct error *reterr)
{
	char fresh[NAME_MAX];
	int r = str_printf(fresh, sizeof(fresh), NEW_PREFIX "%s", name);

	rec->spec_hash = hash_string(yaml);
	if (r == 0 && faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return error_set(reterr, -EEXIST, "zone %s exists already", name);
	if (r == 0)
		r = remove_all_at(dirfd, fresh);
	if (r == 0 && mkdirat(dirfd, fresh, 0711) < 0)
		r = -errno;
	if (r == 0) {
		r = fill_new(dirfd, fresh, yaml, rec);
		if (r == 0 && (renameat(dirfd, fresh, dirfd, name) < 0 || fsync(dirfd) < 0))
			r = -errno;
		if (r < 0 && remove_all_at(dirfd, fresh) < 0)
			error_hint(reterr, "%s could not be removed again", fresh);
	}
	return r < 0 ? error_errno(reterr, r, "keep zone %s on disk", name) : 0;
}

int zone_store_spec(int dirfd, const char *name, const char *yaml, struct zone_record *rec,
		    struct error *reterr)
{
	_cleanup_close_ int fd = open_zone(dirfd, name);
	struct zone_record changed = *rec;
	int r = fd < 0 ? fd : 0;

	changed.spec_hash = hash_string(yaml);
	if (r == 0)
		r = put(fd, SPEC_FILE, yaml);
	if (r == 0)
		r = put_record(fd, &changed);
	if (r < 0)
		return error_errno(reterr, r, "keep zone %s on disk", name);
	*rec = changed;
	return 0;
}

int zone_store_state(int dirfd, const char *name, const struct zone_record *rec)
{
	_cleanup_close_ int fd = open_zone(dirfd, name);

	return fd < 0 ? fd : put_record(fd, rec);
}

static int read_spec(int zone_fd, char **ret_yaml, uint64_t *ret_hash)
{
	_cleanup_free_ char *text = malloc(SPEC_FILE_SIZE_MAX);
	ssize_t n;

	if (!text)
		return -ENOMEM;
	n = read_file_at(zone_fd, SPEC_FILE, text, SPEC_FILE_SIZE_MAX);
	if (n < 0)
		return (int)n;
	*ret_hash = hash_string(text);
	if (ret_yaml)
		*ret_yaml = TAKE_PTR(text);
	return 0;
}

int zone_store_record(int dirfd, const char *name, struct zone_record *ret)
{
	_cleanup_close_ int fd = open_zone(dirfd, name);
	char text[192];
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read_file_at(fd, STATE_FILE, text, sizeof(text));
	return n < 0 ? (int)n : zone_record_parse(text, ret);
}

int zone_store_load(int dirfd, const char *name, char **ret_yaml, uint64_t *ret_hash,
		    struct zone_record *ret)
{
	_cleanup_close_ int fd = open_zone(dirfd, name);
	int r = fd < 0 ? fd : zone_store_record(dirfd, name, ret);

	return r < 0 ? r : read_spec(fd, ret_yaml, ret_hash);
}

int zone_store_hash(int dirfd, const char *name, uint64_t *ret)
{
	_cleanup_close_ int fd = open_zone(dirfd, name);

	return fd < 0 ? fd : read_spec(fd, NULL, ret);
}

int zone_store_remove(int dirfd, const char *name)
{
	char gone[NAME_MAX];
	int r = str_printf(gone, sizeof(gone), NEW_PREFIX "%s", name);

	/* Renamed first: a zone is there or not, never in part. */
	if (r == 0)
		r = remove_all_at(dirfd, gone);
	if (r == 0 && renameat(dirfd, name, dirfd, gone) < 0)
		r = -errno;
	return r < 0 ? r : remove_all_at(dirfd, gone);
}

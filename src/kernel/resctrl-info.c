/* SPDX-License-Identifier: MIT */
/* Where resctrl is mounted, how, and what its info/ says of this machine. */
#include "kernel/resctrl.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "kernel/kio.h"
#include "kernel/mountinfo.h"
#include "kernel/text.h"

#define SYS_PATH "sys/fs/resctrl"

/* "36 24 0:31 / /sys/fs/resctrl rw,relatime shared:9 - resctrl resctrl rw,cdp" */
int resctrl_mountinfo_parse(const char *line, size_t len, struct resctrl *ret)
{
	struct mount_words w;
	char options[256];
	int r = mountinfo_parse(line, len, &w);

	if (r < 0)
		return r;
	if (!word_is(&w.type, "resctrl"))
		return -ENOENT;
	if (!w.options.len || w.options.len >= sizeof(options))
		return -EINVAL;
	if (mount_path(&w.mount, ret->mount, sizeof(ret->mount)) < 0) {
		ret->mount[0] = 0;
		return -EINVAL;
	}
	memcpy(options, w.options.start, w.options.len);
	options[w.options.len] = 0;
	ret->cdp_l3 = list_has(options, ",", "cdp");
	ret->cdp_l2 = list_has(options, ",", "cdpl2");
	ret->mba_mbps = list_has(options, ",", "mba_MBps");
	ret->debug = list_has(options, ",", "debug");
	return 0;
}

int resctrl_features_parse(const char *text, struct resctrl_info *ret)
{
	struct text_line l;
	int r;

	while ((r = text_next_line(&text, &l)) > 0) {
		const struct {
			const char *name;
			bool *flag;
		} known[] = {{"llc_occupancy", &ret->llc_occupancy},
			     {"mbm_total_bytes", &ret->mbm_total},
			     {"mbm_local_bytes", &ret->mbm_local},
			     {"mbm_total_bytes_config", &ret->mbm_configurable},
			     {"mbm_local_bytes_config", &ret->mbm_configurable}};

		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			if (strlen(known[i].name) == l.len &&
			    !memcmp(known[i].name, l.start, l.len))
				*known[i].flag = true;
	}
	return r;
}

/* "[mbm_event]\ndefault\n" */
int resctrl_assign_mode_parse(const char *text, bool *ret_assigned)
{
	struct text_line l;
	bool found = false, assigned = false;
	int r;

	while ((r = text_next_line(&text, &l)) > 0) {
		if (!l.len || l.start[0] != '[')
			continue;
		if (found || l.start[l.len - 1] != ']')
			return -EINVAL;
		found = true;
		assigned = l.len == 11 && !memcmp(l.start, "[mbm_event]", 11);
	}
	if (r < 0)
		return r;
	if (!found)
		return -EINVAL;
	*ret_assigned = assigned;
	return 0;
}

/* 0 where the file is not there: older kernels lack some. */
static int read_figure(int dirfd, const char *file, bool hex, uint32_t *ret)
{
	char text[64], *end;
	unsigned long long v;
	ssize_t n = kio_read_text_at(dirfd, file, text, sizeof(text));

	if (n == -ENOENT)
		return 0;
	if (n < 0)
		return (int)n;
	errno = 0;
	v = strtoull(text, &end, hex ? 16 : 10);
	if (end == text || *end != '\n' || text[0] == '-' || errno || v > UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)v;
	return 0;
}

static int read_alloc(int infofd, enum resctrl_resource res, struct resctrl_alloc *a)
{
	uint32_t sparse = 0, linear = 0;
	const struct {
		const char *file;
		bool hex;
		uint32_t *value;
	} figures[] = {
	    {"num_closids", false, &a->closids},       {"cbm_mask", true, &a->cbm_mask},
	    {"min_cbm_bits", false, &a->min_cbm_bits}, {"shareable_bits", true, &a->shareable_bits},
	    {"sparse_masks", false, &sparse},	       {"min_bandwidth", false, &a->min_bandwidth},
	    {"bandwidth_gran", false, &a->gran},       {"delay_linear", false, &linear}};
	_cleanup_close_ int fd =
	    kio_openat(infofd, resctrl_resource_name(res), O_PATH | O_DIRECTORY);
	char mode[32];
	int r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		r = read_figure(fd, figures[i].file, figures[i].hex, figures[i].value);
		if (r < 0)
			return r;
	}
	if (kio_read_text_at(fd, "thread_throttle_mode", mode, sizeof(mode)) > 0)
		a->per_thread = !strcmp(mode, "per-thread\n");
	a->sparse = sparse;
	a->linear = linear;
	a->present = a->closids && (!resctrl_is_cache(res) || a->cbm_mask);
	return a->present ? 0 : -EINVAL;
}

static int read_monitoring(int infofd, struct resctrl_info *info)
{
	_cleanup_close_ int fd = kio_openat(infofd, "L3_MON", O_PATH | O_DIRECTORY);
	char text[512];
	ssize_t n;
	int r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = read_figure(fd, "num_rmids", false, &info->rmids);
	if (r < 0)
		return r;
	n = kio_read_text_at(fd, "mon_features", text, sizeof(text));
	if (n < 0)
		return (int)n;
	r = resctrl_features_parse(text, info);
	if (r < 0)
		return r;
	if (kio_read_text_at(fd, "mbm_assign_mode", text, sizeof(text)) > 0) {
		r = resctrl_assign_mode_parse(text, &info->mbm_assign);
		if (r < 0)
			return r;
	}
	if (kio_read_text_at(fd, "max_threshold_occupancy", text, sizeof(text)) > 0 &&
	    text_u64(text, &info->max_threshold_occupancy_bytes) < 0)
		return -EINVAL;
	info->mon = true;
	return 0;
}

/*
 * Nothing in info/ names the unit. mba_MBps is an option of the mount and shows as a file of each
 * group; AMD's scale is absolute, and its delays are not linear, which Intel's and MPAM's must be.
 */
static enum resctrl_unit unit_of(const struct resctrl *rc, enum resctrl_resource res)
{
	if (res == RESCTRL_MB && rc->mba_mbps)
		return RESCTRL_MIBPS;
	return rc->info.alloc[res].linear ? RESCTRL_PERCENT : RESCTRL_EIGHTH_GBPS;
}

static int read_info(struct resctrl *rc)
{
	_cleanup_close_ int fd = kio_openat(rc->fd, "info", O_PATH | O_DIRECTORY);
	struct resctrl_info *info = &rc->info;
	int r;

	if (fd < 0)
		return fd;
	info->max_threshold_occupancy_bytes = UINT64_MAX;
	for (enum resctrl_resource res = 0; res < RESCTRL_NR; res++) {
		struct resctrl_alloc *a = &info->alloc[res];

		r = read_alloc(fd, res, a);
		if (r < 0)
			return r;
		if (!a->present)
			continue;
		if (!info->closids || a->closids < info->closids)
			info->closids = a->closids;
		a->unit = unit_of(rc, res);
	}
	rc->cdp_l3 |= info->alloc[RESCTRL_L3CODE].present;
	rc->cdp_l2 |= info->alloc[RESCTRL_L2CODE].present;
	return read_monitoring(fd, info);
}

int resctrl_open_at(int dirfd, const char *path, struct resctrl *ret, struct error *reterr)
{
	struct resctrl rc = *ret;
	int r;

	rc.fd = kio_openat(dirfd, path, O_PATH | O_DIRECTORY);
	if (rc.fd < 0)
		return error_errno(reterr, rc.fd, "%s", path);
	if (!rc.mba_mbps)
		rc.mba_mbps = faccessat(rc.fd, "mba_MBps_event", F_OK, 0) == 0;
	if (!rc.mount[0])
		str_copy(rc.mount, sizeof(rc.mount), path);
	r = read_info(&rc);
	if (r < 0) {
		close(rc.fd);
		if (r == -ENOENT)
			return error_set(reterr, -EOPNOTSUPP, "%s is no mounted resctrl tree",
					 path);
		return error_errno(reterr, r, "info of %s", path);
	}
	*ret = rc;
	return 0;
}

static int take_mount(const char *line, size_t len, void *arg)
{
	return resctrl_mountinfo_parse(line, len, arg) == 0;
}

/* Is it that nobody mounted it, or is there nothing to mount? */
static int explain_absence(const struct kernel *k, struct error *reterr)
{
	int fd = kio_openat(k->root_fd, SYS_PATH, O_PATH | O_DIRECTORY);

	if (fd < 0) {
		error_set(reterr, -EOPNOTSUPP, "this CPU or kernel has no resctrl");
		error_hint(reterr, "it takes RDT, QoS or MPAM; virtual machines rarely have it");
		return -EOPNOTSUPP;
	}
	close(fd);
	error_set(reterr, -EOPNOTSUPP, "resctrl is not mounted");
	error_hint(reterr, "mount -t resctrl resctrl /sys/fs/resctrl");
	return -EOPNOTSUPP;
}

int resctrl_open(const struct kernel *k, struct resctrl *ret, struct error *reterr)
{
	struct resctrl rc = {.fd = -1};
	bool found = mountinfo_each(k, take_mount, &rc) > 0;
	int r;

	*ret = (struct resctrl){.fd = -1};
	if (!found && faccessat(k->root_fd, SYS_PATH "/info", F_OK, 0) != 0)
		return explain_absence(k, reterr);
	r = resctrl_open_at(k->root_fd, found ? rc.mount + 1 : SYS_PATH, &rc, reterr);
	if (r < 0)
		return r;
	*ret = rc;
	return 0;
}

void resctrl_close(struct resctrl *rc)
{
	close_fd(&rc->fd);
}

/* SPDX-License-Identifier: MIT */
/* By itself: czd looks for kernels, but never into them. */
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "kernel/kimage.h"
#include "kernel/kio.h"

int kimage_find(int dirfd, const char *name, char *buf, size_t size)
{
	static const char *const places[] = {"", "/vmlinuz", "/vmlinux",
					     "/modules/vmlinuz.unsigned"};
	char path[512];
	struct stat st;

	if (!name[0] || name[0] == '.' || strchr(name, '/'))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (str_printf(path, sizeof(path), "%s%s", name, places[i]) == 0 &&
		    kio_fstatat(dirfd, path, &st) == 0 && S_ISREG(st.st_mode))
			return str_printf(buf, size, "%s", path);
	}
	return -ENOENT;
}

/* SPDX-License-Identifier: MIT */
/*
 * Users of the guest's root file system, from the text of its passwd and group files: the C
 * library's own way needs plug-ins that a static program has not. Pure.
 */
#pragma once
#include <stddef.h>
#include <sys/types.h>
#include "base/error.h"

#define USER_GROUPS_MAX 32

struct user {
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_GROUPS_MAX];
	size_t nr_groups;
	char name[64], home[256], shell[256];
};
/* who: a name, "UID" or "UID:GID"; a number needs no entry. -ENOENT: no such user. */
must_check int user_find(const char *passwd, const char *group, const char *who, struct user *ret);

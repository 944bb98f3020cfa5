/* SPDX-License-Identifier: MIT */
#include "guest/user.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"

#define LINE_MAX_BYTES 4096

/* Copies the next line and cuts it at its colons; missing fields are "". Too long: skipped. */
static bool next_fields(const char **text, char line[LINE_MAX_BYTES], char **fields, size_t nr)
{
	while (**text) {
		size_t len = strcspn(*text, "\n");
		const char *start = *text;
		char *rest = line;

		*text += len + (start[len] == '\n');
		if (len >= LINE_MAX_BYTES)
			continue;
		memcpy(line, start, len);
		line[len] = 0;
		for (size_t i = 0; i < nr; i++) {
			char *field = strsep(&rest, ":");

			fields[i] = field ? field : line + len;
		}
		return true;
	}
	return false;
}

static bool take_passwd(char **f, struct user *ret)
{
	uint32_t uid, gid;

	if (parse_u32(f[2], &uid) < 0 || parse_u32(f[3], &gid) < 0)
		return false;
	*ret = (struct user){.uid = uid, .gid = gid};
	return str_copy(ret->name, sizeof(ret->name), f[0]) &&
	       str_copy(ret->home, sizeof(ret->home), f[5]) &&
	       str_copy(ret->shell, sizeof(ret->shell), f[6]);
}

static bool is_member(char *members, const char *name)
{
	char *member;

	while ((member = strsep(&members, ",")))
		if (!strcmp(member, name))
			return true;
	return false;
}

static void find_groups(const char *group, struct user *u)
{
	char line[LINE_MAX_BYTES], *f[4];
	uint32_t gid;

	u->groups[u->nr_groups++] = u->gid;
	while (u->nr_groups < USER_GROUPS_MAX && next_fields(&group, line, f, 4))
		if (parse_u32(f[2], &gid) == 0 && is_member(f[3], u->name))
			u->groups[u->nr_groups++] = gid;
}

/* "UID" or "UID:GID" */
static int by_number(const char *who, uint32_t *ret_uid, uint32_t *ret_gid, bool *ret_has_gid)
{
	char text[32], *rest = text, *uid;

	if (!str_copy(text, sizeof(text), who))
		return -EINVAL;
	uid = strsep(&rest, ":");
	*ret_has_gid = rest != NULL;
	if (parse_u32(uid, ret_uid) < 0 || *ret_uid == UINT32_MAX)
		return -EINVAL;
	return rest ? parse_u32(rest, ret_gid) : 0;
}

int user_find(const char *passwd, const char *group, const char *who, struct user *ret)
{
	char line[LINE_MAX_BYTES], *f[7];
	uint32_t uid = 0, gid = 0;
	bool has_gid = false, number = by_number(who, &uid, &gid, &has_gid) == 0;
	struct user u;

	while (next_fields(&passwd, line, f, 7)) {
		if (!take_passwd(f, &u) || (number ? u.uid != uid : strcmp(u.name, who) != 0))
			continue;
		if (has_gid)
			u.gid = gid;
		find_groups(group, &u);
		*ret = u;
		return 0;
	}
	if (!number)
		return -ENOENT;
	*ret = (struct user){.uid = uid, .gid = has_gid ? gid : uid, .home = "/"};
	snprintf(ret->name, sizeof(ret->name), "%u", uid);
	return 0;
}

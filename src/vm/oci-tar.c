/* SPDX-License-Identifier: MIT */
/* The format of tar: pure. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "base/parse.h"
#include "base/str.h"
#include "vm/oci-layer.h"

struct tar_head {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100],
	    magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct tar_head) == TAR_BLOCK, "one block");

/* Octal, or GNU's big-endian binary with the top bit set. */
static int number(const char *field, size_t size, uint64_t *ret)
{
	const unsigned char *p = (const unsigned char *)field;
	uint64_t value = 0;
	size_t i = 0;

	if (p[0] & 0x80) {
		value = p[0] & 0x7f;
		for (i = 1; i < size; i++) {
			if (value >> 55)
				return -EBADMSG;
			value = value << 8 | p[i];
		}
		*ret = value;
		return 0;
	}
	while (i < size && p[i] == ' ')
		i++;
	for (; i < size && p[i] && p[i] != ' '; i++) {
		if (p[i] < '0' || p[i] > '7')
			return -EBADMSG;
		value = value << 3 | (uint64_t)(p[i] - '0');
	}
	*ret = value;
	return 0;
}

static bool sum_holds(const uint8_t *block)
{
	uint64_t said, sum = 8 * ' ';

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= 148 && i < 156 ? 0 : block[i];
	return number((const char *)block + 148, 8, &said) == 0 && said == sum;
}

int oci_tar_head(const uint8_t block[TAR_BLOCK], struct oci_entry *ret)
{
	static const uint8_t zeroes[TAR_BLOCK];
	struct tar_head h;
	uint64_t mode;

	if (memcmp(block, zeroes, TAR_BLOCK) == 0)
		return 0;
	memcpy(&h, block, sizeof(h));
	*ret = (struct oci_entry){.type = h.type ? h.type : '0'};
	if (!sum_holds(block) || number(h.mode, sizeof(h.mode), &mode) < 0 ||
	    number(h.uid, sizeof(h.uid), &ret->uid) < 0 ||
	    number(h.gid, sizeof(h.gid), &ret->gid) < 0 ||
	    number(h.size, sizeof(h.size), &ret->bytes) < 0 ||
	    number(h.mtime, sizeof(h.mtime), &ret->mtime_s) < 0)
		return -EBADMSG;
	ret->mode = (uint32_t)(mode & 07777);
	if (memcmp(h.magic, "ustar", 6) == 0 && h.prefix[0])
		snprintf(ret->path, sizeof(ret->path), "%.155s/%.100s", h.prefix, h.name);
	else
		snprintf(ret->path, sizeof(ret->path), "%.100s", h.name);
	snprintf(ret->link, sizeof(ret->link), "%.100s", h.link);
	return 1;
}

/* "LENGTH KEY=VALUE\n", LENGTH counting all of it. */
int oci_tar_pax(char *text, size_t len, struct oci_entry *e)
{
	while (len) {
		char *space = memchr(text, ' ', len < 8 ? len : 8), *equals;
		uint64_t record;

		if (!space)
			return -EBADMSG;
		*space = 0;
		if (parse_u64(text, &record) < 0 || record > len ||
		    record < (size_t)(space - text) + 2 || text[record - 1] != '\n')
			return -EBADMSG;
		text[record - 1] = 0;
		equals = strchr(space + 1, '=');
		if (!equals)
			return -EBADMSG;
		*equals = 0;
		if ((strcmp(space + 1, "path") == 0 &&
		     !str_copy(e->path, sizeof(e->path), equals + 1)) ||
		    (strcmp(space + 1, "linkpath") == 0 &&
		     !str_copy(e->link, sizeof(e->link), equals + 1)))
			return -ENAMETOOLONG;
		if (strcmp(space + 1, "size") == 0 && parse_u64(equals + 1, &e->bytes) < 0)
			return -EBADMSG;
		text += record;
		len -= record;
	}
	return 0;
}

int oci_plain_path(char *path)
{
	char *out = path, *in = path;

	while (*in) {
		size_t n = strcspn(in, "/");

		if (n == 2 && in[0] == '.' && in[1] == '.')
			return -EPERM;
		if (n && !(n == 1 && in[0] == '.')) {
			if (out != path)
				*out++ = '/';
			memmove(out, in, n);
			out += n;
		}
		in += n;
		in += *in == '/';
	}
	*out = 0;
	return 0;
}

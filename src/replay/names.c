/* SPDX-License-Identifier: MIT */
#include "replay/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct name {
	uint32_t id;
	char text[];
};

static int add(struct names *n, uint64_t key, const char *text, uint32_t *ret)
{
	size_t len = strlen(text) + 1;
	struct name *name;

	if (n->nr == n->cap) {
		size_t cap = n->cap * 2 + 64;
		struct name **grown = realloc(n->name, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		n->name = grown;
		n->cap = cap;
	}
	name = malloc(sizeof(*name) + len);
	if (!name || hash_put(&n->by_hash, key, name) < 0) {
		free(name);
		return -ENOMEM;
	}
	name->id = (uint32_t)n->nr;
	memcpy(name->text, text, len);
	n->name[n->nr++] = name;
	*ret = name->id;
	return 0;
}

int names_id(struct names *n, const char *text, uint32_t *ret)
{
	uint64_t key = hash_string(text);
	const struct name *name;

	/* two texts of one hash: the second goes to the next key */
	for (; (name = hash_get(&n->by_hash, key)); key++)
		if (!strcmp(name->text, text)) {
			*ret = name->id;
			return 0;
		}
	return add(n, key, text, ret);
}

int names_pair(struct names *n, const char *a, const char *b, uint32_t *ret)
{
	char both[1024];

	snprintf(both, sizeof(both), "%s\x1f%s", a, b);
	return names_id(n, both, ret);
}

const char *names_text(const struct names *n, uint32_t id)
{
	return n->name[id]->text;
}

void names_done(struct names *n)
{
	for (size_t i = 0; i < n->nr; i++)
		free(n->name[i]);
	free(n->name);
	hash_done(&n->by_hash);
	*n = (struct names){0};
}

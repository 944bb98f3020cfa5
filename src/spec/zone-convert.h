/* SPDX-License-Identifier: MIT */
/* Between the files of src/spec/zone-convert*.c: the new tree is made node by node, with the lines
 * of the old one. Out of memory is told by walk.code at the end. */
#pragma once
#include "spec/zone-tree.h"

struct convert {
	struct walk walk;
	struct error_list *notes;
	const struct node *old;
	struct node *root;
};

#define CONVERT_NOTE(c, line, ...) error_list_add((c)->notes, (c)->walk.name, line, __VA_ARGS__)

/* NULL: no memory. */
struct node *convert_add(struct convert *c, struct node *parent, enum node_kind kind,
			 const char *key, const char *text, uint32_t line);
/* n and all below it, as `key` of parent. */
void convert_copy(struct convert *c, const struct node *n, struct node *parent, const char *key);
/* A text at path ("cpu.max") below root. */
void convert_put(struct convert *c, struct node *root, const char *path, const char *text,
		 uint32_t line);
/* The text of a map's entry, or NULL. */
const char *convert_text(const struct node *map, const char *key);
/* A list of containers, or of pods with containers. */
void convert_apps(struct convert *c, const struct node *n, const char *to);

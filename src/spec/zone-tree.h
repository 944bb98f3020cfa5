/* SPDX-License-Identifier: MIT */
/* Between the files of src/spec/zone-*.c: tree -> struct zone_spec. */
#pragma once
#include "base/cleanup.h"
#include "model/zone-fields.h"
#include "spec/walk.h"
#include "spec/zone-spec-io.h"

#define ZONE_WORD_MAX 8192 /* bytes of a word of a command, or a value of a map */

/* Everything a file has to say; *ret is set on success only. 0, -EINVAL, -ENOMEM. */
must_check int zone_tree_read(struct walk *w, const struct node *root, struct zone_spec *ret);
/* Fields that have to agree with one another; complains with the lines of root. */
void zone_tree_check(struct walk *w, const struct node *root, const struct zone_spec *s);
/* The value at "resource.memory" or "apps[1].name"; NULL: there is none. */
const struct node *zone_tree_find(const struct node *root, const char *path);
/* Its line, else that of what is nearest above it. */
uint32_t zone_tree_line(const struct node *root, const char *path);
/* The older form: meta, os, resource and no apiVersion. */
bool zone_tree_is_old(const struct node *root);

DEFINE_CLEANUP(struct node *, tree_free)

/* SPDX-License-Identifier: MIT */
/*
 * YAML text -> a small tree with lines. Anchors, aliases, tags and further documents are refused:
 * czd.yaml needs none of them, and they are how YAML bombs are made.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "spec/spec.h"

#define TREE_NODES_MAX 100000u
#define TREE_DEPTH_MAX 8u

enum node_kind { NODE_SCALAR, NODE_MAPPING, NODE_SEQUENCE };

struct node {
	enum node_kind kind;
	bool quoted;   /* scalar in quotes: "" is text, not an absent value */
	uint32_t line; /* from 1 */
	char *key;     /* of the mapping entry this is the value of, NULL elsewhere */
	uint32_t key_line;
	char *text;			  /* scalar; no NUL inside */
	struct node *first, *last, *next; /* children in order; next sibling */
};

/* *ret_root is NULL for an empty document. 0, -EINVAL (errs says where) or -ENOMEM. */
must_check int tree_parse(const char *name, const char *text, size_t len, struct node **ret_root,
			  struct error_list *errs);
struct node *tree_free(struct node *root); /* returns NULL; accepts NULL */

/* Append "NAME:LINE: text". */
void error_list_add(struct error_list *errs, const char *name, uint32_t line, const char *fmt, ...)
    printf_like(4, 5);

/* SPDX-License-Identifier: MIT */
/* What can be asked, one table (routes.c). The OpenAPI document is made from it. */
#pragma once
#include <stdbool.h>
#include "gate/http.h"

enum param_kind { PARAM_TEXT, PARAM_NUMBER, PARAM_FLAG, PARAM_DURATION };
struct param {
	const char *name; /* NULL ends a list */
	enum param_kind kind;
	bool required;
	const char *help;
	const char *arg; /* what czd calls it; NULL: the same */
};
#define PARAMS_MAX 6

struct route {
	const char *method, *path; /* "/api/v1/zones/{zone}/why"; {names} match one part */
	const char *summary;
	const char *verb;		 /* of czd; NULL: `serve` answers */
	struct param params[PARAMS_MAX]; /* of the query; of the body for POST */
	const char *rows, *key;		 /* paged: the array in the answer, and what orders it */
	void (*serve)(struct request *r);
	const char *type; /* of the answer, several with a blank between; NULL: application/json */
	/* What an answer always has: "zones:array from_ms:integer headline:string"; of a row,
	 * `row`. A type with a "?" may be null. The document says so, and tests hold answers to it.
	 */
	const char *has, *row;
	bool changes, slow, open, navigates;
};

extern const struct route routes[];
extern const size_t nr_routes;

/* Cuts r->path into parts. NULL: *ret_status is 404, 405, with r->allow, or 414
 * for a path that was too long. */
const struct route *route_find(struct request *r, const char *method, unsigned int *ret_status);
/* For routes with a verb: asks czd and answers with what it says. */
void route_ask(struct request *r);
json_t *openapi_document(bool reading_needs_token);
/* {rows: [..]} cut to `limit` rows that come after `cursor` in the order of `key`; adds
 * next_cursor, text or null. */
must_check int page_cut(json_t *data, const char *rows, const char *key, const char *limit,
			const char *cursor, struct error *reterr);
#define PAGE_LIMIT     1000
#define PAGE_LIMIT_MAX 10000

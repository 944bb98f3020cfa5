/* SPDX-License-Identifier: MIT */
/* Shared by the files that read recordings. Getters leave *ret alone when the field is absent. */
#pragma once
#include <jansson.h>
#include "model/record.h"

must_check int record_get_u64(const json_t *o, const char *key, uint64_t *ret,
			      struct error *reterr);
must_check int record_get_i32(const json_t *o, const char *key, int32_t *ret, struct error *reterr);
/* The text belongs to o. */
must_check int record_get_text(const json_t *o, const char *key, size_t max, const char **ret,
			       struct error *reterr);
/* Item i of an array, required, at most max. */
must_check int record_item_u64(const json_t *array, size_t i, uint64_t max, uint64_t *ret,
			       struct error *reterr);
must_check int record_read_snapshot(struct record_reader *r, const json_t *o, struct record *ret,
				    struct error *reterr);

/* SPDX-License-Identifier: MIT */
/* The errors of a file, for people and as JSON; escaped. */
#pragma once
#include <jansson.h>
#include "spec/spec.h"

json_t *errors_json(const struct error_list *errs); /* [{line, text}] */
/* On stderr, one a line, each behind `before`. */
void errors_print(const struct error_list *errs, const char *before);

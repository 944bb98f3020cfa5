/* SPDX-License-Identifier: MIT */
#pragma once
#include "base/str.h"

/* Text that came from outside as content or attribute of HTML or XML; what may not be in there
 * becomes U+FFFD. */
void report_escape(struct strbuf *b, const char *text);

/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

printf_like(3, 0) static void set_msg(struct error *e, int code, const char *fmt, va_list ap)
{
	e->code = code;
	e->hint[0] = 0;
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
}

int error_set(struct error *reterr, int code, const char *fmt, ...)
{
	va_list ap;

	if (!reterr)
		return code;
	va_start(ap, fmt);
	set_msg(reterr, code, fmt, ap);
	va_end(ap);
	return code;
}

int error_errno(struct error *reterr, int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (!reterr)
		return code;
	va_start(ap, fmt);
	set_msg(reterr, code, fmt, ap);
	va_end(ap);
	n = strlen(reterr->msg);
	snprintf(reterr->msg + n, sizeof(reterr->msg) - n, ": %s",
		 strerror(code < 0 ? -code : code));
	return code;
}

int error_wrap(struct error *reterr, int code, const char *fmt, ...)
{
	char inner[sizeof(reterr->msg)];
	char hint[sizeof(reterr->hint)];
	va_list ap;
	size_t n;

	if (!reterr)
		return code;
	memcpy(inner, reterr->msg, sizeof(inner));
	memcpy(hint, reterr->hint, sizeof(hint));
	va_start(ap, fmt);
	set_msg(reterr, code, fmt, ap);
	va_end(ap);
	n = strlen(reterr->msg);
	snprintf(reterr->msg + n, sizeof(reterr->msg) - n, ": %s", inner);
	memcpy(reterr->hint, hint, sizeof(hint));
	return code;
}

void error_hint(struct error *reterr, const char *fmt, ...)
{
	va_list ap;

	if (!reterr)
		return;
	va_start(ap, fmt);
	vsnprintf(reterr->hint, sizeof(reterr->hint), fmt, ap);
	va_end(ap);
}

const char *error_name(int code)
{
	const char *name = strerrorname_np(code < 0 ? -code : code);

	return name ? name : "E?";
}

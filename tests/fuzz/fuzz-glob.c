/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/str.h"
#include "fuzz.h"

/* The definition, by exhaustive recursion with a step budget: -1 when it runs out. */
static int reference(const char *p, const char *s, const char *p0, int *budget)
{
	if (--*budget < 0)
		return -1;
	if (p[0] == '*' && p[1] == '*') {
		const char *next = p;
		int r;

		while (*next == '*')
			next++;
		if (*next == '/' && p > p0 && p[-1] == '/') {
			r = reference(next + 1, s, p0, budget);
			if (r != 0)
				return r;
		}
		for (;; s++) {
			r = reference(next, s, p0, budget);
			if (r != 0 || !*s)
				return r;
		}
	}
	if (*p == '*') {
		for (;; s++) {
			int r = reference(p + 1, s, p0, budget);

			if (r != 0 || !*s || *s == '/')
				return r;
		}
	}
	if (!*p || !*s)
		return *p == *s;
	return (*p == *s || (*p == '?' && *s != '/')) ? reference(p + 1, s + 1, p0, budget) : 0;
}

/* Input: pattern, newline, path. The path is also put through str_escape. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = fuzz_text(data, size < 512 ? size : 512);
	char *path = strchr(s, '\n');
	char shown[64];
	int budget = 20000, want;

	if (!path)
		return 0;
	*path++ = 0;
	str_escape(shown, sizeof(shown), path);
	for (const char *c = shown; *c; c++)
		FUZZ_ASSERT((unsigned char)*c >= 0x20 && *c != 0x7f);
	FUZZ_ASSERT(str_distance(s, path) == str_distance(path, s));
	want = reference(s, path, s, &budget);
	if (want >= 0)
		FUZZ_ASSERT(path_glob_match(s, path) == want);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* The page: the files of web/, built in. It fetches nothing from anywhere else. */
#pragma once
#include <stddef.h>
#include "gate/http.h"

struct page_file {
	const char *name, *type;
	const unsigned char *data;
	size_t size;
};
extern const struct page_file page_files[]; /* made at build time by tools/embed-web */
extern const size_t nr_page_files;

/* "/" is index.html; "/{file}" any of them. */
void page_serve(struct request *r);

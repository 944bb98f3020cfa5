/* SPDX-License-Identifier: MIT */
#include "gate/page.h"

#include <string.h>
#include "gate/routes.h"

void page_serve(struct request *r)
{
	const char *name = r->nr_parts ? r->parts[0] : "index.html";
	struct MHD_Response *response = NULL;

	for (size_t i = 0; i < nr_page_files && !response; i++) {
		const struct page_file *f = &page_files[i];

		if (strcmp(f->name, name) != 0)
			continue;
		response = MHD_create_response_from_buffer(f->size, (void *)f->data,
							   MHD_RESPMEM_PERSISTENT);
		if (response)
			MHD_add_response_header(response, "Content-Type", f->type);
	}
	if (response)
		request_answer(r, MHD_HTTP_OK, response);
	else
		request_fail(r, MHD_HTTP_NOT_FOUND, -ENOENT, "there is nothing at this path",
			     "See /api/v1/openapi.json for what there is.");
}

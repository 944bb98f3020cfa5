/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "vm/disk.h"
#include "vm/oci-layer.h"
#include "vm/share.h"
#include "fuzz.h"

/* No name that an image has leads out of its tree. */
static void check_path(const char *path)
{
	FUZZ_ASSERT(path[0] != '/' && !strstr(path, "//") && strlen(path) < OCI_PATH_MAX);
	for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/') {
		size_t n = strcspn(p, "/");

		FUZZ_ASSERT(n && !(n == 1 && p[0] == '.') &&
			    !(n == 2 && p[0] == '.' && p[1] == '.'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_text(data, size), *records = fuzz_text(data, size);
	char accounts[512];
	struct oci_entry e = {0};
	enum disk_format format;
	uint64_t bytes;

	if (size >= TAR_BLOCK && oci_tar_head(data, &e) > 0 && oci_plain_path(e.path) == 0)
		check_path(e.path);
	if (oci_tar_pax(records, size, &e) == 0 && oci_plain_path(e.path) == 0)
		check_path(e.path);
	if (share_accounts(text, accounts, sizeof(accounts)) == 0)
		FUZZ_ASSERT(strlen(accounts) < sizeof(accounts));
	if (disk_inspect(data, size < 104 ? size : 104, size, &format, &bytes, NULL) == 0)
		FUZZ_ASSERT(bytes && bytes <= DISK_BYTES_MAX);
	return 0;
}

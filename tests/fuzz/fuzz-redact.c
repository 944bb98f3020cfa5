/* SPDX-License-Identifier: MIT */
/* Logs and configurations of any kind: a planted name never comes through, whatever is around it.
 */
#include "base/cleanup.h"
#include "cli/redact.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char planted[] = "Zq7planted";
	_cleanup_free_ char *text = fuzz_text(data, size);
	_cleanup_(strbuf_done) struct strbuf in = {0}, out = {0}, config = {0};
	_cleanup_(redact_done) struct redact r = {0};

	redact_learn(&r, REDACT_ZONE, planted);
	strbuf_printf(&in, "%s %s\n%s", text, planted, text);
	redact_text(&r, in.data, &out);
	redact_config(&r, in.data, &config);
	FUZZ_ASSERT(!r.failed);
	if (!strstr(text, planted)) { /* as a part of another word it is another name */
		FUZZ_ASSERT(!strstr(out.data, planted));
		FUZZ_ASSERT(!config.data || !strstr(config.data, planted));
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "spec/zone-spec-io.h"
#include "fuzz.h"

static struct error_list errs, notes;

/* What does not load leaves errors, each with a line of the text, and no raw control character. */
static void check_errors(const struct error_list *list, size_t least)
{
	FUZZ_ASSERT(list->nr >= least && list->nr <= ERROR_LIST_MAX && list->nr <= list->total);
	for (size_t i = 0; i < list->nr; i++) {
		FUZZ_ASSERT(!strncmp(list->items[i].text, "f:", 2));
		for (const char *p = list->items[i].text; *p; p++)
			FUZZ_ASSERT((unsigned char)*p >= 0x20 && *p != 0x7f);
	}
}

/* What loads is within bounds, and comes back as it is from YAML and from JSON. */
static void check_spec(const struct zone_spec *s)
{
	_cleanup_(zone_spec_done) struct zone_spec yaml = {0}, json = {0};
	_cleanup_(strbuf_done) struct strbuf first = {0}, second = {0};
	json_t *object = zone_spec_json(s);

	FUZZ_ASSERT(s->name && s->name[0] && strlen(s->name) <= ZONE_SPEC_NAME_MAX);
	FUZZ_ASSERT(s->nr_apps <= ZONE_APPS_MAX && s->nr_labels <= ZONE_LABELS_MAX);
	FUZZ_ASSERT(zone_spec_vcpus(s) <= zone_spec_vcpus_max(s));
	FUZZ_ASSERT(object && zone_spec_yaml(s, &first) == 0);
	FUZZ_ASSERT(zone_spec_load_text("f", first.data, first.len, &yaml, &errs) == 0);
	FUZZ_ASSERT(zone_spec_yaml(&yaml, &second) == 0 && !strcmp(first.data, second.data));
	FUZZ_ASSERT(zone_spec_from_json("f", object, &json, &errs) == 0);
	FUZZ_ASSERT(zone_spec_yaml(&json, &second) == 0 && !strcmp(first.data, second.data));
	json_decref(object);
}

static void try_json(const char *text, size_t size)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0};
	json_t *json = json_loadb(text, size, JSON_ALLOW_NUL, NULL);

	if (json && zone_spec_from_json("f", json, &s, &errs) < 0)
		check_errors(&errs, 1);
	else if (json)
		check_spec(&s);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(zone_spec_done) struct zone_spec s = {0}, old = {0};
	_cleanup_free_ char *text = fuzz_text(data, size);

	if (zone_spec_load_text("f", text, size, &s, &errs) < 0) {
		FUZZ_ASSERT(!s.name && !s.apps);
		check_errors(&errs, 1);
	} else {
		check_spec(&s);
	}
	if (zone_spec_convert("f", text, size, &old, &errs, &notes) < 0)
		check_errors(&errs, 1);
	else
		check_spec(&old);
	check_errors(&notes, 0);
	try_json(text, size);
	return 0;
}

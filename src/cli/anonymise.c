/* SPDX-License-Identifier: MIT */
#include "cli/anonymise.h"

#include <stddef.h>
#include <string.h>

static json_t *zone_text(const char *before, const json_t *id)
{
	return json_sprintf("%szone-%lld", before, json_integer_value(id));
}

/* The root is called the same everywhere, and keeps its name. */
static json_t *zone_name(const json_t *name, const json_t *id)
{
	const char *text = json_string_value(name);

	return text && !strcmp(text, "/") ? json_string(text) : zone_text("", id);
}

static void anonymise_zones(json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *path = json_string_value(json_object_get(row, "path"));
		const json_t *id = json_object_get(row, "id");

		if (path && !strcmp(path, "/"))
			continue;
		json_object_set_new(row, "name", zone_text("", id));
		json_object_set_new(row, "path", zone_text("/", id));
	}
}

static void anonymise_ledgers(json_t *ledgers)
{
	json_t *ledger, *part;
	size_t i, k;

	json_array_foreach(ledgers, i, ledger)
	{
		json_array_foreach(json_object_get(ledger, "parts"), k, part)
		{
			if (json_array_size(part) > 5)
				json_array_set_new(part, 5, json_string(""));
		}
	}
}

static void anonymise_findings(json_t *findings)
{
	json_t *finding, *culprit;
	size_t i, k;

	json_array_foreach(findings, i, finding)
	{
		json_object_set_new(finding, "name",
				    zone_text("", json_object_get(finding, "victim")));
		json_array_foreach(json_object_get(finding, "culprits"), k, culprit)
		    json_array_set_new(
			culprit, 1,
			zone_name(json_array_get(culprit, 1), json_array_get(culprit, 0)));
	}
}

static void anonymise_actions(json_t *actions)
{
	json_t *action;
	size_t i;

	json_array_foreach(actions, i, action)
	{
		json_object_set_new(action, "victim_name",
				    zone_text("", json_object_get(action, "victim")));
		json_object_set_new(action, "target_name",
				    zone_text("", json_object_get(action, "target")));
	}
}

void anonymise_line(json_t *line)
{
	json_t *event = json_object_get(line, "event");

	if (json_object_get(line, "gone"))
		json_object_set_new(line, "name", zone_text("", json_object_get(line, "gone")));
	if (event)
		json_object_set_new(event, "comm", json_string(""));
	anonymise_zones(json_object_get(line, "zones"));
	anonymise_zones(json_object_get(line, "tree"));
	anonymise_ledgers(json_object_get(line, "ledgers"));
	anonymise_findings(json_object_get(line, "findings"));
	anonymise_actions(json_object_get(line, "actions"));
}

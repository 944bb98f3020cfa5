/* SPDX-License-Identifier: MIT */
/* JSON Schema for editors. Ranges of quantities stay with the loader, which knows their units. */
#include "spec/zone-tree.h"

static json_t *field_schema(const struct zone_field *f);

static json_t *fields_schema(const struct zone_field *fields)
{
	json_t *properties = json_object(), *required = json_array();
	json_t *schema = json_pack("{s:s, s:b}", "type", "object", "additionalProperties", 0);

	for (const struct zone_field *f = fields; f->key; f++) {
		json_object_set_new(properties, f->key, field_schema(f));
		if (f->flags & FIELD_REQUIRED)
			json_array_append_new(required, json_string(f->key));
	}
	json_object_set_new(schema, "properties", properties);
	if (json_array_size(required))
		json_object_set(schema, "required", required);
	json_decref(required);
	return schema;
}

static json_t *names_schema(const char *const *names)
{
	json_t *list = json_array();

	for (; *names; names++)
		json_array_append_new(list, json_string(*names));
	return json_pack("{s:o}", "enum", list);
}

static json_t *list_schema(const struct zone_field *f, json_t *items)
{
	return json_pack("{s:s, s:I, s:o}", "type", "array", "maxItems", (json_int_t)f->max,
			 "items", items);
}

static json_t *rootfs_schema(const struct zone_field *f)
{
	json_t *path = json_pack("{s:s, s:I}", "type", "string", "maxLength", (json_int_t)f->max);
	json_t *kinds = json_pack("{s:O, s:O, s:o}", "image", path, "dir", path, "oci", path);

	return json_pack("{s:[{s:[s,s]}, {s:s, s:i, s:i, s:b, s:o}]}", "oneOf", "enum", "none",
			 "host", "type", "object", "minProperties", 1, "maxProperties", 1,
			 "additionalProperties", 0, "properties", kinds);
}

/* Words may be written without quotes: an editor takes some of them for numbers. */
static json_t *text_schema(void)
{
	return json_pack("{s:[s,s,s]}", "type", "string", "number", "boolean");
}

static json_t *type_schema(const struct zone_field *f)
{
	switch (f->type) {
	case FIELD_ENUM:
	case FIELD_EITHER:
	case FIELD_FIXED:
		return names_schema(f->names);
	case FIELD_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case FIELD_COUNT:
	case FIELD_OPS:
		return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum",
				 (json_int_t)f->min, "maximum", (json_int_t)f->max);
	case FIELD_ROOTFS:
		return rootfs_schema(f);
	case FIELD_WORDS:
		return list_schema(f, text_schema());
	case FIELD_PORTS:
		return list_schema(f, json_pack("{s:s, s:s}", "type", "string", "pattern",
						"^[0-9]{1,5}:[0-9]{1,5}$"));
	case FIELD_MAP:
		return json_pack("{s:s, s:I, s:o}", "type", "object", "maxProperties",
				 (json_int_t)f->max, "additionalProperties", text_schema());
	case FIELD_SECTION:
		return fields_schema(f->sub);
	case FIELD_RULES:
	case FIELD_APPS:
		return list_schema(f, fields_schema(f->sub));
	case FIELD_TEXT:
		return json_pack("{s:[s,s], s:I}", "type", "string", "integer", "maxLength",
				 (json_int_t)f->max);
	default: /* quantities: 512Mi, or plain numbers */
		return json_pack("{s:[s,s]}", "type", "string", "number");
	}
}

static json_t *field_schema(const struct zone_field *f)
{
	json_t *schema = type_schema(f);
	char allowed[256];

	json_object_set_new(schema, "description",
			    json_sprintf("%s Takes %s.%s%s", f->help,
					 zone_field_allowed(f, allowed, sizeof(allowed)),
					 f->fallback ? " Default: " : "",
					 f->fallback ? f->fallback : ""));
	return schema;
}

json_t *zone_spec_schema(void)
{
	json_t *schema =
	    json_pack("{s:s, s:s}", "$schema", "http://json-schema.org/draft-07/schema#", "title",
		      "Control Zone: a zone (cz/v1)");
	json_t *rest = fields_schema(zone_fields);

	json_object_update(schema, rest);
	json_decref(rest);
	return schema;
}

/* SPDX-License-Identifier: MIT */
/* The OpenAPI document, made from the table of routes: what is not in it can't be asked. */
#include <ctype.h>
#include <string.h>
#include "gate/routes.h"

static const char *const types[] = {
    [PARAM_TEXT] = "string",
    [PARAM_NUMBER] = "integer",
    [PARAM_FLAG] = "boolean",
    [PARAM_DURATION] = "string",
};

static void add_path_parameters(json_t *list, const char *path)
{
	const char *at = path;

	while ((at = strchr(at, '{')) != NULL) {
		size_t n = strcspn(++at, "}");
		bool number = !strncmp(at, "seq", n);

		json_array_append_new(list, json_pack("{s:s%,s:s,s:b,s:{s:s}}", "name", at, n, "in",
						      "path", "required", 1, "schema", "type",
						      number ? "integer" : "string"));
	}
}

static json_t *parameters(const struct route *r)
{
	json_t *list = json_array();

	add_path_parameters(list, r->path);
	for (const struct param *p = r->params; p < r->params + PARAMS_MAX && p->name; p++) {
		if (strcmp(r->method, "GET") != 0)
			break;
		json_array_append_new(list,
				      json_pack("{s:s,s:s,s:b,s:s,s:{s:s}}", "name", p->name, "in",
						"query", "required", p->required, "description",
						p->help, "schema", "type", types[p->kind]));
	}
	return list;
}

static json_t *request_body(const struct route *r)
{
	json_t *properties = json_object(), *required = json_array(), *schema;

	for (const struct param *p = r->params; p < r->params + PARAMS_MAX && p->name; p++) {
		json_object_set_new(
		    properties, p->name,
		    json_pack("{s:s,s:s}", "type", types[p->kind], "description", p->help));
		if (p->required)
			json_array_append_new(required, json_string(p->name));
	}
	schema = json_pack("{s:s,s:b,s:o}", "type", "object", "additionalProperties", 0,
			   "properties", properties);
	if (json_array_size(required))
		json_object_set(schema, "required", required);
	json_decref(required);
	return json_pack("{s:{s:{s:o}}}", "content", "application/json", "schema", schema);
}

/* "zones:array next:string?" as the properties of an object, which it always has. */
static json_t *object_with(const char *list)
{
	json_t *properties = json_object(), *required = json_array();

	for (const char *at = list; at && *at; at += strspn(at, " ")) {
		size_t name = strcspn(at, ":"), type = strcspn(at + name + 1, " ?");
		bool may_be_null = at[name + 1 + type] == '?';
		json_t *p = json_pack("{s:s%}", "type", at + name + 1, type);

		if (may_be_null)
			json_object_set_new(p, "nullable", json_true());
		if (!strncmp(at + name + 1, "array", type))
			json_object_set_new(p, "items", json_object());
		json_object_setn_new(properties, at, name, p);
		json_array_append_new(required, json_stringn(at, name));
		at += name + 1 + type + may_be_null;
	}
	return json_pack("{s:s,s:o,s:o}", "type", "object", "properties", properties, "required",
			 required);
}

static json_t *json_schema(const struct route *r)
{
	json_t *o = object_with(r->has), *required = json_object_get(o, "required");
	json_t *properties = json_object_get(o, "properties");

	if (r->rows) {
		json_object_set_new(
		    properties, r->rows,
		    json_pack("{s:s,s:o}", "type", "array", "items", object_with(r->row)));
		json_object_set_new(properties, "next_cursor",
				    json_pack("{s:s,s:b}", "type", "string", "nullable", 1));
		json_array_append_new(required, json_string(r->rows));
		json_array_append_new(required, json_string("next_cursor"));
	}
	if (!json_array_size(required)) /* an empty one is no schema */
		json_object_del(o, "required");
	return o;
}

static json_t *answer(const struct route *r)
{
	const char *at = r->type ? r->type : "application/json";
	json_t *content = json_object();

	for (size_t n; *at; at += n + strspn(at + n, " ")) {
		n = strcspn(at, " ");
		json_object_setn_new(
		    content, at, n,
		    json_pack("{s:o}", "schema",
			      r->type ? json_pack("{s:s}", "type", "string") : json_schema(r)));
	}
	return json_pack("{s:s,s:o}", "description", r->summary, "content", content);
}

static json_t *operation(const struct route *r)
{
	json_t *o = json_pack("{s:s,s:o,s:{s:o,s:{s:s}}}", "summary", r->summary, "parameters",
			      parameters(r), "responses", "200", answer(r), "default", "$ref",
			      "#/components/responses/Error");

	if (!strcmp(r->method, "POST"))
		json_object_set_new(o, "requestBody", request_body(r));
	if (r->open)
		json_object_set_new(o, "security", json_array());
	if (r->changes)
		json_object_set_new(o, "security", json_pack("[{s:[]}]", "token"));
	return o;
}

static json_t *components(void)
{
	json_t *text = json_pack("{s:s}", "type", "string");
	json_t *error = json_pack("{s:s,s:[s],s:{s:{s:s,s:[sss],s:{s:O,s:O,s:O}}}}", "type",
				  "object", "required", "error", "properties", "error", "type",
				  "object", "required", "name", "message", "hint", "properties",
				  "name", text, "message", text, "hint", text);
	json_t *o = json_pack(
	    "{s:{s:{s:s,s:s}},s:{s:{s:s,s:{s:{s:{s:s}}}}},s:{s:o}}", "securitySchemes", "token",
	    "type", "http", "scheme", "bearer", "responses", "Error", "description",
	    "What failed, why, and what to do about it", "content", "application/json", "schema",
	    "$ref", "#/components/schemas/Error", "schemas", "Error", error);

	json_decref(text);
	return o;
}

json_t *openapi_document(bool reading_needs_token)
{
	json_t *paths = json_object();

	for (size_t i = 0; i < nr_routes; i++) {
		const struct route *r = &routes[i];
		char method[8] = "";
		json_t *path = json_object_get(paths, r->path);

		for (size_t k = 0; r->method[k] && k + 1 < sizeof(method); k++)
			method[k] = (char)tolower((unsigned char)r->method[k]);
		if (!path) {
			path = json_object();
			json_object_set_new(paths, r->path, path);
		}
		json_object_set_new(path, method, operation(r));
	}
	return json_pack("{s:s,s:{s:s,s:s,s:s},s:o,s:o,s:o}", "openapi", "3.0.3", "info", "title",
			 "Control Zone", "version", CZ_VERSION, "description",
			 "What czd knows of this host, read by cz-gate", "paths", paths,
			 "components", components(), "security",
			 reading_needs_token ? json_pack("[{s:[]}]", "token") : json_array());
}

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

static json_t *answer(const struct route *r)
{
	json_t *schema = json_pack("{s:s}", "type", r->type ? "string" : "object");

	if (r->rows)
		json_object_set_new(schema, "properties",
				    json_pack("{s:{s:s,s:{s:s}},s:{s:s,s:b}}", r->rows, "type",
					      "array", "items", "type", "object", "next_cursor",
					      "type", "string", "nullable", 1));
	return json_pack("{s:s,s:{s:{s:o}}}", "description", r->summary, "content",
			 r->type ? r->type : "application/json", "schema", schema);
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
	return o;
}

static json_t *components(void)
{
	json_t *text = json_pack("{s:s}", "type", "string");
	json_t *error =
	    json_pack("{s:s,s:{s:{s:s,s:{s:O,s:O,s:O}}}}", "type", "object", "properties", "error",
		      "type", "object", "properties", "name", text, "message", text, "hint", text);
	json_t *o = json_pack(
	    "{s:{s:{s:s,s:s}},s:{s:{s:s,s:{s:{s:{s:s}}}}},s:{s:o}}", "securitySchemes", "token",
	    "type", "http", "scheme", "bearer", "responses", "Error", "description",
	    "What failed, why, and what to do about it", "content", "application/json", "schema",
	    "$ref", "#/components/schemas/Error", "schemas", "Error", error);

	json_decref(text);
	return o;
}

json_t *openapi_document(void)
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
	return json_pack("{s:s,s:{s:s,s:s,s:s},s:o,s:o,s:[{s:[]}]}", "openapi", "3.0.3", "info",
			 "title", "Control Zone", "version", CZ_VERSION, "description",
			 "What czd knows of this host, read by cz-gate", "paths", paths,
			 "components", components(), "security", "token");
}

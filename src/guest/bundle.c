/* SPDX-License-Identifier: MIT */
#include "guest/bundle.h"

#include <jansson.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"

static bool all_strings(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!json_is_string(json_array_get(list, i)))
			return false;
	return json_is_array(list);
}

static bool is_text(const json_t *j)
{
	return json_string_length(j) > 0;
}

/* Without one, what crun mounts for the container would stay in the zone when it has ended. */
static bool has_own_mounts(const json_t *config)
{
	const json_t *list = json_object_get(json_object_get(config, "linux"), "namespaces");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *type = json_string_value(json_object_get(item, "type"));

		if (type && !strcmp(type, "mount") && !json_object_get(item, "path"))
			return true;
	}
	return false;
}

static int check(const json_t *config, struct error *reterr)
{
	const json_t *process = json_object_get(config, "process");
	const json_t *args = json_object_get(process, "args");
	const json_t *env = json_object_get(process, "env");

	if (!all_strings(args) || !is_text(json_array_get(args, 0)))
		return error_set(reterr, -EINVAL,
				 "process.args: expected a list of words, the program first");
	if (env && !all_strings(env))
		return error_set(reterr, -EINVAL, "process.env: expected a list of NAME=VALUE");
	if (!is_text(json_object_get(json_object_get(config, "root"), "path")))
		return error_set(reterr, -EINVAL,
				 "root.path: expected a directory, absolute or below the bundle");
	if (!has_own_mounts(config))
		return error_set(reterr, -EINVAL,
				 "linux.namespaces: needs one of type mount, without a path");
	return 0;
}

static bool is_variable(const json_t *entry, const char *name)
{
	const char *text = json_string_value(entry);
	size_t n = strlen(name);

	return !strncmp(text, name, n) && text[n] == '=';
}

static int merge_env(json_t *process, const struct zone_app *app)
{
	json_t *env = json_object_get(process, "env");

	if (!env) {
		env = json_array();
		if (json_object_set_new(process, "env", env) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < app->nr_env; i++) {
		const struct key_value *e = &app->env[i];

		for (size_t k = json_array_size(env); k-- > 0;)
			if (is_variable(json_array_get(env, k), e->key))
				json_array_remove(env, k);
		if (json_array_append_new(env, json_sprintf("%s=%s", e->key, e->value)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int change(json_t *config, const struct zone_app *app)
{
	static const char *const ours[] = {"cgroupsPath", "resources", "intelRdt"};
	json_t *process = json_object_get(config, "process");

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		json_object_del(json_object_get(config, "linux"), ours[i]);
	if (json_object_set_new(process, "terminal", json_false()) < 0)
		return -ENOMEM;
	if (app->workdir && json_object_set_new(process, "cwd", json_string(app->workdir)) < 0)
		return -ENOMEM;
	return merge_env(process, app);
}

int bundle_config(const char *text, size_t len, const struct zone_app *app, char **ret,
		  struct error *reterr)
{
	json_error_t e;
	_cleanup_(json_decrefp) json_t *config = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	char shown[JSON_ERROR_TEXT_LENGTH], *out;
	int r;

	if (!config)
		return error_set(reterr, -EINVAL, "line %d: %s", e.line,
				 str_escape(shown, sizeof(shown), e.text));
	r = check(config, reterr);
	if (r < 0)
		return r;
	r = change(config, app);
	out = r == 0 ? json_dumps(config, JSON_COMPACT) : NULL;
	if (!out)
		return error_errno(reterr, -ENOMEM, "make another of it");
	*ret = out;
	return 0;
}

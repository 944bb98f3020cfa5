/* SPDX-License-Identifier: MIT */
/* Apps of the older form: names of our own, containers, or pods with containers. */
#include <string.h>
#include "base/str.h"
#include "spec/zone-convert.h"

static void add_all(struct convert *c, const struct node *list, struct node *to)
{
	if (list && list->kind == NODE_SEQUENCE)
		for (const struct node *e = list->first; e; e = e->next)
			convert_copy(c, e, to, NULL);
}

/* As containers of a pod have it: a list of {name, value}. */
static void app_env(struct convert *c, const struct node *env, struct node *app)
{
	struct node *map;

	if (env->kind == NODE_MAPPING) {
		convert_copy(c, env, app, "env");
		return;
	}
	map = convert_add(c, app, NODE_MAPPING, "env", NULL, env->line);
	for (const struct node *e = env->first; map && e; e = e->next) {
		const char *name = convert_text(e, "name"), *value = convert_text(e, "value");

		if (name)
			convert_add(c, map, NODE_SCALAR, name, value ? value : "", e->line);
		else
			walk_complain(&c->walk, e->line, "env: expected {name, value}");
	}
}

static void app_field(struct convert *c, const struct node *e, struct node *app)
{
	static const char *const same[] = {"name",    "class", "bundle", "user",  "workdir",
					   "restart", "cpu",   "memory", "cpuset"};
	const char *text;
	char shown[80];

	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		if (!strcmp(e->key, same[i])) {
			convert_copy(c, e, app, e->key);
			return;
		}
	}
	if (!strcmp(e->key, "workingDir")) {
		convert_copy(c, e, app, "workdir");
	} else if (!strcmp(e->key, "env")) {
		app_env(c, e, app);
	} else if (!strcmp(e->key, "resources")) {
		const struct node *limits = zone_tree_find(e, "limits");

		if (limits && (text = convert_text(limits, "cpu")))
			convert_put(c, app, "cpu.max", text, limits->line);
		if (limits && (text = convert_text(limits, "memory")))
			convert_put(c, app, "memory", text, limits->line);
	} else if (strcmp(e->key, "command") && strcmp(e->key, "args")) {
		CONVERT_NOTE(c, e->key_line, "apps: '%s' has no place in the new form",
			     str_escape(shown, sizeof(shown), e->key));
	}
}

static void convert_app(struct convert *c, const struct node *old, struct node *apps)
{
	const struct node *command = zone_tree_find(old, "command");
	const struct node *args = zone_tree_find(old, "args");
	struct node *app = convert_add(c, apps, NODE_MAPPING, NULL, NULL, old->line), *words;

	if (!app)
		return;
	if (command || args) {
		words = convert_add(c, app, NODE_SEQUENCE, "command", NULL,
				    (command ? command : args)->line);
		if (words) {
			add_all(c, command, words);
			add_all(c, args, words);
		}
	}
	for (const struct node *e = old->kind == NODE_MAPPING ? old->first : NULL; e; e = e->next)
		app_field(c, e, app);
}

/* A list of containers, or of pods with containers. */
void convert_apps(struct convert *c, const struct node *n, const char *to)
{
	struct node *apps = convert_add(c, c->root, NODE_SEQUENCE, to, NULL, n->line);

	for (const struct node *e = n->first; apps && e; e = e->next) {
		const struct node *in_pod = zone_tree_find(e, "spec.containers[0]");

		if (!in_pod)
			convert_app(c, e, apps);
		for (; in_pod; in_pod = in_pod->next)
			convert_app(c, in_pod, apps);
	}
}

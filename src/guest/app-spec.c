/* SPDX-License-Identifier: MIT */
#include "guest/app-spec.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_words(char *const *a, char *const *b)
{
	if (!a || !b)
		return a == b;
	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

bool app_same_process(const struct zone_app *a, const struct zone_app *b)
{
	if (!same_words(a->command, b->command) || !same_text(a->bundle, b->bundle) ||
	    !same_text(a->user, b->user) || !same_text(a->workdir, b->workdir) ||
	    a->nr_env != b->nr_env)
		return false;
	for (size_t i = 0; i < a->nr_env; i++)
		if (strcmp(a->env[i].key, b->env[i].key) != 0 ||
		    strcmp(a->env[i].value, b->env[i].value) != 0)
			return false;
	return true;
}

const struct thread_rule *app_thread_rule(const struct zone_app *a, const char *name)
{
	for (size_t i = 0; i < a->nr_threads; i++)
		if (fnmatch(a->threads[i].name, name, 0) == 0)
			return &a->threads[i];
	return NULL;
}

void app_spec_done(struct zone_app *a)
{
	struct zone_spec s = {.apps = calloc(1, sizeof(*a)), .nr_apps = 1};

	if (!s.apps)
		return;
	s.apps[0] = *a;
	zone_spec_done(&s);
	*a = (struct zone_app){0};
}

char **app_env(const struct zone_app *a)
{
	char **env = calloc(a->nr_env + 1, sizeof(*env));

	for (size_t i = 0; env && i < a->nr_env; i++)
		if (asprintf(&env[i], "%s=%s", a->env[i].key, a->env[i].value) < 0) {
			env[i] = NULL;
			app_env_free(env);
			return NULL;
		}
	return env;
}

void app_env_free(char **env)
{
	for (char **e = env; e && *e; e++)
		free(*e);
	free(env);
}

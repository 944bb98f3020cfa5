/* SPDX-License-Identifier: MIT */
/* The stable text of every enum of the model: JSON, tables, configuration and manual agree on it.
 */
#include <string.h>

#include "base/cleanup.h"
#include "model/action.h"
#include "model/cause.h"
#include "model/finding.h"
#include "model/zone.h"

static const char *const zone_kinds[] = {
    [ZONE_CGROUP] = "cgroup",
    [ZONE_CONTAINER] = "container",
    [ZONE_VM] = "vm",
};

static const char *const zone_classes[] = {
    [CLASS_NORMAL] = "normal",
    [CLASS_LC] = "lc",
    [CLASS_BE] = "be",
};

#define X(id, name, help) [CAUSE_##id] = name,
static const char *const causes[] = {CAUSES(X)};
#undef X
#define X(id, name, help) [CAUSE_##id] = help,
static const char *const cause_helps[] = {CAUSES(X)};
#undef X

static const char *const controls[] = {
    [CONTROL_GUARD] = "guard",
    [CONTROL_CPI2_CAP] = "cpi2-cap",
};

static const char *const severities[] = {
    [SEVERITY_INFO] = "info",
    [SEVERITY_WARNING] = "warning",
    [SEVERITY_CRITICAL] = "critical",
};

static const char *const resources[] = {
    [RESOURCE_CPU] = "cpu",	    [RESOURCE_MEMORY] = "memory", [RESOURCE_IO] = "io",
    [RESOURCE_NETWORK] = "network", [RESOURCE_CACHE] = "cache",	  [RESOURCE_UNKNOWN] = "unknown",
};

#define X(id, name) [KNOB_##id] = name,
static const char *const knobs[] = {KNOBS(X)};
#undef X

static const char *const action_states[] = {
    [ACTION_PROPOSED] = "proposed", [ACTION_APPLIED] = "applied", [ACTION_KEPT] = "kept",
    [ACTION_REVERTED] = "reverted", [ACTION_FAILED] = "failed",	  [ACTION_LOST] = "lost",
    [ACTION_EXPIRED] = "expired",
};

static const char *const outcomes[] = {
    [OUTCOME_PENDING] = "pending",
    [OUTCOME_HELPED] = "helped",
    [OUTCOME_NO_HELP] = "no_help",
    [OUTCOME_UNMEASURED] = "unmeasured",
};

static const char *const guard_modes[] = {
    [MODE_OBSERVE] = "observe",
    [MODE_ENFORCE] = "enforce",
};

static const char *name_of(const char *const *table, size_t nr, size_t i)
{
	return i < nr ? table[i] : "?";
}

static int index_of(const char *const *table, size_t nr, const char *s, size_t *ret)
{
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(table[i], s) == 0) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

#define DEFINE_NAME(func, type, table)                                                             \
	const char *func(type v)                                                                   \
	{                                                                                          \
		return name_of(table, ARRAY_SIZE(table), (size_t)v);                               \
	}

#define DEFINE_PARSE(func, type, table)                                                            \
	int func(const char *s, type *ret)                                                         \
	{                                                                                          \
		size_t i;                                                                          \
		int r = index_of(table, ARRAY_SIZE(table), s, &i);                                 \
                                                                                                   \
		if (r == 0)                                                                        \
			*ret = (type)i;                                                            \
		return r;                                                                          \
	}

DEFINE_NAME(zone_kind_name, enum zone_kind, zone_kinds)
DEFINE_NAME(zone_class_name, enum zone_class, zone_classes)
DEFINE_NAME(control_name, enum control, controls)
DEFINE_NAME(cause_name, enum cause, causes)
DEFINE_NAME(cause_help, enum cause, cause_helps)
DEFINE_NAME(severity_name, enum severity, severities)
DEFINE_NAME(resource_name, enum resource, resources)
DEFINE_NAME(knob_name, enum knob, knobs)
DEFINE_NAME(action_state_name, enum action_state, action_states)
DEFINE_NAME(outcome_name, enum outcome, outcomes)
DEFINE_NAME(guard_mode_name, enum guard_mode, guard_modes)

DEFINE_PARSE(zone_class_parse, enum zone_class, zone_classes)
DEFINE_PARSE(control_parse, enum control, controls)
DEFINE_PARSE(knob_parse, enum knob, knobs)
DEFINE_PARSE(guard_mode_parse, enum guard_mode, guard_modes)

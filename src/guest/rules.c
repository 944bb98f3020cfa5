/* SPDX-License-Identifier: MIT */
#include "guest/rules.h"

#include <string.h>

int rules_match(const struct sched_rule *rules, size_t nr, uint32_t load_ppm)
{
	for (size_t i = 0; i < nr; i++)
		if (!rules[i].below_ppm || load_ppm < rules[i].below_ppm)
			return (int)i;
	return RULE_NONE;
}

/* The same, but a threshold must be passed by a tenth of it: upwards where the rule in force, or
 * one after it, would be left; downwards for those before. */
static int match_with_margin(const struct sched_rule *rules, size_t nr, int now, uint32_t load_ppm)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t below = rules[i].below_ppm;
		bool holds = now != RULE_NONE && (int)i >= now;

		if (!below || load_ppm < (holds ? below + below / 10 : below - below / 10))
			return (int)i;
	}
	return RULE_NONE;
}

static void note_change(struct rules_state *s, uint64_t now_ns)
{
	uint64_t oldest = s->changes_ns[RULES_CHANGES_MAX - 1];

	memmove(s->changes_ns + 1, s->changes_ns, sizeof(s->changes_ns) - sizeof(s->changes_ns[0]));
	s->changes_ns[0] = now_ns;
	if (oldest && now_ns - oldest < RULES_WINDOW_NS)
		s->rest_until_ns = now_ns + RULES_REST_NS;
}

bool rules_step(struct rules_state *s, const struct sched_rule *rules, size_t nr, uint32_t load_ppm,
		uint64_t now_ns)
{
	int wanted;

	if (!s->begun) {
		s->begun = true;
		s->now = s->wanted = rules_match(rules, nr, load_ppm);
		return true;
	}
	wanted = match_with_margin(rules, nr, s->now, load_ppm);
	if (wanted != s->wanted) {
		s->wanted = wanted;
		s->since_ns = now_ns;
	}
	if (wanted == s->now || now_ns - s->since_ns < RULES_CONFIRM_NS ||
	    now_ns < s->rest_until_ns)
		return false;
	s->now = wanted;
	note_change(s, now_ns);
	return true;
}

bool harm_step(struct harm_state *s, uint64_t harm_ppm, uint64_t now_ns)
{
	bool harm = harm_ppm >= HARM_PPM;

	if (harm == s->answered) {
		s->since_ns = 0;
		return false;
	}
	if (!s->since_ns)
		s->since_ns = now_ns;
	if (now_ns - s->since_ns < (harm ? HARM_FOR_NS : QUIET_FOR_NS))
		return false;
	*s = (struct harm_state){.answered = harm};
	return true;
}

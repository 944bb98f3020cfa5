/* SPDX-License-Identifier: MIT */
#include "sched/user-pick.h"

/* After a sleep a task may be behind by one slice, not by all it has slept. */
static uint64_t vtime_of(const struct user_pick *pick, const struct user_request *r)
{
	/* More than that it got because nobody else wanted it, or because the tick was late. */
	uint64_t used = r->used_ns < 2 * pick->slice_ns ? r->used_ns : 2 * pick->slice_ns;
	uint64_t vtime = r->vtime + used * 100 / (r->weight ? r->weight : 1);

	if ((int64_t)(vtime - (pick->now - pick->slice_ns)) < 0)
		vtime = pick->now - pick->slice_ns;
	return vtime;
}

bool user_pick_add(struct user_pick *pick, const struct user_request *request)
{
	size_t i = 0;

	/* It may be there already: dequeued and queued again, without a decision between. */
	while (i < pick->nr && pick->parked[i].pid != request->pid)
		i++;
	if (i == USER_PARKED_MAX)
		return false;
	if (i == pick->nr)
		pick->nr++;
	pick->parked[i] = (struct user_parked){
	    .pid = request->pid, .cpu = request->cpu, .vtime = vtime_of(pick, request)};
	return true;
}

bool user_pick_next(struct user_pick *pick, struct user_parked *ret)
{
	size_t best = 0;

	if (!pick->nr)
		return false;
	for (size_t i = 1; i < pick->nr; i++)
		if ((int64_t)(pick->parked[i].vtime - pick->parked[best].vtime) < 0)
			best = i;
	*ret = pick->parked[best];
	if ((int64_t)(ret->vtime - pick->now) > 0)
		pick->now = ret->vtime;
	pick->parked[best] = pick->parked[--pick->nr];
	return true;
}

void user_pick_again(struct user_pick *pick, const struct user_parked *task)
{
	size_t i = 0;

	while (i < pick->nr && pick->parked[i].pid != task->pid)
		i++;
	if (i < pick->nr || i == USER_PARKED_MAX || task->early >= USER_EARLY_MAX)
		return;
	pick->parked[pick->nr] = *task;
	pick->parked[pick->nr++].early++;
}

/* SPDX-License-Identifier: MIT */
/*
 * The lock of actuate/host-lock.h, from when something may be enforced until nothing may and
 * nothing is in force: who may not have it says so at once, not when harm comes.
 */
#include "actuate/host-lock.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"

int turn_take(struct daemon *d, struct error *reterr)
{
	if (d->turn_fd >= 0)
		return 0;
	d->turn_why = (struct error){0};
	if (host_lock_take(&d->fs, &d->turn_fd, &d->turn_why) < 0)
		return error_set(reterr, -EROFS, "%s", d->turn_why.msg);
	return 0;
}

void turn_give_back(struct daemon *d)
{
	if (!d->actuator || !actuator_open_count(d->actuator))
		host_lock_release(&d->fs, &d->turn_fd);
}

bool turn_can_apply(const struct daemon *d, const char **ret_why_not)
{
	const char *why = NULL;
	bool can = false;

	if (!d->actuator)
		why = "a captured tree cannot be changed";
	else if (actuator_can_apply(d->actuator, &why) && d->turn_why.code)
		why = d->turn_why.msg;
	else
		can = !why;
	if (ret_why_not)
		*ret_why_not = why;
	return can;
}

void turn_look(struct daemon *d)
{
	bool refused = d->turn_why.code, can;
	struct error e = {0};

	if (d->actuator && decide_enforces(d->decide, clock_mono_ns())) {
		if (turn_take(d, &e) < 0 && !refused)
			log_warn("nothing is enforced: %s", e.msg);
		else if (refused && d->turn_fd >= 0)
			log_notice("enforcing is possible now");
	} else {
		d->turn_why = (struct error){0};
		turn_give_back(d);
	}
	can = turn_can_apply(d, NULL);
	decide_can_apply(d->decide, can);
	recorder_can_apply(d, can);
}

/* SPDX-License-Identifier: MIT */
#include "guest/health.h"

#include "guest/launch.h"

static void check(void *arg);

static void result(struct app *a, bool healthy, const char *why)
{
	if (!a->health_known ? !healthy : a->healthy != healthy)
		guest_notice(a->guest, "app", "app %s is %s%s", a->spec.name,
			     healthy ? "healthy again" : "not healthy: ", healthy ? "" : why);
	a->health_known = true;
	a->healthy = healthy;
}

static void check_later(struct app *a)
{
	loop_timer(&a->guest->loop, &a->health_timer,
		   a->guest->loop.now_ns + a->spec.health_period_ns, check, a);
}

static void took_too_long(void *arg)
{
	struct app *a = arg;

	launch_kill_health(a, a->health_pid);
	a->health_pid = 0;
	result(a, false, "its health command took too long");
	check_later(a);
}

static void check(void *arg)
{
	struct app *a = arg;
	const int stdio[3] = {-1, -1, -1};
	uint64_t timeout_ns = a->spec.health_period_ns;
	struct error e = {0};
	int r = launch_beside(a, a->spec.health, stdio, FOR_HEALTH, &e);

	if (r < 0) {
		result(a, false, e.msg);
		check_later(a);
		return;
	}
	a->health_pid = r;
	if (timeout_ns > HEALTH_TIMEOUT_NS)
		timeout_ns = HEALTH_TIMEOUT_NS;
	loop_timer(&a->guest->loop, &a->health_timer, a->guest->loop.now_ns + timeout_ns,
		   took_too_long, a);
}

void health_start(struct app *a)
{
	health_stop(a);
	if (a->spec.health && a->spec.health[0])
		check_later(a);
}

void health_stop(struct app *a)
{
	loop_cancel(&a->guest->loop, &a->health_timer);
	if (a->health_pid)
		launch_kill_health(a, a->health_pid);
	a->health_pid = 0;
}

bool health_reaped(struct app *a, pid_t pid, int exit)
{
	if (!pid || a->health_pid != pid)
		return false;
	a->health_pid = 0;
	result(a, exit == 0, "its health command failed");
	check_later(a);
	return true;
}

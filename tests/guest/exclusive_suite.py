#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The cases of test-exclusive, in the guest. usage: exclusive_suite.py plain | smt | CASE..

Prints "case ok|FAIL NAME SECONDS [- REASON]" a case, and what was measured as JSON after "measured:\""""
import contextlib
import json
import os
import subprocess
import sys
import time

from guestlib import CGROUP, SCHED_EXT, check, running, usage_s, write

measured = {}


def lab(load, hogs, seconds=6, threads=2, **more):
    words = ["sched-lab", "-l", load, "-b", hogs, "-s", seconds, "-t", threads]
    words += [word for letter, value in more.items() for word in (f"-{letter}", value)]
    result = json.loads(subprocess.run(list(map(str, words)), check=True, stdout=subprocess.PIPE).stdout)
    print("   ", result, flush=True)
    return result


def in_group(group, command, policy=os.SCHED_OTHER, **more):
    def enter():
        write(f"{CGROUP}/{group}/cgroup.procs", "0")
        os.sched_setscheduler(0, policy, os.sched_param(0))
    return subprocess.Popen(command, preexec_fn=enter, **more)


@contextlib.contextmanager
def hogs(group, count, policy=os.SCHED_OTHER):
    children = [in_group(group, ["sh", "-c", "while :; do :; done"], policy) for _ in range(count)]
    try:
        yield children
    finally:
        for child in children:
            child.kill()
            child.wait()


def set_class(group, name):
    subprocess.run(["sched-lab", "class", group, name], check=True)


def cpus_used(group, seconds):
    """CPUs that a group has on average; the machine may stop for a while, so by its own clock."""
    before, start = usage_s(group), time.monotonic()
    time.sleep(seconds)
    return (usage_s(group) - before) / (time.monotonic() - start)


def harm(load):
    """How much of the hogs' harm to wake-up latency is taken away; alone, beside them, restrained."""
    with running("exclusive", attach=False) as policy:
        alone, default = lab(load, 0), lab(load, 4)
        policy.attach()
        restrained = lab(load, 4)
    taken = {}
    for key in ("p99_us", "wait_ppm", "be_while_lc_waited_ppm"):
        did = default[key] - alone[key]
        taken[key] = 1 - (restrained[key] - alone[key]) / did if did > 0 else 0
    cpu = [row["lc_cpu_ppm"] + row["be_cpu_ppm"] for row in (default, restrained)]
    measured[f"harm_{load}"] = {"alone": alone, "default": default, "exclusive": restrained, "taken": taken}
    check(taken["wait_ppm"] >= 0.9, f"only {taken['wait_ppm']:.1%} of the waiting is gone")
    check(cpu[1] >= 0.9 * cpu[0], f"CPU time used fell from {cpu[0]} to {cpu[1]} ppm")


def case_harm_20():
    harm(20)


def case_harm_50():
    harm(50)


def case_guarantee():
    """Four endless lc threads on all CPUs for 40 s: be gets its share, no more, and no watchdog."""
    with running("exclusive", "--watchdog", "10s") as policy:
        row = lab(100, 4, seconds=38, threads=4)
        policy.stats()
    measured["guarantee"] = row
    cpus = os.cpu_count()
    check(0.8 * cpus * 10000 <= row["be_cpu_ppm"] <= 1.5 * cpus * 10000,
          f"be got {row['be_cpu_ppm']} ppm of a CPU; promised: 1 % of each of {cpus}")
    check(row["lc_cpu_ppm"] >= 0.93 * cpus * 1000000, f"lc got {row['lc_cpu_ppm']} ppm")


def case_threshold():
    """acquired + idle below the threshold: nothing is dispatched for be, but for the guarantee."""
    set_class("cz-lc", "lc")
    set_class("cz-be", "be")
    with running("exclusive", "--threshold", str(os.cpu_count())) as policy, hogs("cz-be", 4):
        time.sleep(1)
        free = cpus_used("cz-be", 2)
        with hogs("cz-lc", 1):
            time.sleep(0.5)
            barred = cpus_used("cz-be", 5)
        stats = policy.stats()
    measured["threshold"] = {"free_cpus": free, "barred_cpus": barred}
    check(free > 1.5, f"be had {free:.2f} CPUs with nobody else there")
    check(barred < 0.06, f"be had {barred:.2f} CPUs though one was taken")
    check(stats["be_cleared"] > 0, "be was never sent away")


def case_smt():
    """A core whose one thread runs lc runs no be on the other."""
    set_class("cz-lc", "lc")
    set_class("cz-be", "be")
    with running("exclusive") as policy, hogs("cz-be", 6):
        time.sleep(1)
        with hogs("cz-lc", 1) as lc:
            os.sched_setaffinity(lc[0].pid, {0})
            time.sleep(2)
            used = cpus_used("cz-be", 4)
            stats = policy.stats()
    measured["smt"] = {"be_cpus": used, "withheld": stats["be_withheld"]}
    # of 4 threads: one lc, its sibling empty, two for be
    check(1.6 <= used <= 2.2, f"be had {used:.2f} CPUs of the 2 on the other core")


@contextlib.contextmanager
def redis(group):
    set_class(group, "lc")
    server = in_group(group, ["redis-server", "--port", "7000", "--save", ""], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        server.kill()
        server.wait()


def load(rate, seconds):
    return subprocess.Popen(["cz-load", "resp", "-q", "-o", "json", "--rate", str(rate), "--seconds", str(seconds),
                             "--wait-ready", "10s", "--drain", "10s", "127.0.0.1:7000"], stdout=subprocess.PIPE)


def case_switches():
    """100 switches between exclusive and the kernel's own under load: no request is lost."""
    set_class("cz-be", "be")
    with redis("cz-lc"), hogs("cz-be", 3), running("exclusive", attach=False) as policy:
        client = load(100, 40)
        time.sleep(1)
        times = []
        for _ in range(50):
            times += [policy.attach(), policy.detach()]
        check(client.poll() is None, "the load ended before the switches did")
        out = json.loads(client.communicate()[0])
    counts = {key: out[key] for key in ("sent", "replies", "lost", "unanswered", "reply_errors", "reconnects")}
    measured["switches"] = {"ms_median": sorted(times)[50], "ms_max": max(times)} | counts
    check(counts["sent"] == counts["replies"] > 1000 and not any(list(counts.values())[2:]), f"lost requests: {counts}")


def net(*options, policy=os.SCHED_OTHER):
    set_class("cz-be", "be")
    words = ["--events", "60", "--batch", "0", "--threshold", str(os.cpu_count()), *options]
    with redis("cz-lc"), running("net", *words) as scheduler, hogs("cz-be", 3, policy):
        time.sleep(2)
        check(scheduler.stats()["restrain"] == 0, "restrained without load")
        client, start = load(250, 10), time.monotonic()
        while scheduler.stats()["restrain"] == 0:
            check(time.monotonic() - start < 8, "not restrained under load")
            time.sleep(0.05)
        took = time.monotonic() - start
        time.sleep(3)
        under = scheduler.stats()
        client.wait()
        time.sleep(2.5)
        after = scheduler.stats()
    measured["net" + "".join(options)] = {"restrained_after_s": took, "changes": after["changes"],
                                          "under_load": under["events_per_s"]}
    check(under["restrain"] == 1 and after["restrain"] == 0, f"under load {under}, after {after}")
    check(under["be_cleared"] > 0, "the threshold never took a CPU from be")
    check(after["changes"] <= 4, f"{after['changes']} changes for one load")


def case_net():
    """be is restrained within a second of the load's coming, let go after its end, without flapping."""
    net()


def case_net_partial():
    """The same where only be is in the policy and lc in the kernel's fair class."""
    net("--partial", policy=SCHED_EXT)


def case_user():
    """User space decides; stopped, it is done without; continued, it decides again."""
    os.makedirs(f"{CGROUP}/cz-be", exist_ok=True)
    with running("user", "--watchdog", "5s") as policy, hogs("cz-be", 4):
        time.sleep(2)
        one = policy.stats()
        time.sleep(2)
        two = policy.stats()
        os.kill(policy.child.pid, 19)
        without = cpus_used("cz-be", 3)
        os.kill(policy.child.pid, 18)
        time.sleep(1)
        three = policy.stats()
        time.sleep(2)
        four = policy.stats()
    measured["user"] = {"decided_per_s": (two["decided"] - one["decided"]) / 2, "cpus_while_stopped": without}
    check(two["decided"] - one["decided"] > 50, f"user space decided {two['decided'] - one['decided']} in 2 s")
    check(without > 1.5, f"{without:.2f} CPUs were used while user space was stopped")
    check(three["fallback"] > two["fallback"], "no fallback was counted")
    check(four["decided"] > three["decided"] + 20, "user space did not come back")


PLAIN = [case_harm_20, case_harm_50, case_threshold, case_net, case_net_partial,
         case_user, case_switches, case_guarantee]
CASES = {case.__name__.removeprefix("case_"): case for case in PLAIN + [case_smt]}


def main():
    wanted = sys.argv[1:]
    if wanted == ["plain"]:
        wanted = [case.__name__.removeprefix("case_") for case in PLAIN]
    failed = 0
    for name in wanted:
        start, why = time.monotonic(), ""
        try:
            CASES[name]()
        except Exception as error:  # pylint: disable=broad-except
            why, failed = f" - {type(error).__name__}: {error}", failed + 1
        print(f"case {'FAIL' if why else 'ok'} {name} {time.monotonic() - start:.0f}{why}", flush=True)
    print("measured:\n" + json.dumps(measured), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tests that every scheduler has to pass, run in a guest by test-sched: attach and detach, ejection,
kill -9, --partial, hotplug and fork storms under load, counters, and what a policy promises
beyond that (weights, waiting). Then a storm of switches between all of them.

usage: sched_suite.py [--long | --bench] [--done=CASE].. [POLICY..]     prints "case ok|FAIL NAME SECONDS [- REASON]" a
test, and after it "measured: JSON" of all so far. --long: 100 switches in the storm; --bench: costs only"""
import contextlib
import json
import mmap
import os
import signal
import statistics
import struct
import subprocess
import sys
import time
import traceback

import guestlib
from guestlib import BIN, CGROUP, SCHED_EXT, STATE, Failure, check, disabled, read, usage_s, wait_until, write

CPU1 = "/sys/devices/system/cpu/cpu1/online"
TICK_S = 0.004  # at HZ 250
MACHINE_S = 0.25  # an emulated machine is slow to switch and to interrupt

# What a policy promises beyond what all do (it needs no line then). wait(tasks, cpus): seconds that an endless
# loop may wait among `tasks` of them; weights: cgroup weights hold within this share; stalls: options with
# which endless loops on all CPUs get it ejected.
POLICIES = {
    "fifo": {"args": ["--max-turn", "40ms"], "wait": lambda tasks, cpus: (tasks / cpus + 1) * (0.04 + TICK_S),
             "stalls": ["--max-turn", "0s"]},
    "rr": {"args": ["--slice", "8ms"], "wait": lambda tasks, cpus: (tasks / cpus + 1) * (0.008 + TICK_S)},
    "vtime": {"args": ["--max-wait", "1s"], "wait": lambda tasks, cpus: 1.0, "weights": 0.05},
    "central": {"args": ["--slice", "8ms"], "wait": lambda tasks, cpus: (tasks / cpus + 1) * (0.008 + TICK_S)},
    "exclusive": {"args": ["--slice", "8ms"], "wait": lambda tasks, cpus: (tasks / cpus + 1) * (0.008 + TICK_S)},
    "net": {"args": ["--slice", "8ms"], "wait": lambda tasks, cpus: (tasks / cpus + 1) * (0.008 + TICK_S)},
    "user": {"args": ["--slice", "8ms"], "wait": lambda tasks, cpus: (tasks / cpus + 2) * (0.008 + TICK_S)},
}
measured = {}


def promises(name):
    return POLICIES.get(name, {})


def words_of(name, options, partial):
    return [name, *promises(name).get("args", []), *options, *["--partial"] * partial]


def load(name):
    return guestlib.Scheduler(*words_of(name, (), True))


def running(name, *options, partial=True):
    return guestlib.running(*words_of(name, options, partial))


class Tasks:
    """Endless loops; each notes how often it came round and its longest pause since forget()."""
    SINCE = 4000  # where the number of forget() calls is

    def __init__(self, count, policy=SCHED_EXT, cgroups=(), nap_s=0):
        self.slots = mmap.mmap(-1, 4096)
        self.pids = []
        for number in range(count):
            pid = os.fork()
            if pid == 0:
                try:
                    if cgroups:
                        write(f"{cgroups[number % len(cgroups)]}/cgroup.procs", "0")
                    if nap_s:
                        os.sched_setaffinity(0, {number})
                    os.sched_setscheduler(0, policy, os.sched_param(1 if policy == os.SCHED_FIFO else 0))
                    self.spin(number * 16, nap_s)
                except BaseException:  # pylint: disable=broad-except
                    traceback.print_exc()
                    os._exit(1)
            self.pids.append(pid)

    def spin(self, at, nap_s):
        rounds, longest, last, since = 0, 0.0, time.monotonic(), 0
        while True:
            now = time.monotonic()
            if self.slots[self.SINCE] != since:
                rounds, longest, since = 0, 0.0, self.slots[self.SINCE]
            longest = max(longest, now - last)
            last = now
            rounds += 1
            struct.pack_into("Qd", self.slots, at, rounds, longest)
            if nap_s:
                time.sleep(nap_s)

    def rounds(self):
        return [struct.unpack_from("Qd", self.slots, i * 16)[0] for i in range(len(self.pids))]

    def longest(self):
        return max(struct.unpack_from("Qd", self.slots, i * 16)[1] for i in range(len(self.pids)))

    def forget(self):
        self.slots[self.SINCE] += 1

    def all_go_on(self, seconds):
        before = self.rounds()
        wait_until(lambda: all(now > then for now, then in zip(self.rounds(), before)), seconds,
                   f"a task did not go on within {seconds} s")

    def cpu_s(self):
        ticks = os.sysconf("SC_CLK_TCK")
        return [sum(map(int, read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[11:13])) / ticks for pid in self.pids]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        for pid in self.pids:
            os.waitpid(pid, 0)


def test_switch(name, rounds=3):
    """Attach and detach, some times; costs are noted."""
    scheduler = load(name)
    try:
        check(disabled(), "attached before it was told to")
        times = [(scheduler.attach(), read(STATE), scheduler.detach(), read(STATE)) for _ in range(rounds)]
        check(all(row[1::2] == ("enabled", "disabled") for row in times), f"states {times}")
        scheduler.say("quit")
        ended = scheduler.expect("exit")
        check(ended["kind"] == "user", f"{ended}")
        check(scheduler.child.wait(5) == 0, f"exit code {scheduler.child.returncode}")
    finally:
        scheduler.close()
    measured[name] = {"insns": scheduler.ready["insns"], "verify_ms": scheduler.ready["verify_ms"],
                      "attach_ms": statistics.median(row[0] for row in times),
                      "detach_ms": statistics.median(row[2] for row in times)}


def test_counters(name):
    """Every line is JSON, and counters are whole numbers that grow under load."""
    with running(name, "--stats-ms", "100") as scheduler, Tasks(3):
        lines = [scheduler.expect("stats") for _ in range(8)]
    numbers = [{key: value for key, value in line.items() if key != "event"} for line in lines]
    check(all(isinstance(value, int) for row in numbers for value in row.values()), f"not whole numbers: {numbers[0]}")
    check(any(numbers[-1].values()), f"nothing was counted: {numbers[-1]}")


def test_ejected(name):
    """Thrown out by SysRq S, it says so and ends with 4."""
    scheduler = load(name)
    try:
        scheduler.attach()
        write("/proc/sysrq-trigger", "S")
        ended = scheduler.expect("exit")
        check(ended["kind"] == "sysrq" and ended["reason"], f"{ended}")
        check(scheduler.child.wait(5) == 4, f"exit code {scheduler.child.returncode}")
        check(disabled(), read(STATE))
    finally:
        scheduler.close()


def test_kill9(name):
    """Killed under load, the kernel's scheduler is back within a second."""
    with running(name) as scheduler, Tasks(3) as tasks:
        time.sleep(0.2)
        scheduler.child.kill()
        start = time.monotonic()
        wait_until(disabled, 1, f"{read(STATE)} a second after kill -9")
        measured[name]["kill9_ms"] = round((time.monotonic() - start) * 1000)
        tasks.all_go_on(2)


def test_partial(name):
    """A normal task is served before any number of SCHED_EXT ones: it has a CPU, of all that were had. The machine
    may stop that CPU for a while, so it is looked at for up to three seconds."""
    with running(name), Tasks(4) as inside, Tasks(1, os.SCHED_OTHER) as outside:
        time.sleep(0.3)
        before = outside.cpu_s() + inside.cpu_s()
        for _ in range(3):
            time.sleep(1)
            used = [now - then for now, then in zip(outside.cpu_s() + inside.cpu_s(), before)]
            got = used[0] / sum(used) * os.cpu_count()
            if got > 0.75:
                break
    check(got > 0.75, f"a normal task had {got:.0%} of a CPU's worth beside four of SCHED_EXT")


def test_hotplug(name):
    """A CPU goes and comes under load; the policy stays, and so does every task."""
    with running(name) as scheduler, Tasks(4) as tasks:
        try:
            for _ in range(2):
                write(CPU1, "0")
                time.sleep(0.2)
                write(CPU1, "1")
                time.sleep(0.2)
        finally:
            write(CPU1, "1")
        scheduler.still_attached()
        tasks.all_go_on(2)


def test_forks(name):
    """Many short tasks at once; all end."""
    count = 150
    with running(name) as scheduler:
        start = time.monotonic()
        script = f"i=0; while [ $i -lt {count} ]; do /bin/true & i=$((i+1)); done; wait; echo done"
        child = subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE,
                                 preexec_fn=lambda: os.sched_setscheduler(0, SCHED_EXT, os.sched_param(0)))
        try:
            said = child.communicate(timeout=30)[0]
        except subprocess.TimeoutExpired as expired:
            child.kill()
            raise Failure(f"{count} short tasks were not done after 30 s") from expired
        check(said == b"done\n", f"{said}")
        measured[name]["fork_us"] = round((time.monotonic() - start) / count * 1e6)
        scheduler.still_attached()


def test_full(name):
    """All tasks of the machine under it, with load that ends by itself."""
    with running(name, partial=False) as scheduler:
        script = "i=0; while [ $i -lt 15000 ]; do i=$((i+1)); done"
        children = [subprocess.Popen(["/bin/sh", "-c", script]) for _ in range(4)]
        for child in children:
            check(child.wait(30) == 0, "a task failed")
        scheduler.still_attached()


@contextlib.contextmanager
def as_agent(scheduler):
    """As cz-guest does it: itself and the policy's process above all tasks of the policy."""
    for pid in (0, scheduler.child.pid):
        os.sched_setscheduler(pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def test_control(name):
    """Full mode with more endless loops than CPUs: programs can be started, and the policy taken away."""
    with running(name, partial=False) as scheduler, as_agent(scheduler), Tasks(4, os.SCHED_OTHER):
        time.sleep(0.5)
        start = time.monotonic()
        subprocess.run(["/bin/sh", "-c", "/bin/true; /bin/true"], check=True, timeout=10)
        started = time.monotonic()
        scheduler.still_attached()
        scheduler.detach()
        check(time.monotonic() - started < 2, f"to take it away lasted {time.monotonic() - started:.1f} s")
    measured[name]["exec_ms"] = round((started - start) * 1000)


def test_wait(name):
    """No endless loop among six waits longer than promised. Real-time tasks, one a CPU, see how long the machine
    itself was away meanwhile."""
    with running(name) as scheduler, Tasks(6) as tasks, Tasks(os.cpu_count(), os.SCHED_FIFO, nap_s=0.002) as machine:
        time.sleep(0.5)
        tasks.forget()
        machine.forget()
        time.sleep(2)
        tasks.all_go_on(5)
        longest, away = tasks.longest(), machine.longest()
        scheduler.still_attached()
    limit = POLICIES[name]["wait"](6, os.cpu_count()) + MACHINE_S + 2 * away
    measured[name]["wait_ms"] = round(longest * 1000)
    check(longest < limit, f"a task waited {longest * 1000:.0f} ms; promised: {limit * 1000:.0f}")


def test_stall(name):
    """Endless loops on all CPUs of a policy without turns: the watchdog ejects it, and that is said."""
    with running(name, *POLICIES[name]["stalls"], "--watchdog", "1s") as scheduler, Tasks(4):
        ended = scheduler.expect("exit", 15)
        check(ended["kind"] == "stall" and ended["message"], f"{ended}")
        check(scheduler.child.wait(5) == 4, f"exit code {scheduler.child.returncode}")
        check(disabled(), read(STATE))


def share_error(name, weights, seconds):
    """Two loops a cgroup: the largest distance from the promised share, relative to it, beyond what the machine did.
    When that stops a CPU for a while, its task pays for it afterwards, so that at any time a cgroup may have had
    too much, or lack, what the longest such stop gave the tasks of all CPUs: real-time tasks, one a CPU, see how long
    that was. It matters less the longer one looks: so that is up to three times as long."""
    groups = {f"{CGROUP}/cz-{path}": due for path, (_, due) in weights.items() if due}
    for path, (weight, _) in weights.items():
        group = f"{CGROUP}/cz-{path}"
        os.makedirs(group)
        write(f"{group}/cpu.weight", str(weight))
        if "/" not in path and any(other.startswith(path + "/") for other in weights):
            write(f"{group}/cgroup.subtree_control", "+cpu")
    try:
        with running(name, "--max-wait", "10s") as scheduler, Tasks(2 * len(groups), cgroups=list(groups)), \
                Tasks(os.cpu_count(), os.SCHED_FIFO, nap_s=0.01) as machine:
            time.sleep(1)
            before = {group: usage_s(group) for group in groups}
            for _ in range(3):
                time.sleep(seconds)
                used = {group: usage_s(group) - before[group] for group in groups}
                excused = os.cpu_count() * machine.longest()
                due = {group: share * sum(used.values()) for group, share in groups.items()}
                off = max(max(abs(used[group] - due[group]) - excused, 0) / due[group] for group in groups)
                if off < POLICIES[name]["weights"]:
                    break
            counters = scheduler.stats()
    finally:
        for path in reversed(list(weights)):
            os.rmdir(f"{CGROUP}/cz-{path}")
    total = sum(used.values())
    print("   ", {os.path.basename(group): f"{value / total:.3f} of {groups[group]:.3f}" for group, value in used.items()},
          f"after {total:.1f} s of CPU time, {excused:.2f} s excused; {counters}")
    return off


def test_weights(name):
    """CPU time follows cpu.weight, flat and down the tree."""
    flat = share_error(name, {"a": (100, 1 / 4), "b": (300, 3 / 4)}, 4)
    tree = share_error(name, {"a": (200, None), "a/x": (100, 1 / 6), "a/y": (300, 1 / 2), "b": (100, 1 / 3)}, 4)
    measured[name].update(weight_error_ppm=round(max(flat, tree) * 1e6))
    check(max(flat, tree) < POLICIES[name]["weights"], f"off by {flat:.1%} flat, {tree:.1%} in a tree")


def storm(names, count):
    """Switches among all policies; a task of SCHED_EXT may lose no more than half a second at once."""
    with contextlib.ExitStack() as stack:
        schedulers = []
        for name in names:
            schedulers.append(load(name))
            stack.callback(schedulers[-1].close)
        tasks = stack.enter_context(Tasks(1))
        times = []
        for i in range(count):
            scheduler = schedulers[i % len(schedulers)]
            start = time.monotonic()
            scheduler.attach()
            scheduler.detach()
            times.append(time.monotonic() - start)
        tasks.all_go_on(2)
        longest = tasks.longest()
    measured["storm"] = {"switches": count, "median_ms": round(statistics.median(times) * 1000),
                         "longest_pause_ms": round(longest * 1000)}
    check(longest < 0.5, f"a task lost {longest * 1000:.0f} ms in {count} switches")


TESTS = (test_switch, test_counters, test_ejected, test_kill9, test_partial, test_hotplug, test_forks, test_full,
         test_control)


def tests_of(policy):
    yield from TESTS
    for word, test in (("wait", test_wait), ("stalls", test_stall), ("weights", test_weights)):
        if word in policy:
            yield test


def run(case, function, *args):
    start, reason = time.monotonic(), None
    try:
        function(*args)
    except Failure as failure:
        reason = str(failure)
    except Exception:  # pylint: disable=broad-except
        reason = traceback.format_exc().replace("\n", " | ")
    took = time.monotonic() - start
    print(f"case FAIL {case} {took:.1f} - {reason}" if reason else f"case ok {case} {took:.1f}", flush=True)
    return not reason


def cases(names, words):
    """(case, function, arguments)"""
    for name in names:
        if "--bench" in words:
            yield f"{name}-switch", test_switch, (name, 10)
            continue
        for test in tests_of(promises(name)):
            yield f"{name}-{test.__name__.removeprefix('test_')}", test, (name,)
    if "--bench" not in words:
        yield "storm", storm, (names, 100 if "--long" in words else 20)


def main():
    words = sys.argv[1:]
    done = [word.removeprefix("--done=") for word in words if word.startswith("--done=")]
    names = [word for word in words if not word.startswith("--")] or [
        name.removeprefix("scx-") for name in sorted(os.listdir(BIN))]
    measured.update({name: {} for name in names})
    passed = True
    for case, function, arguments in cases(names, words):
        if case not in done:
            passed &= run(case, function, *arguments)
            print("measured: " + json.dumps(measured), flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

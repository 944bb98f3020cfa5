#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The wait ledger: how right it is, and what it costs.

Accuracy: every load mix (tests/host/ledger-mix.c) runs under the ledger and under an audit that shares
nothing with it. Sums are compared with the kernel's own run_delay; shares (zones, interrupts, steal)
with a replay of the raw event log, the worst relative difference of those with 5 % or more; the quota's
part with cpu.stat.local.

Cost: `perf bench sched pipe` pinned to one CPU, in interleaved rounds without BPF, with empty programs
on the same hooks, with the ledger while the pipe is not protected, and while it is; runqlat of
libbpf-tools beside them where it is installed. The pipe runs for a second each, and its speed is read
every 10 ms from the kernel's count of switches (two an operation); the tenth part of these samples is
faster than the one that counts. So neither the start of a process, 8 to 14 ms of CPU time, nor a moment
in which others slow the CPU down by a third, takes part. Of the difference to the same round's run without
BPF the median over rounds: where programs and maps lie in memory moves it by several tens of ns from one
attachment to the next."""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

TOP = os.environ.get("CZ_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
THROTTLED = ("throttled", "throttled+hog")
SAMPLE_S = 0.01


def say(text):
    print(f"   {text}", file=sys.stderr, flush=True)


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def find_program(name):
    places = [os.environ.get("CZ_BUILD", ""), os.path.join(TOP, "build", "main")]
    if os.environ.get("CZ_BIN"):
        places.append(os.path.join(os.environ["CZ_BIN"], "..", "main"))
    for place in places:
        path = os.path.join(place, "tests", "host", name)
        if os.access(path, os.X_OK):
            return path
    return skip(f"{name} is not built")


def accuracy():
    run = subprocess.run([find_program("ledger-audit")], stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode == 77:
        skip(run.stdout.strip().removeprefix("SKIP: "))
    mixes = [json.loads(line) for line in run.stdout.splitlines()]
    if run.returncode or not mixes:
        sys.exit("ledger-audit failed")
    keys = {"ledger_sum_error_ppm": 0, "ledger_throttled_error_ppm": 0, "ledger_share_error_ppm": 0}
    for mix in mixes:
        name = re.sub(r"\W", "_", mix["mix"])
        throttled = mix["mix"] in THROTTLED
        total = "ledger_throttled_error_ppm" if throttled else "ledger_sum_error_ppm"
        keys[total] = max(keys[total], mix["sum_error_ppm"], mix.get("throttled_error_ppm", 0))
        keys["ledger_share_error_ppm"] = max(keys["ledger_share_error_ppm"], mix.get("share_error_ppm", 0))
        for what in ("sum_error_ppm", "share_error_ppm", "throttled_error_ppm", "waits"):
            if what in mix:
                keys[f"ledger_mix_{name}_{what}"] = mix[what]
        say(f"{mix['mix']}: {mix['waits']} waits, {mix['run_delay_ns'] / 1e6:.0f} ms, sum off by "
            f"{mix['sum_error_ppm']} ppm, shares by {mix.get('share_error_ppm', '-')} ppm")
        if mix["leaked"]:
            sys.exit(f"{mix['mix']}: waiters were left behind")
    return keys


class Groups:
    """Two cgroups of our own: the pipe's, and one that is protected while nothing is in it."""

    def __init__(self):
        root = "/sys/fs/cgroup/cpu" if os.path.exists("/sys/fs/cgroup/cpu/cpu.shares") else "/sys/fs/cgroup"
        if root == "/sys/fs/cgroup":
            with open(os.path.join(root, "cgroup.subtree_control"), "w", encoding="ascii") as file:
                file.write("+cpu")
        self.pipe, self.other = (os.path.join(root, f"cz-bench-{name}-{os.getpid()}") for name in ("pipe", "other"))

    def __enter__(self):
        for path in (self.pipe, self.other):
            os.mkdir(path)
        return self

    def __exit__(self, *_):
        for path in (self.pipe, self.other):
            os.rmdir(path)


def switches(stat):
    text = os.pread(stat, 1 << 20, 0)
    return time.monotonic_ns(), int(re.search(rb"^ctxt (\d+)", text, re.M).group(1))


def pipe_run(group, cpu, seconds):
    """Time of one operation at the CPU's full speed, in us."""
    def place():
        with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
        os.sched_setaffinity(0, {cpu})

    pipe = subprocess.Popen(["perf", "bench", "sched", "pipe", "-l", "100000000"], preexec_fn=place,
                            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stat = os.open("/proc/stat", os.O_RDONLY)
    times = []
    try:
        time.sleep(0.1)
        before = switches(stat)
        end = before[0] + seconds * 1e9
        while before[0] < end:
            time.sleep(SAMPLE_S)
            now = switches(stat)
            times.append((now[0] - before[0]) / 1000 / ((now[1] - before[1]) / 2))
            before = now
    finally:
        os.close(stat)
        os.killpg(pipe.pid, signal.SIGKILL)  # it has a child of its own
        pipe.wait()
        while procs_of(group):
            time.sleep(0.01)
    return statistics.quantiles(times, n=10)[0]


def procs_of(group):
    with open(os.path.join(group, "cgroup.procs"), encoding="ascii") as file:
        return file.read()


class Holder:
    """BPF programs attached while this exists."""

    def __init__(self, command, says_ready=True):
        self.child = command and subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if command and says_ready and self.child.stdout.readline() != "ready\n":
            skip(f"{' '.join(command)} could not attach")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child:
            self.child.stdin.close()
            self.child.terminate()
            self.child.wait()


def variants(groups):
    hold = find_program("ledger-hold")
    runs = {"none": None, "empty": [hold, "empty"], "idle": [hold, "ledger", groups.other],
            "protected": [hold, "ledger", groups.pipe]}
    runqlat = next((path for path in ("/usr/sbin/runqlat", "/usr/bin/runqlat") if os.access(path, os.X_OK)), None)
    if runqlat:
        runs["runqlat"] = [runqlat, "1000"]
    return runs


def one_round(runs, groups, cpu, seconds):
    took = {}
    for name, command in runs.items():
        with Holder(command, name != "runqlat"):
            if name == "runqlat":
                time.sleep(1)  # it says nothing when it is attached
            took[name] = pipe_run(groups.pipe, cpu, seconds)
    return took


def cost(args):
    cpu = os.cpu_count() - 1
    os.sched_setaffinity(0, set(range(os.cpu_count())) - {cpu})
    with Groups() as groups:
        runs = variants(groups)
        rounds = [one_round(runs, groups, cpu, args.seconds) for _ in range(args.rounds)]
    os.sched_setaffinity(0, set(range(os.cpu_count())))
    base = statistics.median(took["none"] for took in rounds)
    extra = {}
    for name in runs:
        added = sorted(took[name] - took["none"] for took in rounds)
        extra[name] = statistics.median(added)
        say(f"{name}: {base + extra[name]:.3f} us/op (+{extra[name]:.3f}, half of the rounds within "
            f"{added[len(added) // 4]:.3f} to {added[len(added) * 3 // 4]:.3f})")
    keys = {"ledger_vs_empty_ratio": round(extra["protected"] / extra["empty"], 3),
            "ledger_idle_vs_empty_ratio": round(extra["idle"] / extra["empty"], 3),
            "ledger_cost_rounds": args.rounds}
    if "runqlat" in extra:
        keys["ledger_runqlat_vs_empty_ratio"] = round(extra["runqlat"] / extra["empty"], 3)
    for name, us in extra.items():
        keys[f"ledger_pipe_{name}_ns"] = round((base + us) * 1000)
    return keys


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--only", choices=("accuracy", "cost"))
    args = parser.parse_args()
    if os.geteuid():
        skip("needs root")
    if subprocess.run(["perf", "version"], capture_output=True, check=False).returncode:
        skip("perf is not installed")
    with open("/proc/sys/kernel/bpf_stats_enabled", encoding="ascii") as file:
        if file.read().strip() != "0":
            skip("kernel.bpf_stats_enabled is on: every cost would be false")
    keys = {}
    if args.only != "cost":
        keys.update(accuracy())
    if args.only != "accuracy":
        keys.update(cost(args))
    print(json.dumps(keys))


if __name__ == "__main__":
    main()

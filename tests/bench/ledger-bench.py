#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The wait ledger: how right it is, and what it costs.

Accuracy: every load mix (tests/host/ledger-mix.c) runs under the ledger and under an audit that shares
nothing with it. Sums are compared with the kernel's own run_delay; shares (zones, interrupts, steal)
with a replay of the raw event log, the worst relative difference of those with 5 % or more; the quota's
part with cpu.stat.local.

Cost: `perf bench sched pipe` pinned to one CPU, in interleaved rounds without BPF, with empty programs
on the same hooks, with the ledger while the pipe is not protected, and while it is; runqlat of
libbpf-tools beside them where it is installed. What counts is CPU time per operation, which a neighbour
on the CPU does not change, and of it the median over rounds of the difference to the same round's run
without BPF. A run whose wall time exceeds its CPU time by more than 5 % (somebody else ran there) is
repeated, at most three times; a round in which one stays so is dropped. Up to --max rounds are tried for
--rounds quiet ones, and if there are too few all count, which is said."""
import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys

TOP = os.environ.get("CZ_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
THROTTLED = ("throttled", "throttled+hog")
QUIET = 1.05


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


def pipe_run(group, cpu, loops):
    """CPU and wall time of one operation, in us."""
    def place():
        with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
        os.sched_setaffinity(0, {cpu})

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = subprocess.run(["perf", "bench", "sched", "pipe", "-l", str(loops)], preexec_fn=place, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used / loops * 1e6, float(re.search(r"([\d.]+) usecs/op", text).group(1))


def quiet_run(group, cpu, loops):
    for _ in range(4):
        used, wall = pipe_run(group, cpu, loops)
        if wall <= used * QUIET:
            break
    return used, wall


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


def one_round(runs, groups, cpu, loops):
    took = {}
    for name, command in runs.items():
        with Holder(command, name != "runqlat"):
            if name == "runqlat":
                pipe_run(groups.pipe, cpu, loops // 4)  # it says nothing when it is attached
            took[name] = quiet_run(groups.pipe, cpu, loops)
    return took


def cost(args):
    cpu = os.cpu_count() - 1
    rounds = []
    with Groups() as groups:
        runs = variants(groups)
        while len(rounds) < args.max and sum(map(is_quiet, rounds)) < args.rounds:
            rounds.append(one_round(runs, groups, cpu, args.loops))
    quiet = [took for took in rounds if is_quiet(took)]
    say(f"{len(quiet)} quiet rounds of {len(rounds)}")
    if len(quiet) < args.rounds:
        say("too few: all rounds count")
        quiet = rounds
    extra = {name: statistics.median(took[name][0] - took["none"][0] for took in quiet) for name in runs}
    base = statistics.median(took["none"][0] for took in quiet)
    for name, us in extra.items():
        say(f"{name}: {base + us:.3f} us/op (+{us:.3f})")
    keys = {"ledger_vs_empty_ratio": round(extra["protected"] / extra["empty"], 3),
            "ledger_idle_vs_empty_ratio": round(extra["idle"] / extra["empty"], 3),
            "ledger_cost_rounds": len(quiet)}
    if "runqlat" in extra:
        keys["ledger_runqlat_vs_empty_ratio"] = round(extra["runqlat"] / extra["empty"], 3)
    for name, us in extra.items():
        keys[f"ledger_pipe_{name}_ns"] = round((base + us) * 1000)
    return keys


def is_quiet(took):
    return all(wall <= used * QUIET for used, wall in took.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--max", type=int, default=40)
    parser.add_argument("--loops", type=int, default=40000)
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

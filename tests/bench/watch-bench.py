#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What watching costs: czd's CPU time and memory with 1,000 zones (100 of them active) and with 10,000
(1,000 active), at one tick a second; and systemd-cgtop's CPU time over the same tree, side by side.

A zone is active when a task of it runs at least once in each tick. CPU time is czd's own (keeper and
worker, from schedstat, in nanoseconds), taken over --seconds after a settling time. Memory is the
worker's resident set and what the keeper has for itself; BPF maps live in the kernel and are not in
it. cgtop's cost of one refresh is the difference of a long and a short run, so that its start does
not count."""
import argparse
import glob
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402

ROOT = "cz-bench-watch"
PER_SLICE = 100
HIERARCHIES = ("cpu", "cpuacct", "memory", "unified")
SETTLE_S = 5


def say(text):
    print(f"   {text}", file=sys.stderr, flush=True)


class Zones:
    """Many cgroups in slices of 100, some with a task that wakes every half a second."""

    def __init__(self, count, active):
        self.count, self.pids = count, []
        self.roots = [os.path.join(root, ROOT) for root in live.hierarchies(HIERARCHIES)]
        self.active = set(range(0, count, max(1, count // active))) if active else set()

    def __enter__(self):
        live.remove_leftovers(ROOT)
        try:
            for root in self.roots:
                os.mkdir(root)
            for nr in range(self.count):
                self.add(nr)
        except BaseException:
            self.__exit__()
            raise
        return self

    def add(self, nr):
        name = f"slice-{nr // PER_SLICE}/zone-{nr}"
        paths = [os.path.join(root, name) for root in self.roots]
        for path in paths:
            os.makedirs(path)
        if nr in self.active:
            self.pids.append(self.task(paths))

    @staticmethod
    def task(paths):
        pid = os.fork()
        if pid:
            return pid
        try:
            live.die_with_parent()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for path in paths:
                live.write(os.path.join(path, "cgroup.procs"), "0")
            while True:
                time.sleep(0.5)
        finally:
            os._exit(0)

    def __exit__(self, *_):
        ignored = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)]
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        for pid in self.pids:
            os.waitpid(pid, 0)
        for root in self.roots:
            live.remove_tree(root, timeout_s=20)
        for number, handler in ignored:
            signal.signal(number, handler)


def cpu_ns(pids):
    return sum(int(live.read(path).split()[0]) for pid in pids for path in glob.glob(f"/proc/{pid}/task/*/schedstat"))


def kib(path, *fields):
    return sum(int(line.split()[1]) for line in live.read(path).splitlines() if line.split(":")[0] in fields)


def watch(seconds):
    """czd's CPU time per second (ppm of a CPU) and its memory, with the zones that are there now."""
    with live.Czd("tick: 1s\n") as czd:
        worker = czd.worker_pid()
        pids = {czd.keeper.pid, worker}
        time.sleep(SETTLE_S)
        zones = len(czd.request("list", all=True)["zones"])
        start_ns, start = cpu_ns(pids), time.monotonic_ns()
        time.sleep(seconds)
        used_ns, wall_ns = cpu_ns(pids) - start_ns, time.monotonic_ns() - start
        memory = 1024 * kib(f"/proc/{worker}/status", "VmRSS")
        if worker != czd.keeper.pid:
            memory += 1024 * kib(f"/proc/{czd.keeper.pid}/smaps_rollup", "Private_Clean", "Private_Dirty")
    return zones, used_ns * 1_000_000 // wall_ns, memory


def cgtop_once(refreshes):
    child = subprocess.Popen(["systemd-cgtop", "--batch", "--raw", "--depth=10", "--delay=1", f"--iterations={refreshes}"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             preexec_fn=live.die_with_parent)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"systemd-cgtop: {errors.decode().strip()}")
    return usage.ru_utime + usage.ru_stime


def cgtop_ns(short=2, long=8):
    """CPU time of one refresh over the zones that are there now."""
    return 1e9 * (cgtop_once(long) - cgtop_once(short)) / (long - short)


def measure(count, active, seconds):
    say(f"{count} zones, {active} active: making them")
    with Zones(count, active):
        say(f"{count} zones: czd watches for {seconds} s")
        zones, cpu_ppm, memory = watch(seconds)
        if zones < count:
            raise RuntimeError(f"czd sees {zones} zones, there are {count}")
        say(f"czd: {zones} zones, {cpu_ppm / 10000:.2f} % of a CPU, {memory / (1 << 20):.1f} MiB; now systemd-cgtop")
        peer_ns = cgtop_ns()
        say(f"systemd-cgtop: {peer_ns / 1e6:.1f} ms a refresh; removing the zones")
    # czd: ppm of a CPU at one tick a second are thousands of nanoseconds a tick
    return cpu_ppm, memory, peer_ns / max(1, cpu_ppm * 1000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--count", type=int, action="append", help="only this many zones (repeatable)")
    args = parser.parse_args()
    live.need_root()
    live.raise_on_signals()
    result = {}
    for count in args.count or (1000, 10000):
        cpu_ppm, memory, ratio = measure(count, count // 10, args.seconds)
        result[f"watch_{count}_cpu_ppm"], result[f"watch_{count}_rss_bytes"] = cpu_ppm, memory
        result["cgtop_ratio" if count == 1000 else f"cgtop_ratio_{count}"] = round(ratio, 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the BPF probes that are off by default cost the work of the host.

System calls: CPU time of one getppid() in a loop pinned to one CPU, without and with the probe, in
interleaved rounds; the median over rounds of the difference within a round."""
import json
import os
import statistics
import subprocess
import sys
import time

TOP = os.environ.get("CZ_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROUNDS = 9
CALLS = 400000
LOOP = f"""
import ctypes, time
call = ctypes.CDLL(None).getppid
def run(n):
    start = time.process_time_ns()
    for _ in range(n):
        call()
    return (time.process_time_ns() - start) / n
run(20000)
print(run({CALLS}))
"""


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def find_hold():
    places = [os.environ.get("CZ_BUILD", ""), os.path.join(TOP, "build", "main")]
    if os.environ.get("CZ_BIN"):
        places.append(os.path.join(os.environ["CZ_BIN"], "..", "main"))
    for place in places:
        path = os.path.join(place, "tests", "host", "probe-hold")
        if os.access(path, os.X_OK):
            return path
    return skip("probe-hold is not built")


def call_ns():
    return float(subprocess.run(["taskset", "-c", "1", sys.executable, "-c", LOOP], stdout=subprocess.PIPE, text=True,
                                check=True).stdout)


def with_probe(hold, name):
    with subprocess.Popen([hold, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        if holder.stdout.readline().strip() != "ready":
            holder.stdin.close()
            skip(f"probe {name} cannot be switched on here")
        value = call_ns()
        holder.stdin.close()
    return value


def main():
    hold, alone, added = find_hold(), [], []
    for turn in range(ROUNDS):
        without = call_ns()
        added.append(with_probe(hold, "syscalls") - without)
        alone.append(without)
        print(f"   round {turn + 1}: {without:.0f} ns, + {added[-1]:.0f} ns", file=sys.stderr)
        time.sleep(0.1)
    print(json.dumps({"probe_syscalls_call_added_ns": round(statistics.median(added), 1)}))


if __name__ == "__main__":
    main()

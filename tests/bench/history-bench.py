#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What history costs: 10 million samples in a file, and one zone's metric over all of that time in 300
points; and czd and cz-gate together with 10,000 zones, 1,000 of them active, at one tick a second.

The file has 1,000 zones of 10 metrics over 1,000 s, and once more 10 zones over 100,000 s, which is the
longer way for a question: the worse of both counts. It is opened anew for each question."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import live  # noqa: E402
from benches import watch_bench  # noqa: E402
from history import HistoryGate, file_of  # noqa: E402

say = watch_bench.say
LAB = os.path.join(os.environ.get("CZ_BUILD") or os.path.join(live.TOP, "build", "main"), "tests", "host", "store-lab")


def lab(zones, metrics, ticks):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        child = subprocess.run([LAB, os.path.join(folder, "history.db"), str(zones), str(metrics), str(ticks)],
                               stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(child.stdout)
    say(f"{zones} zones, {metrics} metrics, {ticks} ticks: {found}")
    return found


def watch(seconds):
    """CPU time of czd and cz-gate together, ppm of a CPU, and how much of it is cz-gate's."""
    with live.Czd("tick: 1s\n") as czd, HistoryGate(czd, file_of(czd)) as gate:
        worker = czd.worker_pid()
        time.sleep(watch_bench.SETTLE_S)
        groups = ({czd.keeper.pid, worker}, {gate.child.pid})
        start, before = time.monotonic_ns(), [watch_bench.cpu_ns(pids) for pids in groups]
        time.sleep(seconds)
        used = [watch_bench.cpu_ns(pids) - b for pids, b in zip(groups, before)]
        wall = time.monotonic_ns() - start
        kept = gate.tell("history", zone="zone-0", since="2m", points=1)[1]
    if kept.get("count", [0])[0] < seconds // 2:
        raise RuntimeError(f"history has too little of an active zone: {kept}")
    czd_ppm, gate_ppm = (ns * 1_000_000 // wall for ns in used)
    say(f"czd {czd_ppm / 10000:.2f} %, cz-gate {gate_ppm / 10000:.2f} % of a CPU")
    return czd_ppm + gate_ppm


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=70, help="of watching; a slot of history is 64 s")
    parser.add_argument("--only", choices=("file", "watch"))
    args = parser.parse_args()
    live.need_root()
    live.raise_on_signals()
    result = {}
    if args.only != "watch":
        wide, long = lab(1000, 10, 1000), lab(10, 10, 100000)
        result["history_10m_query_ms"] = round(max(wide["query_worst_ns"], long["query_worst_ns"]) / 1e6, 2)
        result["history_sample_bytes_x100"] = 100 * wide["bytes"] // wide["samples"]
        result["history_tick_1000_cpu_ppm"] = wide["tick_cpu_ns"] // 1000
    if args.only != "file":
        with watch_bench.Zones(10000, 1000):
            result["watch_10000_history_cpu_ppm"] = watch(args.seconds)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What CPI2 costs: samples replayed from memory a second of CPU time, with 100,000 tasks in an order that no cache can
foresee, and the memory of these tasks; the same with 1,000 tasks and with the largest preset; rows of CSV that czctl
detect reads a second. Of each the median of three runs."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import live  # noqa: E402
from benches import watch_bench  # noqa: E402

LAB = os.path.join(os.environ.get("CZ_BUILD") or os.path.join(live.TOP, "build", "main"), "tests", "host", "detect-lab")
MAKE = os.path.join(live.TOP, "tests", "fixtures", "traces", "make-traces")
RUNS = 3


def lab(preset, tasks, periods):
    """The median run by speed; its memory."""
    runs = [json.loads(subprocess.run([LAB, preset, str(tasks), str(periods)], stdout=subprocess.PIPE, text=True, check=True).stdout)
            for _ in range(RUNS)]
    runs.sort(key=lambda run: run["ns"])
    run = runs[RUNS // 2]
    run["per_s"] = round(run["samples"] / (run["ns"] / 1e9))
    if not run["judged"] or not run["analyses"]:
        raise RuntimeError(f"nothing was judged: {run}")
    watch_bench.say(f"{preset}, {tasks} tasks: {run}")
    return run


def csv_rows_per_s():
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        text = subprocess.run([MAKE, "csv", "--learn", "10000", "--harm", "0"], stdout=subprocess.PIPE, text=True, check=True).stdout
        file.write(text)
        file.flush()
        rows, times = text.count("\n") - 1, []
        for _ in range(RUNS):
            start = time.monotonic()
            subprocess.run([live.program("czctl"), "detect", file.name], stdout=subprocess.DEVNULL, check=True)
            times.append(time.monotonic() - start)
    return round(rows / statistics.median(times))


def main():
    large, small, robust = lab("cpi2", 100000, 200), lab("cpi2", 1000, 20000), lab("robust", 100000, 200)
    print(json.dumps({"detect_samples_per_s": large["per_s"], "detect_100k_rss_bytes": large["rss_bytes"],
                      "detect_task_b": large["task_bytes"], "detect_1000_samples_per_s": small["per_s"],
                      "detect_robust_samples_per_s": robust["per_s"], "detect_robust_100k_rss_bytes": robust["rss_bytes"],
                      "detect_csv_rows_per_s": csv_rows_per_s()}))


main()

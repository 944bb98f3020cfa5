#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills cz-gate with SIGKILL at random times while it keeps history, and sees that nothing that was there is
lost, that the file stays sound, and that czd does not notice.

After each kill SQLite checks the whole file, and the samples of the host that history had told of before must
all be there. Slots are closed often, as czd ticks every 100 ms."""
import argparse
import os
import random
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from history import HistoryGate, file_of  # noqa: E402

METRIC = "host_cpu_busy_ns_total"


def samples(gate, start_ms, end_ms):
    status, body = gate.tell("history", zone="host", metric=METRIC, points=1, **{"from": start_ms, "to": end_ms})
    return sum(body["count"]) if status == 200 else 0


def check_file(path):
    with sqlite3.connect(path) as db:
        found = db.execute("PRAGMA integrity_check").fetchall()
    db.close()
    if found != [("ok",)]:
        raise RuntimeError(f"the file is damaged: {found[:5]}")


def soak(czd, kills, chance):
    start_ms, had, had_until, slowest = int(time.time() * 1000) - 1000, 0, 0, 0
    for kill in range(kills):
        with HistoryGate(czd, file_of(czd)) as gate:
            if had:
                live.wait_for(lambda: samples(gate, start_ms, had_until) >= had, 20,
                              f"kill {kill}: {had} samples that were told of are there again")
            live.wait_for(lambda: samples(gate, start_ms, int(time.time() * 1000) + 1000) > had, 20, "history goes on")
            time.sleep(chance.uniform(0, 1.5))
            had_until = int(time.time() * 1000)
            had = samples(gate, start_ms, had_until)
            time.sleep(chance.uniform(0, 0.2))
            gate.kill()
            if "moved to" in gate.said():
                raise RuntimeError(gate.said())
        check_file(file_of(czd))
        asked = time.monotonic()
        czd.request("version")
        slowest = max(slowest, time.monotonic() - asked)
        if (kill + 1) % 10 == 0:
            print(f"   {kill + 1} kills, {had} samples kept", flush=True)
    doctor = czd.request("doctor")["self"]
    print(f"ok: {kills} kills, {had} samples, all kept; {os.path.getsize(file_of(czd))} bytes; "
          f"czd answered within {slowest * 1000:.0f} ms and had {doctor['late_ticks_total']} late ticks")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--bin", help="where the programs are")
    args = parser.parse_args()
    live.need_root()
    live.raise_on_signals()
    if args.bin:
        live.BIN = args.bin
    print(f"seed {args.seed}", flush=True)
    with live.Czd("tick: 100ms\n") as czd:
        soak(czd, args.kills, random.Random(args.seed))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a scrape costs: the time from asking for /metrics of 1,000 zones (100 of them active, 16 protected)
to its last byte, and its length. Each scrape is of a snapshot that was not told before, so that nothing
is served from what an earlier one has left. Also what czd pays for being watched by cz-gate."""
import json
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import live  # noqa: E402
from benches import watch_bench as zones  # noqa: E402
from gate import Gate  # noqa: E402

ZONES, ACTIVE, PROTECTED, SCRAPES = 1000, 100, 16, 15
FRESH_S = 1.1  # a text is kept for a second
COST_S = 10


def scrape(gate):
    time.sleep(FRESH_S)
    start = time.monotonic()
    status, _, body = gate.ask("/metrics")
    took_ms = (time.monotonic() - start) * 1000
    assert status == 200 and body.count(b"cz_zone_cpu_usage_seconds_total{") >= ZONES, f"{status}, {len(body)} bytes"
    return took_ms, len(body)


def cost(pids):
    before = [zones.cpu_ns([pid]) for pid in pids]
    time.sleep(COST_S)
    return [round((zones.cpu_ns([pid]) - b) / COST_S / 1000) for pid, b in zip(pids, before)]


def main():
    live.raise_on_signals()
    with live.Czd() as czd, zones.Zones(ZONES, ACTIVE):
        listed = live.wait_for(lambda: rows if len(rows := czd.request("list", all=True)["zones"]) > ZONES else None, 60, "czd has all zones")
        for row in [row for row in listed if zones.ROOT in row["path"] and "zone-" in row["path"]][:PROTECTED]:
            czd.request("protect", zone=row["path"])
        time.sleep(5)
        alone = cost([czd.worker_pid()])[0]
        with Gate(czd) as gate:
            live.wait_for(gate.ready, 30, "ready")
            times, sizes = zip(*(scrape(gate) for _ in range(SCRAPES)))
            watched, own = cost([czd.worker_pid(), gate.child.pid])
            rss = next(int(line.split()[1]) for line in live.read(f"/proc/{gate.child.pid}/status").splitlines() if line.startswith("VmRSS:"))
    zones.say(f"/metrics: median {statistics.median(times):.1f} ms, longest {max(times):.1f} ms, {max(sizes)} bytes")
    zones.say(f"czd alone {alone} ppm of a CPU, watched {watched} ppm; cz-gate {own} ppm, {rss} KiB")
    print(json.dumps({"metrics_1000_ms": round(statistics.median(times), 1), "metrics_1000_bytes": max(sizes),
                      "gate_1000_cpu_ppm": own, "gate_1000_rss_kib": rss, "watched_1000_more_cpu_ppm": max(0, watched - alone)}))


main()

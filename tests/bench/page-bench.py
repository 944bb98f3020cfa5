#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page at 1,000 zones (100 active, 16 protected, all with a class, so that all are told) in a headless
Chromium: from the address to the first paint, and to the first row of data, median of loads with nothing
cached; the rows that are made; and how much its heap grows over 300 snapshots, after those 300 that it keeps. czd ticks five times a second so that this does not take long."""
import json
import os
import shutil
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import live  # noqa: E402
from benches import watch_bench  # noqa: E402
from browser import Browser  # noqa: E402
from gate import Gate  # noqa: E402

ZONES, ACTIVE, PROTECTED, LOADS, KEPT, TICK = 1000, 100, 16, 9, 300, "200ms"
say = watch_bench.say
# In the page before anything of it runs: when data is there, and how many snapshots there were.
WATCH = """new MutationObserver(() => {
    if (!window.dataAt && document.querySelector('#zones tbody a')) window.dataAt = performance.now();
}).observe(document, {childList: true, subtree: true});"""


def class_all(czd):
    rows = live.wait_for(lambda: r if len(r := czd.request("list", all=True)["zones"]) > ZONES else None, 60, "czd has all zones")
    zones = [row["path"] for row in rows if watch_bench.ROOT in row["path"] and "zone-" in row["path"]]
    for number, path in enumerate(zones):
        czd.request("protect", zone=path, **{"class": "lc" if number < PROTECTED else "be"})


def loads(browser, url):
    """Medians: first paint, first data, in ms."""
    paints, data = [], []
    for _ in range(LOADS):
        browser.open("about:blank")
        browser.open(url)
        data.append(browser.wait("window.dataAt", 30, "data"))
        paints.append(browser.run("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
    say(f"first paint {min(paints):.0f} to {max(paints):.0f} ms, first data {min(data):.0f} to {max(data):.0f} ms")
    return statistics.median(paints), statistics.median(data)


def snapshots(browser, count):
    for _ in range(count):
        seen = browser.run("document.body.dataset.realNs")
        browser.wait(f"document.body.dataset.realNs !== '{seen}'", 30, "the next snapshot")


def heap(browser):
    browser.call("HeapProfiler.collectGarbage")
    return browser.run("performance.memory.usedJSHeapSize"), browser.call("Memory.getDOMCounters")["nodes"]


def main():
    live.need_root()
    live.raise_on_signals()
    if not shutil.which("chromium"):
        live.skip("no Chromium: apt-get install chromium")
    say(f"{ZONES} zones, {ACTIVE} active: making them")
    with watch_bench.Zones(ZONES, ACTIVE), live.Czd(f"tick: {TICK}\n") as czd, Gate(czd) as gate:
        class_all(czd)
        live.wait_for(gate.ready, 60, "ready")
        with Browser() as browser:
            browser.call("Network.setCacheDisabled", cacheDisabled=True)
            browser.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
            paint, data = loads(browser, gate.url("/#zones"))
            snapshots(browser, KEPT)
            before, nodes = heap(browser)
            snapshots(browser, KEPT)
            after, _ = heap(browser)
            rows = browser.run("document.querySelectorAll('#zones tbody tr').length")
            told = int(browser.run("document.getElementById('zones').getAttribute('aria-rowcount')")) - 1
            if told < ZONES or browser.errors:
                raise RuntimeError(f"{told} zones on the page; console: {browser.errors}")
    say(f"{told} zones in {rows} rows, {nodes} nodes; heap {before >> 10} KiB, {(after - before) >> 10} KiB more after {KEPT} snapshots")
    print(json.dumps({"page_1000_paint_ms": round(paint), "page_1000_data_ms": round(data), "page_1000_rows": rows, "page_1000_heap_bytes": after,
                      "page_1000_heap_growth_bytes": max(0, after - before)}))


main()

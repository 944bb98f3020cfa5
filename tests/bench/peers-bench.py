#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What watching costs, side by side on the same 1,000 zones (100 of them active) in one run: czd and cz-gate
(history kept), netdata's cgroups plugin, prometheus-node-exporter, systemd-cgtop.

All but cgtop run at the same time, once a second, over --seconds: CPU time per zone and second. Then each is
scraped in turn, as Prometheus does, each time for figures that were not told before: CPU time per scrape.
netdata has the cgroups plugin and nothing else, its history in memory, and of its CPU time only what the
plugin's own threads take counts; of its scrape only the threads that serve it. Programs' own files are in a
folder of this run, nothing listens but on loopback, nothing is told to anybody."""
import argparse
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import live  # noqa: E402
from benches import watch_bench  # noqa: E402
from history import HistoryGate, file_of  # noqa: E402

ZONES, ACTIVE, SETTLE_S = 1000, 100, 15
say = watch_bench.say
NETDATA = """[global]
    run as user = root
[directories]
    config = {folder}
    stock config = {folder}
    lib = {folder}
    cache = {folder}
    log = {folder}
    plugins = "/usr/lib/netdata/plugins.d"
    web = {folder}
    home = {folder}
[logs]
    access = none
[db]
    mode = ram
    update every = 1
[web]
    bind to = 127.0.0.1:{port}
[ml]
    enabled = no
[health]
    enabled = no
[statsd]
    enabled = no
[registry]
    enabled = no
[cloud]
    enabled = no
[plugins]
    {others} = no
    cgroups = yes
[plugin:cgroups]
    update every = 1
    use unified cgroups = no
    enable by default cgroups matching = *{root}/*
    search for cgroups in subpaths matching = *
    run script to rename cgroups matching = !*
    cgroups to match as systemd services = !*
    max cgroups to allow = {most}
"""
OTHERS = ("enable running new plugins", "netdata monitoring", "netdata monitoring extended", "timex", "idlejitter", "tc", "diskspace", "proc",
          "statsd", "slabinfo")


class Program:
    """A program of its own folder with a port on loopback, that is asked at a path."""

    def __init__(self, folder, command, port, path):
        self.log = open(os.path.join(folder, "log"), "wb")
        self.child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                      preexec_fn=live.die_with_parent)
        self.url = f"http://127.0.0.1:{port}{path}"

    def scrape(self):
        with urllib.request.urlopen(self.url, timeout=30) as answer:
            return len(answer.read())

    def answers(self):
        try:
            return self.scrape()
        except OSError:
            return None

    def cpu_ns(self, thread=""):
        return sum(int(live.read(os.path.join(task, "schedstat")).split()[0]) for task in glob.glob(f"/proc/{self.child.pid}/task/*")
                   if live.read(os.path.join(task, "comm")).startswith(thread))

    def reads(self):
        return int(live.read(f"/proc/{self.child.pid}/io").split("syscr: ")[1].split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.log.close()


def folder_of(czd, name):
    folder = os.path.join(czd.folder, name)
    os.mkdir(folder)
    return folder


def netdata(czd):
    folder, port = folder_of(czd, "netdata"), live.free_port()
    live.write(os.path.join(folder, ".opt-out-from-anonymous-statistics"), "")
    config = os.path.join(folder, "netdata.conf")
    live.write(config, NETDATA.format(folder=folder, port=port, others=" = no\n    ".join(OTHERS), root=watch_bench.ROOT, most=2 * ZONES))
    return Program(folder, ["netdata", "-D", "-c", config], port, "/api/v1/allmetrics?format=prometheus")


def node_exporter(czd):
    folder, port = folder_of(czd, "exporter"), live.free_port()
    return Program(folder, ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"], port, "/metrics")


class GateProgram:
    """cz-gate, as the others are asked."""

    def __init__(self, gate):
        self.gate = gate

    def scrape(self):
        status, _, body = self.gate.ask("/metrics")
        if status != 200:
            raise RuntimeError(f"/metrics: {status}")
        return len(body)

    def cpu_ns(self, thread=""):
        return watch_bench.cpu_ns([self.gate.child.pid])


def each_second(czd, gate, peer, exporter, seconds):
    """CPU time of each over so many seconds, ns a second; and how often netdata reads."""
    own = {czd.keeper.pid, czd.worker_pid()}
    ask = {"czd": lambda: watch_bench.cpu_ns(own), "gate": gate.cpu_ns, "netdata": lambda: peer.cpu_ns("PLUGIN[cgroups]"),
           "netdata_reads": peer.reads, "exporter": exporter.cpu_ns}
    start, before = time.monotonic(), {name: cpu() for name, cpu in ask.items()}
    time.sleep(seconds)
    took = time.monotonic() - start
    return {name: (cpu() - before[name]) / took for name, cpu in ask.items()}


def scrapes(program, thread, count, idle_ns):
    """(CPU time of one, ns; median ms; bytes): without what it uses when nobody asks."""
    before, start, times, size = program.cpu_ns(thread), time.monotonic(), [], 0
    for _ in range(count):
        time.sleep(1.1)
        asked = time.monotonic()
        size = program.scrape()
        times.append((time.monotonic() - asked) * 1000)
    used = program.cpu_ns(thread) - before - idle_ns * (time.monotonic() - start)
    return max(0, used) / count, statistics.median(times), size


def told_zones(peer):
    """So many it has charts of: those that were ever not all zero."""
    with urllib.request.urlopen(peer.url, timeout=30) as answer:
        return len(set(re.findall(r'chart="cgroup_[^".]*_zone-(\d+)\.', answer.read().decode())))


def measure(czd, gate, peer, exporter, args):
    live.wait_for(lambda: peer.answers() and exporter.answers(), 60, "the peers answer")
    live.wait_for(lambda: told_zones(peer) >= ACTIVE, 400, "netdata has the active zones")
    time.sleep(SETTLE_S)
    second = each_second(czd, gate, peer, exporter, args.seconds)
    say(f"netdata tells of {told_zones(peer)} zones and reads {second['netdata_reads']:.0f} times a second")
    if second["netdata_reads"] < ZONES:
        raise RuntimeError("netdata does not read all zones")
    say("CPU time a second: " + ", ".join(f"{name} {second[name] / 1e6:.2f} ms" for name in ("czd", "gate", "netdata", "exporter")))
    told = {"gate": scrapes(gate, "", args.scrapes, second["gate"]),
            "netdata": scrapes(peer, "WEB_SERVER", args.scrapes, 0),
            "node_exporter": scrapes(exporter, "", args.scrapes, second["exporter"])}
    for name, (ns, ms, size) in told.items():
        say(f"a scrape of {name}: {ns / 1e6:.1f} ms of CPU, {ms:.1f} ms, {size} bytes")
    return second, told


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--scrapes", type=int, default=10)
    args = parser.parse_args()
    live.need_root()
    live.raise_on_signals()
    for program, package in (("netdata", "netdata-core"), ("prometheus-node-exporter", "prometheus-node-exporter")):
        if not shutil.which(program):
            live.skip(f"no {program}: apt-get install {package}")
    say(f"{ZONES} zones, {ACTIVE} active: making them")
    with watch_bench.Zones(ZONES, ACTIVE), live.Czd("tick: 1s\n") as czd, HistoryGate(czd, file_of(czd)) as cz_gate:
        live.wait_for(lambda: len(czd.request("list", all=True)["zones"]) > ZONES, 60, "czd has all zones")
        with netdata(czd) as peer, node_exporter(czd) as exporter:
            second, told = measure(czd, GateProgram(cz_gate), peer, exporter, args)
        say("now systemd-cgtop")
        second["cgtop"] = watch_bench.cgtop_ns()
    ours = second["czd"] + second["gate"]
    print(json.dumps({
        "netdata_ratio": round(second["netdata"] / ours, 2), "netdata_scrape_ratio": round(told["netdata"][0] / told["gate"][0], 2),
        **{f"zone_second_{name}_ns": round(second[name] / ZONES) for name in ("czd", "gate", "netdata", "cgtop")},
        **{f"scrape_{name}_cpu_ns": round(ns) for name, (ns, _, _) in told.items()},
        **{f"scrape_{name}_bytes": size for name, (_, _, size) in told.items()}}))


if __name__ == "__main__":
    main()

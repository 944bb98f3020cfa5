#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A real Prometheus scrapes cz-gate every second for a while, with one zone that hurts another, zones that
come and go, and a czd that is restarted half-way. No scrape may fail, no sample be refused, no counter of a
zone that lasts go back but by the restart, and cz-gate's memory is to stay as it is after a start. promtool
looks at the text every half minute."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from history import HistoryGate, file_of  # noqa: E402

NAME, CPU = f"cz-soakp{os.getpid()}", os.cpu_count() - 1
SHOWN = NAME[3:]
GROWN_KIB = 8192
REFUSED = ("prometheus_target_scrapes_sample_out_of_order_total", "prometheus_target_scrapes_sample_duplicate_timestamp_total",
           "prometheus_target_scrapes_sample_out_of_bounds_total", "prometheus_target_scrapes_exceeded_sample_limit_total")


def say(text):
    print(f"   {text}", flush=True)


class Prometheus:
    """It scrapes cz-gate as job cz, and itself."""

    def __init__(self, folder, target):
        self.port = live.free_port()
        os.mkdir(folder)
        jobs = "".join(f"- job_name: {job}\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n" for job, port in (("cz", target), ("own", self.port)))
        live.write(f"{folder}/p.yml", f"global: {{scrape_interval: 1s}}\nscrape_configs:\n{jobs}")
        with open(f"{folder}/log", "wb") as log:
            self.child = subprocess.Popen(["prometheus", f"--config.file={folder}/p.yml", f"--storage.tsdb.path={folder}/data",
                                           f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log, preexec_fn=live.die_with_parent)

    def value(self, expression):
        """Of the first series; None: there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode({'query': expression})}", timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except OSError:
            return None
        return float(result[0]["value"][1]) if result else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()


def promtool(gate):
    for accept in ("text/plain", "application/openmetrics-text; version=1.0.0"):
        text = gate.ask("/metrics", Accept=accept)[2].decode()
        if accept == "text/plain":  # this promtool reads no OpenMetrics: Prometheus itself asks for it
            told = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
            if told.returncode or told.stderr.strip():
                raise RuntimeError(f"promtool: {told.stdout}{told.stderr}")
        elif not text.endswith("# EOF\n"):
            raise RuntimeError("OpenMetrics without its end")


def rss_kib(pid):
    return next(int(line.split()[1]) for line in live.read(f"/proc/{pid}/status").splitlines() if line.startswith("VmRSS:"))


def come_and_go(number):
    """A zone lives for a moment."""
    with live.Group(f"{NAME}-{number % 7}") as group:
        group.start([live.program("cz-work"), "hog", "--threads", "1", "--seconds", "1"], cpu=CPU, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(2)


def go_by(czd, gate, server, seconds):
    start, told, restarted, early_kib = time.monotonic(), 0, False, 0
    for number in range(1 << 30):
        gone = time.monotonic() - start
        if gone > seconds:
            return rss_kib(gate.child.pid) - early_kib
        come_and_go(number)
        if not early_kib and gone > seconds / 5:
            early_kib = rss_kib(gate.child.pid)
        if not restarted and gone > seconds / 2:
            czd.stop()
            live.wait_for(lambda: server.value("cz_up") == 0, 20, "that czd is away is scraped")
            czd.start()
            os.chmod(czd.socket_path, 0o666)
            restarted = True
        if gone >= told:
            promtool(gate)
            scrapes, samples = server.value('count_over_time(up{job="cz"}[1h])'), server.value('scrape_samples_scraped{job="cz"}')
            say(f"{gone:.0f} of {seconds:.0f} s: {scrapes or 0:.0f} scrapes, {samples or 0:.0f} samples each, cz-gate {rss_kib(gate.child.pid)} KiB")
            told += 30
    return 0


def judge(server, seconds, grown_kib):
    scrapes, failed = (server.value(q) for q in ('count_over_time(up{job="cz"}[1h])', 'sum_over_time((1 - up{job="cz"})[1h:1s])'))
    slowest = server.value('max_over_time(scrape_duration_seconds{job="cz"}[1h])')
    resets = server.value(f'max(resets(cz_zone_cpu_usage_seconds_total{{zone="{SHOWN}-be"}}[1h]))')
    pair = server.value(f'increase(cz_wait_behind_seconds_total{{victim="{SHOWN}-lc",culprit="{SHOWN}-be"}}[1h])')
    wrong = {name: value for name in REFUSED if (value := server.value(name))}
    if not scrapes or failed != 0 or scrapes < seconds * 0.8:
        raise RuntimeError(f"{failed} of {scrapes} scrapes failed, in {seconds} s")
    if wrong or resets or not pair:
        raise RuntimeError(f"refused: {wrong}; resets: {resets}; waited behind the hog: {pair}")
    if grown_kib > GROWN_KIB:
        raise RuntimeError(f"cz-gate grew by {grown_kib} KiB")
    print(f"ok: {scrapes:.0f} scrapes, all good, the slowest {slowest * 1000:.0f} ms; cz-gate grew by {grown_kib} KiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--bin", help="where the programs are")
    args = parser.parse_args()
    live.need_root()
    live.raise_on_signals()
    if args.bin:
        live.BIN = args.bin
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        live.skip("no Prometheus: apt-get install prometheus")
    with live.Czd() as czd, live.Group(f"{NAME}-lc") as victim, live.Group(f"{NAME}-be") as hog, HistoryGate(czd, file_of(czd)) as gate:
        live.wait_for(lambda: {f"/{NAME}-lc", f"/{NAME}-be"} <= {z["path"] for z in czd.request("list", all=True)["zones"]}, 20, "the zones")
        czd.request("protect", zone=f"/{NAME}-lc", slo="wait.p99=500us")
        quiet = {"cpu": CPU, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        seconds = str(int(args.minutes * 60) + 300)
        victim.start([live.program("cz-work"), "sine", "--period", "4s", "--min", "40%", "--max", "70%", "--seconds", seconds], **quiet)
        hog.start([live.program("cz-work"), "hog", "--threads", "1", "--seconds", seconds], **quiet)
        live.wait_for(gate.ready, 30, "ready")
        with Prometheus(os.path.join(czd.folder, "prometheus"), gate.port) as server:
            live.wait_for(lambda: server.value('up{job="cz"}'), 60, "Prometheus scrapes")
            grown_kib = go_by(czd, gate, server, args.minutes * 60)
            judge(server, args.minutes * 60, grown_kib)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Zones: sandbox VMs with a kernel and a scheduler of their own, changed while they run.

(a) A zone boots and serves a real Redis beside a best-effort hog. By load, 20 % to 90 % of what
    Redis can do there: its p99 alone, with the hog under the kernel's own scheduler (EEVDF), and
    under scx-exclusive. Then policies are switched under load.
(b) Two zones with different policies, each on a CPU of its own.

Writes OUT/zones.json. Ends 0 if the main job worked; targets that were missed are listed. Ctrl-C
puts everything back."""
import argparse
import datetime
import json
import os
import platform
import shutil
import sys
import tempfile
import time

from demolib import bare_boot, verdict, zone_latency, zone_pair
from demolib.control import Failed, Processes
from demolib.machine import Machine, knob_changes
from demolib.play import play
from demolib.screen import Screen, percent
from demolib.stage import median
from demolib.zone_control import ZoneControl

TARGETS = (  # for verdict.limit_rows()
    ("harm removed by scx-exclusive at 20 % load", "harm_removed_20", ">=", 0.9),
    ("harm removed by scx-exclusive at 50 % load", "harm_removed_50", ">=", 0.9),
    ("the hog ran while Redis waited, 20 % load (ppm)", "be_ran_20_ppm", "<=", 10000),
    ("the hog ran while Redis waited, 50 % load (ppm)", "be_ran_50_ppm", "<=", 10000),
    ("a switch, against bare detach and attach", "switch_ratio", "<=", 1.5),
    ("requests failed during the switches", "failed_requests", "<=", 0),
    ("boot to running app, against bare QEMU", "boot_ratio", "<=", 1.25),
)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--bin", default="build/bin", help="where the programs are")
    parser.add_argument("--out", default="build/demo", help="where the results go")
    return parser.parse_args()


class ZonesDemo:
    def __init__(self, args):
        self.args, self.screen, self.machine = args, Screen(), Machine()
        self.control, self.run_dir, self.knobs = None, None, None
        self.latency, self.pair = None, None
        self.boots, self.bare, self.restored = [], [], None

    def set_up(self):
        if os.geteuid() != 0:
            raise Failed("the demo makes cgroups and virtual machines: run it as root")
        if self.machine.cpus < 2:
            raise Failed("the demo needs two CPUs")
        os.makedirs(self.args.out, exist_ok=True)
        logs = os.path.join(self.args.out, "zone-logs")
        shutil.rmtree(logs, ignore_errors=True)
        os.makedirs(logs)
        self.knobs = self.machine.knobs()
        self.run_dir = tempfile.mkdtemp(prefix="cz-demo.", dir="/run")
        self.control = ZoneControl(os.path.abspath(self.args.bin), self.run_dir, Processes(logs))
        self.control.start()
        self.latency = zone_latency.LatencyPart(self.control, self.screen, self.args.quick)
        self.pair = zone_pair.PairPart(self.control, self.screen, self.args.quick)

    def boot(self, times):
        """Side by side: our zone to its running app, and bare QEMU to its first process."""
        zone = self.latency.zone
        for turn in range(times):
            boot_ms = zone.boot() if turn == 0 else self.boot_again(zone)
            self.boots.append(boot_ms)
            accel = zone.shown()["accel"]
            self.control.ask("stop", zone.name, "--wait")
            self.bare.append(bare_boot.boot_ms(2, 512, accel))
            self.screen.step(f"boot with {accel}: zone {self.boots[-1]:,.0f} ms to its running "
                             f"app, bare QEMU {self.bare[-1]:,.0f} ms to its first process")
        self.boot_again(zone)

    def boot_again(self, zone):
        self.control.ask("start", zone.name, "--wait")
        return zone.shown()["boot_ms"]

    def perform(self):
        quick = self.args.quick
        self.screen.plan(self.latency.expected_s() + self.pair.expected_s() + (60 if quick else 110))
        self.boot(1 if quick else 5)
        self.latency.run()
        self.latency.switch_under_load(2 if quick else 5)
        self.latency.bare_switch(2 if quick else 5)
        self.control.ask("remove", "-f", zone_latency.ZONE)
        self.pair.run(max(50, self.latency.knee // 4))

    def groups(self):
        """Of our zones, in every hierarchy."""
        places = [os.path.join(where, "cz-zones", name) for where in set(self.machine.mounts.values())
                  for name in (zone_latency.ZONE, *zone_pair.NAMES)]
        return sorted(place for place in places if os.path.exists(place))

    def wait_until_gone(self):
        """A zone that runs is stopped first: czd answers before that has happened."""
        deadline = time.monotonic() + 30
        while self.groups() and self.control.alive() and time.monotonic() < deadline:
            time.sleep(0.1)

    def put_back(self):
        """Remove all zones, stop all, and look for anything that is not as it was. Never raises."""
        found = {"changed_knobs": [], "leftovers": []}
        if self.control and self.control.alive():
            for name in (zone_latency.ZONE, *zone_pair.NAMES):
                self.control.try_call("remove", "-f", name)
            self.wait_until_gone()
        if self.control:
            self.control.processes.stop_all()
            self.control.clean_up()
        if self.run_dir:
            shutil.rmtree(self.run_dir, ignore_errors=True)
        if self.knobs is not None:
            found["changed_knobs"] = knob_changes(self.knobs, self.machine.knobs())
            found["leftovers"] = self.machine.leftovers() + self.groups()
        found["unchanged"] = not found["changed_knobs"] and not found["leftovers"]
        self.restored = found
        return found

    def result(self):
        latency = self.latency.result()
        by_load = {f"{step['load']:.0%}": step for step in latency["steps"]}
        boot, bare = median(self.boots), median(self.bare)
        out = {"when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
               "quick": self.args.quick, "kernel": platform.release(), "cpus": self.machine.cpus,
               "boot_ms": boot, "boot_ms_all": self.boots, "bare_qemu_boot_ms": bare,
               "bare_qemu_boot_ms_all": self.bare, "boot_ratio": boot / bare,
               **latency, "two_zones": self.pair.result(), "host": self.restored,
               "host_unchanged": self.restored["unchanged"]}
        out["switch_ratio"] = out["switch_ms"] / out["bare_detach_attach_ms"]
        for load in ("20", "50"):
            out[f"harm_removed_{load}"] = by_load[f"{load}%"]["harm_removed"]
            out[f"be_ran_{load}_ppm"] = by_load[f"{load}%"]["exclusive"]["be_ran_while_lc_waited_ppm"]
        out["targets"] = targets(out)
        return out

    def show(self, result):
        screen = self.screen
        path = os.path.join(self.args.out, "zones.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
        screen.say(f"\nRedis in a zone, p99 by load (the knee is {result['knee_per_sec']:,} requests/s)")
        screen.say(f"{'load':>8}{'alone':>12}{'EEVDF':>12}{'exclusive':>12}{'harm removed':>14}"
                   f"{'hog ran while Redis waited':>32}")
        for step in result["steps"]:
            ran = [percent(step[c]["be_ran_while_lc_waited_ppm"] / 1e6) for c in ("eevdf", "exclusive")]
            screen.say(f"{step['load']:>8.0%}"
                       + "".join(f"{step[c]['p99_us'] / 1e3:>9.2f} ms" for c in zone_latency.CONDITIONS)
                       + f"{percent(step['harm_removed']):>14}{ran[0] + ' -> ' + ran[1]:>32}")
        screen.target_table(result["targets"])
        screen.say(f"\nhost unchanged: {'yes' if result['host_unchanged'] else 'NO'}")
        failures = failed(result)
        for reason in failures:
            screen.say(f"FAILED: {reason}")
        screen.say(f"numbers: {path}")
        return 1 if failures else 0


def targets(result):
    apart = result["two_zones"]["seen_only_in_its_zone"]
    return [*verdict.limit_rows(TARGETS, result),
            verdict.true_row("each policy is felt in its own zone only", "two_zones", apart),
            verdict.true_row("host unchanged", "host_unchanged", result["host_unchanged"])]


def failed(result):
    """Why the main job did not work; empty if it did. A missed target alone is not a failure."""
    reasons = []
    if result["guest_uptime_reset"]:
        reasons.append("the guest was booted anew by a change of its scheduler")
    if (result["harm_removed_50"] or 0) < 0.5:
        reasons.append("scx-exclusive removed less than half of the harm at 50 % load")
    if not result["host_unchanged"]:
        reasons.append("the host was not left as it was found")
    return reasons


if __name__ == "__main__":
    sys.exit(play(ZonesDemo(arguments())))

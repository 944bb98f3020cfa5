#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The main job, end to end, on this machine: a real Redis, a real CPU hog; czd names the hog, gives
Redis its tail latency back within milliseconds, and leaves the host as it was.

(a) Redis at 20,000 requests/s on CPU 1, loaded from CPU 0: alone, next to a hog that is only
    observed, next to a hog under enforcement, and after; and how fast czd reacts to a new hog.
(b) A service whose demand is a sine: alone, next to the hog without control, and with it.

Writes OUT/result.json and OUT/report.html. Ends 0 if the main job worked; targets that were missed
are listed. Ctrl-C puts everything back."""
import argparse
import datetime
import json
import os
import platform
import shutil
import sys
import tempfile
import time

from demolib import redis_part, report, sine_part, verdict
from demolib.control import Control, Failed, Processes
from demolib.machine import Machine, Sampler, knob_changes
from demolib.play import play
from demolib.screen import Screen, percent
from demolib.stage import LOAD_CPU, Stage

LIMIT_S, QUICK_LIMIT_S = 460, 112


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, under 2 min")
    parser.add_argument("--bin", default="build/bin", help="where the programs are")
    parser.add_argument("--out", default="build/demo", help="where the results go")
    return parser.parse_args()


def check_host(machine, programs):
    if os.geteuid() != 0:
        raise Failed("the demo makes cgroups and loads BPF: run it as root")
    if machine.cpus < 2:
        raise Failed("the demo needs two CPUs: one for Redis and the hog, one for the load")
    for name in ("czd", "czctl", "cz-work", "cz-load"):
        if not os.access(os.path.join(programs, name), os.X_OK):
            raise Failed(f"{os.path.join(programs, name)} is missing: ./dev build makes it")
    left = machine.leftovers()
    if left:
        raise Failed(f"{left[0]} exists: another demo is running, or was killed (then rmdir it)")


def verified(verify):
    """czctl verify saw nothing that is ours: zones of other runs of this project may change."""
    strangers = [item for item in (verify or {}).get("items", [])
                 if item["path"].startswith("/cz-") and not item["path"].startswith("/cz-demo-")]
    return verify is not None and verify["differing"] == len(strangers)


class Demo:
    def __init__(self, args):
        self.args, self.screen, self.machine = args, Screen(), Machine()
        self.control, self.sampler, self.redis, self.sine = None, None, None, None
        self.run_dir, self.knobs, self.restored = None, None, None

    def set_up(self):
        check_host(self.machine, self.args.bin)
        os.makedirs(self.args.out, exist_ok=True)
        logs = os.path.join(self.args.out, "logs")
        shutil.rmtree(logs, ignore_errors=True)
        os.makedirs(logs)
        self.knobs = self.machine.knobs()
        self.run_dir = tempfile.mkdtemp(prefix="cz-demo.", dir="/run")
        self.control = Control(os.path.abspath(self.args.bin), self.run_dir, Processes(logs))
        self.control.start()
        # From here on this process keeps off the CPU that is measured; czd goes where it likes.
        os.sched_setaffinity(0, {LOAD_CPU})
        self.sampler = Sampler(self.machine, self.control.czd.pid)
        self.sampler.start()
        stage = Stage(self.control, self.machine, self.sampler, self.screen, self.args.quick)
        self.warn_if_busy(time.monotonic_ns())
        self.redis, self.sine = redis_part.RedisPart(stage), sine_part.SinePart(stage)
        self.redis.set_up()

    def warn_if_busy(self, start_ns):
        """Better said now than after minutes of runs that nobody can use."""
        self.screen.say("Looking for a second at what else runs here ...")
        time.sleep(1.2)
        other = max(self.sampler.window(start_ns, time.monotonic_ns())["other"])
        if other > redis_part.OTHER_MAX:
            self.screen.say(f"warning: other work uses {percent(other)} of a CPU. Runs will not be "
                            "quiet, and the numbers will say little.")

    def perform(self):
        start = time.monotonic()
        limit = QUICK_LIMIT_S if self.args.quick else LIMIT_S
        redis, sine = self.redis, self.sine
        self.screen.plan(redis.want * redis.round_seconds() + redis.trial_seconds() + sine.seconds())
        redis.run(start + limit - sine.seconds())
        # No longer needed; as a protected zone it would still ask for action on the sine's hog.
        redis.tear_down()
        sine.run()

    def put_back(self):
        """Undo, stop all, and look for anything that is not as it was. Never raises."""
        found = {"verify": None, "undo": None, "changed_knobs": [], "leftovers": []}
        if self.control and self.control.alive():
            found["undo"] = self.control.try_call("undo")
            found["verify"] = self.control.try_call("verify")
        if self.redis:
            self.redis.tear_down()
        if self.sampler and self.sampler.is_alive():
            self.sampler.stop()
        if self.control:
            self.wait_for_empty()
            self.control.processes.stop_all()
        if self.run_dir:
            shutil.rmtree(self.run_dir, ignore_errors=True)
        if self.knobs is not None:
            found["changed_knobs"] = knob_changes(self.knobs, self.machine.knobs())
            found["leftovers"] = self.machine.leftovers()
        found["unchanged"] = (verified(found["verify"]) and not found["changed_knobs"]
                              and not found["leftovers"])
        self.restored = found
        return found

    def wait_for_empty(self):
        """czd removes the zones it made when they are empty: give it the time."""
        deadline = time.monotonic() + 5
        for process in list(self.control.processes.running):
            if process is not self.control.czd:
                self.control.processes.stop(process)
        while self.control.alive() and self.machine.leftovers() and time.monotonic() < deadline:
            time.sleep(0.1)

    def result(self):
        args = self.args
        result = {
            "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "quick": args.quick, "kernel": platform.release(), "cpus": self.machine.cpus,
            "cgroups": "v1 or hybrid" if self.machine.cpuacct else "v2",
            "redis": self.redis.result(), "sine": self.sine.result(),
            "host_unchanged": self.restored["unchanged"], "host": self.restored}
        result["targets"] = verdict.targets(result)
        result["failures"] = verdict.failures(result)
        result["worked"] = not result["failures"]
        return result

    def show(self, result):
        screen, out = self.screen, self.args.out
        path = os.path.join(out, "result.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
        page = os.path.join(out, "report.html")
        with open(page, "w", encoding="utf-8") as file:
            file.write(report.page(result, self.redis, self.sampler))
        if self.redis.why_text:
            screen.say(f"\nWhat czd said while it hurt (czctl why {self.redis.zone}):\n")
            screen.say("\n".join("  " + line for line in self.redis.why_text.splitlines()))
        screen.latency_table(result["redis"], redis_part.CONDITIONS, redis_part.TITLES)
        screen.sine_table(result["sine"], sine_part.CONDITIONS, sine_part.TITLES)
        screen.target_table(result["targets"])
        screen.say(f"\nhost unchanged: {'yes' if result['host_unchanged'] else 'NO'}")
        for reason in result["failures"]:
            screen.say(f"FAILED: {reason}")
        screen.say(f"report: {page}\nnumbers: {path}")
        return 0 if result["worked"] else 1


if __name__ == "__main__":
    sys.exit(play(Demo(arguments())))

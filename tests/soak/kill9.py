#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills czd with SIGKILL at random times while it enforces, and sees that no knob stays changed.

A victim that runs a little every few milliseconds and a hog share one CPU; czd restrains the hog. The
worker is killed --worker times: the keeper has to undo. Worker and keeper are killed together --both
times: the next start has to, or `czd --undo`, in turns. The hog is stopped right after each kill, so
that a restarted czd finds no reason to act again, and every knob file of both zones is compared with
what it was before the first start. The zones have weights of their own, which must come back too."""
import argparse
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402

UNDO_S = 10
CONFIG = """mode: enforce
guard:
  measure: 200ms
  cooldown: 200ms
  quiet: 1s
  lease: 30s
zones:
  - match: /cz-soak-victim
    class: lc
    slo:
      wait.p99: 500us
  - match: /cz-soak-hog
    class: be
"""
VICTIM = """
import time
while True:
    end = time.monotonic() + 0.002
    while time.monotonic() < end:
        pass
    time.sleep(0.006)
"""


def weight(shares, v2):
    return {"cpu.shares": str(shares)} if "cpuacct" in live.controllers() else {"cpu.weight": str(v2)}


class Soak:
    def __init__(self, czd, victim, hog):
        self.czd, self.groups, self.hog = czd, (victim, hog), hog
        self.before = self.knobs()
        self.kills = self.held = 0
        self.slowest_s = 0.0

    def knobs(self):
        return {file: text for group in self.groups for file, text in group.knobs().items()}

    def changed(self):
        return live.differences(self.before, self.knobs())

    def running(self):
        return self.czd.keeper is not None and self.czd.keeper.poll() is None

    def ensure_started(self):
        """The keeper restarts a worker three times a minute; after that it ends, as it should."""
        if not self.running():
            self.czd.start()

    def worker(self, not_pid=None):
        def fresh():
            if not self.running():
                self.czd.start()
            try:
                pid = self.czd.worker_pid()
            except (OSError, live.RequestError):
                return None
            return pid if pid != not_pid else None
        return live.wait_for(fresh, 20, "a worker answers")

    def hog_signal(self, number):
        for pid in live.read(self.hog.file("cgroup.procs")).split():
            try:
                os.kill(int(pid), number)
            except ProcessLookupError:
                pass

    def wait_a_while(self, picker):
        """Most kills come some time after a knob is held, some before, at any moment."""
        if picker.random() < 0.85:
            try:
                live.wait_for(self.changed, 8, "a knob is held")
            except TimeoutError:
                pass
        time.sleep(picker.random() ** 2)

    def kill(self, picker, both):
        self.ensure_started()
        worker = self.worker()
        self.hog_signal(signal.SIGCONT)
        self.wait_a_while(picker)
        if not self.running():
            raise RuntimeError(f"czd ended by itself:\n{self.czd.log_tail()}")
        victims = [self.czd.keeper.pid, worker] if both else [worker]
        self.held += bool(self.changed())
        # stopped first, or the worker would see the keeper's end and undo by itself
        for number in (signal.SIGSTOP, signal.SIGKILL) if both else (signal.SIGKILL,):
            for pid in victims:
                os.kill(pid, number)
        self.hog_signal(signal.SIGSTOP)
        self.kills += 1
        if both:
            self.czd.keeper.wait()
            live.wait_for(lambda: not live.alive(worker), 10, "the killed worker is gone")
            self.recover(by_start=picker.random() < 0.5)
        self.expect_unchanged()

    def recover(self, by_start):
        if by_start:
            self.czd.start()
            return
        undo = self.czd.undo()
        if undo.returncode != 0:
            raise RuntimeError(f"czd --undo ended with {undo.returncode}: {undo.stderr or undo.stdout}")

    def expect_unchanged(self):
        start = time.monotonic()
        try:
            live.wait_for(lambda: not self.changed(), UNDO_S, "all knobs are back")
        except TimeoutError:
            lines = "\n  ".join(self.changed())
            raise RuntimeError(f"after kill {self.kills} these knobs stay changed:\n  {lines}\n"
                               f"czd's log:\n{self.czd.log_tail(60)}") from None
        self.slowest_s = max(self.slowest_s, time.monotonic() - start)

    def report(self, what, total):
        print(f"{what}: {self.kills} of {total} kills, {self.held} while a knob was held; "
              f"slowest undo {1000 * self.slowest_s:.0f} ms", flush=True)


def run(args, victim, hog):
    picker = random.Random(args.seed)
    czd = live.Czd(CONFIG)
    soak = Soak(czd, victim, hog)
    with czd:
        live.wait_for(soak.changed, 30, "czd restrains the hog")
        for what, total, both in (("worker", args.worker, False), ("worker and keeper", args.both, True)):
            soak.kills = soak.held = 0
            for _ in range(total):
                soak.kill(picker, both)
                if soak.kills % 10 == 0:
                    soak.report(what, total)
            if total % 10:
                soak.report(what, total)
            if soak.held * 4 < total:
                raise RuntimeError(f"only {soak.held} of {total} kills came while a knob was held: this shows too little")
        soak.hog_signal(signal.SIGSTOP)
        status = czd.stop() if soak.running() else 0
        if status != 0:
            raise RuntimeError(f"czd ended with {status} on SIGTERM:\n{czd.log_tail()}")
        soak.expect_unchanged()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", help=argparse.SUPPRESS)
    parser.add_argument("--worker", type=int, default=200, help="how often to kill the worker")
    parser.add_argument("--both", type=int, default=20, help="how often to kill worker and keeper")
    parser.add_argument("--seed", type=int, default=None, help="of the random times (printed)")
    args = parser.parse_args()
    if args.bin:
        live.BIN = args.bin
    args.seed = random.randrange(1 << 32) if args.seed is None else args.seed
    live.need_root()
    live.raise_on_signals()
    live.remove_leftovers("cz-soak")
    cpu = max(os.sched_getaffinity(0))
    print(f"seed {args.seed}; victim and hog on CPU {cpu}", flush=True)
    with live.Group("cz-soak-victim", weight(2000, 300)) as victim, live.Group("cz-soak-hog", weight(700, 70)) as hog:
        victim.start([sys.executable, "-c", VICTIM], cpu=cpu)
        hog.start(["stress-ng", "--cpu", "1", "--quiet"], cpu=cpu, stdout=subprocess.DEVNULL)
        run(args, victim, hog)
    print("no knob stayed changed")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, TimeoutError) as failure:
        sys.exit(f"kill9: {failure}")
    except KeyboardInterrupt:
        sys.exit("kill9: interrupted; the zones are removed")

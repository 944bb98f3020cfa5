# SPDX-License-Identifier: MIT
"""What the suites that run in a guest share: loaded schedulers, and the guest's files."""
import contextlib
import json
import os
import select
import subprocess
import time

BIN = os.environ.get("CZ_SCHED_DIR", "/cz/sched")
STATE = "/sys/kernel/sched_ext/state"
CGROUP = "/sys/fs/cgroup"
SCHED_EXT = 7


class Failure(Exception):
    pass


def check(condition, reason):
    if not condition:
        raise Failure(reason)


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def wait_until(condition, seconds, reason):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, reason)
        time.sleep(0.01)


def disabled():
    return read(STATE) == "disabled"


def usage_s(group):
    """CPU time of a cgroup, given by path or by its name below the root."""
    return int(read(os.path.join(CGROUP, group, "cpu.stat")).split()[1]) / 1e6


class Scheduler:
    """A loaded scx-NAME."""

    def __init__(self, name, *options):
        self.name = name
        self.child = subprocess.Popen([f"{BIN}/scx-{name}", "--hold", *options], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
        self.pending, self.events = b"", []
        self.ready = self.expect("ready", 50)

    def line(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.pending:
            left = end - time.monotonic()
            readable = left > 0 and select.select([self.child.stdout], [], [], left)[0]
            check(readable, f"scx-{self.name} said nothing for {seconds:.0f} s; before that: {self.events[-3:]}")
            data = os.read(self.child.stdout.fileno(), 65536)
            check(data, f"scx-{self.name} ended; it said: {self.events[-3:]}")
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        event = json.loads(line)
        self.events.append(event)
        return event

    def expect(self, kind, seconds=20):
        """The next event, but for counters on the way."""
        while True:
            event = self.line(seconds)
            if event["event"] == kind:
                return event
            check(event["event"] == "stats", f"scx-{self.name}: {kind} was expected, not {event}")

    def say(self, word):
        self.child.stdin.write(word.encode() + b"\n")
        self.child.stdin.flush()

    def attach(self):
        self.say("attach")
        return self.expect("attached")["ms"]

    def detach(self):
        self.say("detach")
        return self.expect("detached")["ms"]

    def stats(self):
        self.say("stats")
        return self.expect("stats")

    def still_attached(self):
        self.stats()
        check(read(STATE) == "enabled", f"scx-{self.name} was ejected")

    def close(self):
        with contextlib.suppress(OSError):
            self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise
        finally:
            self.child.stdout.close()
        wait_until(disabled, 5, "the scheduler outlived its process")


@contextlib.contextmanager
def running(name, *options, attach=True):
    scheduler = Scheduler(name, *options)
    try:
        if attach:
            scheduler.attach()
        yield scheduler
    finally:
        scheduler.close()

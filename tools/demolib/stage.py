# SPDX-License-Identifier: MIT
"""What both parts of the demo stand on: zones on the stage, the hog, windows, waiting."""
import json
import os
import shutil
import time

from .control import Failed

LOAD_CPU, WORK_CPU = 0, 1


def wait_for(condition, timeout_s, what):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise Failed(f"waited {timeout_s} s in vain for {what}")


class Stage:
    def __init__(self, control, machine, sampler, screen, quick):
        self.control, self.machine, self.sampler = control, machine, sampler
        self.screen, self.quick = screen, quick
        self.processes = control.processes
        self.stress_ng = shutil.which("stress-ng")
        self.count = 0

    @property
    def hog_name(self):
        return "stress-ng --cpu 1" if self.stress_ng else "cz-work hog"

    def enter(self, name, zone_class, command, cpu, slo=None, keep_output=False):
        """Start a command in a new zone NAME-1, NAME-2 .. and follow the CPU time of all of them.
        Each is a zone of its own: nothing learned about one helps with the next."""
        self.count += 1
        zone = f"{name}-{self.count}"
        spawned_ns = time.monotonic_ns()
        process = self.control.run(zone, zone_class, command, slo, keep_output)

        def in_zone():
            if process.poll() is not None:
                raise Failed(f"{zone} did not start; " + self.processes.log_hint(process))
            directory = self.machine.dir_of(process.pid)
            return directory if directory and "/cz-" in directory else None
        directory = wait_for(in_zone, 10, f"{zone} to be in its zone")
        self.sampler.add(name, directory, cpu)
        process.demo_start_ns = spawned_ns
        process.demo_dir = directory
        return process

    def start_hog(self, exact=False):
        """A best-effort CPU hog next to the victim. exact: one that knows its first instant."""
        if self.stress_ng and not exact:
            command = [self.stress_ng, "--cpu", "1", "--taskset", str(WORK_CPU)]
        else:
            command = [self.control.program("cz-work"), "hog", "--cpu", str(WORK_CPU), "-q",
                       "-o", "json"]
        return self.enter("demo-hog", "be", command, WORK_CPU, keep_output=exact)

    def stop_hog(self, hog):
        """Ends it; its result, if it is one that has any."""
        # In the idle class of a busy machine it may take a while to get its last instants.
        out = self.processes.stop(hog, timeout_s=20)
        wait_for(lambda: not os.path.exists(hog.demo_dir), 10, f"the zone of {hog.demo_name} to go")
        return json.loads(out) if out else None

    def mode(self, mode):
        self.control.call("mode", mode)

    @staticmethod
    def is_zone(name, process):
        """Is this name, as czd shows it, the zone of a process started here?"""
        return (name or "").rpartition("/")[2].removeprefix("cz-") == process.demo_name

    def action_on(self, process):
        """The first action on a zone: the one that stopped the harm."""
        actions = self.control.call("actions", "--all")["actions"]
        mine = [a for a in actions if self.is_zone(a["target"], process) and a["written_ns"]]
        return min(mine, key=lambda a: a["written_ns"], default=None)

    def run_for(self, until_ns):
        """Sleep, while noticing that czd died."""
        while time.monotonic_ns() < until_ns:
            if not self.control.alive():
                raise Failed("czd died; " + self.processes.log_hint(self.control.czd))
            time.sleep(min(0.2, max(0.0, (until_ns - time.monotonic_ns()) / 1e9)))


def median(values):
    values = sorted(v for v in values if v is not None)
    if not values:
        return None
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2

# SPDX-License-Identifier: MIT
"""What the scenarios with VM zones share: czd with zones (as in the demo), measurements in a guest, and a
list of what did not hold. Nothing is left behind."""
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "tools"), os.path.join(TOP, "tests", "lib")]
import live  # noqa: E402
from demolib.control import Failed, Processes  # noqa: E402
from demolib.machine import Machine, knob_changes  # noqa: E402
from demolib.stage import median  # noqa: E402
from demolib.zone_control import MACHINE, ZoneControl  # noqa: E402
from demolib.zone_latency import TIMELY_MIN, LoadedZone, failed, timely  # noqa: E402

ALL = "/sys/fs/cgroup"  # in a guest
KNEE_RATES = (500, 1000, 2000, 4000, 8000, 12000, 16000, 20000, 24000, 30000, 36000, 48000)
NOISE_CPUS, NOISE_TRIES = 0.1, 3  # what others on the host may use while a zone is measured


def say(text):
    print(text, flush=True)


def spread(values, unit=1e3):
    """Median, lowest and highest, for the last line."""
    return f"{median(values) / unit:.2f} ({min(values) / unit:.2f}-{max(values) / unit:.2f})"


class Zone(LoadedZone):
    """A zone with Redis in it; `changes` are (old, new) pieces of its description."""

    def __init__(self, control, name, cpus, vcpus, changes=()):
        super().__init__(control, name, cpus, vcpus)
        self.machine, self.noisy, self.measured = Machine(), 0, 0
        for old, new in changes:
            assert old in self.text, old
            self.text = self.text.replace(old, new)

    def spec(self):
        return self.shown()["spec"]

    def inside(self, *words, **options):
        return self.control.inside(self.name, *words, **options)

    def app(self, name):
        time.sleep(1.1)  # the guest reports once a second
        return next(app for app in self.shown()["apps"] if app["name"] == name)

    def ext_state(self):
        return self.inside("cat", "/sys/kernel/sched_ext/state").strip()

    def script(self, text):
        """What a shell script printed, run before all that is measured."""
        return self.inside("chrt", "-f", "10", "sh", "-c", text)

    def each_thread(self, program, *words):
        """A command (chrt, renice, kill) for all threads of a program; those that ended meanwhile don't count."""
        self.script(f"ps -eLo lwp=,comm= | while read -r id name; do case $name in {program}*) "
                    f"{shlex.join(words)} $id >/dev/null 2>&1;; esac; done; true")

    def group(self, name):
        """The cgroup of an app, in the guest."""
        pid = self.app(name)["pid"]
        return ALL + self.inside("sed", "-n", "s/^0:://p", f"/proc/{pid}/cgroup").strip()

    @staticmethod
    def now(groups):
        """Prints the guest's clock, and the CPU time of groups."""
        return "; ".join(["cut -d' ' -f1 /proc/uptime", *(f"sed -n 's/^usage_usec //p' {group}/cpu.stat" for group in groups)])

    def load_words(self, rate, seconds, warmup="500ms", drain="2s"):
        words = super().load_words(rate, seconds)
        words[words.index("--warmup") + 1] = warmup
        return words + ["--drain", drain]

    def host_ns(self):
        """The host's clock, and the CPU time of all that is not this zone."""
        machine = self.machine
        group = (machine.cpuacct or machine.mounts[""]) + "/cz-zones/" + self.name
        return time.monotonic_ns(), sum(machine.all_usage()[0]) - sum(machine.group_usage(group, 0) or [0])

    def quiet_loads(self, rates, seconds):
        """loads(), up to NOISE_TRIES times, until others on the host leave it its CPUs."""
        for _ in range(NOISE_TRIES):
            before = self.host_ns()
            results = self.loads(rates, seconds)
            after = self.host_ns()
            others = (after[1] - before[1]) / (after[0] - before[0])
            if others <= NOISE_CPUS:
                break
            say(f"others on the host used {others:.2f} CPUs meanwhile")
        self.noisy += others > NOISE_CPUS
        self.measured += 1
        return results

    def loads(self, rates, seconds, groups=(ALL,), warmup="500ms", drain="2s"):
        """cz-load's result by rate, each with how many CPUs the groups used meanwhile."""
        words = [shlex.join(self.load_words(rate, seconds, warmup, drain)) for rate in rates]
        script = "; ".join(f"{self.now(groups)}; echo @; {word}; echo @; {self.now(groups)}; echo @" for word in words)
        parts, results = self.script(script).split("@\n"), []
        for before, text, after in zip(parts[::3], parts[1::3], parts[2::3]):
            result = timely(json.loads(text))
            result["cpus"] = cpus_used(before.split(), after.split())
            result["p99_us"] = result["latency_ns"].get("p99", float("inf")) / 1e3  # inf: nothing was answered
            results.append(result)
        return results

    def find_knee(self):
        """The highest rate that Redis alone answers in time: p99 within twice that of low rates, 95 % of the replies, and the
        load generator, which lives on the zone's other CPU, on time."""
        self.load(KNEE_RATES[0], 1)  # what is first used is slow
        gots = self.loads(KNEE_RATES, 1)
        limit = 2 * median([got["p99_us"] for got in gots[:3]])
        knee = max([rate for rate, got in zip(KNEE_RATES, gots)
                    if got["p99_us"] <= limit and got["timely_share"] >= TIMELY_MIN
                    and got["replies"] >= 0.95 * got["intended"]], default=KNEE_RATES[0])
        say(f"the knee of Redis alone: {knee} requests/s")
        return knee

    def cpus(self, group, seconds):
        lines = self.script(f"{self.now([group])}; sleep {seconds}; {self.now([group])}").split()
        return cpus_used(lines[:2], lines[2:])[0]


def cpus_used(before, after):
    """Of each group, from what now() printed."""
    wall_s = float(after[0]) - float(before[0])
    return [(int(b) - int(a)) / 1e6 / wall_s for a, b in zip(before[1:], after[1:])]


class Lab:
    """A context manager. check() collects what does not hold; finish() is the verdict."""

    def __init__(self):
        live.need_root()
        missing = [path for path in MACHINE.values() if not os.path.exists(path)]
        if missing:
            live.skip(f"{missing[0]} is missing: ./dev setup fetches it")
        self.machine, self.failures, self.zones = Machine(), [], []
        if self.machine.cpus < 2:
            live.skip("needs two CPUs")
        self.logs = os.path.join(TOP, "build", "accept", os.path.basename(sys.argv[0]) + ".logs")

    def __enter__(self):
        live.raise_on_signals()
        shutil.rmtree(self.logs, ignore_errors=True)
        os.makedirs(self.logs)
        self.knobs = self.machine.knobs()
        self.run_dir = tempfile.mkdtemp(prefix="cz-accept.", dir="/run")
        self.control = ZoneControl(live.BIN, self.run_dir, Processes(self.logs))
        try:
            self.control.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *_):
        for name in self.zones:
            if self.control.alive():
                self.control.try_call("remove", "-f", name, "--wait")
        self.control.processes.stop_all()
        self.control.clean_up()
        shutil.rmtree(self.run_dir, ignore_errors=True)
        for change in knob_changes(self.knobs, self.machine.knobs()):
            self.failures.append(f"not put back: {change}")
        for root in set(self.machine.mounts.values()):
            for name in self.zones:
                if os.path.isdir(os.path.join(root, "cz-zones", name)):
                    self.failures.append(f"left behind: {root}/cz-zones/{name}")

    def zone(self, name, cpus, vcpus, changes=()):
        self.zones.append(name)
        return Zone(self.control, name, cpus, vcpus, changes)

    def check(self, holds, text):
        say(("ok: " if holds else "MISSED: ") + text)
        if not holds:
            self.failures.append(text)
        return holds

    def file(self, text):
        path = os.path.join(self.run_dir, "asked.yaml")
        live.write(path, text if isinstance(text, str) else json.dumps(text))
        return path

    def refused(self, what, pattern, *words):
        """czctl must say no, with a sentence that fits."""
        try:
            self.control.ask(*words)
        except Failed as refusal:
            return self.check(re.search(pattern, str(refusal)), f"{what} is refused: {refusal}")
        return self.check(False, f"{what} is refused")

    def finish(self, facts):
        """The last line, and the exit code."""
        say("missed: " + "; ".join(self.failures) + ". Else: " + facts if self.failures else facts)
        return 1 if self.failures else 0


def main(scenario):
    """scenario(lab) returns the facts of the last line."""
    try:
        with Lab() as lab:
            facts = scenario(lab)
        sys.exit(lab.finish(facts))
    except Failed as failure:
        sys.exit(f"failed: {failure}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the zones are removed")

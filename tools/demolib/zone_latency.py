# SPDX-License-Identifier: MIT
"""(a) One zone on both CPUs: a real Redis beside a best-effort hog, by load and by scheduler, and
schedulers changed under load. Redis has the guest's CPU 1; the load comes from its CPU 0, above
every class, so that what is measured is Redis' harm and not the load generator's."""
import json
import time

from .control import Failed
from .stage import median, wait_for

ZONE, HOG = "cz-demo", "hog"
CONDITIONS = ("alone", "eevdf", "exclusive")
TITLES = {"alone": "alone", "eevdf": "hog, EEVDF", "exclusive": "hog, exclusive"}
SPEC = """apiVersion: cz/v1
kind: Zone
metadata: {{name: {name}}}
class: lc
runtime: vm
resource: {{cpuset: "{cpus}", vcpus: {vcpus}, memory: 512Mi}}
os: {{rootfs: host, share: [{shared}]}}
apps:
  - name: redis
    class: lc
    cpuset: "{redis_cpu}"
    command: [redis-server, --port, "6379", --save, ""]
"""
# Twice as many workers as CPUs, as a batch job has them.
HOG_COMMAND = ("stress-ng", "--cpu", "4", "--temp-path", "/tmp")
# What holds up the guest's load generator, which is above all else there, is the host: it holds up
# Redis too. Latency is that of the tenths of a second in which its own lag p99 was at most that.
LAG_MAX_US, TIMELY_MIN, LOAD_TRIES = 1000, 0.2, 3
KNEE_RATES = (500, 1000, 2000, 3000, 4000, 6000, 8000, 12000, 16000, 24000, 32000)


class LoadedZone:
    """A zone with Redis in it, and what can be done to it."""

    def __init__(self, control, name, cpus, vcpus):
        self.control, self.name, self.load_cpu = control, name, 0
        self.text = SPEC.format(name=name, cpus=cpus, vcpus=vcpus, shared=control.shared,
                                redis_cpu=vcpus - 1)

    def boot(self):
        self.control.apply(self.text)
        return self.shown()["boot_ms"]

    def shown(self):
        return self.control.ask("inspect", self.name)["applied"]

    def load_words(self, rate, seconds):
        return ["chrt", "-f", "10", f"{self.control.shared}/cz-load", "resp", "127.0.0.1:6379",
                "--rate", str(rate), "--seconds", str(seconds), "--warmup", "500ms", "--cpu",
                str(self.load_cpu), "--connections", "4", "--wait-ready", "20s", "-q", "-o", "json",
                "--interval", "100ms", "--lag-max", f"{LAG_MAX_US}us"]

    def load(self, rate, seconds):
        """Tried again when nothing was answered: a host that is busy elsewhere may stop the guest."""
        for _ in range(LOAD_TRIES):
            got = timely(json.loads(self.control.inside(self.name, *self.load_words(rate, seconds))))
            if got["latency_ns"]["count"]:
                return got
        raise Failed(f"Redis in {self.name} answered nothing in {LOAD_TRIES} x {seconds} s")

    def start_hog(self):
        self.control.ask("pod", "add", "--name", HOG, "--class", "be", self.name, "--",
                         *HOG_COMMAND)
        time.sleep(0.5)

    def stop_hog(self):
        self.control.ask("pod", "delete", self.name, HOG)

    def policy(self, policy):
        return self.control.ask("sched", "set", self.name, policy)["switch_ms"]

    def redis(self):
        return next(app for app in self.shown()["apps"] if app["name"] == "redis")

    def wait_for_ledger(self):
        """The guest loads it after its apps; without KVM that takes seconds."""
        wait_for(lambda: self.redis().get("wait_ns") is not None, 90, f"the ledger of {self.name}")

    def be_ran_ns(self):
        """What the hog has run while Redis waited, by the ledger inside the guest."""
        time.sleep(1.1)  # the guest reports once a second
        return sum(part["ns"] for part in self.redis()["parts"] if part.get("app") == HOG)


class LatencyPart:
    def __init__(self, control, screen, quick):
        self.control, self.screen = control, screen
        self.rounds, self.seconds = (1, 2) if quick else (5, 3)
        self.shares = (0.2, 0.5) if quick else (0.2, 0.5, 0.7, 0.9)
        self.zone = LoadedZone(control, ZONE, "0-1", 2)
        self.runs, self.knee, self.switches = [], None, {}

    def expected_s(self):
        return 30 + self.rounds * (len(CONDITIONS) * len(self.shares) * (self.seconds + 2.5) + 6)

    def find_knee(self):
        """The highest rate that Redis alone still answers in time: p99 under 5 x that of the
        lowest rate, and 95 % of the replies. A rate is tried twice: others use this host too."""
        limit = 5 * median([self.zone.load(KNEE_RATES[0], 1)["latency_ns"]["p99"]
                            for _ in range(3)])
        self.knee = KNEE_RATES[0]
        for rate in KNEE_RATES[1:]:
            if not any(in_time(self.zone.load(rate, 2), limit) for _ in range(2)):
                break
            self.knee = rate
        self.screen.step(f"the knee of Redis alone in the zone: {self.knee:,} requests/s")

    def measure(self, round_number, condition):
        for share in self.shares:
            before = self.zone.be_ran_ns()
            got = self.zone.load(max(50, int(share * self.knee)), self.seconds)
            ran_ns = self.zone.be_ran_ns() - before
            self.runs.append({
                "round": round_number, "condition": condition, "load": share,
                "rate_per_sec": got["rate_target_per_sec"],
                "p50_us": got["latency_ns"]["p50"] / 1e3, "p99_us": got["latency_ns"]["p99"] / 1e3,
                "whole_p99_us": got["whole_latency_ns"]["p99"] / 1e3,
                "timely_share": got["timely_share"],
                "lag_p99_us": got["lag_ns"]["p99"] / 1e3, "failed": failed(got),
                "be_ran_while_lc_waited_ppm": 1e6 * ran_ns / (self.seconds + 0.5) / 1e9})
        last = [run for run in self.runs if run["condition"] == condition][-len(self.shares):]
        self.screen.step(f"round {round_number}: {TITLES[condition]:<15} p99 "
                         + ", ".join(f"{run['p99_us'] / 1e3:.2f}" for run in last)
                         + " ms at " + ", ".join(f"{s:.0%}" for s in self.shares))

    def run(self):
        self.zone.wait_for_ledger()
        self.find_knee()
        for number in range(1, self.rounds + 1):
            self.measure(number, "alone")
            self.zone.start_hog()
            self.zone.policy("none")
            self.measure(number, "eevdf")
            self.zone.policy("exclusive")
            self.measure(number, "exclusive")
            self.zone.policy("none")
            self.zone.stop_hog()

    def switch_under_load(self, times):
        """exclusive <-> vtime under load: what a switch takes, whether a request is lost."""
        zone, before = self.zone, self.control.uptime_ms(ZONE)
        zone.start_hog()
        for policy in ("vtime", "exclusive"):  # verified and kept from here on
            zone.policy(policy)
        seconds = 3 + 2 * times
        load = self.control.start_inside("load", ZONE, *zone.load_words(self.knee // 2, seconds))
        time.sleep(1.5)
        switch_ms = []
        for _ in range(times):
            for policy in ("vtime", "exclusive"):
                switch_ms.append(zone.policy(policy))
                time.sleep(0.5)
        got = json.loads(self.control.processes.finish(load, seconds + 60))
        zone.policy("none")
        zone.stop_hog()
        self.switches = {
            "switch_ms": median(switch_ms), "switch_ms_all": switch_ms,
            "failed_requests": failed(got), "requests": got["intended"],
            "guest_uptime_reset": self.control.uptime_ms(ZONE) < before}
        self.screen.step(f"{len(switch_ms)} switches under load: {self.switches['switch_ms']:.0f} ms"
                         f" each, {self.switches['failed_requests']} of {got['intended']:,} "
                         "requests failed")

    def bare_switch(self, times):
        """The same two policies, loaded before, taken off and put on by their own programs."""
        pairs = []
        self.zone.start_hog()
        for policy in ("vtime", "exclusive"):
            words = "".join("echo attach; sleep 1; echo detach; sleep 1; " for _ in range(times))
            out = self.control.inside(ZONE, "sh", "-c", f"(sleep 4; {words} echo quit) | "
                                      f"{self.control.shared}/scx-{policy} --hold --partial")
            events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
            ms = {kind: median([e["ms"] for e in events if e["event"] == kind])
                  for kind in ("attached", "detached")}
            pairs.append(ms["attached"] + ms["detached"])
        self.zone.stop_hog()
        self.switches["bare_detach_attach_ms"] = median(pairs)
        self.screen.step(f"bare detach and attach: {median(pairs):.0f} ms")

    def step_result(self, share):
        row = {"load": share, "rate_per_sec": max(50, int(share * self.knee))}
        for condition in CONDITIONS:
            mine = [r for r in self.runs if r["load"] == share and r["condition"] == condition]
            row[condition] = {
                "p99_us": median([r["p99_us"] for r in mine]),
                "p50_us": median([r["p50_us"] for r in mine]),
                "lag_p99_us": median([r["lag_p99_us"] for r in mine]),
                "be_ran_while_lc_waited_ppm":
                    median([r["be_ran_while_lc_waited_ppm"] for r in mine])}
        harm = row["eevdf"]["p99_us"] - row["alone"]["p99_us"]
        left = row["exclusive"]["p99_us"] - row["alone"]["p99_us"]
        # Where the hog does no harm there is nothing to remove, only something to spoil.
        row["harm_us"] = harm
        row["harm_removed"] = 1 - left / harm if harm > 0 else 1.0 if left <= 0 else None
        return row

    def result(self):
        return {"knee_per_sec": self.knee, "steps": [self.step_result(s) for s in self.shares],
                "runs": self.runs, **self.switches}


def timely(got):
    """A result, with the latency of the moments in which the generator was on time; of all if these
    are too few."""
    got["timely_share"] = got["quiet"]["intervals"] / max(1, len(got["intervals"]))
    got["whole_latency_ns"] = got["latency_ns"]
    if got["timely_share"] >= TIMELY_MIN and got["quiet"]["latency_ns"]["count"]:
        got["latency_ns"] = got["quiet"]["latency_ns"]
    return got


def in_time(got, limit_ns):
    return got["latency_ns"]["p99"] <= limit_ns and got["replies"] >= 0.95 * got["intended"]


def failed(got):
    keys = ("reply_errors", "lost", "not_sent", "unanswered", "connect_errors")
    return sum(got[key] for key in keys)

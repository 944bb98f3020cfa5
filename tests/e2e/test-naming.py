#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 300
# cases: by name
"""Who is named, when it is hard to tell: two hogs at 70/30, a busy decoy on another CPU, hogs nested
in slices, and harm that is nobody's but the zone's own, the kernel's, or none at all."""
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check, work  # noqa: E402

NAME = f"cz-naming{os.getpid()}"
CONFIG = "tick: 500ms\n"
CPU = 1
SECONDS_QUIET = float(os.environ.get("CZ_QUIET_SECONDS", "20"))


def hog():
    return work("hog", "--threads", "1")


def sine():
    """About half a CPU, asked for in short slots: a service that waits as soon as others run."""
    return work("sine", "--period", "4s", "--min", "30%", "--max", "70%")


class QuietGroup(live.Group):
    """Workloads report as they go; here only czd's word counts."""

    def start(self, command, cpu=None, **options):
        return super().start(command, cpu, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


class Scene:
    """A czd, a protected zone, and groups that come and go."""

    def __init__(self, slo="wait.p99=1ms"):
        self.stack = contextlib.ExitStack()
        self.slo = slo

    def __enter__(self):
        self.czd = self.stack.enter_context(live.Czd(CONFIG))
        self.victim = self.group("victim")
        self.protect()
        return self

    def protect(self):
        live.wait_for(lambda: self.known("victim"), 10, "czd knows the new zone")
        self.czd.request("protect", zone=f"/{NAME}-victim", slo=self.slo)

    def known(self, name):
        rows = self.czd.request("list", all=True)["zones"]
        return any(row["path"].startswith(f"/{NAME}-{name}") for row in rows)

    def __exit__(self, *info):
        return self.stack.__exit__(*info)

    def group(self, name, knobs=None):
        return self.stack.enter_context(QuietGroup(f"{NAME}-{name}", knobs))

    def finding(self, timeout_s=15, settle_s=3):
        """The victim's open finding, after its evidence has had time to grow."""
        def find():
            return self.czd.request("why", zone=f"/{NAME}-victim")["finding"]
        live.wait_for(find, timeout_s, "a finding about the victim")
        time.sleep(settle_s)
        return find()

    def shares(self, finding):
        return {c["zone"].rsplit("/", 1)[-1].removeprefix(f"{NAME[3:]}-"): c["share_ppm"] / 1e4 for c in finding["culprits"]}


def sums_to_one(finding):
    check(sum(finding["cause_ppm"].values()) == 1000000, f"causes do not sum to one: {finding['cause_ppm']}")


def weight(percent):
    return {"cpu.shares": str(1024 * percent // 100)} if "cpuacct" in live.controllers() else {"cpu.weight": str(percent)}


def two_hogs_70_30(scene):
    scene.group("big", weight(70)).start(hog(), cpu=CPU)
    scene.group("small", weight(30)).start(hog(), cpu=CPU)
    scene.victim.start(sine(), cpu=CPU)
    finding = scene.finding(settle_s=6)
    sums_to_one(finding)
    shares = scene.shares(finding)
    check(finding["cause"] == "neighbour", f"cause is {finding['cause']}")
    total = shares.get("big", 0) + shares.get("small", 0)
    check(total >= 80, f"the hogs have only {total:.1f} % of {shares}")
    big = 100 * shares["big"] / total
    check(abs(big - 70) <= 5, f"the big hog has {big:.1f} % of the hogs' share, expected 70: {shares}")


def decoy_on_another_cpu(scene):
    scene.group("decoy").start(hog(), cpu=0)
    scene.group("hog").start(hog(), cpu=CPU)
    scene.victim.start(sine(), cpu=CPU)
    finding = scene.finding()
    shares = scene.shares(finding)
    check("decoy" not in shares, f"the decoy is named: {shares}")
    check(shares.get("hog", 0) >= 80, f"the hog is not: {shares}")


def hogs_nested_in_slices(scene):
    slice_ = scene.group("batch", weight(50))
    inner = QuietGroup(f"{NAME}-batch/cz-inner", weight(20))
    deep = QuietGroup(f"{NAME}-batch/cz-inner/cz-deep", weight(80))
    del slice_, inner  # removed with the slice
    deep.start(hog(), cpu=CPU)
    scene.victim.start(sine(), cpu=CPU)
    finding = scene.finding()
    shares = scene.shares(finding)
    for child in deep.children:
        child.kill()
        child.wait()
    named = max(shares, key=shares.get)
    check(named == "cz-deep" and shares[named] >= 80, f"the nested hog is not named: {shares}")


def own_load(scene):
    scene.victim.start(work("hog", "--threads", "3"), cpu=CPU)
    finding = scene.finding()
    sums_to_one(finding)
    check(finding["cause"] == "self", f"cause is {finding['cause']}: {finding['cause_ppm']}")
    check(not finding["culprits"], f"somebody is blamed: {finding['culprits']}")


def own_quota(scene):
    v1 = "cpuacct" in live.controllers()
    live.write(scene.victim.file("cpu.cfs_quota_us" if v1 else "cpu.max"), "20000" if v1 else "20000 100000")
    scene.victim.start(hog(), cpu=CPU)
    finding = scene.finding()
    sums_to_one(finding)
    check(finding["cause"] == "throttled", f"cause is {finding['cause']}: {finding['cause_ppm']}")
    check(not finding["culprits"], f"somebody is blamed: {finding['culprits']}")


def own_quota_beside_a_hog(scene):
    """The hog runs while the victim is throttled, and is not to blame for that."""
    v1 = "cpuacct" in live.controllers()
    live.write(scene.victim.file("cpu.cfs_quota_us" if v1 else "cpu.max"), "10000" if v1 else "10000 100000")
    scene.group("hog", weight(1)).start(hog(), cpu=CPU)
    scene.victim.start(hog(), cpu=CPU)
    finding = scene.finding()
    sums_to_one(finding)
    check(finding["cause"] == "throttled", f"cause is {finding['cause']}: {finding['cause_ppm']}")


@contextlib.contextmanager
def flood_of_packets():
    """Soft interrupts on CPU: UDP over loopback is delivered in net_rx on the sender's CPU."""
    stop = threading.Event()
    pid = os.fork()
    if pid == 0:
        live.die_with_parent()
        os.sched_setaffinity(0, {CPU})
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sink.bind(("127.0.0.1", 0))
        source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True:
            source.sendto(b"x" * 64, sink.getsockname())
    try:
        yield pid
    finally:
        stop.set()
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def kernel_work(scene):
    """Loopback traffic by the victim's own threads: what delays them is net_rx, not a neighbour."""
    if not scene.czd.request("probes")["ledger"]["irq_split"]:
        raise live.Skip("interrupts are not split off on this kernel")
    with flood_of_packets():
        scene.victim.start(sine(), cpu=CPU)
        finding = scene.finding()
        sums_to_one(finding)
        kernel = finding["cause_ppm"]["kernel"]
        check(kernel > 50000, f"interrupts are not seen: {finding['cause_ppm']}")


def nothing_wrong(scene):
    scene.group("decoy").start(sine(), cpu=0)
    scene.victim.start(sine(), cpu=CPU)
    end = time.monotonic() + SECONDS_QUIET
    while time.monotonic() < end:
        findings = scene.czd.request("findings", all=True)["findings"]
        check(not findings, f"a finding with nothing wrong: {findings}")
        time.sleep(1)


SCENES = (two_hogs_70_30, decoy_on_another_cpu, hogs_nested_in_slices, own_load, own_quota, own_quota_beside_a_hog, kernel_work, nothing_wrong)


def main():
    live.need_root()
    if os.cpu_count() < 2:
        live.skip("needs two CPUs")
    live.raise_on_signals()

    def case(scene_function):
        def run():
            with Scene(slo="wait.p99=4ms" if scene_function is nothing_wrong else "wait.p99=1ms") as scene:
                scene_function(scene)
        run.__name__ = scene_function.__name__
        return run
    return live.run_cases([case(s) for s in SCENES], (AssertionError, TimeoutError, live.RequestError, KeyError))


if __name__ == "__main__":
    sys.exit(main())

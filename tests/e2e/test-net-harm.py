#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 180
# cases: by name
"""Harm by the network, with real programs: behind a slow link a flood of UDP costs iperf3's TCP its packets. czd must name
the one that floods, not who sends a little, pace it, and leave the interface as it found it.

czd and the zones are in a network namespace of their own, joined by a router to the other end of the link."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check  # noqa: E402

NAME = f"cz-net{os.getpid()}"
HERE, ROUTER, THERE = (f"{NAME}-{n}" for n in "abc")
INTERFACE = "uplink"
FAST = "tick: 500ms\nguard: {measure: 500ms, cooldown: 500ms, quiet: 10s, fast_threshold: 1s}\nprobes: {net: true}\n"
HIERARCHIES = ("cpu", "cpuacct", "cpuset", "memory", "freezer", "blkio", "io", "unified")
LINK, FLOOD = "10mbit", 11_500_000  # bits a second: a little more than there is room for
SENDER = """
import socket, sys, time
bits, size = int(sys.argv[1]), 1200
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
begin, sent = time.monotonic(), 0
while True:
    try:
        s.sendto(bytes(size), ("10.9.2.2", 9))
    except OSError:
        pass
    sent += size * 8
    time.sleep(max(0, begin + sent / bits - time.monotonic()))
"""


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def inside(namespace, *command):
    return ["nsenter", f"--net=/run/netns/{namespace}", "--", *command]


@contextlib.contextmanager
def link():
    """HERE - ROUTER - THERE; the router's way to THERE is slow, and its queue short."""
    names = (HERE, ROUTER, THERE)
    try:
        for name in names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        for a, a_if, a_ip, b, b_if, b_ip in ((HERE, INTERFACE, "10.9.1.1", ROUTER, "near", "10.9.1.2"),
                                             (ROUTER, "far", "10.9.2.1", THERE, "end", "10.9.2.2")):
            run("ip", "-n", a, "link", "add", a_if, "type", "veth", "peer", "name", b_if, "netns", b)
            for name, interface, address in ((a, a_if, a_ip), (b, b_if, b_ip)):
                run("ip", "-n", name, "address", "add", f"{address}/24", "dev", interface)
                run("ip", "-n", name, "link", "set", interface, "up")
        run("ip", "-n", HERE, "route", "add", "default", "via", "10.9.1.2")
        run("ip", "-n", THERE, "route", "add", "default", "via", "10.9.2.1")
        run(*inside(ROUTER, "sysctl", "-qw", "net.ipv4.ip_forward=1"))
        run(*inside(ROUTER, "tc", "qdisc", "add", "dev", "far", "root", "tbf", "rate", LINK, "burst", "16k", "limit", "30k"))
        yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class Scene:
    def __init__(self, stack):
        self.top = stack.enter_context(live.Group(NAME, names=HIERARCHIES))
        self.groups = {n: stack.enter_context(live.Group(f"{NAME}/{n}", names=HIERARCHIES)) for n in ("lc", "be", "decoy")}
        stack.enter_context(link())
        self.server = subprocess.Popen(inside(THERE, "iperf3", "-s"), stdout=subprocess.DEVNULL, preexec_fn=live.die_with_parent)
        stack.callback(lambda: (self.server.kill(), self.server.wait()))
        live.wait_for(lambda: ":5201" in run(*inside(THERE, "ss", "-ltn")), 10, "iperf3 listens")
        self.start("lc", "iperf3", "-c", "10.9.2.2", "-t", "600", "-P", "8", "-b", "100k", "-l", "2k")
        self.start("decoy", sys.executable, "-c", SENDER, "50000")
        self.as_found = (self.qdiscs(), self.classes())
        self.czd = live.Czd(FAST)
        self.czd.arguments = inside(HERE, *self.czd.arguments)
        stack.enter_context(self.czd)
        live.wait_for(lambda: {self.path(n) for n in self.groups} <= {z["path"] for z in self.czd.request("list", all=True)["zones"]},
                      20, "czd sees the zones")
        self.czd.request("protect", zone=self.path("lc"), slo="wait.p99=10s")
        for name in ("be", "decoy"):
            self.czd.request("protect", zone=self.path(name), **{"class": "be"})
        live.wait_for(self.sends, 20, "the protected zone's packets are counted")

    @staticmethod
    def path(name):
        return f"/{NAME}/{name}"

    @classmethod
    def named(cls, name):
        return cls.path(name).removeprefix("/cz-")

    def start(self, name, *command):
        return self.groups[name].start(inside(HERE, *command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def flood(self):
        return self.start("be", sys.executable, "-c", SENDER, str(FLOOD))

    def sends(self):
        return self.czd.request("inspect", zone=self.path("lc"))["metrics"]["network_sent_packets_total"]["value"]

    def qdiscs(self):
        return run(*inside(HERE, "tc", "qdisc", "show", "dev", INTERFACE)).strip()

    def classes(self):
        return run(*inside(HERE, "tc", "class", "show", "dev", INTERFACE)).strip()

    def finding(self):
        return next((f for f in self.czd.request("findings")["findings"]
                     if f["open"] and f["resource"] == "network" and f["victim"] == self.named("lc") and f["culprits"]), None)

    def actions(self):
        return [a for a in self.czd.request("actions", all=True)["actions"] if a["resource"] == "network"]

    def helped(self):
        return next((a for a in self.actions() if a["outcome"] == "helped"), None)

    def programs(self):
        path = next(p for p in self.groups["be"].paths if os.path.exists(os.path.join(p, "cgroup.controllers")))
        return run("bpftool", "cgroup", "show", path).strip()

    def is_as_found(self):
        return (self.qdiscs(), self.classes()) == self.as_found and not self.programs()


@contextlib.contextmanager
def scene():
    with contextlib.ExitStack() as stack:
        yield Scene(stack)


def show(s):
    for f in s.czd.request("findings", all=True)["findings"]:
        print("finding:", f["resource"], f["cause"], [(c["zone"], c["share_ppm"]) for c in f["culprits"]], f["why"], "|", f["evidence"])
    for a in s.actions():
        print("action:", {k: a[k] for k in ("seq", "knob", "from", "to", "state", "outcome", "before_share_ppm", "after_share_ppm", "ended")})


def paced(s):
    """The flood comes, and a step helps."""
    s.czd.request("mode", mode="enforce")
    flood = s.flood()
    try:
        live.wait_for(s.helped, 90, "a step that helps against lost packets")
    finally:
        show(s)
    return flood


def culprit_is_named_and_paced_and_nothing_is_left_of_a_killed_czd():
    with scene() as s:
        flood = s.flood()
        found = live.wait_for(s.finding, 30, "a culprit for lost packets")
        check([c["zone"] for c in found["culprits"]] == [s.named("be")] and found["cause"] == "neighbour", f"{found}")
        check(INTERFACE in found["evidence"], f"{found}")
        check(s.is_as_found(), "observing changes nothing")
        flood.kill()
        flood.wait()
        paced(s)
        action = s.helped()
        check(action["knob"] == "net.max" and action["target"] == s.named("be"), f"{action}")
        check(s.classes().count("class htb") == 1 and s.programs(), s.classes())
        worker = s.czd.worker_pid()
        s.czd.keeper.send_signal(signal.SIGSTOP)  # neither may put anything back
        os.kill(worker, signal.SIGKILL)
        s.czd.keeper.send_signal(signal.SIGKILL)
        live.wait_for(lambda: not live.alive(worker), 10, "czd is dead")
        check(s.classes(), "what is left of a dead czd")
        check(s.czd.undo().returncode == 0, "undo")
        check(s.is_as_found(), f"{s.qdiscs()!r} {s.classes()!r} {s.programs()!r}")


def czd_itself_gives_back():
    with scene() as s:
        paced(s)
        s.czd.request("mode", mode="observe")
        live.wait_for(s.is_as_found, 10, f"as it was: {s.as_found!r}, not {s.qdiscs()!r} {s.classes()!r} {s.programs()!r}")


def somebody_elses_qdisc_is_left_alone():
    with scene() as s:
        run(*inside(HERE, "tc", "qdisc", "add", "dev", INTERFACE, "root", "handle", "1:", "tbf", "rate", "1gbit", "burst", "1m", "limit", "1m"))
        s.as_found = (s.qdiscs(), s.classes())
        s.czd.request("mode", mode="enforce")
        s.flood()
        failed = live.wait_for(lambda: next((a for a in s.actions() if a["state"] == "failed"), None), 60, "a step that is refused")
        check("could not be written" in failed["ended"], f"{failed}")
        check(s.is_as_found(), f"{s.qdiscs()!r} {s.classes()!r} {s.programs()!r}")


def main():
    live.need_root()
    live.raise_on_signals()
    for tool in ("iperf3", "bpftool", "tc", "nsenter"):
        if not shutil.which(tool):
            live.skip(f"{tool} is not installed")
    cases = [culprit_is_named_and_paced_and_nothing_is_left_of_a_killed_czd]
    if int(os.environ.get("HARM_RUNS", "1")) >= 10 or len(sys.argv) > 1:
        cases += [czd_itself_gives_back, somebody_elses_qdisc_is_left_alone]
    return live.run_cases(cases,
                          (AssertionError, TimeoutError, live.RequestError, OSError, RuntimeError, subprocess.CalledProcessError))


if __name__ == "__main__":
    sys.exit(main())

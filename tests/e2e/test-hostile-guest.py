#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 300
# cases: by name
"""A real machine whose guest means harm (tests/host/hostile-guest.c): it floods, sends frames without end
and halves of frames, lies, makes noise and stops reading. What the host may lose by that is nothing but
the zone itself: memory and CPU stay bounded, other zones answer, and no text reaches a terminal raw."""
import json
import os
import re
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
import live  # noqa: E402
from live import check  # noqa: E402
import vmzone  # noqa: E402

BUILD = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(live.program("cz-vm")))))
GUEST = os.path.join(BUILD, "tests/host/hostile-guest")
PHASES = ("flood", "giants", "halves", "lies", "names", "noise", "deaf flood", "deaf")
BOOT_S, PHASES_S = 60, 60
VM_RSS_KIB = 16 << 10      # of cz-vm, at most
CZD_GROWTH_KIB = 2048
CZD_CPU = 0.20             # of one CPU, while it lasts
ANSWER_S = 1.0
LOG_BYTES = 2 * (1 << 20) + 65536  # a log and its older piece
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MACHINE = {"CZ_KERNEL": vmzone.KERNEL, "CZ_QEMU": vmzone.QEMU, "CZ_QEMU_DATA": os.path.join(vmzone.DEPS, "qemu/usr/share/qemu"),
           "CZ_VIRTIOFSD": vmzone.VIRTIOFSD}


def status_kib(pid, key):
    return next(int(line.split()[1]) for line in live.read(f"/proc/{pid}/status").splitlines() if line.startswith(key + ":"))


def cpu_s(pid):
    fields = live.stat_of(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def libexec(folder):
    """The real programs, and the hostile guest in the place of ours."""
    os.mkdir(folder)
    for name in os.listdir(live.BIN):
        os.symlink(GUEST if name == "cz-guest" else os.path.realpath(os.path.join(live.BIN, name)), os.path.join(folder, name))
    return folder


def spec(name, **more):
    return {"apiVersion": "cz/v1", "kind": "Zone", "metadata": {"name": name}} | more


class Scene:
    def __init__(self, czd):
        self.czd, self.evil, self.calm = czd, f"evil{os.getpid()}", f"calm{os.getpid()}"
        self.slowest_s, self.turns = 0.0, 0
        self.outside = None

    def timed(self, verb, **arguments):
        start = time.monotonic()
        answer = self.czd.request(verb, **arguments)
        self.slowest_s = max(self.slowest_s, time.monotonic() - start)
        return answer

    def start(self):
        self.czd.request("zone-apply", spec=spec(self.calm, runtime="cgroup", apps=[{"name": "sleeper", "command": ["sleep", "3600"]}]))
        live.wait_for(lambda: self.czd.request("zone-show", name=self.calm)["phase"] == "running", 10, "the calm zone runs")
        self.outside = self.tree()
        self.czd.request("zone-apply", spec=spec(self.evil, runtime="vm", restart="never", os={"accel": "tcg"},
                                                 resource={"vcpus": 1, "memory": "128Mi"}, apps=[{"name": "talker", "command": ["talk"]}]))
        live.wait_for(lambda: self.show()["phase"] == "running", BOOT_S, "the hostile guest is listened to")

    def show(self):
        return self.czd.request("zone-show", name=self.evil)

    def tree(self):
        """What czd keeps on disk, but for the hostile zone and logs."""
        return {os.path.join(where, name) for top in (os.path.join(self.czd.folder, "run"),) for where, folders, names in os.walk(top)
                for name in folders + names if self.evil not in os.path.join(where, name) and "/log/" not in os.path.join(where, name)}

    def console(self):
        path = os.path.join(self.czd.run_dir, "zones", self.evil, "log")
        return "".join(live.read(os.path.join(path, name)) for name in ("console.log.1", "console.log") if os.path.exists(os.path.join(path, name)))

    def all_phases(self):
        return set(PHASES) <= {line.strip().removeprefix("hostile: ") for line in self.console().splitlines()}

    def ask_and_not_wait(self):
        """A request that the guest may never answer, and that nobody waits for."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.czd.socket_path)
            connection.sendall(json.dumps({"id": 1, "verb": "zone-sched", "args": {"name": self.evil, "op": "show"}}).encode() + b"\n")

    def others_answer(self):
        """The calm zone's whole life, and reading, each within a second."""
        self.turns += 1
        self.timed("zone-show", name=self.calm)
        self.timed("zone-show", name=self.evil)
        self.timed("list", all=True)
        if self.turns % 4 == 0:
            self.timed("zone-stop", name=self.calm, grace_ns=0)
            live.wait_for(lambda: self.timed("zone-show", name=self.calm)["state"] == "stopped", 3, "the calm zone stops")
            self.timed("zone-start", name=self.calm)
            live.wait_for(lambda: self.timed("zone-show", name=self.calm)["phase"] == "running", 3, "the calm zone starts")

    def nothing_raw(self):
        for words in (("list",), ("inspect", self.evil), ("events",), ("log", self.evil), ("sched", "list"), ("why", self.evil),
                      ("log", "--app", "talker", self.evil)):
            done = self.czd.czctl(*words)
            found = RAW.search(done.stdout + done.stderr)
            check(not found, f"czctl {' '.join(words)} shows {found.group()!r}" if found else "")

    def logs(self):
        folder = os.path.join(self.czd.run_dir, "zones", self.evil, "log")
        names = os.listdir(folder)
        check(all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) for name in names), f"names of logs: {names}")
        check({name.removesuffix(".1") for name in names} <= {"console.log", "app-talker.log", "supervisor.log"}, f"logs: {names}")
        total = {}
        for name in names:
            key = name.removesuffix(".1")
            total[key] = total.get(key, 0) + os.path.getsize(os.path.join(folder, name))
        check(max(total.values()) <= LOG_BYTES, f"logs: {total}")
        return sum(total.values())


def life(czd):
    scene = Scene(czd)
    try:
        scene.start()
        worker, supervisor = czd.worker_pid(), scene.show()["pid"]
        rss, cpu, start, highest = status_kib(worker, "VmRSS"), cpu_s(worker), time.monotonic(), 0
        vm_cpu = cpu_s(supervisor)
        while not scene.all_phases() or scene.turns < 20:
            check(time.monotonic() - start < PHASES_S, f"the guest did not get through: {scene.console()[-500:]}")
            check(scene.show()["phase"] == "running", f"{scene.show()}")
            highest = max(highest, status_kib(supervisor, "VmRSS"))
            scene.others_answer()
            if scene.turns % 6 == 0:
                scene.nothing_raw()
            scene.ask_and_not_wait()
            time.sleep(0.3)
        took_s = time.monotonic() - start
        # in the midst of not reading, what czd asks piles up
        for _ in range(20):
            try:
                czd.request("zone-update", spec=spec(scene.evil, runtime="vm", restart="never", os={"accel": "tcg"},
                                                     resource={"vcpus": 1, "memory": "128Mi"}, apps=[{"name": f"a{_}", "command": ["x" * 1000]}]))
            except live.RequestError:
                pass
        highest = max(highest, status_kib(supervisor, "VmHWM"))
        share, grown = (cpu_s(worker) - cpu) / took_s, status_kib(worker, "VmRSS") - rss
        notices = sum("flood" in json.dumps(event) for event in czd.request("events", since=0)["events"])
        check(0 < notices <= 50 + took_s + 10, f"{notices} notices in {took_s:.0f} s")
        vm_share, written = (cpu_s(supervisor) - vm_cpu) / took_s, scene.logs()
        print(f"{took_s:.0f} s: cz-vm at most {highest} KiB and {100 * vm_share:.0f} % of a CPU; czd {100 * share:.1f} % and {grown:+d} KiB; "
              f"slowest answer {1000 * scene.slowest_s:.0f} ms; logs {written >> 10} KiB")
        check(highest <= VM_RSS_KIB, f"cz-vm took {highest} KiB")
        check(grown <= CZD_GROWTH_KIB, f"czd grew by {grown} KiB")
        check(share <= CZD_CPU, f"czd took {share:.2f} of a CPU")
        check(scene.slowest_s <= ANSWER_S, f"an answer took {scene.slowest_s:.2f} s")
        scene.nothing_raw()
        czd.request("zone-stop", name=scene.evil, grace_ns=10**9)
        live.wait_for(lambda: scene.show()["state"] == "stopped", 8, "it is stopped whatever it says")
        check(scene.tree() == scene.outside, f"outside of the zone: {scene.tree() ^ scene.outside}")
    finally:
        for zone in czd.request("zone-list")["applied"]:
            czd.request("zone-remove", name=zone["name"], force=True)
        live.wait_for(lambda: not czd.request("zone-list")["applied"], 15, "the zones are gone")


def a_hostile_guest_harms_only_its_zone():
    czd = live.Czd("tick: 200ms\n")
    czd.arguments[czd.arguments.index("--libexec") + 1] = libexec(os.path.join(czd.folder, "libexec"))
    czd.arguments.append("--no-bpf")
    with czd:
        life(czd)


def main():
    live.need_root()
    live.raise_on_signals()
    if vmzone.missing():
        live.skip(vmzone.missing())
    os.environ.update(MACHINE)
    return live.run_cases([a_hostile_guest_harms_only_its_zone], (AssertionError, TimeoutError, live.RequestError, OSError, RuntimeError))


if __name__ == "__main__":
    sys.exit(main())

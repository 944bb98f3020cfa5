#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 240
# cases: by name
"""Zones of runtime vm against a stand-in for cz-vm (fake_vm.py): where vCPU threads go, what changes while
it runs, what a supervisor that lies can do (nothing), terminals, and harm inside the zone."""
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
import live  # noqa: E402

SPEC = importlib.util.spec_from_file_location("test_zones", os.path.join(HERE, "test-zones.py"))
zones = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(zones)
check = zones.check


class VmZone(zones.Zone):
    def __init__(self, czd, labels=None, **spec):
        super().__init__(czd, "vm", **{"runtime": "vm", "apps": [], "os": {"kernel": os.path.join(czd.folder, "vmlinuz")},
                                       "resource": {"cpuset": "0-1", "vcpus": 2, "vcpusMax": 4, "memory": "128Mi", "memoryMax": "256Mi"}} | spec)
        self.spec["metadata"]["labels"] = labels or {}

    def tids(self, group):
        file = os.path.join(live.controllers()["cpu"], self.path, group, "tasks")
        if not os.path.exists(file):
            file = file[:-5] + "cgroup.threads"
        return [int(tid) for tid in live.read(file).split()] if os.path.exists(file) else []


def scene(labels=None, **spec):
    def wrap(fn):
        def run():
            os.environ["CZ_QEMU"] = "/bin/true"
            czd = live.Czd(zones.CONFIG, ["--no-bpf"])
            libexec = os.path.join(czd.folder, "libexec")
            os.mkdir(libexec)
            for name in ("cz-run", "cz-guest"):
                os.symlink(live.program("cz-run"), os.path.join(libexec, name))
            os.symlink(os.path.join(HERE, "fake_vm.py"), os.path.join(libexec, "cz-vm"))
            live.write(os.path.join(czd.folder, "vmlinuz"), "kernel")
            czd.arguments += ["--libexec", libexec]
            with czd:
                zone = VmZone(czd, labels, **spec)
                try:
                    fn(czd, zone)
                finally:
                    zone.cleanup()
        run.__name__ = fn.__name__
        return run
    return wrap


@scene()
def vcpus_get_a_cpu_each(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    live.wait_for(lambda: len(zone.tids("vcpu0")) == len(zone.tids("vcpu1")) == 1, 5, "vCPU threads in their groups")
    check([zone.knob("cpuset.cpus", f"vcpu{i}") for i in (0, 1)] == ["0", "1"], "one CPU each")
    check(zone.show()["pid"] in zone.tids("main"), "the rest stays in main")
    check("\x1b" not in zone.show()["accel_why"], "an escape came through")
    check(zone.show()["boot_ms"] == 42, "boot time")
    rows = czd.request("list")["zones"]
    check(any(r["name"] == f"{zone.name}/web" and r["kind"] == "vm" for r in rows), "its apps are not listed")
    zone.spec["resource"]["cpuset"] = "1"
    zone.spec["resource"]["cpu"] = {"max": "50%"}
    zone.spec["resource"]["memory"] = "200Mi"
    zone.czctl("update", file=True)
    check([zone.knob("cpuset.cpus", f"vcpu{i}") for i in (0, 1)] == ["1", "1"], "the new CPUs")
    quota = zone.knob("cpu.cfs_quota_us", "vcpu0") if "cpuacct" in live.controllers() else zone.knob("cpu.max", "vcpu0").split()[0]
    check(quota == "50000", f"limit of a vCPU: {quota}")
    live.wait_for(lambda: czd.request("zone-sched", name=zone.name)["stats"]["last_memory"] == 200 << 20, 5, "memory is told to the guest")
    changed = [item for item in czd.request("verify")["items"] if zone.name in item["path"]]
    check(not changed, f"verify counts a zone's own groups: {changed}")
    zone.czctl("stop", "--wait")
    check(zone.gone(), "groups stay")


@scene()
def reboot_only_when_asked(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    pid = zone.show()["pid"]
    zone.spec["resource"]["memoryMax"] = "512Mi"
    check("--reboot" in zone.czctl("update", code=1, file=True), "a reboot without being asked")
    check(zone.show()["pid"] == pid, "rebooted all the same")
    zone.czctl("update", "--reboot", file=True)
    live.wait_for(lambda: (z := zone.show())["pid"] not in (None, pid) and z["phase"] == "running", 10, "booted anew")


@scene(resource={"vcpus": 2, "memory": "256Mi"})
def grows_back_to_what_it_was_started_with(czd, zone):
    def told():
        stats = czd.request("zone-sched", name=zone.name)["stats"]
        return (int(stats["last_memory"]) >> 20, int(stats["online"]))

    def update(vcpus, memory, code=0, *options):
        zone.spec["resource"] = {"vcpus": vcpus, "memory": memory}
        return zone.czctl("update", *options, code=code, file=True)
    zone.czctl("apply", "--wait", file=True)
    pid = zone.show()["pid"]
    for _ in range(2):
        update(1, "128Mi")
        check(told() == (128, 1), f"less: {told()}")
        check("reboot" not in update(2, "256Mi"), "a reboot for what the machine has")
        check(told() == (256, 2), f"as at first: {told()}")
        update(1, "128Mi")
        czd.stop()
        czd.start()
        live.wait_for(lambda: zone.show()["phase"] == "running", 5, "the new czd knows it")
    check("resource.memoryMax" in update(1, "257Mi", 0, "--dry-run"), "more than the machine has")
    update(1, "257Mi", 1)
    check(zone.show()["pid"] == pid, "booted anew")
    zone.spec["resource"] = {}
    check("resource.memoryMax" in zone.czctl("diff", code=6, file=True), "512 MiB where nothing is said")
    zone.czctl("stop", "--wait")
    update(4, "1Gi")
    zone.czctl("start", "--wait")
    check("reboot" in update(4, "2Gi", 1), "what it was started with then")


@scene()
def scheduler_and_terminal(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    out = czd.czctl("sched", "set", zone.name, "exclusive").stdout
    check("exclusive" in out and "70 ms" in out, out)
    check("scheduler: exclusive" in czd.czctl("sched", "show", zone.name).stdout, "show")
    for change in (("add", "--name", "batch", zone.name, "true"), ("delete", zone.name, "batch")):
        check(czd.czctl("pod", *change).returncode == 0, f"pod {change}")
        check("scheduler: exclusive" in czd.czctl("sched", "show", zone.name).stdout, f"pod {change[0]} took the scheduler back")
    zone.spec["scheduler"] = {"policy": "rr"}
    zone.czctl("apply", "--wait", file=True)
    check("scheduler: rr" in czd.czctl("sched", "show", zone.name).stdout, "the scheduler that was applied is not waited for")
    listed = live.wait_for(lambda: [line.split() for line in czd.czctl("sched", "list").stdout.splitlines() if line.split()[-1:] == ["rr"]],
                           5, "rr in the list")
    check(listed == [[zone.name, "rr"]], f"{listed}")
    os.symlink("/bin/true", os.path.join(czd.folder, "libexec", "scx-central"))
    os.symlink("/bin/true", os.path.join(czd.folder, "libexec", "scx-own"))
    live.write(os.path.join(czd.folder, "libexec", "scx-rr.skel.h"), "no program")
    policies = czd.request("zone-list")["policies"]
    check([p["name"] for p in policies] == ["central", "own"] and "one CPU decides" in policies[0]["summary"] and policies[1]["summary"] is None,
          f"{policies}")
    shown = czd.czctl("sched", "list").stdout
    check("only with 2 vCPUs or more" in " ".join(shown.split()) and "one CPU decides" in shown and zone.name in shown, shown)
    stats = czd.request("zone-sched", name=zone.name)["stats"]
    check(stats["be_cpu_ns"] == 1500000000 and all(isinstance(v, int) for v in stats.values()), f"{stats}")
    shown = czd.czctl("sched", "stats", zone.name).stdout
    check("1.5 s" in shown and "12,345" in shown, shown)
    check(czd.czctl("sched", "reset", zone.name).returncode == 0, "reset")
    done = czd.czctl("exec", zone.name, "--", "sh", "-c", "echo out; echo err >&2; exit 9")
    check((done.returncode, done.stdout, done.stderr) == (9, "out\n", "err\n"), f"{done}")
    done = czd.czctl("exec", zone.name, "--", "talk-first", input="x" * 3000000, timeout=30)
    check((done.returncode, len(done.stdout), done.stderr) == (255, 32 * 65536, ""), f"{done.returncode} {len(done.stdout)} {done.stderr}")
    done = czd.czctl("exec", "--tty", zone.name, "--", "end-twice", stdin=subprocess.DEVNULL, timeout=10)
    check(done.returncode == 5, f"{done}")
    check(czd.czctl("conn", zone.name).stdout == "a shell\n", "conn")
    zone.czctl("stop", "--wait")
    check("start" in czd.czctl("exec", zone.name, "--", "true").stderr, "no hint for a stopped zone")


@scene({"refuses": "1"})
def wait_tells_why_a_policy_is_not_in_force(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    zone.spec["scheduler"] = {"policy": "rr"}
    says = zone.czctl("apply", "--wait", code=1, file=True)
    check("without its scheduler" in says and "no such kfunc" in says and "\x1b" not in says, says)
    check("no such kfunc" in zone.czctl("inspect"), "inspect")
    check("no such kfunc" in zone.czctl("start", "--wait", code=1), "start --wait")
    zone.spec["scheduler"] = {"policy": "none"}
    zone.czctl("apply", "--wait", file=True)


@scene({"tid": str(os.getpid())})
def foreign_threads_are_left_alone(czd, zone):
    def groups():
        return live.read(f"/proc/{os.getpid()}/cgroup")
    before = groups()
    zone.czctl("apply", "--wait", file=True)
    time.sleep(0.5)
    check(groups() == before, "czd moved a thread of somebody else")
    check("is not in the zone" in czd.log_tail(200), "and said nothing")


@scene({"nonsense": "lines", "flood": "1"})
def a_lying_supervisor_harms_nobody(czd, zone):
    zone.czctl("apply", file=True)
    time.sleep(1.5)
    check(czd.request("version"), "czd does not answer")
    check(zone.state() == "running", zone.state())
    ticks = czd.request("doctor")["self"]["ticks_total"]
    live.wait_for(lambda: czd.request("doctor")["self"]["ticks_total"] > ticks, 3, "czd ticks on")
    zone.czctl("stop", "--grace", "0", "--wait")


@scene({"nonsense": "endless"})
def a_line_without_end(czd, zone):
    zone.czctl("apply", file=True)
    time.sleep(1)
    check(czd.request("version") and zone.state() == "running", "czd")


@scene({"crash": "1"})
def last_words_are_told(czd, zone):
    check("told to fail" in zone.czctl("apply", "--wait", code=1, file=True), "why it failed")
    live.wait_for(lambda: zone.show()["crashes"] >= 2, 10, "tried again")


@scene({"mute": "1"})
def a_guest_that_never_says_hello(czd, zone):
    zone.spec["os"]["bootLimit"] = "2s"
    zone.spec["restart"] = "never"
    zone.czctl("apply", file=True)
    live.write(os.path.join(zone.folder(), "log", "console.log"), "booting\nVFS: \x1b[2Jno init found\r\n")
    check(zone.show()["phase"] in ("starting", "booting"), zone.show()["phase"])
    live.wait_for(lambda: zone.state() == "error", 6, "czd gives it up")
    why = zone.show()["why"]
    check("within 2 s that it runs" in why and "no init found" in why and "\x1b" not in why, why)
    live.wait_for(zone.gone, 5, "its groups are gone")
    zone.spec["restart"] = "always"
    zone.czctl("apply", file=True)
    live.wait_for(lambda: zone.show()["crashes"] >= 3, 15, "the restart policy holds for it too")


@scene()
def killed(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    pid = zone.show()["pid"]
    os.kill(pid, signal.SIGKILL)
    live.wait_for(lambda: zone.show()["pid"] not in (None, pid) and zone.show()["phase"] == "running", 10, "back")
    zone.spec["restart"] = "never"
    zone.czctl("update", file=True)
    for why in ("its supervisor was killed (signal 9)", "its supervisor is gone"):
        os.kill(zone.show()["pid"], signal.SIGKILL)
        live.wait_for(lambda: zone.state() == "error", 5, "its end is noticed")
        check(why in zone.show()["why"], zone.show()["why"])
        zone.czctl("start", "--wait")
        czd.stop()
        czd.start()
    os.unlink(os.path.join(czd.folder, "libexec", "cz-vm"))
    zone.czctl("stop", "--wait")
    check("cz-vm" in zone.czctl("start", code=4), "cz-vm is missing")
    check(zone.gone(), "a start that failed leaves groups")


@scene()
def zones_of_two_czd_are_two_users(czd, zone):
    def uid(one):
        with open(os.path.join(one.folder(), "launch.json"), encoding="utf-8") as file:
            return json.load(file)["uid"]
    zone.czctl("apply", "--wait", file=True)
    uids = {uid(zone)}
    for number in range(2):  # their folders choose; that all three meet is as good as never
        with live.Czd(zones.CONFIG, czd.arguments[7:]) as other_czd:
            other = VmZone(other_czd, os=zone.spec["os"])
            other.name, other.path = f"{zone.name}-{number}", f"{zone.path}-{number}"
            other.spec["metadata"]["name"] = other.name
            try:
                other.czctl("apply", "--wait", file=True)
                uids.add(uid(other))
            finally:
                other.cleanup()
    check(len(uids) > 1 and all(2000000000 <= u < 2000100000 for u in uids), f"{uids}")


@scene()
def one_that_hangs_is_told(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    pid = zone.show()["pid"]

    def says(*words, seconds):
        start = time.monotonic()
        done = czd.czctl(*words, timeout=30)
        check(done.returncode not in (0, -9) and time.monotonic() - start < seconds, f"{words}: {done}")
        return done.stderr
    os.kill(pid, signal.SIGSTOP)
    try:
        check("within" in says("exec", zone.name, "--", "true", seconds=12), "exec, before anybody knows")
        live.wait_for(lambda: zone.show()["silent_ns"], 15, "it is noticed")
        check("no heartbeat for 1" in says("exec", zone.name, "--", "true", seconds=1), "exec")
        check("no heartbeat for 1" in says("sched", "show", zone.name, seconds=1), "sched show")
        check("no heartbeat" in zone.czctl("inspect") and "hangs" in czd.czctl("list").stdout, "inspect and list")
        check(any("no heartbeat" in e["text"] for e in czd.request("events")["events"]), "no event")
        check(zone.state() == "running", "it was ended")
    finally:
        os.kill(pid, signal.SIGCONT)
    live.wait_for(lambda: not zone.show()["silent_ns"], 5, "heard of again")
    check(czd.czctl("exec", zone.name, "--", "true").returncode == 0, "exec, afterwards")


@scene({"harm": "1"}, **{"class": "lc", "scheduler": {"policy": "exclusive", "onHarm": True}})
def harm_inside_is_told(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    why = live.wait_for(lambda: w if (w := czd.request("why", zone=f"{zone.name}/web")).get("inside") and w["inside"][0]["level"] == "inside"
                        else None, 5, "why")
    check("waited 30.0 % of the last second" in why["headline"] and "behind batch 100.0 %" in why["headline"], f"{why['headline']}")
    rows = czd.request("list", all=True)["zones"]
    check(290000 < next(r["wait_ppm"] for r in rows if r["name"] == f"{zone.name}/web") < 310000, f"{rows}")
    time.sleep(3)
    check(zone.show()["policy"] == "none", "czd is not to switch: the guest does")
    czd.czctl("sched", "set", zone.name, "exclusive")
    live.wait_for(lambda: czd.request("why", zone=f"{zone.name}/web")["inside"][0]["level"] == "none", 5, "and it helped")
    check(next(r["wait_ppm"] for r in czd.request("list", all=True)["zones"] if r["name"] == f"{zone.name}/web") < 1000, "the total is shown")


def main():
    live.need_root()
    live.raise_on_signals()
    return live.run_cases([vcpus_get_a_cpu_each, reboot_only_when_asked, grows_back_to_what_it_was_started_with, scheduler_and_terminal, wait_tells_why_a_policy_is_not_in_force, foreign_threads_are_left_alone,
                           a_lying_supervisor_harms_nobody, a_line_without_end, last_words_are_told, a_guest_that_never_says_hello, killed,
                           harm_inside_is_told, zones_of_two_czd_are_two_users, one_that_hangs_is_told],
                          (AssertionError, TimeoutError, live.RequestError, OSError, RuntimeError, KeyError))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 300
# cases: by name
"""Zones of runtime cgroup as their users meet them: create, start, update, stop, remove; limits as the
kernel has them; what must be refused; and what becomes of them when czd or their supervisor dies."""
import contextlib
import json
import os
import pty
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check  # noqa: E402

PID = os.getpid()
CONFIG = "tick: 200ms\n"


class Zone:
    """A zone's description, and what the host has of it."""

    def __init__(self, czd, name="web", **spec):
        self.czd, self.name = czd, f"t{PID}-{name}"
        self.path = f"cz-zones/{self.name}"
        self.spec = {"apiVersion": "cz/v1", "kind": "Zone", "metadata": {"name": self.name}, "runtime": "cgroup",
                     "apps": [{"name": "sleeper", "command": ["sleep", "3600"]}]} | spec

    def file(self):
        path = os.path.join(self.czd.folder, f"{self.name}.json")
        live.write(path, json.dumps(self.spec))
        return path

    def czctl(self, verb, *arguments, code=0, file=False):
        words = [verb, *arguments] + (["-f", self.file()] if file else [self.name])
        done = self.czd.czctl(*words)
        check(code in (None, done.returncode), f"czctl {' '.join(words)}: exit {done.returncode}, not {code}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def show(self):
        return self.czd.request("zone-show", name=self.name)

    def state(self):
        return self.show()["state"]

    def knob(self, name, group=""):
        roots = live.controllers()
        for root in sorted(set(roots.values())):
            file = os.path.join(root, self.path, group, name)
            if os.path.exists(file):
                return live.read(file)
        raise FileNotFoundError(name)

    def pids(self, group):
        file = os.path.join(live.controllers()["cpu"], self.path, group, "cgroup.procs")
        return live.read(file).split() if os.path.exists(file) else []

    def folder(self):
        return os.path.join(self.czd.run_dir, "zones", self.name)

    def gone(self):
        return not any(os.path.exists(os.path.join(root, self.path)) for root in live.hierarchies())

    def cleanup(self):
        try:
            self.czd.request("zone-remove", name=self.name, force=True)
            live.wait_for(self.gone, 10, "the zone's groups are gone")
        except (live.RequestError, OSError, TimeoutError):
            for root in live.hierarchies():
                if os.path.exists(os.path.join(root, self.path)):
                    live.remove_tree(os.path.join(root, self.path))
            for root in live.hierarchies():
                try:
                    os.rmdir(os.path.join(root, "cz-zones"))
                except OSError:
                    pass


def scene(fn):
    """A test with a czd of its own, and a zone that is removed whatever happens."""
    def run():
        with live.Czd(CONFIG, ["--libexec", live.BIN, "--no-bpf"]) as czd:
            zone = Zone(czd)
            try:
                fn(czd, zone)
            finally:
                zone.cleanup()
    run.__name__ = fn.__name__
    return run


@scene
def whole_life(czd, zone):
    zone.czctl("create", file=True)
    check(zone.state() == "created", zone.state())
    check(os.path.exists(os.path.join(zone.folder(), "spec.yaml")), "the spec is not on disk")
    check("never started" in zone.czctl("stop", code=5), "stopping what never ran")
    zone.czctl("start", "--wait")
    check(zone.state() == "running", zone.state())
    live.wait_for(lambda: zone.pids("sleeper"), 5, "the app runs in its own group")
    live.wait_for(lambda: zone.show()["apps"][0]["state"] == "running", 5, "its state is told")
    check(zone.name in czd.czctl("list").stdout, "list does not show it")
    check("0 knobs" in (out := czd.czctl("verify").stdout) or czd.request("verify")["unchanged"], f"verify counts its own groups: {out}")
    zone.czctl("stop", "--wait")
    check(zone.state() == "stopped" and zone.gone(), "stopped, but there are groups")
    zone.czctl("start", "--wait")
    zone.czctl("remove", "--wait")
    check(zone.gone() and not os.path.exists(zone.folder()), "removed, but not all is gone")
    zone.czctl("inspect", code=4)


@scene
def limits_are_the_kernels(czd, zone):
    zone.spec["resource"] = {"cpuset": "0", "cpu": {"max": "50%", "weight": 200}, "memory": "256Mi"}
    zone.czctl("apply", "--wait", file=True)
    check(zone.knob("cpuset.cpus") == "0" and zone.knob("cpuset.cpus", "sleeper") == "0", "cpuset")
    v2 = os.path.exists(os.path.join(live.controllers()["cpu"], zone.path, "cpu.max"))
    check(zone.knob("cpu.max" if v2 else "cpu.cfs_quota_us") in ("50000", "50000 100000"), "CPU limit")
    check(zone.knob("cpu.weight" if v2 else "cpu.shares") == ("200" if v2 else "2048"), "weight")
    check(zone.knob("memory.max" if v2 else "memory.limit_in_bytes") == str(256 << 20), "memory")
    before = zone.pids("sleeper")
    zone.spec["resource"] = {"cpuset": "1", "cpu": {"max": "20%"}, "memory": "128Mi"}
    check("resource.memory" in zone.czctl("diff", code=6, file=True), "diff does not name memory")
    zone.czctl("update", file=True)
    check(zone.knob("cpuset.cpus") == "1" and zone.knob("cpuset.cpus", "sleeper") == "1", "new cpuset")
    check(zone.knob("memory.max" if v2 else "memory.limit_in_bytes") == str(128 << 20), "new memory")
    check(zone.knob("cpu.weight" if v2 else "cpu.shares") == ("100" if v2 else "1024"), "weight back at its default")
    check(zone.pids("sleeper") == before, "the app was started anew for a limit")
    check("No difference" in zone.czctl("update", file=True), "the same file again")
    check(czd.request("verify")["unchanged"], "verify counts limits as changes")


@scene
def apps_come_and_go(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    sleeper = live.wait_for(lambda: zone.pids("sleeper"), 5, "the first app")
    zone.spec["apps"].append({"name": "talker", "command": ["sh", "-c", "echo hello from $WHO; sleep 3600"], "env": {"WHO": "talker"}})
    zone.czctl("update", file=True)
    live.wait_for(lambda: zone.pids("talker"), 5, "the second app")
    live.wait_for(lambda: "hello from talker" in czd.czctl("log", "--app", "talker", zone.name).stdout, 5, "its output")
    check(zone.pids("sleeper") == sleeper, "the first app was disturbed")
    zone.spec["apps"].pop()
    zone.czctl("update", file=True)
    live.wait_for(lambda: not zone.pids("talker"), 10, "the second app ends")
    zone.spec["apps"] = [{"name": "sleeper", "command": ["sh", "-c", "exit 7"], "restart": "on-failure"}]
    zone.czctl("update", file=True)
    app = live.wait_for(lambda: a if (a := zone.show()["apps"] or [{}])[0].get("restarts", 0) > 1 else None, 15, "restarts")[0]
    check(app["exit"] == 7, f"{app}")
    zone.spec["apps"] = [{"name": name, "command": ["sh", "-c", command], "restart": "never"}
                         for name, command in (("sleeper", "exit 7"), ("hog", "kill -9 $$"), ("eater", "exec tail /dev/zero"))]
    zone.spec["apps"][2]["memory"] = "16Mi"
    zone.czctl("update", file=True)
    shown = live.wait_for(lambda: s if "of memory" in (s := czd.czctl("pod", "show", zone.name).stdout) and "signal" in s else None, 15, "how they ended")
    lines = {line.split()[0]: line for line in shown.splitlines() if line.split()[:1] in (["sleeper"], ["hog"], ["eater"])}
    check("exit 7" in lines["sleeper"] and "signal 9" in lines["hog"] and shown.count("killed by the kernel") == 1, shown)
    kills = {app["name"]: (app["oom_kills_total"], bool(app["oom"])) for app in zone.show()["apps"]}
    check(kills == {"sleeper": (0, False), "hog": (0, False), "eater": (1, True)}, f"{kills}")


@scene
def one_app_more_or_less(czd, zone):
    """Two users at once: neither takes back what the other one changed."""
    zone.spec["resource"] = {"memory": "64Mi"}
    zone.czctl("apply", "--wait", file=True)

    def pod(*words, code=0):
        done = czd.czctl("pod", *words)
        check(done.returncode == code, f"pod {words}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr
    check("no app 'nobody'" in pod("delete", zone.name, "nobody", code=4), "deleted what is not there")
    check("already" in pod("add", "--name", "sleeper", zone.name, "--", "true", code=1), "two of one name")
    check("cpuset" in pod("add", "--cpus", "x", zone.name, "--", "true", code=2), "a CPU list that is none")
    pod("add", "--name", "other", "--class", "be", zone.name, "--", "sleep", "3600")
    live.wait_for(lambda: zone.pids("other"), 5, "the new app")
    stop, failed = threading.Event(), []

    def come_and_go():
        while not stop.is_set():
            for words in (("add", "--name", "guest", zone.name, "--", "sleep", "9"), ("delete", zone.name, "guest")):
                if (done := czd.czctl("pod", *words)).returncode:
                    failed.append(done.stderr)
                elif "resource" in done.stdout:
                    failed.append(done.stdout)
    comer = threading.Thread(target=come_and_go)
    comer.start()
    try:
        for i in range(30):
            spec = zone.show()["spec"]
            spec["resource"] = {"memory": f"{65 + i}Mi"}
            spec["apps"] = [app for app in spec["apps"] if app["name"] != "guest"]
            czd.request("zone-update", spec=spec)
            time.sleep(0.03)
            check(zone.show()["memory_bytes"] == 65 + i << 20, "the limit was taken back")
    finally:
        stop.set()
        comer.join()
    check(not any("resource" in text for text in failed), f"{failed}")
    pod("delete", zone.name, "other")
    live.wait_for(lambda: not zone.pids("other"), 5, "its end")


@scene
def apps_that_fail_at_once_are_told(czd, zone):
    zone.spec["apps"].append({"name": "absent", "command": ["/nonexistent/program"], "restart": "never"})
    said = zone.czctl("apply", "--wait", file=True)
    check("app absent is failed, exit 127" in said and "app sleeper" not in said, said)
    check(zone.show()["apps"][0]["state"] == "running", "its other app is not told yet")


@scene
def changes_that_could_not_be_told(czd, zone):
    """More of them than fit into the link while its supervisor stands still: the last one counts."""
    zone.czctl("apply", "--wait", file=True)
    supervisor = zone.show()["pid"]
    os.kill(supervisor, signal.SIGSTOP)
    try:
        for number in range(20):
            zone.spec["apps"][0]["command"] = ["sleep", f"{4000 + number}"]
            czd.request("zone-update", spec=zone.spec)
    finally:
        os.kill(supervisor, signal.SIGCONT)

    def command():
        pids = zone.pids("sleeper")
        return live.read(f"/proc/{pids[0]}/cmdline").split("\0")[:2] if len(pids) == 1 else None
    live.wait_for(lambda: command() == ["sleep", "4019"], 5, f"the last change: {command()}")


@scene
def bad_input_is_refused(czd, zone):
    zone.spec["resource"] = {"cpuset": "999"}
    check("no CPU" in zone.czctl("create", code=2, file=True), "a CPU that is not there")
    zone.spec["resource"] = {"cpuset": "0", "exclusive": True}
    zone.czctl("create", file=True)
    check("exists already" in zone.czctl("create", code=1, file=True), "the same name twice")
    other = Zone(czd, "other", resource={"cpuset": "0-1", "exclusive": True})
    check("exclusive to zone" in other.czctl("create", code=1, file=True), "overlapping exclusive CPUs")
    other.spec["runtime"], other.spec["os"] = "vm", {"kernel": "/nonexistent/vmlinuz"}
    other.spec["resource"] = {}
    check("/nonexistent/vmlinuz" in other.czctl("create", code=4, file=True), "a kernel that is not there")
    for bad in ({"runtime": "x"}, [], {"apiVersion": "cz/v1"}, None, {"metadata": {"name": "../../etc"}}):
        try:
            czd.request("zone-create", spec=bad)
            raise AssertionError(f"{bad} was taken")
        except live.RequestError:
            pass
    zone.spec["runtime"] = "vm"
    zone.spec["resource"] = {}
    check("cannot change" in zone.czctl("update", code=2, file=True), "a zone became a virtual machine")
    check(not os.path.exists(other.folder()), "a refused zone is on disk")


@scene
def supervisor_killed(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    old = zone.show()["pid"]
    live.wait_for(lambda: zone.pids("sleeper"), 5, "the app")
    os.kill(old, signal.SIGKILL)
    live.wait_for(lambda: zone.state() == "error", 5, "the crash is noticed")
    live.wait_for(lambda: zone.state() == "running" and zone.show()["pid"] != old, 10, "started again")
    live.wait_for(lambda: len(zone.pids("sleeper")) == 1, 5, "one app, not two")
    zone.spec["restart"] = "never"
    zone.czctl("update", file=True)
    os.kill(zone.show()["pid"], signal.SIGKILL)
    live.wait_for(lambda: zone.state() == "error", 5, "the crash is noticed")
    time.sleep(2)
    check(zone.state() == "error" and zone.gone(), "started again although never")


@scene
def edited_behind_its_back(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    spec = os.path.join(zone.folder(), "spec.yaml")
    live.write(spec, live.read(spec).replace("3600", "1") + "\n")
    live.wait_for(lambda: zone.show()["edited"], 5, "the edit is noticed")
    check(zone.pids("sleeper"), "the edit was followed")
    zone.czctl("stop", "--wait")
    check("behind czd's back" in zone.czctl("start", code=1), "started from an edited file")
    zone.czctl("update", file=True)
    zone.czctl("start", "--wait")
    check(not zone.show()["edited"], "still edited")


@scene
def broken_behind_its_back(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    app = live.wait_for(lambda: zone.pids("sleeper"), 5, "the app")
    spec = os.path.join(zone.folder(), "spec.yaml")
    live.write(spec, "runtime: [nonsense\n")
    czd.stop()
    czd.start()
    check(zone.state() == "running" and zone.pids("sleeper") == app, f"what runs goes on: {zone.show()}")
    check("cannot be loaded" in zone.czctl("inspect"), "inspect does not say why")
    zone.czctl("stop", "--wait")
    check("cannot be loaded" in zone.czctl("start", code=1), "started from it")
    kill_czd(czd)
    czd.start()
    check(zone.state() == "error" and "cannot" in czd.czctl("list").stdout, f"{zone.show()}{czd.czctl('list').stdout}")
    zone.czctl("update", file=True)
    zone.czctl("start", "--wait")
    zone.czctl("stop", "--wait")
    for file, text in ((spec, ""), (os.path.join(zone.folder(), "state"), "v1 flying\n")):
        live.write(file, text)
        czd.stop()
        czd.start()
        check(zone.state() == "error" and zone.show()["why"], f"{zone.show()}")
    zone.czctl("remove", "--wait")
    check(not os.path.exists(zone.folder()), "removed, but its folder stays")


@scene
def lost_state_is_made_anew(czd, zone):
    """What runs tells what its file does not: no app is disturbed, and it stays a zone like others."""
    zone.czctl("apply", "--wait", file=True)
    app = live.wait_for(lambda: zone.pids("sleeper"), 5, "the app")
    supervisor = zone.show()["pid"]
    live.write(os.path.join(zone.folder(), "state"), "v1 flying\n")
    czd.stop()
    czd.start()
    zone.czctl("apply", "--wait", file=True)
    shown = zone.show()
    check(shown["state"] == "running" and shown["pid"] == supervisor and not shown["why"], f"{shown}")
    check(zone.pids("sleeper") == app and live.alive(int(app[0])), "its app is another, or dead")
    # and if nothing tells that it is ours, nothing of it is touched
    live.write(os.path.join(zone.folder(), "state"), "v1 flying\n")
    czd.stop()
    link = os.path.join(zone.folder(), "link.sock")
    os.rename(link, link + ".away")
    czd.start()
    check("already" in zone.czctl("apply", "--wait", code=1, file=True), "started over it")
    check(zone.pids("sleeper") == app and live.alive(int(app[0])), "its app is another, or dead")
    zone.czctl("remove", "--wait")
    check(zone.gone(), "removed, but there are groups")


@scene
def a_name_that_another_czd_uses(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    app, supervisor = live.wait_for(lambda: zone.pids("sleeper"), 5, "the app"), zone.show()["pid"]

    def unharmed(what):
        check(zone.state() == "running" and zone.show()["pid"] == supervisor, f"after {what}: {zone.show()}")
        check(zone.pids("sleeper") == app and live.alive(int(app[0])), f"after {what}: its app is another, or dead")
    with live.Czd(CONFIG, ["--libexec", live.BIN, "--no-bpf"]) as other_czd:
        other = Zone(other_czd)
        for verb in ("apply", "start"):
            check("runs in /cz-zones/" in other.czctl(verb, code=1, file=verb == "apply"), f"{verb} took it over")
            time.sleep(0.3)
            unharmed(verb)
        # a czd that believes it had left it running
        state = os.path.join(other.folder(), "state")
        fields = live.read(state).split()
        kill_czd(other_czd)
        live.write(state, " ".join([fields[0], "running", fields[2], "999999", "1", *fields[5:]]) + "\n")
        other_czd.start()
        live.wait_for(lambda: other.state() == "error", 5, "it is told that its zone is gone")
        time.sleep(1.5)
        unharmed("a restart")
        check("already" in other.show()["why"], f"{other.show()}")
        other.czctl("remove", "--wait")
        unharmed("remove")


@scene
def wishes_outlive_czd(czd, zone):
    """czd dies right after it was asked; the zone ends while nobody looks."""
    zone.spec["apps"] = [{"name": "sleeper", "command": ["sh", "-c", "trap 'sleep 1; exit' TERM; sleep 3600 & wait"]}]
    zone.spec["restart"] = "always"
    for verb, arguments, wanted in (("zone-stop", {}, "stopped"), ("zone-update", {"reboot": True}, "running"), ("zone-remove", {}, "gone")):
        zone.czctl("apply", "--wait", file=True)
        pid = zone.show()["pid"]
        live.wait_for(lambda: zone.pids("sleeper"), 5, "the app")
        if verb == "zone-update":  # nothing of a cgroup zone takes a reboot: stop, and start on the way down
            czd.request("zone-stop", name=zone.name)
            czd.request("zone-start", name=zone.name)
        else:
            czd.request(verb, name=zone.name, **arguments)
        kill_czd(czd)
        live.wait_for(lambda p=pid: not live.alive(p), 10, "its supervisor ends")
        czd.start()
        if wanted == "gone":
            live.wait_for(lambda: not os.path.exists(zone.folder()) and zone.gone(), 5, "removed")
            return
        live.wait_for(lambda w=wanted: zone.state() == w, 5, f"{verb} was forgotten: {zone.show()}")
        if wanted == "stopped":
            time.sleep(1.5)
            check(zone.state() == "stopped", "started again although stopped")


def shell_of(czd, zone):
    """Where a shell runs that a person opened on a terminal: its cpu cgroup, asked in it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["SHELL"] = "/bin/sh"
        os.execv(live.program("czctl"), ["czctl", "--socket", czd.socket_path, "conn", zone.name])
    os.write(terminal, b"tty -s && grep -E '[:,]cpu[:,]|^0::' /proc/self/cgroup; exit 7\n")
    text = b""
    with contextlib.suppress(OSError):  # how a terminal says that its last process is gone
        while data := os.read(terminal, 4096):
            text += data
    os.close(terminal)
    check(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7, f"the shell's exit code: {text}")
    found = [line.split(":", 2)[2] for line in text.decode().splitlines() if line[:1].isdigit() and ":/" in line]
    return found[0] if found else text


@scene
def commands_join_the_zone(czd, zone):
    def groups(*words):
        done = czd.czctl("exec", *words, "--", "grep", "-E", "cpu|memory|^0:", "/proc/self/cgroup")
        check(done.returncode == 0, done.stderr)
        return done.stdout
    check("does not run" in (zone.czctl("create", file=True), czd.czctl("exec", zone.name, "true").stderr)[1], "in a zone that does not run")
    zone.czctl("start", "--wait")
    inside = groups(zone.name)
    check(all(line.endswith(f"/{zone.path}/cz-exec") for line in inside.splitlines() if ":/" in line and "cpu" in line), inside)
    check(f"/{zone.path}/sleeper" in groups("--app", "sleeper", zone.name), "the app's group")
    check("no app" in czd.czctl("exec", "--app", "nobody", zone.name, "true").stderr, "an app that is not there")
    check(czd.czctl("exec", zone.name, "--", "sh", "-c", "exit 7").returncode == 7, "the exit code")
    check(czd.czctl("exec", zone.name, "nosuchcommand").returncode == 127, "no such command")
    check(shell_of(czd, zone) == f"/{zone.path}/cz-exec", "the shell of conn")
    left = subprocess.Popen([live.program("czctl"), "--socket", czd.socket_path, "exec", zone.name, "sleep", "3600"])
    live.wait_for(lambda: zone.pids("cz-exec"), 5, "a command that stays")
    zone.czctl("stop", "--wait")
    check(left.wait(5) == -signal.SIGKILL and zone.gone(), "it ends with the zone")


@scene
def app_verbs(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    first = live.wait_for(lambda: zone.pids("sleeper"), 5, "the app")
    ask = lambda op: czd.request("zone-app", name=zone.name, app="sleeper", op=op)  # noqa: E731
    ask("restart")
    second = live.wait_for(lambda: p if (p := zone.pids("sleeper")) and p != first else None, 5, "begun anew")
    ask("stop")
    live.wait_for(lambda: not zone.pids("sleeper"), 5, "stopped")
    ask("restart")
    live.wait_for(lambda: p if (p := zone.pids("sleeper")) and p != second else None, 5, "started")
    ask("stop")
    ask("start")
    live.wait_for(lambda: zone.show()["apps"][0]["state"] == "running", 5, "started while it was ending")


@scene
def limits_that_nothing_applies_are_refused(czd, zone):
    resctrl = os.path.exists("/sys/fs/resctrl/schemata")
    for resource, word in (({"llc": "0xf"}, "yet" if resctrl else "resctrl"), ({"memoryBandwidth": "50%"}, "yet" if resctrl else "resctrl"),
                           ({"io": {"bytes": "1Mi/s", "bytesBurst": "2Mi"}}, "bursts are for runtime vm")):
        zone.spec["resource"] = resource
        said = zone.czctl("create", code=1, file=True)
        check(word in said, f"{resource}: {said}")


@scene
def doctor_knows_whether_kvm_was_of_use(czd, zone):
    if not os.path.exists("/dev/kvm"):
        raise live.Skip("no /dev/kvm")
    for noted, word in (("no\n", "no guest boots"), ("yes\n", "seen to boot"), (None, "the first start tries")):
        path = os.path.join(czd.run_dir, f"kvm-{os.uname().release}")
        if noted:
            live.write(path, noted)
        else:
            os.unlink(path)
        said = next(row["text"] for row in czd.request("doctor")["machines"] if row["name"] == "KVM")
        check(word in said, f"{noted}: {said}")


@scene
def verify_leaves_out_what_another_czd_owns(czd, zone):
    """One that was made before and one that is made after this czd's first look, and changed while it looks."""
    spec = {"resource": {"cpu": {"weight": 200}, "cpuset": "0"}}
    with live.Czd(CONFIG, ["--no-bpf"]) as another:
        theirs = [Zone(another, name, **spec) for name in ("before", "after")]
        try:
            theirs[0].czctl("apply", "--wait", file=True)
            czd.stop()
            czd.start()
            zone.czctl("apply", "--wait", file=True)
            theirs[1].czctl("apply", "--wait", file=True)
            live.wait_for(lambda: any(theirs[1].name in z["path"] for z in czd.request("list", all=True)["zones"]), 5, "it is seen")
            for other in theirs:
                other.spec["resource"] = {"cpu": {"weight": 300, "max": "50%"}, "cpuset": "1"}
                other.czctl("update", file=True)
            found = [i["path"] for i in czd.request("verify")["items"] if "cz-zones" in i["path"]]
            check(not found, f"counted: {found}")
            check(not [i for i in another.request("verify")["items"] if "cz-zones" in i["path"]], "and the other way round")
            live.write(os.path.join(live.controllers()["cpu"], zone.path, "sleeper", "cpu.idle"), "1")
            found = [i["path"] for i in czd.request("verify")["items"] if "cz-zones" in i["path"]]
            check(found and all(zone.name in path for path in found), f"its own: {found}")
            check(not [i for i in another.request("verify")["items"] if "cz-zones" in i["path"]], "which is the other's own affair")
        finally:
            for other in theirs:
                other.cleanup()


def kill_czd(czd):
    """Both processes, at once and without a word."""
    worker = czd.worker_pid()
    czd.keeper.kill()
    try:
        os.kill(worker, signal.SIGKILL)
    except ProcessLookupError:
        pass
    czd.keeper.wait()
    live.wait_for(lambda: not live.alive(worker), 5, "the worker is gone")


@scene
def czd_dies_at_any_moment(czd, zone):
    zone.czctl("apply", "--wait", file=True)
    app = live.wait_for(lambda: zone.pids("sleeper"), 5, "the app")
    supervisor = zone.show()["pid"]
    rng = random.Random(PID)
    for _ in range(10):
        kill_czd(czd)
        time.sleep(rng.random() / 4)
        czd.start()
        check(zone.state() == "running", f"not taken over: {zone.show()}")
        check(zone.show()["pid"] == supervisor and zone.pids("sleeper") == app, "another process")
        time.sleep(rng.random() / 2)
    live.wait_for(lambda: zone.show()["phase"] == "running", 5, "the link is back")
    # and in the middle of starting and stopping
    for i in range(10):
        verb = "zone-stop" if i % 2 == 0 else "zone-start"
        try:
            czd.request(verb, name=zone.name)
        except live.RequestError:
            pass
        time.sleep(rng.random() / 20)
        kill_czd(czd)
        czd.start()
        live.wait_for(lambda: zone.show()["phase"] in ("running", "-") and zone.state() in ("running", "stopped"), 15, "settled")
        if zone.state() == "stopped":
            live.wait_for(zone.gone, 5, "a stopped zone has no groups")
        else:
            live.wait_for(lambda: len(zone.pids("sleeper")) == 1, 10, "one app")
    zone.czctl("remove", "-f", "--wait")
    left = subprocess.run(["pgrep", "-f", f"zones/{zone.name}/launch.json"], capture_output=True, text=True, check=False).stdout
    check(not left, f"orphans: {left}")


def disk_full():
    """STATE_DIR on a tmpfs of 64 KiB, seen by czd alone."""
    czd = live.Czd(CONFIG)
    state = os.path.join(czd.folder, "state")
    os.mkdir(state)
    czd.arguments = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=64k cz {state} && exec \"$@\"", "sh", *czd.arguments,
                     "--libexec", live.BIN, "--no-bpf", "--state-dir", state]
    with czd:
        seen = f"/proc/{czd.worker_pid()}/root{state}"
        zone = Zone(czd)
        try:
            with open(f"{seen}/ballast", "wb", buffering=0) as ballast:
                try:
                    while True:
                        ballast.write(bytes(1024))
                except OSError:
                    pass
            check("No space" in zone.czctl("create", code=1, file=True), "created on a full disk")
            check(os.listdir(f"{seen}/zones") == [], f"left behind: {os.listdir(seen + '/zones')}")
            check(not czd.request("zone-list")["applied"], "a zone that is not on disk")
            os.unlink(f"{seen}/ballast")
            zone.czctl("create", file=True)
        finally:
            zone.cleanup()


@scene
def class_and_goals_protect_it(czd, zone):
    zone.spec |= {"class": "lc", "slo": "wait.p99=500us"}
    zone.czctl("apply", "--wait", file=True)

    def row():
        rows = czd.request("list", all=True)["zones"]
        return next((r for r in rows if r["path"] == f"/{zone.path}"), None)
    found = live.wait_for(row, 5, "the zone's row")
    check(found["name"] == zone.name and found["class"] == "lc" and found["slo"] == "wait.p99=500us", f"{found}")
    for end in (czd.stop, lambda: kill_czd(czd)):
        end()
        czd.start()
        again = live.wait_for(row, 5, "the zone's row")
        check(again["class"] == "lc" and again["slo"] == found["slo"] and again["protected"], f"after a restart: {again}")
    zone.spec["class"] = "be"
    del zone.spec["slo"]
    zone.czctl("update", file=True)
    check(row()["class"] == "be", f"{row()}")


def main():
    live.need_root()
    live.raise_on_signals()
    return live.run_cases([whole_life, limits_are_the_kernels, apps_come_and_go, one_app_more_or_less, apps_that_fail_at_once_are_told, changes_that_could_not_be_told, bad_input_is_refused, supervisor_killed,
                           edited_behind_its_back, broken_behind_its_back, lost_state_is_made_anew, a_name_that_another_czd_uses, wishes_outlive_czd, commands_join_the_zone, app_verbs,
                           limits_that_nothing_applies_are_refused, doctor_knows_whether_kvm_was_of_use, verify_leaves_out_what_another_czd_owns, czd_dies_at_any_moment, disk_full, class_and_goals_protect_it],
                          (AssertionError, TimeoutError, live.RequestError, OSError, RuntimeError))


if __name__ == "__main__":
    sys.exit(main())

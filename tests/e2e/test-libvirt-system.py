#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 600
# cases: by name
"""Zones and a real libvirtd (qemu:///system): domains that somebody else started are adopted, limited, and left as they were
found, whoever is killed meanwhile; and machines of zones' own among those of others."""
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
import libvirtd  # noqa: E402
import live  # noqa: E402
import vmzone  # noqa: E402

SPEC = importlib.util.spec_from_file_location("test_zones", os.path.join(HERE, "test-zones.py"))
zones = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(zones)
check = zones.check
LIBVIRT = None  # the one of all cases
BOOT_S = 90
V1 = "cpuacct" in live.controllers()


class Adopter(zones.Zone):
    def __init__(self, czd, domain, name="guest", **spec):
        super().__init__(czd, name, **{"runtime": "vm", "os": {"backend": "libvirt", "adopt": domain}} | spec)
        if "apps" not in spec:
            del self.spec["apps"]

    def running(self):
        self.czctl("apply", "--wait", file=True)
        live.wait_for(lambda: self.show()["phase"] == "running", 10, "adopted")
        return self.show()


def scene(bpf=False, **domains):
    """With a czd, and domains of somebody's: NAME=XML of cputune."""
    def wrap(fn):
        def run():
            for name, cputune in domains.items():
                LIBVIRT.create(name, cputune=cputune)
            with live.Czd("tick: 200ms\n", ["--state-dir", f"{LIBVIRT.top}/state"] + ([] if bpf else ["--no-bpf"])) as czd:
                made = []

                def zone(*arguments, **spec):
                    made.append(Adopter(czd, *arguments, **spec))
                    return made[-1]
                try:
                    fn(czd, zone)
                except Exception:
                    print("\n".join([czd.log_tail()] + [z.czctl("log", code=None) for z in made] + LIBVIRT.logs()), file=sys.stderr)
                    raise
                finally:
                    for z in made:
                        z.cleanup()
                    for name in LIBVIRT.virsh("list", "--name").split():
                        LIBVIRT.virsh("destroy", name)
        run.__name__ = fn.__name__
        return run
    return wrap


def group_of(name):
    """The domain's cgroup path, as the zone's row has it."""
    top = live.controllers()["cpu"]
    return next(p for p in libvirtd.groups() if f"-{name}." in p and p.startswith(f"{top}/"))[len(top):]


def same(before, after):
    return [f"{key}: {before[key]} became {after[key]}" for key in before if before[key] != after[key]]


@scene(web="<cputune><shares>500</shares></cputune>")
def taken_limited_and_left_as_found(czd, zone):
    found, pid = LIBVIRT.found("web"), LIBVIRT.pid("web")
    z = zone("web", **{"class": "be", "resource": {"cpuset": "1", "cpu": {"max": "50%", "weight": 200}}})
    shown = z.running()
    check(shown["path"] == group_of("web") and len(shown["vcpus"]) == 2 and shown["accel"] == "-", f"{shown}")
    live.wait_for(lambda: "50000" in LIBVIRT.virsh("schedinfo", "web"), 10, "the limit")
    check([line.split()[1] for line in LIBVIRT.virsh("vcpupin", "web").splitlines()] == ["1", "1"], "pins")
    if V1:
        check("2048" in LIBVIRT.virsh("schedinfo", "web"), "the weight")
    row = czd.request("inspect", zone=z.name)
    check((row["path"], row["class"], row["kind"]) == (group_of("web"), "be", "vm"), f"{row}")
    live.wait_for(lambda: not [i for i in czd.request("verify")["items"] if "web" in i["path"]], 5, "verify counts what libvirt set for us")
    live.wait_for(lambda: z.show()["memory_bytes"] == 128 << 20, 10, "its memory")

    # less is asked for: the rest is put back; and czd may go meanwhile
    z.spec["resource"] = {"cpu": {"max": "30%"}}
    z.czctl("update", file=True)
    live.wait_for(lambda: "30000" in LIBVIRT.virsh("schedinfo", "web"), 10, "the new limit")
    check(LIBVIRT.virsh("vcpupin", "web") == found["pins"] and "500" in LIBVIRT.virsh("schedinfo", "web"), "the rest is as found")
    czd.stop()
    czd.start()
    live.wait_for(lambda: z.show()["phase"] == "running" and czd.request("inspect", zone=z.name)["class"] == "be", 10, "known to the next czd")
    check(z.show()["pid"] == shown["pid"], "another supervisor")

    z.czctl("stop", "--wait")
    check(not (diff := same(found, LIBVIRT.found("web"))), f"not as found: {diff}")
    check(LIBVIRT.pid("web") == pid and live.alive(pid), "the domain ended")
    check(czd.request("inspect", zone=group_of("web"))["class"] == "normal", "a class is left")
    z.czctl("start", "--wait")
    live.wait_for(lambda: "30000" in LIBVIRT.virsh("schedinfo", "web"), 10, "again")
    z.czctl("remove", "--force")
    live.wait_for(z.gone, 10, "the zone's groups are gone")
    check(not (diff := same(found, LIBVIRT.found("web"))), f"not as found: {diff}")
    check(live.alive(pid), "the domain ended")


@scene(web="<cputune><vcpupin vcpu='0' cpuset='0'/><period>50000</period><quota>40000</quota></cputune>")
def killed_and_left_as_found(czd, zone):
    found, pid = LIBVIRT.found("web"), LIBVIRT.pid("web")
    z = zone("web", resource={"cpuset": "0-1", "cpu": {"max": "20%"}}, restart="never")
    for victims in (("cz-vm",), ("cz-libvirt",), ("cz-libvirt", "cz-vm")):
        supervisor = z.running()["pid"]
        live.wait_for(lambda: "20000" in LIBVIRT.virsh("schedinfo", "web"), 10, "the limit")
        check([line.split()[1] for line in LIBVIRT.virsh("vcpupin", "web").splitlines()] == ["0", "1"], "a CPU each")
        pids = {"cz-vm": supervisor, "cz-libvirt": next(p for p in z.pids("main") if int(p) != supervisor)}
        for name in victims:
            os.kill(int(pids[name]), signal.SIGKILL)
        live.wait_for(lambda: z.state() == "error", 20, "it is seen")
        check(not (diff := same(found, LIBVIRT.found("web"))), f"{victims} killed: {diff}")
        check(live.alive(pid), "the domain ended")
    # no czd either: what is left is put back when the next one looks
    z.running()
    live.wait_for(lambda: "20000" in LIBVIRT.virsh("schedinfo", "web"), 10, "the limit")
    pids = [int(p) for p in z.pids("main")]
    zones.kill_czd(czd)
    for number in pids:
        os.kill(number, signal.SIGKILL)
    czd.start()
    live.wait_for(lambda: z.state() == "error", 20, "it is seen")
    check(not (diff := same(found, LIBVIRT.found("web"))), f"all killed: {diff}")
    check(live.alive(pid), "the domain ended")


@scene(web="")
def what_its_owner_does_counts(czd, zone):
    z = zone("web", resource={"cpu": {"max": "50%"}, "cpuset": "0"})
    z.running()
    live.wait_for(lambda: "50000" in LIBVIRT.virsh("schedinfo", "web"), 10, "the limit")
    LIBVIRT.virsh("schedinfo", "web", "--live", "--set", "vcpu_quota=70000")
    z.czctl("stop", "--wait")
    check("70000" in LIBVIRT.virsh("schedinfo", "web"), "the owner's value was overwritten")
    check("vcpu_quota: somebody else" in czd.log_tail(), czd.log_tail())
    check([line.split()[1] for line in LIBVIRT.virsh("vcpupin", "web").splitlines()] == ["0-1", "0-1"], "the rest is put back")
    z.running()
    LIBVIRT.virsh("destroy", "web")
    live.wait_for(lambda: z.state() == "stopped", 10, "no failure of the zone's")
    check("none of that name runs" in z.czctl("start", "--wait", code=1), "it starts without a domain")


@scene(web="", other="")
def refused(czd, zone):
    first = zone("web", "first")
    first.running()
    second = zone("web", "second", restart="never")
    check("another zone has it" in second.czctl("apply", "--wait", code=1, file=True), "two zones of one domain")
    check("virsh console web" in first.czctl("conn", code=4), "a terminal of a stranger's")
    check("nothing of Control Zone runs" in (said := czd.czctl("sched", "set", first.name, "exclusive").stderr), said)
    LIBVIRT.virsh("destroy", "other")  # not ours to notice
    time.sleep(1)
    check(first.show()["phase"] == "running", f"another domain's end ended it: {first.show()}")
    for spec, word in (({"os": {"adopt": "web"}}, "needs backend libvirt"),
                       ({"os": {"backend": "libvirt", "adopt": "web", "kernel": "/vmlinuz"}}, "os.kernel: is the domain's own"),
                       ({"os": {"backend": "libvirt", "adopt": "a/b"}}, "as in virsh list"),
                       ({"resource": {"memory": "1Gi"}}, "resource.memory: is the domain's own")):
        bad = zone("web", "bad", **spec)
        check(word in (said := bad.czctl("create", code=2, file=True)), said)
    LIBVIRT.stop()
    live.wait_for(lambda: first.state() == "error", 20, "libvirtd is gone")
    check(live.alive(LIBVIRT.pid("web")), "the domain ended")
    LIBVIRT.start()
    live.wait_for(lambda: first.show()["phase"] == "running", 60, "adopted again")


def as_nobody(*lines):
    """Python in a process of a user without rights, while which it is held."""
    code = "\n".join(["import os, socket, time", "os.setgid(65534); os.setuid(65534)", *lines, "print(flush=True)", "time.sleep(600)"])
    held = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, preexec_fn=live.die_with_parent)
    held.stdout.readline()
    check(held.poll() is None, "it could not be in the way at all")
    return held


@scene(web="")
def nobody_is_in_the_way(czd, zone):
    """A domain is one zone's by a lock that only root can take."""
    z, folder = zone("web"), "/run/libvirt/control-zone"
    uuid = LIBVIRT.virsh("domuuid", "web").strip()
    squatter = as_nobody("s = socket.socket(socket.AF_UNIX)", f"s.bind(chr(0) + 'cz-libvirt/{uuid}')")
    try:
        z.running()
    finally:
        squatter.kill()
    check(os.stat(folder).st_mode & 0o777 == 0o700 and uuid in os.listdir(folder), f"{os.listdir(folder)}")


def with_fake_vm(czd):
    """czd begins anew, with the stand-in for cz-vm."""
    libexec = os.path.join(czd.folder, "libexec")
    os.mkdir(libexec)
    os.symlink(os.path.join(HERE, "fake_vm.py"), os.path.join(libexec, "cz-vm"))
    os.symlink(live.program("cz-libvirt"), os.path.join(libexec, "cz-libvirt"))
    czd.stop()
    czd.arguments += ["--libexec", libexec]
    czd.start()


@scene(web="", other="")
def only_its_own_domain(czd, zone):
    """A cz-vm that was taken over names a thread of another's machine."""
    vcpu = next(tid for tid in LIBVIRT.threads("other") if live.read(f"/proc/{tid}/comm").startswith("CPU 0/"))
    z = zone("web", **{"class": "be"})
    z.spec["metadata"]["labels"] = {"tid": str(vcpu)}
    with_fake_vm(czd)
    z.czctl("apply", "--wait", file=True)
    live.wait_for(lambda: "none of the domain's" in z.show()["why"], 10, "it is found out")
    check(czd.request("inspect", zone=group_of("other"))["class"] == "normal", "another's machine has the zone's class")
    check(z.show()["path"] != group_of("other"), "it is taken for the zone's")


@scene(bpf=True, web="")
def its_waiting_has_a_name(czd, zone):
    z = zone("web", **{"class": "lc", "resource": {"cpuset": "1"}})
    z.running()
    with live.Group(f"cz-t{os.getpid()}-hog") as hog:
        hog.start(["sh", "-c", "while :; do :; done"], cpu=1)
        live.wait_for(lambda: czd.request("protect", zone=hog.name, **{"class": "be"}), 5, "the hog is known")

        def blamed():
            ledger = czd.request("why", zone=z.name)["ledger"]
            return [p for p in (ledger or {"parts": []})["parts"] if p["path"] == f"/{hog.name}" and p["share_ppm"] > 200000]
        live.wait_for(blamed, 20, "the hog is named")
    vcpus = [c for c in czd.request("inspect", zone=z.name)["children"] if "vcpu" in c]
    check(len(vcpus) == 2, f"{vcpus}")


@scene(other="")
def machine_of_its_own(czd, zone):
    """backend libvirt without adopt, at the daemon: booted, limited by libvirt, not ended by the end of another's domain."""
    os.chmod(czd.folder, 0o755)
    z = zone("", "own", **{"class": "lc", "os": {"backend": "libvirt", "accel": "tcg", "rootfs": "host"},
                           "resource": {"vcpus": 1, "cpuset": "0", "memory": "256Mi", "cpu": {"max": "80%"}},
                           "apps": [{"name": "sleeper", "command": ["/bin/sleep", "600"]}]})
    z.czctl("apply", file=True)
    live.wait_for(lambda: z.show()["phase"] == "running", BOOT_S, "it runs")
    check(z.name in LIBVIRT.virsh("list", "--name"), "libvirt does not have it")
    live.wait_for(lambda: "80000" in LIBVIRT.virsh("schedinfo", z.name), 10, "the limit")
    live.wait_for(lambda: z.show()["apps"][0]["state"] == "running", 20, "its app")
    LIBVIRT.virsh("destroy", "other")
    time.sleep(1)
    check(z.show()["phase"] == "running", f"ended with another's domain: {z.show()}")
    check("it is a zone's own machine" in zone(z.name, "thief").czctl("apply", "--wait", code=1, file=True), "a zone's machine is adopted")
    pid = LIBVIRT.pid(z.name)
    z.czctl("stop", "--wait")
    live.wait_for(lambda: not live.alive(pid) and z.name not in LIBVIRT.virsh("list", "--name"), 10, "its domain is gone")


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout


def interfaces():
    """Of this namespace; /sys has those of another."""
    return set(line.split(":")[1].split("@")[0].strip() for line in ip("-o", "link").splitlines())


def ping(address):
    """Whether somebody there says that no one listens, or takes the connection."""
    try:
        with socket.create_connection((address, 9), 2):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def on_a_bridge(backend):
    def run(czd, zone):
        ip("link", "add", "cz-br", "type", "bridge")
        try:
            ip("address", "add", "192.0.2.1/24", "dev", "cz-br")
            ip("link", "set", "cz-br", "up")
            before = interfaces()
            z = zone("", backend, restart="never", **{"os": {"backend": backend, "accel": "tcg"}, "resource": {
                "memory": "192Mi", "net": {"mode": "bridge", "bridge": "cz-br", "address": "192.0.2.2/24"}}})
            for end in ("stop", "kill", "remove"):
                z.czctl("apply", file=True)
                live.wait_for(lambda: z.show()["phase"] == "running", BOOT_S, "it runs")
                check(len(interfaces() - before) == 1, "one tap")
                live.wait_for(lambda: ping("192.0.2.2"), 10, "the guest answers the host")
                done = czd.czctl("exec", z.name, "--", "/bin/busybox", "ping", "-c", "1", "-W", "5", "192.0.2.1", timeout=30)
                check(done.returncode == 0, f"the host does not answer the guest: {done}")
                if end == "stop":
                    z.czctl("stop", "--wait")
                elif end == "kill":
                    os.kill(z.show()["pid"], signal.SIGKILL)
                    live.wait_for(lambda: z.state() == "error", 20, "it is seen")
                else:
                    z.czctl("remove", "--force")
                live.wait_for(lambda: interfaces() == before, 10, f"{end}: the tap is gone")
                check(not ip("-o", "link", "show", "master", "cz-br"), f"{end}: a port is left on the bridge")
        finally:
            ip("link", "delete", "cz-br")
    run.__name__ = f"bridge_{backend}"
    return scene()(run)


def main():
    global LIBVIRT
    live.need_root()
    if libvirtd.missing():
        live.skip(libvirtd.missing())
    if not os.path.exists(os.path.join(live.BIN, "cz-libvirt")):
        live.skip("built without libvirt")
    libvirtd.enter()
    live.raise_on_signals()
    with libvirtd.Libvirtd() as LIBVIRT:
        os.environ.update({"CZ_QEMU": f"{LIBVIRT.top}/qemu", "CZ_QEMU_DATA": f"{LIBVIRT.top}/qemu-data", "CZ_KERNEL": vmzone.KERNEL,
                           "CZ_VIRTIOFSD": vmzone.VIRTIOFSD})
        return live.run_cases([taken_limited_and_left_as_found, killed_and_left_as_found, what_its_owner_does_counts, refused,
                               nobody_is_in_the_way, only_its_own_domain,
                               its_waiting_has_a_name, machine_of_its_own,
                               on_a_bridge("qemu")],
                              (AssertionError, live.RequestError, OSError, TimeoutError, RuntimeError, StopIteration, subprocess.SubprocessError))


if __name__ == "__main__":
    sys.exit(main())

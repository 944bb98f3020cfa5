#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 300
# beside: yes
"""cz-vm with backend libvirt, whose driver works within cz-libvirt (no daemon): a domain's life from launch.json to
its end, and what is left of it when one of the processes is killed (nothing)."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/lib"))
import live  # noqa: E402
import vmzone  # noqa: E402

CZ_VM = os.path.realpath(os.path.join(os.environ.get("CZ_BIN", "build/bin"), "cz-vm"))
GUEST = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(CZ_VM))), "tests/host/vm-guest")
CZ_LIBVIRT = os.path.join(os.path.dirname(CZ_VM), "cz-libvirt")
BOOT_S = 90  # TCG on a busy machine, and libvirt first asks QEMU for its abilities
MIB = 1 << 20
V1 = "/sys/fs/cgroup/cpu"


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def libvirt_groups():
    """Of every hierarchy, what libvirt made."""
    found = set()
    for parent, folders, _ in os.walk("/sys/fs/cgroup"):
        found.update(os.path.join(parent, name) for name in folders if name == "machine" or "qemu-" in name)
    return found


def wrapper(top):
    """cz-vm in a mount namespace with two things changed. libvirt wants the user it was built for to be there, if not to
    be used, and Debian has it in a package that also has services. And a /dev/kvm that only root may open has it probe QEMU
    over and over."""
    with open(f"{top}/kvm", "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
    mounts = [f"mount --bind {top}/kvm /dev/kvm"] if os.path.exists("/dev/kvm") else []
    for name, line in (("passwd", "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin"), ("group", "libvirt-qemu:x:64055:")):
        with open(f"/etc/{name}", encoding="utf-8") as file:
            text = file.read()
        with open(f"{top}/{name}", "w", encoding="utf-8") as file:
            file.write(text if "libvirt-qemu" in text else f"{text.rstrip()}\n{line}\n")
        mounts.append(f"mount --bind {top}/{name} /etc/{name}")
    with open(f"{top}/cz-vm", "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o755)) as file:
        file.write("#!/bin/sh\n" + "".join(f"{mount} &&\n" for mount in mounts) + f'exec {CZ_VM} "$@"\n')
    with open(f"{top}/unshare", "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o755)) as file:
        file.write(f'#!/bin/sh\nexec unshare --mount {top}/cz-vm "$@"\n')
    return f"{top}/unshare"


class Connection(unittest.TestCase):
    """cz-libvirt alone, with libvirt's driver for tests, which has a domain `test` and runs nothing."""

    def run_order(self, name="web", uri="test:///default", xml=None):
        ours, theirs = socket.socketpair()
        with ours, ours.makefile("rb") as events:
            with theirs:
                helper = subprocess.Popen([CZ_LIBVIRT], stdin=theirs, stderr=subprocess.DEVNULL)
            self.addCleanup(helper.kill)
            xml = xml or f"<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os></domain>"
            ours.sendall(json.dumps({"uri": uri, "name": name, "xml": xml, "sockets": [], "unlink": []}).encode() + b"\n")
            ours.settimeout(10)
            first = json.loads(events.readline())
            if first["event"] == "started":
                ours.sendall(b'nonsense\n{"do": "dance"}\n{"do": "memory", "kib": 512}\n{"do": "quit"}\n')
                self.assertEqual(json.loads(events.readline()), {"event": "ended", "failed": False})
        return first, helper.wait(10)

    def test_orders(self):
        self.assertEqual(self.run_order(), ({"event": "started", "pid": 0}, 0))
        for order, what, why in (({"uri": "test:///nonexistent.xml"}, "connect to libvirt", "nonexistent"),
                                 ({"xml": "<domain type='test'>"}, "start the domain", "domain_definition"),
                                 ({"name": "test"}, "start the domain", "which is no zone")):
            first, code = self.run_order(**order)
            self.assertEqual((first["event"], first["what"], code), ("failed", what, 3))
            self.assertIn(why, first["text"])

    def test_no_order(self):
        for data in (b"", b"nonsense\n", b"x" * 70000):
            run = subprocess.run([CZ_LIBVIRT], input=data, capture_output=True, timeout=10, check=False)
            self.assertEqual(run.returncode, 2)


class Domains(unittest.TestCase):
    def zone(self, **kwargs):
        zone = vmzone.Zone(CZ_VM, GUEST, **kwargs)
        self.addCleanup(self.groups_gone, libvirt_groups())
        self.addCleanup(zone.end)
        zone.launch["spec"].setdefault("os", {}).update({"backend": "libvirt", "accel": "tcg"})
        # The domain's user has to get at QEMU by its path.
        shutil.copy(vmzone.QEMU, f"{zone.top}/qemu")
        shutil.copytree(zone.launch["qemu_data"], f"{zone.top}/qemu-data")
        zone.launch.update(qemu=f"{zone.top}/qemu", qemu_data=f"{zone.top}/qemu-data")
        zone.cz_vm = wrapper(zone.top)
        return zone

    def groups_gone(self, before):
        live.wait_for(lambda: all(path.endswith("/machine") for path in libvirt_groups() - before), 10, "the end of libvirt's groups")
        for path in libvirt_groups() - before:  # the parent of all domains, which libvirt leaves
            os.rmdir(path)

    def gone(self, pids):
        live.wait_for(lambda: not any(live.alive(pid) for pid in pids), 10, f"the end of {pids}")

    def processes(self, zone, state):
        helper = [pid for pid in zone.children() if "cz-libvirt" in status_of(pid)["Name"]]
        self.assertEqual(len(helper), 1)
        return [zone.process.pid, helper[0], state["qemu_pid"]]

    def test_life(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        zone = self.zone(spec={"resource": {"vcpus": 1, "vcpusMax": 2, "memory": "256Mi", "memoryMax": "384Mi",
                                            "net": {"mode": "user", "forward": [f"{port}:80"]}}, "os": {"rootfs": "host"},
                                "apps": [{"name": "web", "command": ["/x"]}]})
        start = time.monotonic()
        zone.start().connect()
        state = zone.wait_state("running", BOOT_S)
        print(f"up after {time.monotonic() - start:.1f} s, guest after {state['boot_ms']} ms")
        self.assertEqual([(cpu["cpu"], cpu["online"]) for cpu in state["vcpus"]], [(0, True), (1, False)])
        for cpu in state["vcpus"]:
            with open(f"/proc/{state['qemu_pid']}/task/{cpu['tid']}/comm", encoding="utf-8") as file:
                self.assertTrue(file.read().startswith(f"CPU {cpu['cpu']}/"))
        status = status_of(state["qemu_pid"])
        self.assertEqual(status["Uid"].split(), [str(vmzone.UID)] * 4)
        self.assertEqual(int(status["CapEff"], 16), 0)
        self.assertEqual(status["NoNewPrivs"].strip(), "1")
        self.assertEqual(status["Seccomp"].strip(), "2")
        self.assertEqual([name for name in os.listdir(zone.dir) if name.startswith("boot-")], [])
        zone.until("the guest's look at the tree", 10, lambda: "guest: remount" in zone.console())
        self.assertIn("guest: /mnt/bin/true readable", zone.console())
        self.assertIn("guest: /mnt/etc/shadow no", zone.console())
        with socket.create_connection(("127.0.0.1", port), 5):
            pass
        # without a daemon the domain stays in the zone's own cgroup
        with open(f"/proc/{state['qemu_pid']}/cgroup", encoding="utf-8") as theirs, open("/proc/self/cgroup", encoding="utf-8") as ours:
            self.assertEqual(theirs.read(), ours.read())

        zone.until("the first balloon", 30, lambda: zone.ask("stats")["memory"]["balloon_bytes"] == 256 * MIB)
        answer = zone.ask("memory", bytes=320 * MIB)
        self.assertTrue(answer["ok"], answer)
        self.assertEqual(answer["bytes"], 320 * MIB)
        zone.until("statistics", 10, lambda: 0 < zone.ask("stats")["memory"]["free_bytes"] < 320 * MIB)
        vcpus = zone.ask("stats")["vcpus"]
        self.assertGreater(vcpus["0.time"], 10**8)
        self.assertGreater(vcpus["0.delay"], 0)
        self.assertTrue(zone.ask("vcpus", online=2)["ok"])
        self.assertTrue(all(cpu["online"] for cpu in zone.state()["vcpus"]))
        zone.until("a log line", 5, lambda: os.path.exists(f"{zone.dir}/log/app-web.log"))

        pids = self.processes(zone, state)
        start = time.monotonic()
        self.assertTrue(zone.ask("power-down", grace_ms=8000)["ok"])
        self.assertEqual(zone.process.wait(10), 0, zone.stderr())
        self.assertLess(time.monotonic() - start, 6, "the guest was asked, not killed")
        self.assertIn("the guest switched itself off", zone.stderr())
        self.gone(pids)

    def test_limits(self):
        """Where libvirt has cgroups of its own, they are written by libvirt, and are gone with the domain."""
        zone = self.zone(spec={"resource": {"vcpus": 2}})
        os.makedirs(f"{zone.dir}/libvirt/etc")
        with open(f"{zone.dir}/libvirt/etc/qemu.conf", "w", encoding="utf-8") as file:
            file.write(f'user = "+{vmzone.UID}"\ngroup = "+{vmzone.UID}"\nsecurity_driver = "none"\nstdio_handler = "file"\n'
                       "namespaces = []\ncgroup_controllers = [\"cpu\", \"cpuset\", \"cpuacct\"]\n")
        zone.start().connect()
        state = zone.wait_state("running", BOOT_S)
        tids = [cpu["tid"] for cpu in state["vcpus"]]
        with open(f"/proc/{tids[1]}/cgroup", encoding="utf-8") as file:
            group = dict(line.strip().split(":")[1:] for line in file)["cpu"]
        self.assertRegex(group, "^/machine/qemu-embed-[0-9a-f]+-1-test.libvirt-qemu/vcpu1$")

        def read(path, name):
            with open(f"{V1}{path}/{name}", encoding="utf-8") as file:
                return int(file.read())
        self.assertTrue(zone.ask("limits", pin=["1", "0"], cpu_max_ppm=500000, cpu_shares=2048)["ok"])
        zone.until("the quota", 10, lambda: read(group, "cpu.cfs_quota_us") == 50000)
        self.assertEqual(read(os.path.dirname(group), "cpu.shares"), 2048)
        self.assertEqual([os.sched_getaffinity(tid) for tid in tids], [{1}, {0}])
        self.assertTrue(zone.ask("limits", pin=["0-1", "0-1"])["ok"])
        zone.until("no quota", 10, lambda: read(group, "cpu.cfs_quota_us") < 0)
        self.assertEqual(zone.ask("limits", pin=["no"])["error"]["name"], "EINVAL")
        self.assertTrue(zone.ask("limits", pin=["4095"])["ok"])
        zone.until("a word of what failed", 10, lambda: any(e["event"] == "notice" and "pin.0: " in e["text"] for e in zone.events))
        pids = self.processes(zone, state)
        zone.ask("power-down", grace_ms=0)
        self.assertEqual(zone.process.wait(10), 0, zone.stderr())
        self.gone(pids)

    def test_killed(self):
        """Whoever of the three dies, the others end."""
        zone = self.zone()
        for victim, code in ((0, -signal.SIGKILL), (1, 1), (2, 1)):
            zone.start().connect()
            state = zone.wait_state("running", BOOT_S)
            pids = self.processes(zone, state)
            os.kill(pids[victim], signal.SIGKILL)
            self.assertEqual(zone.process.wait(10), code, zone.stderr())
            self.gone(pids)

        # all at once: the next start ends what is left
        zone.start().connect()
        left, *killed = self.processes(zone, zone.wait_state("running", BOOT_S))[::-1]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in killed:
                os.kill(pid, number)
        zone.process.wait(10)
        self.assertTrue(live.alive(left))
        zone.start().connect()
        zone.wait_state("running", BOOT_S)
        self.gone([left])
        zone.ask("power-down", grace_ms=0)
        self.assertEqual(zone.process.wait(10), 0, zone.stderr())

    def test_disk(self):
        zone = self.zone()
        image = f"{zone.top}/image"
        with open(image, "wb") as file:
            file.write(b"this is what the image begins with".ljust(MIB, b"\0"))
        zone.launch["spec"]["os"]["rootfs"] = {"image": image}
        for seen in ("", "written by the guest"):
            zone.start().connect()
            zone.wait_state("running", BOOT_S)
            zone.until("the guest's look at the disk", 10, lambda: f"guest: disk before '{seen}'" in zone.console())
            zone.ask("power-down", grace_ms=5000)
            self.assertEqual(zone.process.wait(10), 0, zone.stderr())

    def test_refused(self):
        zone = self.zone()
        zone.launch["qemu"] = "/bin/true"
        zone.start()
        self.assertEqual(zone.process.wait(30), 3)
        self.assertIn("libvirt could not start the domain", zone.stderr())
        self.assertEqual([name for name in os.listdir(zone.dir) if name.startswith("boot-")], [])


if __name__ == "__main__":
    reason = vmzone.missing() or (None if os.geteuid() == 0 else "needs root") or \
        (None if os.path.exists(CZ_LIBVIRT) else "built without libvirt")
    if reason:
        print(reason)
        sys.exit(77)
    unittest.main(verbosity=2)

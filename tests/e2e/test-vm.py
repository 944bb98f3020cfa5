#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 300
# beside: yes
"""cz-vm with a real QEMU and the least of guests: a zone's life from launch.json to its end, and what is
left of it after kill -9 (nothing)."""
import contextlib
import gzip
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/lib"))
import live  # noqa: E402
import vmzone  # noqa: E402

CZ_VM = os.path.realpath(os.path.join(os.environ.get("CZ_BIN", "build/bin"), "cz-vm"))
GUEST = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(CZ_VM))), "tests/host/vm-guest")
BOOT_S = 60  # TCG on a busy machine
MIB = 1 << 20
CAP_FOWNER = 1 << 3


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Zones(unittest.TestCase):
    def zone(self, **kwargs):
        zone = vmzone.Zone(CZ_VM, GUEST, **kwargs)
        self.addCleanup(zone.end)
        return zone

    def gone(self, pids):
        live.wait_for(lambda: not any(live.alive(pid) for pid in pids), 5, f"the end of {pids}")

    def check_unprivileged(self, pid):
        status = status_of(pid)
        self.assertEqual(status["Uid"].split(), [str(vmzone.UID)] * 4)
        self.assertEqual(status["Groups"].strip(), "")
        for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[caps], 16), 0, caps)
        self.assertEqual(status["NoNewPrivs"].strip(), "1")
        self.assertEqual(status["Seccomp"].strip(), "2")

    def terminal(self, zone):
        with socket.socket(socket.AF_UNIX) as term:
            term.settimeout(10)
            term.connect(f"{zone.run}/term.sock")
            term.sendall(b'{"do": "conn"}\n' + b"\0\5\0\0hello")
            stream = term.makefile("rb")
            self.assertEqual(json.loads(stream.readline()), {"ok": True})
            self.assertEqual(stream.read(9), b"\0\5\0\0hello")
            large = bytes(range(256)) * 256
            term.sendall(b"\0" + struct.pack("<I", len(large))[:3] + large)
            got = b""
            while len(got) < len(large):
                kind, *size = stream.read(4)
                self.assertEqual(kind, 0)
                got += stream.read(size[0] | size[1] << 8 | size[2] << 16)
            self.assertEqual(got, large)
            term.sendall(b"\4\0\0\0")
            self.assertEqual(stream.read(8), b"\3\4\0\0" + struct.pack("<i", 7))
            self.assertEqual(stream.read(), b"")

    def check_files_of_virtiofsd(self, zone, pid):
        """As many as it may have: one is open for each that the guest knows."""
        with open(f"/proc/{pid}/limits", encoding="utf-8") as file:
            soft, hard = next(line.split()[3:5] for line in file if line.startswith("Max open files"))
        self.assertEqual(soft, hard)
        few = int(soft) < 200000
        self.assertEqual(any(f"virtiofsd may have {soft} files" in e.get("text", "") for e in zone.events), few)
        ours = resource.getrlimit(resource.RLIMIT_NOFILE)
        with open(f"/proc/{zone.process.pid}/limits", encoding="utf-8") as file:
            self.assertIn(str(ours[0]), next(line for line in file if line.startswith("Max open files")).split())

    def one_terminal_too_many(self, zone):
        with contextlib.ExitStack() as stack:
            terms = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(9)]
            for term in terms:
                term.settimeout(10)
                term.connect(f"{zone.run}/term.sock")
            answer = json.loads(terms[-1].makefile("rb").readline())
            self.assertIn("in use", answer["error"]["message"])

    def large_input(self, zone):
        """Much more than all buffers on the way hold, as fast as it goes."""
        with socket.socket(socket.AF_UNIX) as term:
            term.settimeout(60)
            term.connect(f"{zone.run}/term.sock")
            term.sendall(b'{"do": "conn", "test": "count"}\n')
            stream = term.makefile("rb")
            self.assertEqual(json.loads(stream.readline()), {"ok": True})
            piece = bytes(range(250)) * 200
            for _ in range(100):
                term.sendall(b"\0" + struct.pack("<I", len(piece))[:3] + piece)
            term.sendall(b"\4\0\0\0")
            said = f"{100 * len(piece)} {100 * sum(piece)}".encode()
            self.assertEqual(stream.read(), b"\0" + struct.pack("<I", len(said))[:3] + said + b"\3\4\0\0" + struct.pack("<i", 7))

    def test_life(self):
        """The host's tree, a forwarded port, memory, vCPUs, a terminal, logs, and the way down."""
        port = free_port()
        zone = self.zone(spec={"resource": {"vcpus": 1, "vcpusMax": 2, "memory": "256Mi", "memoryMax": "384Mi",
                                            "net": {"mode": "user", "forward": [f"{port}:80"]}},
                               "os": {"rootfs": "host", "accel": "tcg", "share": [self.folder_to_share()]},
                               "apps": [{"name": "web", "command": ["web"]}]})
        zone.start().connect()
        state = zone.wait_state("running", BOOT_S)
        self.assertEqual((state["accel"], state["accel_why"]), ("tcg", "the spec says tcg"))
        self.assertEqual([(cpu["cpu"], cpu["online"]) for cpu in state["vcpus"]], [(0, True), (1, False)])
        for cpu in state["vcpus"]:
            self.assertTrue(os.path.exists(f"/proc/{state['qemu_pid']}/task/{cpu['tid']}"))
        print(f"boot: {state['boot_ms']} ms")
        self.check_unprivileged(zone.process.pid)
        self.check_unprivileged(state["qemu_pid"])
        zone.until("the guest's look at the tree", 10, lambda: "guest: remount" in zone.console())
        self.check_shared_tree(zone.console())
        with socket.create_connection(("127.0.0.1", port), 5):
            pass

        # what memory is and may be; the balloon has to be brought down from memoryMax
        zone.until("the first balloon", 20, lambda: zone.ask("stats")["memory"]["balloon_bytes"] == 256 * MIB)
        answer = zone.ask("memory", bytes=320 * MIB)
        self.assertTrue(answer["ok"], answer)
        self.assertEqual(answer["bytes"], 320 * MIB)
        self.assertEqual(zone.ask("memory", bytes=1 << 40)["error"]["name"], "ERANGE")
        zone.until("statistics", 10, lambda: 0 < zone.ask("stats")["memory"]["free_bytes"] < 320 * MIB)

        self.assertTrue(zone.ask("vcpus", online=2)["ok"])
        self.assertTrue(all(cpu["online"] for cpu in zone.state()["vcpus"]))
        self.assertEqual(zone.ask("vcpus", online=3)["error"]["name"], "ERANGE")
        self.assertEqual(zone.ask("dance")["error"]["name"], "EOPNOTSUPP")
        self.terminal(zone)
        self.large_input(zone)
        self.one_terminal_too_many(zone)
        zone.until("a log line", 5, lambda: os.path.exists(f"{zone.dir}/log/app-web.log"))

        # a new client replaces the old one
        zone.connect()
        self.assertEqual(zone.state()["state"], "running")
        zone.until("stats each second", 5, lambda: any(e["event"] == "stats" for e in zone.events))
        pids = [zone.process.pid, *zone.children()]
        self.assertEqual(len(pids), 3)  # cz-vm, virtiofsd, QEMU
        virtiofsd, = (pid for pid in pids if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "virtiofsd")
        self.check_files_of_virtiofsd(zone, virtiofsd)
        start = time.monotonic()
        self.assertTrue(zone.ask("power-down", grace_ms=8000)["ok"])
        self.assertEqual(zone.process.wait(10), 0, zone.stderr())
        self.assertLess(time.monotonic() - start, 5, "the guest was asked, not killed")
        self.gone(pids)

    def folder_to_share(self):
        folder = "/var/tmp/cz-test"
        os.mkdir(folder, 0o755)
        self.addCleanup(shutil.rmtree, folder)
        for name, mode in (("root's", 0o600), ("everybody's", 0o644)):
            with open(f"{folder}/{name}", "w", encoding="utf-8", opener=lambda path, flags, mode=mode: os.open(path, flags, mode)) as file:
                file.write("text")
        return folder

    def check_shared_tree(self, console):
        for line in ("/mnt/bin/true readable", "/mnt/etc/passwd readable", "/mnt/etc/shadow no", "/mnt/root/.bashrc no",
                     "/mnt/etc/ssh/ssh_config no", "/mnt/home no", "/mnt/var/tmp/cz-test/root's no",
                     "/mnt/var/tmp/cz-test/everybody's readable", "remount Read-only file system"):
            self.assertIn(f"guest: {line}", console)
        for what in ("write", "mknod"):
            self.assertRegex(console, f"guest: {what} (Read-only file system|Operation not permitted)")

    def test_disk_tap_and_killed_qemu(self):
        """The image stays as it is, the layer keeps what was written; QEMU's death ends the zone."""
        zone = self.zone(name="long-name-of-a-zone", spec={"os": {}})
        image = f"{zone.top}/image"
        with open(image, "wb") as file:
            file.write(b"this is what the image begins with".ljust(MIB, b"\0"))
        zone.launch["spec"].update(os={"rootfs": {"image": image}, "accel": "tcg"},
                                   resource={"net": {"mode": "tap", "address": "192.0.2.2/24"}})
        before = set(os.listdir("/sys/class/net"))
        for boot, seen in enumerate(("", "written by the guest")):
            zone.start().connect()
            state = zone.wait_state("running", BOOT_S)
            self.assertEqual(len(set(os.listdir("/sys/class/net")) - before), 1)
            zone.until("the guest's look at the disk", 10, lambda: zone.console().count("guest: disk base") > boot)
            self.assertIn("cz.net=192.0.2.2/24", zone.console())
            pids = [zone.process.pid, *zone.children()]
            if boot == 0:
                os.kill(state["qemu_pid"], signal.SIGKILL)
            else:
                os.kill(zone.process.pid, signal.SIGKILL)
            self.assertEqual(zone.process.wait(5), -9 if boot else 1)
            self.gone(pids)
            live.wait_for(lambda: set(os.listdir("/sys/class/net")) == before, 5, "the end of the tap")
            console = zone.console()
            self.assertIn("guest: disk base 'this is what the image begins wi'", console)
            self.assertIn(f"guest: disk before '{seen}'", console)
        self.assertIn("QEMU was ended by signal 9", zone.stderr())
        with open(image, "rb") as file:
            self.assertNotIn(b"written", file.read())

    def test_image_that_cannot_be_mounted(self):
        """The real guest says so, and its words are the last of cz-vm: there czd has the reason of the error from."""
        zone = self.zone(spec={"os": {}})
        with open(f"{zone.top}/image", "wb") as file:
            file.write(b"no file system".ljust(MIB, b"\0"))
        zone.launch["guest"] = os.path.join(os.path.dirname(os.path.dirname(CZ_VM)), "guest/cz-guest")
        zone.launch["spec"].update(os={"rootfs": {"image": f"{zone.top}/image"}, "accel": "tcg"})
        zone.start().connect()
        pids = zone.children()
        self.assertEqual(zone.process.wait(BOOT_S), 1, zone.stderr())
        self.gone(pids)
        last = zone.stderr().splitlines()[-1]
        self.assertIn("the guest cannot run: the root file system cannot be had: the image holds no file system", last)
        zone.link.settimeout(1)
        while zone.read(1):
            pass
        self.assertNotIn("running", [event.get("state") for event in zone.events])

    def test_bridge_and_signal(self):
        """On a bridge, in a network namespace of its own; TERM is a power-down like any other."""
        zone = self.zone(spec={"os": {"accel": "tcg"}, "resource": {"net": {"mode": "bridge", "bridge": "cz-br",
                                                                           "address": "192.0.2.2/24"}}})
        zone.cz_vm = f"{zone.top}/wrapper"
        with open(zone.cz_vm, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o755)) as file:
            file.write(f'#!/bin/sh\nexec unshare -n sh -c "ip link add cz-br type bridge; exec {CZ_VM} $1"\n')
        zone.start().connect()
        zone.wait_state("running", BOOT_S)
        ports = subprocess.run(["nsenter", "-t", str(zone.process.pid), "-n", "ip", "-o", "link", "show", "master", "cz-br"],
                               capture_output=True, text=True, check=True).stdout
        self.assertIn("cz-test:", ports)
        self.assertIn("UP", ports)
        zone.process.terminate()
        self.assertEqual(zone.process.wait(10), 0, zone.stderr())

    def test_killed_virtiofsd(self):
        zone = self.zone(spec={"os": {"rootfs": "host", "accel": "tcg"}})
        zone.start().connect()
        zone.wait_state("booting", 20)
        pids = zone.children()
        virtiofsd, = (pid for pid in pids if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "virtiofsd")
        self.assertEqual(status_of(virtiofsd)["Uid"].split(), [str(vmzone.UID + 100000)] * 4)
        live.wait_for(lambda: int(status_of(virtiofsd)["CapPrm"], 16) == CAP_FOWNER, 5, "no more rights than it needs")
        os.kill(virtiofsd, signal.SIGKILL)
        self.assertEqual(zone.process.wait(10), 1)
        self.assertIn("virtiofsd ended", zone.stderr())
        self.gone(pids)

    def test_session_anew(self):
        """The guest is told again what it is to run, and which policy was asked for since."""
        zone = self.zone(spec={"os": {"accel": "tcg"}, "scheduler": {"policy": "fifo"}, "apps": [{"name": "web", "command": ["web"]}]})
        zone.start().connect()
        zone.wait_state("running", BOOT_S)

        def told():
            lines = [line.strip()[7:] for line in zone.console().splitlines() if line.startswith('guest: {"do":"apply","again":true')]
            return [json.loads(line) for line in lines]
        zone.until("the first time", 10, lambda: len(told()) == 1)
        self.assertTrue(zone.ask("sched", policy="rr", options="--slice 1ms", full=True)["ok"])
        for times, change in ((2, None), (3, [{"name": "other", "command": ["x"]}]), (4, {"policy": "vtime"})):
            if times == 3:
                zone.ask("apply", apps=change)
            elif times == 4:
                zone.ask("apply", apps=[], sched=change)
            zone.ask("app", name="anew", op="start")
            zone.until("the next time", 10, lambda n=times: len(told()) == n)
        self.assertNotIn("set", told()[0])
        for again in told()[1:3]:
            self.assertEqual(again["set"], {"policy": "rr", "options": "--slice 1ms", "full": True})
            self.assertEqual(again["sched"]["policy"], "fifo")
        self.assertEqual([[app["name"] for app in again["apps"]] for again in told()], [["web"], ["web"], ["other"], []])
        self.assertNotIn("set", told()[3])
        self.assertEqual(told()[3]["sched"], {"policy": "vtime"})

    def test_panic(self):
        """Told with the kernel's last word: by QEMU's device where the guest has its driver, else by the console."""
        zone = self.zone(spec={"os": {"accel": "tcg"}})
        zone.start().connect()
        zone.wait_state("running", BOOT_S)
        with contextlib.suppress(RuntimeError):  # nobody answers
            zone.ask("app", name="panic", op="start")
        self.assertEqual(zone.process.wait(20), 1)
        self.assertIn("the guest's kernel panicked: Attempted to kill init! exitcode=0x00000700", zone.stderr().splitlines()[-1])
        early = self.zone(spec={"os": {"accel": "tcg", "cmdline": "rdinit=/none init=/none root=/dev/none"}})
        early.start()
        self.assertEqual(early.process.wait(BOOT_S), 1)
        self.assertRegex(early.stderr().splitlines()[-1], "the guest's kernel panicked: (VFS: Unable to mount root fs|Requested init /none failed)")

    def test_deaf_guest(self):
        """A guest that does not listen is switched off all the same, in the time it was given."""
        zone = self.zone(spec={"os": {"cmdline": "test=deaf", "accel": "tcg"}})
        zone.start().connect()
        zone.wait_state("running", BOOT_S)
        start = time.monotonic()
        zone.ask("power-down", grace_ms=1500)
        self.assertEqual(zone.process.wait(10), 0, zone.stderr())
        self.assertGreater(time.monotonic() - start, 1.4)
        self.assertLess(time.monotonic() - start, 5)

    def test_refused(self):
        """What can't be had is said in a sentence, and leaves nothing behind."""
        for spec, why in (
                ({"os": {"rootfs": {"image": "/etc/hostname/none"}}}, "open the image"),
                ({"os": {"accel": "tcg", "machine": "microvm"}, "resource": {"vcpus": 1, "vcpusMax": 2}}, "bring up more vCPUs"),
                ({"os": {"accel": "tcg", "machine": "microvm"}}, "a microvm needs KVM"),
                ({"os": {"accel": "tcg"}, "resource": {"net": {"mode": "bridge", "bridge": "cz-none"}}}, "bridge")):
            zone = self.zone(spec=spec)
            zone.start()
            self.assertEqual(zone.process.wait(20), 3)
            self.assertIn(why, zone.stderr())

    def test_wrong_kernel(self):
        """Neither a file that is none, nor one that QEMU refuses: the zone has failed, and does not say that it stops."""
        zone = self.zone(kernel="/etc/passwd").start()
        self.assertEqual(zone.process.wait(20), 3)
        self.assertIn("/etc/passwd is no kernel", zone.stderr())
        zone = self.zone()
        zone.launch["kernel"] = f"{zone.top}/vmlinux"
        with open(zone.launch["kernel"], "wb") as file:
            file.write(b"\x7fELF".ljust(65536, b"\0"))
        zone.start().connect()
        zone.until("its end", 20, lambda: zone.link_ended and zone.process.poll() is not None)
        self.assertEqual(zone.process.poll(), 1)
        self.assertTrue([e for e in zone.events if "QEMU died" in e.get("text", "")], zone.events)
        self.assertFalse([e for e in zone.events if e.get("state") == "stopping"], zone.events)

    def test_hostile_image(self):
        zone = self.zone()
        image = f"{zone.top}/image.qcow2"
        head = struct.pack(">IIQIIQIIQQIIQQQQII", 0x514649fb, 3, 104, 11, 16, MIB, 0, 1, 196608, 65536, 1, 0, 0, 0, 0, 0, 4, 104)
        with open(image, "wb") as file:
            file.write((head + b"/etc/shadow").ljust(262144, b"\0"))
        zone.launch["spec"]["os"] = {"rootfs": {"image": image}, "accel": "tcg"}
        zone.start()
        self.assertEqual(zone.process.wait(20), 3)
        self.assertIn("names a backing file", zone.stderr())


class Images(unittest.TestCase):
    """OCI layouts, up to where the machine is started."""

    def setUp(self):
        self.zone = vmzone.Zone(CZ_VM, GUEST)
        self.addCleanup(self.zone.end)
        self.layout = f"{self.zone.top}/layout"
        os.makedirs(f"{self.layout}/blobs/sha256")
        self.zone.launch["spec"]["os"] = {"rootfs": {"oci": self.layout}, "accel": "tcg"}

    def blob(self, data, media):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{self.layout}/blobs/sha256/{digest}", "wb") as file:
            file.write(data)
        return {"mediaType": f"application/vnd.oci.image.{media}", "digest": f"sha256:{digest}", "size": len(data)}

    def layer(self, entries, media="layer.v1.tar", pack=lambda data: data):
        """Entries: (name, type, content or target)."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, kind, content in entries:
                info = tarfile.TarInfo(name)
                info.type, info.mode = kind, 0o755
                if kind == tarfile.REGTYPE:
                    info.size = len(content)
                else:
                    info.linkname = content or ""
                tar.addfile(info, io.BytesIO(content) if kind == tarfile.REGTYPE else None)
        return self.blob(pack(out.getvalue()), media)

    def unpack(self, *layers):
        manifest = self.blob(json.dumps({"schemaVersion": 2, "layers": layers}).encode(), "manifest.v1+json")
        index = {"schemaVersion": 2, "manifests": [{"platform": {"architecture": "arm64", "os": "linux"}}, manifest]}
        with open(f"{self.layout}/index.json", "w", encoding="utf-8") as file:
            json.dump(index, file)
        self.zone.start()
        live.wait_for(lambda: self.zone.process.poll() is not None or os.path.exists(f"{self.zone.run}/link.sock"), 20,
                      "the start or its failure")
        root = f"{self.zone.dir}/rootfs"
        return sorted(os.path.relpath(os.path.join(at, name), root) for at, folders, files in os.walk(root)
                      for name in folders + files)

    def test_layers_and_whiteouts(self):
        file, folder, link = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE
        long = "d/" + "n" * 180
        first = self.layer([("bin", folder, None), ("./bin/a", file, b"a" * 1000), ("bin/b", link, "a"), ("etc/old", file, b"x"),
                            ("etc/keep/x", file, b"x"), ("gone/deep/x", file, b"x"), (long, file, b"long")])
        second = self.layer([(".wh.gone", file, b""), ("etc/.wh.old", file, b""), ("etc/keep/.wh..wh..opq", file, b""),
                             ("etc/keep/y", file, b"y"), ("bin/hard", tarfile.LNKTYPE, "bin/a"), ("dev/null", tarfile.CHRTYPE, None)],
                            "layer.v1.tar+gzip", gzip.compress)
        self.assertEqual(self.unpack(first, second), sorted(
            ["bin", "bin/a", "bin/b", "bin/hard", "etc", "etc/keep", "etc/keep/y", "d", long, "dev", "proc", "run", "sys", "tmp"]),
            self.zone.stderr())
        with open(f"{self.zone.dir}/rootfs/bin/hard", "rb") as out:
            self.assertEqual(out.read(), b"a" * 1000)

    def test_names_that_lead_out(self):
        target = f"{self.zone.top}/outside"
        os.mkdir(target)
        self.unpack(self.layer([("up", tarfile.SYMTYPE, target), ("up/planted", tarfile.REGTYPE, b"x"),
                                ("dots", tarfile.SYMTYPE, "../../../../../../../.." + target), ("dots/planted", tarfile.REGTYPE, b"x")]))
        self.assertEqual(os.listdir(target), [])

    def test_dots(self):
        self.assertEqual(self.unpack(self.layer([("a/../../x", tarfile.REGTYPE, b"x")])), [])
        self.assertEqual(self.zone.process.wait(5), 3)
        self.assertIn("unpack layer", self.zone.stderr())

    def test_wrong_digest(self):
        layer = self.layer([("a", tarfile.REGTYPE, b"a")])
        with open(f"{self.layout}/blobs/sha256/{layer['digest'][7:]}", "ab") as file:
            file.write(b"more")
        self.assertEqual(self.unpack(layer), [])
        self.assertEqual(self.zone.process.wait(5), 3)
        self.assertIn("not that of its digest", self.zone.stderr())


if __name__ == "__main__":
    with open(GUEST, "rb") as program:
        static = b"/ld-linux" not in program.read(4096)
    reason = vmzone.missing() or (None if os.geteuid() == 0 else "needs root") or (
        None if static else "built with a sanitizer: such a guest is not static, and cz-vm's system calls are limited")
    if reason:
        print(reason)
        sys.exit(77)
    unittest.main(verbosity=2)

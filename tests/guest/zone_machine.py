# SPDX-License-Identifier: MIT
"""A zone's machine as cz-guest sees it, without cz-vm: QEMU with the three ports, and the host's end of
the channel (src/channel/channel.h) over them."""
import importlib.machinery
import importlib.util
import json
import os
import select
import socket
import stat
import struct
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
_loader = importlib.machinery.SourceFileLoader("run_guest", os.path.join(HERE, "run-guest"))
run_guest = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_guest", _loader))
_loader.exec_module(run_guest)

PORTS = ("cz.control", "cz.log", "cz.term")
HELLO, CREDIT, MESSAGE, NAME, LOST, DATA, STDERR, SIZE, END, CLOSED, OPEN, OPENED = range(1, 13)
NONCE = bytes(range(16))


class Port:
    """One port: frames that came in are in self.frames as (type, stream, payload)."""

    def __init__(self, sock):
        self.sock, self.data, self.frames = sock, b"", []
        self.epoch, self.peer, self.up, self.silent, self.held = 77, 0, False, False, {}
        sock.setblocking(True)
        self.hello()

    def write(self, kind, stream, payload=b""):
        self.sock.sendall(b"CZ" + struct.pack("<BBI", kind, stream, len(payload)) + payload)

    def hello(self):
        self.write(HELLO, 0, NONCE + struct.pack("<II", self.epoch, self.peer))

    def read(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("the port was closed")
        self.data += data
        while len(self.data) >= 8:
            magic, kind, stream, length = struct.unpack_from("<2sBBI", self.data)
            assert magic == b"CZ" and kind <= OPENED and length <= 65536, self.data[:64]
            if len(self.data) < 8 + length:
                break
            payload, self.data = self.data[8:8 + length], self.data[8 + length:]
            self.take(kind, stream, payload)

    def take(self, kind, stream, payload):
        if kind == HELLO:
            assert payload[:16] == NONCE
            peer, echo = struct.unpack("<II", payload[16:])
            if peer != self.peer or echo != self.epoch:
                self.peer = peer
                self.hello()
            self.up = echo == self.epoch
        elif kind != CREDIT:
            self.frames.append((kind, stream, payload))
            self.held[stream] = self.held.get(stream, 0) + len(payload)
            if not self.silent:
                self.give()

    def give(self):
        """Credits for all that was taken."""
        for stream, count in self.held.items():
            if count:
                self.write(CREDIT, stream, struct.pack("<I", count))
        self.held.clear()


class Machine:
    """Boots /init = cz-guest. files: {path in the guest: path here or bytes}."""

    def __init__(self, guest, files=None, cpus=2, mem="512M", append="", qemu=(), modules=()):
        self.folder = tempfile.TemporaryDirectory(prefix="cz-zone-")
        self.console = os.path.join(self.folder.name, "console")
        self.next_id, self.events, self.answers, self.qemu = 1, [], {}, None
        # QEMU's emulation of a kernel that patches itself on one CPU while another runs it
        self.emulator_fault = False
        image = os.path.join(self.folder.name, "initramfs")
        with open(image, "wb") as file:
            file.write(self.initramfs(guest, files or {}, modules))
        pairs = [socket.socketpair() for _ in PORTS]
        line = [f"{run_guest.QEMU}/bin/qemu-system-x86_64", "-L", f"{run_guest.QEMU}/share/qemu", "-nodefaults",
                "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35", "-accel", "tcg,thread=multi",
                "-cpu", "max", "-smp", str(cpus), "-m", mem, "-kernel", f"{run_guest.KERNEL}/vmlinux", "-initrd", image,
                "-append", f"console=ttyS0 panic=-1 quiet cz.name=box cz.nonce={NONCE.hex()} {append}",
                "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
                "-device", "virtio-serial-pci", *qemu]
        for name, (_, theirs) in zip(PORTS, pairs):
            line += ["-chardev", f"socket,id={name},fd={theirs.fileno()}",
                     "-device", f"virtserialport,chardev={name},name={name}"]
        env = dict(os.environ, QEMU_MODULE_DIR=f"{run_guest.QEMU}/lib/x86_64-linux-gnu/qemu")
        self.start = time.monotonic()
        with open(self.console + ".qemu", "wb") as errors:
            self.qemu = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=env,
                                         pass_fds=[theirs.fileno() for _, theirs in pairs])
        for _, theirs in pairs:
            theirs.close()
        self.control, self.log, self.term = self.ports = [Port(ours) for ours, _ in pairs]

    def initramfs(self, guest, files, modules):
        archive = run_guest.Archive()
        archive.add("/init", stat.S_IFREG | 0o755, stripped(guest))
        for folder in ("etc", "root", "bin", "lib/cz/modules"):
            archive.add(folder, stat.S_IFDIR | 0o755)
        archive.add_text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/tmp:/bin/sh\n")
        archive.add_text("/etc/group", "root:x:0:\nweb:x:1000:\nmedia:x:44:web\n")
        run_guest.shell_interpreter(archive)
        for number, module in enumerate(modules):
            archive.add_file(run_guest.find_module(module), f"/lib/cz/modules/{number:02}-{module}.ko.xz")
        for path, source in files.items():
            archive.add(path, stat.S_IFREG | 0o755, source if isinstance(source, bytes) else stripped(source))
        return archive.finish()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            with open(self.console, encoding="utf-8", errors="replace") as file:
                self.emulator_fault = "Oops: int3" in file.read()
            self.explain()
        self.qemu.kill()
        self.qemu.wait()
        self.folder.cleanup()

    def explain(self):
        for name in (self.console + ".qemu", self.console):
            with open(name, encoding="utf-8", errors="replace") as file:
                print("".join(f"     | {line}" for line in file.readlines()[-40:]))

    def pump(self, timeout):
        ready, _, _ = select.select([port.sock for port in self.ports], [], [], timeout)
        for port in self.ports:
            if port.sock in ready:
                port.read()
        for kind, _, payload in self.control.frames:
            assert kind == MESSAGE, kind
            message = json.loads(payload)
            if "event" in message:
                self.events.append(message)
            else:
                self.answers[message["id"]] = message
        self.control.frames.clear()

    def wait(self, what, condition, seconds=30):
        """Until condition() is true; returns what it returned."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            left = end - time.monotonic()
            assert left > 0, f"not in {seconds} s: {what}; last events: {self.events[-3:]}"
            self.pump(min(left, 1))
            for port in self.ports:
                if not port.up:
                    port.hello()
        return found

    def ask(self, do, seconds=30, **more):
        """The answer, whether ok or not."""
        number, self.next_id = self.next_id, self.next_id + 1
        self.control.write(MESSAGE, 0, json.dumps({"id": number, "do": do, **more}).encode())
        self.wait(f"the answer to {do}", lambda: number in self.answers, seconds)
        return self.answers.pop(number)

    def ok(self, do, seconds=30, **more):
        answer = self.ask(do, seconds, **more)
        assert answer["ok"], answer
        return answer

    def app(self, name):
        """As the latest stats have it."""
        for event in reversed(self.events):
            if event["event"] == "stats":
                return next((app for app in event["apps"] if app["name"] == name), None)
        return None

    def notices(self):
        return [event["text"] for event in self.events if event["event"] == "notice"]

    def logged(self, name, kind=DATA):
        names, out = {}, b""
        for what, stream, payload in self.log.frames:
            if what == NAME:
                names[stream] = payload.decode()
            elif what == kind and names.get(stream) == name:
                out += payload
        return out

    def run(self, *argv, stream=0, tty=False, write=b"", closed=True, seconds=30, **more):
        """exec in the guest: (exit code, output, standard error)."""
        self.term.write(OPEN, stream, json.dumps({"do": "exec", "argv": argv, "tty": tty, **more}).encode())
        self.wait("a terminal", lambda: any(f[0] == OPENED for f in self.term.frames), seconds)
        opened = json.loads(next(f[2] for f in self.term.frames if f[0] == OPENED))
        if not opened["ok"]:
            self.term.frames.clear()
            return opened
        for at in range(0, len(write), 16384):
            self.term.write(DATA, stream, write[at:at + 16384])
        if closed:
            self.term.write(CLOSED, stream)
        self.wait(f"the end of {argv}", lambda: any(f[0] == END for f in self.term.frames), seconds)
        frames, self.term.frames = self.term.frames, []
        code = struct.unpack("<i", next(f[2] for f in frames if f[0] == END))[0]
        return code, *(b"".join(f[2] for f in frames if f[0] == kind) for kind in (DATA, STDERR))


def stripped(program):
    """Its bytes, less what only a debugger reads: it all is in the guest's memory."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["strip", "-o", out.name, program], check=True)
        with open(out.name, "rb") as file:
            return file.read()

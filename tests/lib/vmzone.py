# SPDX-License-Identifier: MIT
"""A VM zone under test: writes launch.json, runs cz-vm, speaks its link. For root."""
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import live

CACHE = os.environ.get("CZ_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "control-zone")
DEPS = os.path.join(CACHE, "deps")
QEMU = os.path.join(DEPS, "qemu/usr/bin/qemu-system-x86_64")
KERNEL = os.path.join(DEPS, "kernel/vmlinux")
VIRTIOFSD = os.path.join(DEPS, "virtiofsd/virtiofsd")
UID = 2000000000


def missing():
    """What this machine lacks for a guest, or None."""
    for path in (QEMU, KERNEL, VIRTIOFSD):
        if not os.path.exists(path):
            return f"no {os.path.basename(path)} in the cache: it could not be fetched (./dev setup)"
    return None


class Zone:
    def __init__(self, cz_vm, guest, name="test", spec=None, **launch):
        # Short: a socket's name has 107 bytes.
        self.top = tempfile.mkdtemp(prefix="cz-vm-")
        os.chmod(self.top, 0o755)
        self.dir, self.run = f"{self.top}/state/zones/{name}", f"{self.top}/run/{name}"
        os.makedirs(self.dir)
        os.makedirs(self.run, mode=0o750)
        whole = {"apiVersion": "cz/v1", "kind": "Zone", "metadata": {"name": name}, "runtime": "vm"}
        whole.update(spec or {})
        self.launch = {"v": 1, "name": name, "uid": UID, "gid": UID, "spec": whole, "dir": self.dir, "run": self.run,
                       "nonce": secrets.token_hex(16), "qemu": QEMU, "qemu_data": os.path.join(DEPS, "qemu/usr/share/qemu"),
                       "virtiofsd": VIRTIOFSD, "kernel": KERNEL, "guest": guest, "sched_dir": None}
        self.launch.update(launch)
        self.process = self.link = None
        self.link_ended = False
        self.buffer, self.events, self.answers, self.next_id = b"", [], {}, 0
        self.cz_vm = cz_vm

    def start(self):
        path = f"{self.run}/launch.json"
        with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            json.dump(self.launch, file)
        # Not a pipe: nobody reads while the test waits for something else.
        with open(f"{self.top}/stderr", "ab") as errors:
            self.process = subprocess.Popen([self.cz_vm, path], stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                            start_new_session=True)
        return self

    def stderr(self):
        with open(f"{self.top}/stderr", encoding="utf-8", errors="replace") as file:
            return file.read()

    def connect(self, seconds=30):
        def attempt():
            if self.process.poll() is not None:
                raise self.ended("link.sock")
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(f"{self.run}/link.sock")
                return link
            except OSError:
                link.close()
                return None
        if self.link:
            self.link.close()
        self.link, self.buffer = live.wait_for(attempt, seconds, "link.sock"), b""
        self.link_ended = False
        return self

    def ended(self, what):
        return RuntimeError(f"{what}: cz-vm ended with {self.process.returncode}; {self.events[-3:]}; {self.stderr()}")

    def read(self, seconds):
        self.link.settimeout(max(seconds, 0.001))
        try:
            data = self.link.recv(65536)
        except TimeoutError:
            return False
        except ConnectionError:
            data = b""
        self.link_ended = not data
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                self.events.append(message)
        return bool(data)

    def until(self, what, seconds, condition):
        """What condition() returns once that is true. Fails early when cz-vm has ended and all it said was read."""
        end = time.monotonic() + seconds
        while True:
            ended = self.link_ended and self.process.poll() is not None
            value = condition()
            if value:
                return value
            if ended:
                raise self.ended(what)
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {seconds} s; {self.events[-3:]}; {self.stderr()}\n{self.console()[-2000:]}")
            if not self.read(0.2):
                time.sleep(0.02)

    def ask(self, what, seconds=20, **fields):
        self.next_id += 1
        number = self.next_id
        with contextlib.suppress(ConnectionError):  # then no answer comes, and why is said below
            self.link.sendall(json.dumps({"id": number, "do": what, **fields}).encode() + b"\n")
        self.until(f"the answer to {what}", seconds, lambda: number in self.answers)
        return self.answers.pop(number)

    def state(self, seconds=20):
        return self.ask("hello", seconds)

    def wait_state(self, state, seconds):
        return self.until(f"state {state}", seconds,
                          lambda: next((s for s in (self.state(seconds),) if s["state"] == state), None))

    def console(self):
        try:
            with open(f"{self.dir}/log/console.log", encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def children(self):
        """cz-vm's: QEMU and virtiofsd."""
        return live.children(self.process.pid)

    def end(self):
        if self.link:
            self.link.close()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.top, ignore_errors=True)

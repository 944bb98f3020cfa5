#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the recordings of real harm, and what they must give: make-real.py --bin BIN [--expected-only] [NAME...].

real-cpu     Redis under load beside a CPU hog on its CPU; enforced, until an action has helped
real-memory  fio on a file in memory, whose domain stress-ng --vm fills; observed
real-io      fio reads a little from a disk that another fio keeps busy; enforced

Needs root, redis-server, fio and stress-ng, and takes about two minutes. The host and its other zones are nameless in
them (czctl record --anonymous); the groups made here are called after what they are in the play. A recording that its own
czctl replays otherwise than czd had it is not taken. WHAT_IFS are replays of the same with another goal or mode;
meson.build has them too.

After a wanted change of a detector or a policy: --expected-only, and read the difference."""
import argparse
import contextlib
import importlib.util
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
MAGIC, HEAD = b"czrec 1\n", 8
FRAME_MAX = 1 << 16
# NAME of what is expected: recording, options of the replay
WHAT_IFS = {
    "real-cpu-other-goal": ("real-cpu", ["--slo", "victim=wait.p99=100ms"]),
    "real-cpu-observe": ("real-cpu", ["--mode", "observe"]),
    "real-memory-enforce": ("real-memory", ["--mode", "enforce"]),
}


def lines_of(path):
    """The lines of a recording: its frames' payloads are one zstd stream."""
    with open(path, "rb") as file:
        data = file.read()
    at, payload = len(MAGIC), b""
    while at < len(data):
        size = struct.unpack_from("<I", data, at)[0]
        payload += data[at + HEAD:at + HEAD + size]
        at += HEAD + size
    return subprocess.run(["zstd", "-dcq"], input=payload, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout


def write_lines(path, text):
    payload = subprocess.run(["zstd", "-19", "-cq", "--no-check"], input=text, stdout=subprocess.PIPE, check=True).stdout
    with open(path, "wb") as file:
        file.write(MAGIC)
        for at in range(0, len(payload), FRAME_MAX):
            part = payload[at:at + FRAME_MAX]
            size = struct.pack("<I", len(part))
            file.write(size + struct.pack("<I", zlib.crc32(part, zlib.crc32(size))) + part)


def renamed(text, roles):
    """Zones of the play get their roles as names; when it was is nobody's business."""
    for zone, role in roles.items():
        text = re.sub(rb"zone-%d\b" % zone, role.encode(), text)
    return re.sub(rb'"real": ?\d+', b'"real":0', text, count=1)


class Play:
    """A czd, recorded; `roles` are the groups by what they are."""

    def __init__(self, live, czd, roles, folder):
        self.live, self.czd, self.roles = live, czd, roles
        self.raw = os.path.join(folder, "raw.czrec")
        self.recorder = subprocess.Popen(
            [live.program("czctl"), "--socket", czd.socket_path, "-o", "json", "record", "--anonymous", "-o", self.raw],
            stdout=subprocess.PIPE, text=True, preexec_fn=live.die_with_parent)
        live.wait_for(lambda: os.path.exists(self.raw) and os.path.getsize(self.raw) > 300, 10, "a first tick recorded")

    def end(self, path):
        time.sleep(1)
        ids = {z["path"]: z["id"] for z in self.czd.request("list", all=True)["zones"]}
        self.recorder.send_signal(signal.SIGINT)
        said = json.loads(self.recorder.communicate(timeout=20)[0])
        self.live.check(said["missed_lines"] == 0, f"{said}")
        write_lines(path, renamed(lines_of(self.raw), {ids[group]: role for role, group in self.roles.items()}))
        print(f"{os.path.basename(path)}: {said['ticks']} ticks, {os.path.getsize(path)} bytes", flush=True)


def wait_until_helped(live, czd, resource, within_s):
    def actions():
        return [a for a in czd.request("actions", all=True)["actions"] if a["resource"] == resource]
    try:
        live.wait_for(lambda: any(a["outcome"] == "helped" for a in actions()), within_s, "a step that helps")
    except TimeoutError as error:
        sys.exit(f"{error}: {actions()} {czd.request('findings')['findings']}")


def play_cpu(live, _, path):
    name, port, last = f"cz-real{os.getpid()}", live.free_port(), os.cpu_count() - 1
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    roles = {"victim": f"/{name}-lc", "hog": f"/{name}-be"}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        lc, be = (stack.enter_context(live.Group(group.lstrip("/"))) for group in roles.values())
        czd = stack.enter_context(live.Czd("tick: 500ms\nguard: {measure: 500ms, cooldown: 500ms}\n"))
        live.wait_for(lambda: set(roles.values()) <= {z["path"] for z in czd.request("list", all=True)["zones"]}, 10, "zones")
        czd.request("protect", zone=roles["victim"], slo="wait.p99=2ms")
        czd.request("protect", zone=roles["hog"], **{"class": "be"})
        lc.start(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder], cpu=last, **quiet)
        play = Play(live, czd, roles, folder)
        load = subprocess.Popen([live.program("cz-load"), "resp", f"127.0.0.1:{port}", "--rate", "20000", "--cpu", "0", "--seconds", "60"],
                                preexec_fn=live.die_with_parent, **quiet)
        time.sleep(5)
        be.start(["stress-ng", "--cpu", "1", "--quiet", "--timeout", "60"], cpu=last, **quiet)

        def hog_is_first():
            found = [f for f in czd.request("findings")["findings"] if f["open"] and f["culprits"]]
            return found and roles["hog"].endswith(found[0]["culprits"][0]["zone"])
        live.wait_for(hog_is_first, 20, "a finding about the hog")
        czd.request("mode", mode="enforce")
        wait_until_helped(live, czd, "cpu", 30)
        time.sleep(3)
        play.end(path)
        load.kill()
        load.wait()


def scene_of(harm, s):
    return {"victim": s.path("lc"), "hog": s.path("be"), "decoy": s.path("decoy"), "bounded": s.path("bounded"), "domain": f"/{harm.TOP_NAME}"}


def play_memory(live, harm, path):
    with harm.scene(harm.memory_decoys) as s, tempfile.TemporaryDirectory() as folder:
        play = Play(live, s.czd, scene_of(harm, s), folder)
        harm.memory_victim(s)
        s.start("be", harm.vm(harm.HOG))
        live.check(harm.named_right(s, "memory")[0], "another is named")
        time.sleep(4)
        play.end(path)


def play_io(live, harm, path):
    with harm.scene(harm.io_decoys, domain=0) as s, tempfile.TemporaryDirectory() as folder:
        hog = harm.io_hog(s)
        play = Play(live, s.czd, scene_of(harm, s), folder)
        harm.io_victim(s)
        s.czd.request("mode", mode="enforce")
        hog()
        wait_until_helped(live, s.czd, "io", 60)
        time.sleep(2)
        play.end(path)


PLAYS = {"real-cpu": play_cpu, "real-memory": play_memory, "real-io": play_io}


def expect(options, name, recording, what_if):
    """What the replay says now, kept to compare with."""
    text = subprocess.run([options.replay, *what_if, os.path.join(HERE, f"{recording}.czrec")], check=True, capture_output=True, text=True).stdout
    with open(os.path.join(HERE, f"{name}.expected"), "w", encoding="utf-8") as file:
        file.write(text)


def make(options, name):
    import live  # pylint: disable=import-outside-toplevel  # it reads CZ_BIN
    spec = importlib.util.spec_from_file_location("harm", os.path.join(HERE, "..", "e2e", "test-harm.py"))
    harm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(harm)
    live.need_root()
    live.raise_on_signals()
    path = os.path.join(HERE, f"{name}.czrec")
    PLAYS[name](live, harm, f"{path}.new")
    again = subprocess.run([live.program("czctl"), "replay", f"{path}.new"], check=False, capture_output=True, text=True)
    if again.returncode:
        sys.exit(f"{name}: is not replayed as it was: {again.stdout[-2000:]}{again.stderr}")
    os.rename(f"{path}.new", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--replay", default="build/main/tests/replay/replay")
    parser.add_argument("--expected-only", action="store_true")
    parser.add_argument("name", nargs="*", choices=[*PLAYS, []])
    options = parser.parse_args()
    os.environ["CZ_BIN"] = os.path.abspath(options.bin)
    for name in options.name or PLAYS:
        if not options.expected_only:
            make(options, name)
        expect(options, name, name, [])
        for case, (recording, what_if) in WHAT_IFS.items():
            if recording == name:
                expect(options, case, recording, what_if)
    return 0


if __name__ == "__main__":
    sys.exit(main())

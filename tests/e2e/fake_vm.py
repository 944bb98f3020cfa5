#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stands in for cz-vm: threads for vCPUs, the link, and a terminal that runs commands on this machine.
What it says beyond the truth is in FAKE_VM_LIES (a folder with the file "lies": JSON) of its zone's
spec labels: see the cases of test-zones-vm.py."""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

with open(sys.argv[1], encoding="utf-8") as file:
    LAUNCH = json.load(file)
LIES = LAUNCH["spec"].get("metadata", {}).get("labels", {})
CPUS = int(LAUNCH["spec"].get("resource", {}).get("vcpus", 2))
STATE = {"phase": "booting", "tids": [], "online": CPUS, "policy": "none", "asked": [], "waited_ns": 0, "harm_ns": 0, "wanted": None, "applied_ns": 0, "at_ns": time.monotonic_ns()}
SEND = threading.Lock()
CLIENT = []


def vcpu():
    STATE["tids"].append(threading.get_native_id())
    time.sleep(1e6)


def say(message):
    with SEND:
        for client in CLIENT:
            try:
                client.sendall(json.dumps(message).encode() + b"\n")
            except OSError:
                pass


def state():
    tids = [int(LIES["tid"])] * CPUS if "tid" in LIES else STATE["tids"]
    return {"event": "state", "state": STATE["phase"], "accel": "tcg", "accel_why": "a fake has no \x1b[2Jkvm", "qemu_pid": os.getpid(),
            "vcpus": [{"cpu": i, "tid": tid, "online": i < STATE["online"]} for i, tid in enumerate(tids)],
            "boot_ms": 42 if STATE["phase"] == "running" else None, "guest": {"kernel": "7.2-fake", "uptime_ms": 1}}


def stats():
    """Waiting in totals, as of a guest: 30 % of the time behind batch while there is harm."""
    at_ns, before = time.monotonic_ns(), STATE["at_ns"]
    if "harm" in LIES and STATE["policy"] == "none":
        STATE["harm_ns"] += (at_ns - before) * 3 // 10
    STATE["at_ns"], STATE["waited_ns"] = at_ns, STATE["waited_ns"] + 1000
    parts = [{"cause": "self", "ns": STATE["waited_ns"]}, {"cause": "neighbour", "app": "batch", "ns": STATE["harm_ns"]}]
    slow = at_ns - STATE["applied_ns"] < 1e9
    if STATE["wanted"] and not slow and "refuses" not in LIES:
        STATE["policy"], STATE["wanted"] = STATE["wanted"], None
    return {"event": "stats", "at_ns": at_ns, "memory": {"available_bytes": 1 << 20}, "policy": STATE["policy"],
            "policy_wanted": STATE["wanted"] or STATE["policy"], "told": True,
            "policy_why": "" if slow or not STATE["wanted"] else f"policy {STATE['wanted']}: the kernel refused\x1b the program: no such kfunc",
            "apps": [{"name": "web", "class": "lc", "state": "running", "pid": 7, "exit": 0, "restarts": 0, "healthy": True, "cpu_ns": 5,
                      "memory_bytes": 9, "wait_ns": sum(part["ns"] for part in parts), "waits": STATE["waited_ns"] // 1000, "wait_p99_ns": 3000000, "parts": parts},
                     {"name": "batch", "class": "be", "state": "running", "healthy": True}]}


def answer(request):
    STATE["asked"].append(request)
    reply = {"id": request["id"], "ok": True}
    do = request["do"]
    if do == "hello":
        reply |= {key: value for key, value in state().items() if key != "event"}
    elif do == "sched":
        STATE["policy"], STATE["wanted"] = request["policy"], None
        reply |= {"policy": request["policy"], "switch_ms": 70}
    elif do == "apply" and "sched" in request:
        # loaded after a second, as in a guest: the answer comes at once
        STATE["wanted"], STATE["applied_ns"] = (request["sched"] or {}).get("policy", "none"), time.monotonic_ns()
    elif do == "sched-stats":
        reply |= {"policy": STATE["policy"], "stats": {"be_cpu_ns": 1500000000, "lc_queued": 12345, "half": 0.5, "asked": len(STATE["asked"]), "online": STATE["online"], "last_memory": next(
            (q["bytes"] for q in reversed(STATE["asked"]) if q["do"] == "memory"), 0)}}
    elif do == "vcpus":
        STATE["online"] = request["online"]
    elif do == "silent":
        return
    say(reply)
    if do == "power-down":
        STATE["phase"] = "stopping"
        say(state())
        os._exit(0)


def serve(client):
    CLIENT[:] = [client]
    if "nonsense" in LIES:
        client.sendall(b"x\n{}\n[1]\n" if LIES["nonsense"] == "lines" else b"x" * 200000)
    if "flood" in LIES:
        client.sendall(b'{"event":"notice","kind":"guest","text":"flood"}\n' * 500)
    for line in client.makefile("rb"):
        answer(json.loads(line))


def talk_first(client):
    """As a command that says much, and only then takes its input: more than the sockets hold, both."""
    stream, got, kind = client.makefile("rb"), 0, 0
    for _ in range(32):
        client.sendall(b"\0" + (65536).to_bytes(3, "little") + b"y" * 65536)
    while kind != 4:
        kind, *size = stream.read(4)
        got += len(stream.read(int.from_bytes(bytes(size), "little")))
    client.sendall(b"\3" + (4).to_bytes(3, "little") + struct.pack("<i", 255 if got == 3000000 else 1))


def hears_the_second_end(client):
    """As a shell that throws away what came before its prompt."""
    stream, ends = client.makefile("rb"), 0
    while ends < 2:
        kind, *size = stream.read(4)
        stream.read(int.from_bytes(bytes(size), "little"))
        ends += kind == 4
    client.sendall(b"\3" + (4).to_bytes(3, "little") + struct.pack("<i", 5))


def terminal(client):
    request = json.loads(client.makefile("rb", buffering=0).readline())
    client.sendall(b'{"ok": true}\n')
    special = {"talk-first": talk_first, "end-twice": hears_the_second_end}.get(request.get("argv", [""])[0])
    if special:
        special(client)
        return
    done = subprocess.run(request.get("argv", ["echo", "a shell"]), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    for kind, data in ((0, done.stdout), (1, done.stderr), (3, struct.pack("<i", done.returncode))):
        client.sendall(bytes([kind]) + len(data).to_bytes(3, "little") + data)


def listen(name, handler):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(LAUNCH["run"], name))
    listener.listen()

    def loop():
        while True:
            threading.Thread(target=handler, args=(listener.accept()[0],), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()


def main():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if "crash" in LIES:
        sys.exit("cannot boot: the fake was told to fail")
    for _ in range(CPUS):
        threading.Thread(target=vcpu, daemon=True).start()
    listen("link.sock", serve)
    listen("term.sock", terminal)
    time.sleep(0.2)
    if "mute" not in LIES:
        STATE["phase"] = "running"
    while True:
        say(state())
        say(stats())
        time.sleep(0.2)


if __name__ == "__main__":
    main()

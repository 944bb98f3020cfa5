#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What strangers send, for a while: first the fuzzers of the parsers, with sanitizers (./dev build asan), then
whole requests to a cz-gate and a czd that run: requests that are right, and what becomes of them when bytes
are changed, cut, doubled, or come in pieces. Both must live, answer who is in order and keep their memory.
What was sent last is kept on a failure."""
import argparse
import collections
import os
import random
import resource
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from gate import CHANGE_TOKEN  # noqa: E402
from history import HistoryGate, file_of  # noqa: E402

FUZZERS = ("gate-request", "gate-czd", "zone-msg")
GROWN_KIB = 16 << 10
WORDS = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"/api/v1/", b"zones", b"history", b"%2F", b"%00", b"..", b"?", b"&", b"=", b"limit", b"cursor",
         b"Host: ", b"localhost", b"Content-Length: ", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Authorization: Bearer ",
         CHANGE_TOKEN.encode(), b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"HTTP/1.1", b"HTTP/1.0", b"{", b"}", b'"', b"[", b"\\u0000", b"\xff", b"\x00",
         b"18446744073709551616", b"-1", b"1e999", b"A" * 5000, b" " * 300]
HTTP = [b"GET /api/v1/zones?all=true&limit=2&cursor=%2Fa HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/history?zone=host&since=1h&points=10 HTTP/1.1\r\nHost: [::1]:9780\r\nAccept: application/openmetrics-text\r\n\r\n",
        b"GET /api/v1/history/ledger?zone=a&from=1&to=9999999999999 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/v1/zones/a%2Fb/protect HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer "
        + CHANGE_TOKEN.encode() + b"\r\nContent-Length: 27\r\n\r\n" + b'{"slo": "wait.p99 = 500us"}',
        b"POST /api/v1/mode HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer " + CHANGE_TOKEN.encode()
        + b"\r\nTransfer-Encoding: chunked\r\n\r\n13\r\n" + b'{"mode": "observe"}' + b"\r\n0\r\n\r\n"]
LINES = [b'{"id": 1, "verb": "list", "args": {"all": true}}\n', b'{"id": 2, "verb": "snapshot", "args": {"run": 1, "tree": 1, "now_ns": 5}}\n',
         b'{"id": 3, "verb": "inspect", "args": {"zone": "/a"}}\n', b'{"id": 4, "verb": "events", "args": {"since": 0}}\n',
         b'{"id": 5, "verb": "protect", "args": {"zone": "/nix", "slo": "wait.p99=1ms", "class": "lc"}}\n', b'{"id": 6, "verb": "mode"}\n',
         b'{"id": 7, "verb": "why", "args": {"zone": "x"}}\n{"id": 8, "verb": "top", "args": {"limit": 3}}\n']


def mutate(chance, seeds):
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((0, 1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(6)
        if kind == 0 and data:
            data[at % len(data)] = chance.randrange(256)
        elif kind == 1:
            data[at:at] = chance.choice(WORDS)
        elif kind == 2:
            del data[at:at + chance.randrange(1, 20)]
        elif kind == 3:
            data[at:at] = data[at:at + chance.randrange(1, 200)]
        elif kind == 4:
            del data[at:]
        else:
            data += chance.choice(seeds)
    return bytes(data)


def throw(chance, connect, data):
    """In one piece or several; then what comes back is taken, some of it, or none."""
    try:
        with connect() as client:
            client.settimeout(2)
            pieces = chance.choice((1, 1, 1, 2, 5))
            for piece in range(pieces):
                client.sendall(data[len(data) * piece // pieces:len(data) * (piece + 1) // pieces])
            how = chance.randrange(4)
            if how == 0:
                client.shutdown(socket.SHUT_WR)
            if how < 3:
                client.settimeout(0.05)
                client.recv(1 << 16)
    except OSError:
        pass


class Target:
    """A process that must live through it all."""

    def __init__(self, name, pid, connect, seeds, is_well):
        self.name, self.pid, self.connect, self.seeds, self.is_well = name, pid, connect, seeds, is_well
        self.sent, self.last, self.early_kib = 0, collections.deque(maxlen=50), 0

    def rss_kib(self):
        return next(int(line.split()[1]) for line in live.read(f"/proc/{self.pid}/status").splitlines() if line.startswith("VmRSS:"))

    def strike(self, chance):
        data = mutate(chance, self.seeds)
        self.last.append(data)
        self.sent += 1
        throw(chance, self.connect, data)

    def check(self):
        try:
            live.wait_for(self.is_well, 30, f"{self.name} answers who is in order")
        except (OSError, RuntimeError, TimeoutError) as error:
            path = f"/tmp/cz-soak-hostile-{self.name}"
            with open(path, "wb") as log:
                log.write(b"\n----\n".join(self.last))
            raise RuntimeError(f"{self.name}: {error}; what was sent last is in {path}") from error


def at_port(port):
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def at_path(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(path)
    return client


def strike_all(targets, seconds, chance):
    start, told = time.monotonic(), 0
    while (gone := time.monotonic() - start) < seconds:
        for target in targets:
            target.strike(chance)
        if gone >= told:
            for target in targets:
                target.check()
                if gone > seconds / 5 and not target.early_kib:
                    target.early_kib = target.rss_kib()
            print(f"   {gone:.0f} of {seconds:.0f} s: " + ", ".join(f"{t.name} {t.sent} times, {t.rss_kib()} KiB" for t in targets), flush=True)
            told += 10
    for target in targets:
        target.check()
        if target.early_kib and target.rss_kib() - target.early_kib > GROWN_KIB:
            raise RuntimeError(f"{target.name} grew from {target.early_kib} to {target.rss_kib()} KiB")


def fuzz(build, seconds):
    each = max(1, int(seconds / len(FUZZERS)))
    for name in FUZZERS:
        print(f"   the fuzzer of {name}, for {each} s", flush=True)
        subprocess.run([os.path.join(live.TOP, "tools", "fuzz"), "--build", build, "--seconds", str(each), name], check=True)


def run_live(seconds, chance):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with live.Czd() as czd, live.Group("cz-soakh"), HistoryGate(czd, file_of(czd)) as gate:
        live.wait_for(gate.ready, 60, "ready")
        targets = [Target("cz-gate", gate.child.pid, lambda: at_port(gate.port), HTTP, lambda: gate.ask("/api/v1/version")[0] == 200 and gate.ready()),
                   Target("czd", czd.worker_pid(), lambda: at_path(czd.socket_path), LINES, lambda: czd.request("version")["protocol"] == 1)]
        strike_all(targets, seconds, chance)
        if czd.worker_pid() != targets[1].pid:
            raise RuntimeError("czd was started anew by its keeper")
        if gate.stop():
            raise RuntimeError(f"cz-gate ended with {gate.child.returncode}: {gate.said()[-2000:]}")
        if CHANGE_TOKEN in gate.said() + live.read(czd.log):
            raise RuntimeError("a token is in a log")
    print("ok: " + ", ".join(f"{t.name} took {t.sent}" for t in targets))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="half for the fuzzers, half for programs that run")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--bin", help="where the programs are")
    parser.add_argument("--fuzzers", default=os.path.join(live.TOP, "build", "asan"), help="the build that has them")
    args = parser.parse_args()
    live.need_root()
    live.raise_on_signals()
    if args.bin:
        live.BIN = args.bin
    print(f"seed {args.seed}", flush=True)
    fuzz(args.fuzzers, args.minutes * 30)
    run_live(args.minutes * 30, random.Random(args.seed))


if __name__ == "__main__":
    main()

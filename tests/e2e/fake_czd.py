#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A czd for tests of czctl: canned answers per docs/protocol.md, and czds that misbehave.

Usage as a program, to look at czctl's output by hand:
    tests/e2e/fake_czd.py /tmp/fake.sock [BEHAVIOUR] & CZ_SOCKET=/tmp/fake.sock czctl why redis
Behaviours are the methods named behave_*; the default is `good`.
"""
import json
import os
import socket
import sys
import threading
import time

SECOND = 1_000_000_000
NOON = time.time_ns() // (86400 * SECOND) * 86400 * SECOND + 12 * 3600 * SECOND


def mono_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def zone(name, cls="normal", **more):
    row = {
        "id": 101, "name": name, "path": "/" + name, "kind": "cgroup", "class": cls,
        "class_own": cls != "normal", "protected": cls == "lc", "slo": "", "off_limits": False,
        "cpu_ppm": None, "wait_ppm": None, "foreign_wait_ppm": None, "wait_p99_ns": None,
        "memory_bytes": None, "throttled_ppm": None, "psi_cpu_ppm": None, "state": "-", "depth": 1,
    }
    row.update(more)
    return row


REDIS = zone("redis.service", "lc", path="/system.slice/redis.service", slo="wait.p99=500us",
             cpu_ppm=240_000, wait_ppm=235_000, foreign_wait_ppm=228_000, wait_p99_ns=4_100_000,
             memory_bytes=41_000_000, throttled_ppm=0, psi_cpu_ppm=190_000, state="hurt", depth=2)
HOG = zone("batch/stress-ng", "be", id=102, cpu_ppm=751_000, memory_bytes=2_100_000,
           state="hurting", depth=2)
ZONES = [REDIS, HOG, zone("user.slice", id=103, cpu_ppm=1_000)]

LEDGER = {
    "window_ns": 1_000_000_000, "wait_ns": 235_000_000, "waits": 812, "wait_p50_ns": 90_000,
    "wait_p99_ns": 4_100_000, "wait_max_ns": 5_200_000, "estimated": False,
    "cause_ppm": {"neighbour": 971_000, "kernel": 16_000, "self": 13_000, "throttled": 0,
                  "host": 0, "idle": 0, "unknown": 0},
    "parts": [
        {"cause": "neighbour", "zone": "batch/stress-ng", "path": "/batch/stress-ng", "class": "be",
         "share_ppm": 971_000, "ns": 228_185_000, "cpu": 1, "pid": 4211, "comm": "stress-ng-cpu"},
        {"cause": "kernel", "zone": None, "path": None, "class": None, "share_ppm": 16_000,
         "ns": 3_760_000, "cpu": 1, "pid": None, "comm": "softirq net_rx"},
        {"cause": "self", "zone": None, "path": None, "class": None, "share_ppm": 13_000,
         "ns": 3_055_000, "cpu": 1, "pid": None, "comm": ""},
    ],
    "feed_p99_ns": 6_200_000, "feed_count": 20_000,
}

FINDING = {
    "seq": 3, "open": True, "victim": "redis.service", "resource": "cpu", "cause": "neighbour",
    "severity": "critical", "since_ns": 1, "last_ns": 2, "since_real_ns": NOON,
    "duration_ns": 8_000_000_000, "window_ns": 7_000_000_000, "wait_ppm": 235_000, "wait_p99_ns": 4_100_000,
    "goal_wait_p99_ns": 500_000, "baseline_ppm": None, "feed_p99_ns": 6_200_000,
    "goal_latency_p99_ns": None, "why": "wait p99 is 4.1 ms, its goal is 0.5 ms",
    "cause_ppm": LEDGER["cause_ppm"],
    "culprits": [{"zone": "batch/stress-ng", "class": "be", "share_ppm": 971_000, "pid": 4211,
                  "cpu": 1, "comm": "stress-ng-cpu"}],
}

ACTION = {
    "seq": 1, "finding": 3, "victim": "redis.service", "culprit": "batch/stress-ng",
    "target": "batch/stress-ng", "knob": "cpu.idle", "from": "0", "to": "1",
    "reason": "hurt redis.service (97 %)", "expect": "wait p99 below 0.1 ms", "state": "kept",
    "outcome": "helped", "fast": False, "onset_ns": 1_000, "decided_ns": 2_000, "written_ns": 3_901_000,
    "settled_ns": 1_000_000_000, "written_real_ns": NOON,
    "lease_end_real_ns": NOON + 600 * SECOND, "took_ns": 3_900_000,
    "before_wait_p99_ns": 4_100_000, "after_wait_p99_ns": 60_000, "before_share_ppm": 235_000,
    "after_share_ppm": 1_000, "before_behind_ppm": 230_000, "after_behind_ppm": 500, "bystanders": 0, "ended": "",
}
FAST_ACTION = dict(ACTION, fast=True, before_wait_p99_ns=None, before_behind_ppm=1_000_000)
PROPOSAL = dict(ACTION, seq=2, state="proposed", outcome="pending", written_real_ns=None,
                lease_end_real_ns=None, took_ns=None, before_wait_p99_ns=None,
                after_wait_p99_ns=None, before_share_ppm=None, after_share_ppm=None, after_behind_ppm=None,
                expect="wait p99 below 0.1 ms; the batch job keeps about 69 % of the CPU")

WHY = {
    "zone": REDIS, "verdict": "hurt",
    "headline": "redis.service is hurt by batch/stress-ng: wait p99 4.1 ms, its goal is 500 us. It began 8 s ago; "
                "over the last 1 s it waited 23.5 % of the time for a CPU.",
    "mode": "observe", "until_ns": None, "finding": FINDING, "ledger": LEDGER,
    "not_the_cause": ["its own quota (never throttled)", "host steal (0.0 %)",
                      "its own load (0.24 CPU, as usual)"],
    "actions": [], "proposal": PROPOSAL, "notes": [],
    "next": "czctl try --for 10m redis.service",
}

EVENTS = [
    {"seq": 7, "real_ns": NOON, "kind": "finding", "zone": "redis.service", "ref": 3,
     "text": "redis.service is being hurt by batch/stress-ng (97 %)"},
    {"seq": 8, "real_ns": NOON + SECOND, "kind": "action", "zone": "batch/stress-ng",
     "ref": 1, "text": "cpu.idle of batch/stress-ng 0 -> 1: hurt redis.service (97 %)"},
]

DOCTOR = {
    "host": {"kernel": "6.18.44", "cpus": 2, "nodes": 1, "memory_bytes": 25_232_932_864,
             "cgroups": "hybrid (cpu, cpuset, memory on v1)", "smt": False},
    "can_see": [{"what": "CPU", "text": "use, run-queue wait and who caused it (BPF)"},
                {"what": "memory, io", "text": "use and PSI"}],
    "cant_see": [{"what": "CPI, caches",
                  "text": "no PMU in this VM: ask the provider for vPMU"},
                 {"what": "memory bandwidth",
                  "text": "no resctrl: CPU lacks RDT or kernel lacks CONFIG_X86_CPU_RESCTRL"}],
    "can_act": [{"what": "cpu", "text": "idle, weight, max, cpuset, freeze (v1 files)"}],
    "cant_act": [{"what": "cache ways, bandwidth", "text": "no resctrl"}],
    "machines": [{"name": "QEMU", "what": "QEMU", "path": None, "text": "none: install qemu-system-x86, or set CZ_QEMU"},
                 {"name": "kernels", "what": "kernels by name", "path": "/nonexistent/kernels", "text": "/nonexistent/kernels"}],
    "self": {"cpu_ppm": 3_000, "ledger_cost_ppm": 8_618, "rss_bytes": 12_000_000, "loop_delay_max_ns": 250_000,
             "priority": "SCHED_FIFO 1"},
}

PROBES = {
    "probes": [{"name": "cgroup-cpu", "summary": "CPU use and throttling", "on": True,
                "why_off": None, "needs": "cgroup cpu controller"},
               {"name": "ledger", "summary": "who ran while a protected zone waited", "on": False,
                "why_off": "BPF is not permitted", "needs": "CAP_BPF, CAP_PERFMON, BTF"}],
    "metrics": [{"name": "cpu_usage_ns_total", "unit": "ns", "kind": "counter", "scope": "zone",
                 "help": "CPU time used by the zone and its children"}],
    "ledger": {"on": False},
}

INSPECT = dict(
    REDIS, off_limits_why=None, first_seen_ns=None, ledger=LEDGER, children=["redis.service/io"],
    knobs={"cpu.idle": "0", "cpu.weight": "100", "cpu.max": None},
    metrics={"cpu_usage_ns_total": {"value": 12_300_000_000, "delta": 240_000_000, "unit": "ns",
                                    "help": "CPU time used by the zone and its children"},
             "memory_bytes": {"value": 41_000_000, "delta": None, "unit": "bytes",
                              "help": "memory charged to the zone"}})

VERIFY_SAME = {"checked": 1204, "differing": 0, "held": 0, "unchanged": True, "items": []}
TRIAL = {"zone": "redis.service", "until_ns": 10**15, "left_ns": 540 * SECOND}

VERIFY_CHANGED = {
    "checked": 1204, "differing": 1, "held": 1, "unchanged": False,
    "items": [{"zone": "batch/stress-ng", "path": "/batch/stress-ng", "knob": "cpu.idle",
               "found": "0", "now": "1", "held": True}]}


def keys_of(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


# fields of the protocol, as against names that are keys (of knobs, metrics)
KEYS = keys_of([dict(WHY, ok=True, id=1, data=0, error=0), EVENTS, DOCTOR, PROBES,
                {k: v for k, v in INSPECT.items() if k not in ("knobs", "metrics")},
                {"knobs": 0, "metrics": 0, "host": 0, "items": 0, "zones": 0, "mode": 0, "events": 0,
                 "findings": 0, "actions": 0, "value": 0, "delta": 0, "unit": 0, "help": 0},
                VERIFY_CHANGED, TRIAL, {"trials": 0, "version": 0, "pid": 0, "uptime_ns": 0, "message": 0, "hint": 0}])


class Refusal(Exception):
    def __init__(self, name, message, hint=""):
        super().__init__(message)
        self.body = {"name": name, "message": message, "hint": hint}


def find_zone(args):
    name = args.get("zone", "")
    for z in ZONES:
        if name in (z["name"], z["path"]):
            return z
    if name == "forbidden":
        raise Refusal("EPERM", "only root and group 'cz-admin' may change this", "Use sudo.")
    raise Refusal("ENOENT", f"zone '{name}' not found",
                  "Did you mean 'redis.service'? (czctl list --all shows all)")


def answer_why(args):
    find_zone(args)
    return WHY


def answer_try(args):
    if "zone" in args:
        find_zone(args)
    return {"until_ns": mono_ns() + args["for_ns"]}


def answer_protect(args):
    return dict(find_zone(args), **{"class": args.get("class", "lc"), "slo": args.get("slo", "")})


def answer_approve(args):
    if args["seq"] != 2:
        raise Refusal("ENOENT", f"there is no proposed action {args['seq']}", "See: czctl actions")
    return dict(ACTION, seq=2, state="applied", outcome="pending")


def answer_list(args):
    zones = ZONES if args["all"] else [z for z in ZONES if z["class"] != "normal"]
    return {"mode": "observe", "trials": [], "zones": zones}


ANSWERS = {
    "version": lambda a: {"version": "0.1.0", "protocol": 1, "pid": 4100,
                          "uptime_ns": 185_000_000_000, "kernel": "6.18.44"},
    "list": answer_list,
    "top": lambda a: {"now_ns": 1, "window_ns": 10**9, "mode": "observe",
                      "host": {"cpus": 2, "busy_ppm": 1_320_000, "steal_ppm": 0, "irq_ppm": 1_000,
                               "softirq_ppm": 16_000, "memory_bytes": 25_232_932_864,
                               "memory_available_bytes": 22_000_000_000},
                      "trials": [], "zones": answer_list(a)["zones"][:a["limit"]]},
    "inspect": lambda a: dict(INSPECT, name=find_zone(a)["name"]),
    "why": answer_why,
    "findings": lambda a: {"findings": [FINDING] + ([dict(FINDING, seq=1, open=False)] if a["all"] else [])},
    "actions": lambda a: {"actions": [ACTION] + ([PROPOSAL, dict(FAST_ACTION, seq=9, state="reverted", outcome="no_help",
                                                       after_behind_ppm=240_000)] if a["all"] else [])},
    "events": lambda a: {"events": [e for e in EVENTS if e["seq"] > a["since"]]},
    "probes": lambda a: PROBES,
    "doctor": lambda a: DOCTOR,
    "verify": lambda a: VERIFY_SAME,
    "protect": answer_protect,
    "unprotect": lambda a: dict(find_zone(a), **{"class": "normal"}),
    "run": lambda a: {"path": "/cz-" + a["name"], "id": 200},
    "try": answer_try,
    "mode": lambda a: {"mode": a.get("mode", "observe"), "until_ns": None, "trials": []},
    "approve": answer_approve,
    "undo": lambda a: {"restored": 2, "gone": 0, "hands_off": 1, "failed": 0},
}


class FakeCzd:
    """`with FakeCzd(path, "good") as czd:`; czd.requests are what it was asked."""

    def __init__(self, path, behaviour="good", answers=None):
        self.path, self.requests, self.answers = path, [], dict(ANSWERS, **(answers or {}))
        self.behave = getattr(self, "behave_" + behaviour)
        if os.path.exists(path):
            os.unlink(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(path)
        self.sock.listen(8)
        self.thread = threading.Thread(target=self.accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.sock.close()
        os.unlink(self.path)

    def accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        try:
            with conn, conn.makefile("rb") as lines:
                for line in lines:
                    self.requests.append(json.loads(line))
                    self.behave(conn, self.requests[-1])
        except OSError:
            pass  # czctl left

    def answer(self, request):
        verb, head = request["verb"], {"id": request["id"]}
        try:
            if verb not in self.answers:
                raise Refusal("ENOSYS", f"this czd does not know '{verb}'", "Is czd older than czctl?")
            return dict(head, ok=True, data=self.answers[verb](request["args"]))
        except Refusal as refusal:
            return dict(head, ok=False, error=refusal.body)

    @staticmethod
    def send(conn, answer):
        conn.sendall(json.dumps(answer).encode() + b"\n")

    def behave_good(self, conn, request):
        self.send(conn, self.answer(request))
        if request["verb"] == "events" and request["args"]["follow"]:
            new = dict(EVENTS[1], seq=9, text="cpu.idle of batch/stress-ng back to 0")
            self.send(conn, {"id": request["id"], "ok": True, "data": {"events": [new]}})

    def behave_follow_and_leave(self, conn, request):
        self.behave_good(conn, request)
        conn.shutdown(socket.SHUT_RDWR)

    def behave_pieces(self, conn, request):
        for byte in json.dumps(self.answer(request)).encode() + b"\n":
            conn.sendall(bytes([byte]))

    def behave_hung(self, conn, request):
        time.sleep(60)

    def behave_garbage(self, conn, request):
        conn.sendall(b"\x00\xff\x1b[2J not json\n")

    def behave_endless(self, conn, request):
        while True:
            conn.sendall(b"x" * 65536)

    def behave_half(self, conn, request):
        conn.sendall(b'{"id":1,"ok":tr')
        conn.shutdown(socket.SHUT_RDWR)

    def behave_close(self, conn, request):
        conn.shutdown(socket.SHUT_RDWR)

    def behave_wrong_id(self, conn, request):
        self.send(conn, dict(self.answer(request), id=request["id"] + 1))

    def behave_no_data(self, conn, request):
        self.send(conn, {"id": request["id"], "ok": True})

    def behave_array(self, conn, request):
        conn.sendall(b"[" * 5000 + b"\n")

    def behave_bare_error(self, conn, request):
        self.send(conn, {"id": request["id"], "ok": False})

    def behave_empty(self, conn, request):
        self.send(conn, {"id": request["id"], "ok": True, "data": {}})

    def behave_long(self, conn, request):
        """Every text of the right answer is 5,000 characters long."""
        def stretch(v):
            if isinstance(v, dict):
                return {k + "k" * 5000 * (k not in KEYS): stretch(x) for k, x in v.items()}
            if isinstance(v, list):
                return [stretch(x) for x in v]
            return v + "y" * 5000 if isinstance(v, str) else v
        self.send(conn, stretch(self.answer(request)))

    def behave_wrong_types(self, conn, request):
        """Every value of the right answer replaced by one of another type."""
        def spoil(v):
            if isinstance(v, dict):
                return {k: spoil(x) for k, x in v.items()}
            if isinstance(v, list):
                return [spoil(x) for x in v] + [None, 7, "x", {}, []]
            return [v] if isinstance(v, (int, str)) else "text"
        answer = self.answer(request)
        self.send(conn, dict(answer, data=spoil(answer.get("data", {}))))


def main():
    path, behaviour = sys.argv[1], (sys.argv[2:] or ["good"])[0]
    with FakeCzd(path, behaviour):
        threading.Event().wait()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 180
# cases: by name
"""czctl suggest with real programs: Redis under load, a hog, a nice one, a sine, a crowd of short-lived processes,
a sleeper. It has to tell which is which and why, and must change nothing.

Usage: test-suggest.py [CASE...]"""
import concurrent.futures
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check  # noqa: E402
from history import HistoryGate, file_of  # noqa: E402

SHOWN = f"sug{os.getpid()}"  # what czd calls it
NAME = f"cz-{SHOWN}"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def zones(czd, *names):
    with contextlib.ExitStack() as stack:
        groups = [stack.enter_context(live.Group(f"{NAME}-{name}")) for name in names]
        wanted = {f"/{NAME}-{name}" for name in names}
        live.wait_for(lambda: wanted <= {row["path"] for row in czd.request("list", all=True)["zones"]}, 20, "czd sees the zones")
        yield groups


def suggest(czd, *arguments):
    result = czd.czctl("suggest", "--gate", "127.0.0.1:1", *arguments, timeout=90)
    check(result.returncode == 0, result)
    return result.stdout


def by_zone(told, kind):
    return {row["zone"].removeprefix(f"{NAME}-").removeprefix(f"{SHOWN}-"): row for row in told[kind] if NAME in row["path"]}


def serve(group, folder):
    """Redis, with a load from outside of its zone."""
    port = free_port()
    group.start(["redis-server", "--port", str(port), "--save", "", "--dir", folder], **QUIET)
    live.wait_for(lambda: answers(port), 20, "Redis listens")
    return subprocess.Popen([live.program("cz-load"), "resp", f"127.0.0.1:{port}", "--rate", "500", "--connections", "4",
                             "--seconds", "600"], stdin=subprocess.DEVNULL, preexec_fn=live.die_with_parent, **QUIET)


def tells_them_apart():
    if not shutil.which("redis-server"):
        raise live.Skip("no redis-server")
    with live.Czd("tick: 500ms\n") as czd, zones(czd, "redis", "hog", "nice", "sine", "crowd", "idle") as groups:
        redis, hog, nice, sine, crowd, idle = groups
        load = serve(redis, czd.folder)
        hog.start([live.program("cz-work"), "hog", "--threads", "1", "--seconds", "600"], **QUIET)
        nice.start(["nice", "-n", "19", "sh", "-c", "while :; do :; done"], **QUIET)
        sine.start([live.program("cz-work"), "sine", "--period", "4s", "--min", "20%", "--max", "40%", "--seconds", "600"], **QUIET)
        crowd.start(["sh", "-c", "while :; do dd if=/dev/zero of=/dev/null bs=64k count=4000; done"], **QUIET)
        idle.start(["sleep", "600"])
        before = redis.knobs() | hog.knobs()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            told, rules, table = pool.map(lambda form: suggest(czd, "--for", "7s", "-o", form), ("json", "yaml", "table"))
        told = json.loads(told)
        load.kill()
        load.wait()
        check(not live.differences(before, redis.knobs() | hog.knobs()), "it changed knobs")
        rows = czd.request("list", all=True)["zones"]
        check(not [row for row in rows if NAME in row["path"] and row["class_own"]], "it changed classes")
        judged(told)
        pasted(czd, rules)
    check("Nothing was changed" in " ".join(table.split()) and f"{SHOWN}-redis" in table, table)


def judged(told):
    proposals, untold = by_zone(told, "proposals"), by_zone(told, "untold")
    check(told["watched_ns"] >= 7 * 10**9 and told["looks"] >= 5 and told["history_why"] is None, told)
    redis, hog = proposals.get("redis"), proposals.get("hog")
    check(redis and redis["class"] == "lc" and redis["confidence"] == "medium", f"Redis: {redis} {untold.get('redis')}")
    check("serves 4 connections" in redis["why"] and "wakes" in redis["why"], redis)
    check(500_000 <= redis["wait_p99_ns"] <= 50_000_000, redis)
    check(hog and hog["class"] == "be" and "without a pause" in hog["why"] and hog["wait_p99_ns"] is None, f"the hog: {hog} {untold}")
    check(proposals["nice"]["class"] == "be" and "nice" in proposals["nice"]["why"], proposals["nice"])
    check(proposals.get("crowd", {}).get("class") == "be", f"the crowd: {proposals.get('crowd')} {untold.get('crowd')}")
    check(proposals.get("sine", {"class": "lc"})["class"] == "lc", f"the sine: {proposals.get('sine')}")
    check("sine" in proposals or untold["sine"]["why"], "the sine is told of")
    check("idle" not in proposals and "idle" not in untold and told["idle"] >= 1, told)
    check("high" not in {row["confidence"] for row in told["proposals"]}, "7 s are too few to be sure")


def pasted(czd, rules):
    """What it prints is a configuration: czctl check takes it, and a czd that has it classes the zones so."""
    file = os.path.join(czd.folder, "rules.yaml")
    live.write(file, rules)
    checked = czd.czctl("check", file)
    check(checked.returncode == 0, f"{checked} {rules}")
    with live.Czd("tick: 500ms\n" + rules) as other:
        rows = {row["path"]: row for row in other.request("list", all=True)["zones"]}
        check(rows[f"/{NAME}-redis"]["class"] == "lc" and "wait.p99" in rows[f"/{NAME}-redis"]["slo"], rows[f"/{NAME}-redis"])
        check(rows[f"/{NAME}-hog"]["class"] == "be", rows[f"/{NAME}-hog"])


def goal_of_history():
    """Of a protected zone, the goal is of its measured p99s: those that cz-gate kept."""
    with live.Czd("tick: 200ms\n") as czd, zones(czd, "sine") as (sine,), HistoryGate(czd, file_of(czd)) as gate:
        czd.request("protect", zone=f"/{NAME}-sine")
        sine.start([live.program("cz-work"), "sine", "--period", "4s", "--min", "20%", "--max", "20%", "--slot", "1ms", "--seconds", "600"], **QUIET)
        address = f"127.0.0.1:{gate.port}"
        live.wait_for(lambda: len(gate.values(zone=f"/{NAME}-sine", metric="wait_p99_ns", since="1m")) >= 6, 120, "history of its p99")
        told = json.loads(suggest(czd, "--for", "2s", "--since", "1m", "--gate", address, "-o", "json"))
        values = gate.values(zone=f"/{NAME}-sine", metric="wait_p99_ns", since="2m")
    check(told["goals_from_history"] == 1 and told["history_why"] is None, told)
    sine = by_zone(told, "proposals").get("sine")
    check(sine and sine["class"] == "lc" and "(measured)" in sine["why"], f"{sine} {told}")
    check(100_000 <= sine["wait_p99_ns"] <= max(100_000, 20 * max(values)), f"{sine} of {values}")


def refusals():
    with live.Czd() as czd:
        for arguments, code in ((("--for", "0s"), 2), (("--for", "1h"), 2), (("-o", "xml"), 2), (("--since", "soon"), 2)):
            result = czd.czctl("suggest", *arguments)
            check(result.returncode == code and arguments[0].strip("-")[0] in result.stderr, f"{arguments}: {result}")
        czd.request("version")
    check(czd.czctl("suggest", "--for", "1s").returncode == 3, "without czd")


if __name__ == "__main__":
    live.need_root()
    live.raise_on_signals()
    sys.exit(live.run_cases((tells_them_apart, goal_of_history, refusals),
                            (AssertionError, TimeoutError, OSError, ValueError, KeyError, RuntimeError, live.RequestError,
                             subprocess.TimeoutExpired)))

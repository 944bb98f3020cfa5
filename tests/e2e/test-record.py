#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 120
# cases: by name
"""czctl record and replay against a real czd: what is replayed is what czd found and did; what if; a trace; a recorder
that is killed, one that does not read, too many of them."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check, work  # noqa: E402

NAME = f"cz-rec{os.getpid()}"
CONFIG = "tick: 200ms\nguard: {measure: 500ms, cooldown: 500ms}\n"
CPU = os.cpu_count() - 1


class Recorder:
    """czctl record into a file that it makes."""

    def __init__(self, czd, path, *options):
        self.path = path
        self.process = subprocess.Popen(
            [live.program("czctl"), "--socket", czd.socket_path, "-o", "json", "record", *options, "-o", path],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=live.die_with_parent)
        live.wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 300, 10, "a first tick recorded")

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.communicate(timeout=20)[0]


def replay(path, *options, exits=(0,)):
    result = subprocess.run([live.program("czctl"), "-o", "json", "replay", *options, path], text=True, capture_output=True)
    check(result.returncode in exits, f"replay {options}: exit {result.returncode}: {result.stdout[-3000:]}{result.stderr}")
    return json.loads(result.stdout)


def texts(replayed, kind):
    return [line["text"] for line in replayed["lines"] if line["kind"] == kind]


def check_trace(path, victim):
    """By the Trace Event Format: each event has what its phase needs, times do not fall within a counter's or a slice's
    history, and slices begin and end in pairs."""
    with open(path, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    check(f"{victim} (lc)" in names.values(), f"tracks: {names}")
    last, open_slices, seen = {}, {}, set()
    for event in events:
        check({"ph", "pid", "name"} <= event.keys() and event["pid"] in names, f"{event}")
        if event["ph"] == "M":
            continue
        check(isinstance(event["ts"], (int, float)) and event["ts"] >= 0, f"{event}")
        if event["ph"] == "C":
            check(event["args"] and all(isinstance(v, (int, float)) for v in event["args"].values()), f"{event}")
            key = (event["pid"], event["name"])
            check(event["ts"] >= last.get(key, 0), f"back in time: {event}")
            last[key] = event["ts"]
            seen.add(event["name"])
        elif event["ph"] in "bne":
            key = (event["cat"], event["id"])
            check((key in open_slices) == (event["ph"] != "b"), f"no begin, or two: {event}")
            check(event["ts"] >= open_slices.get(key, 0), f"back in time: {event}")
            open_slices[key] = event["ts"]
            if event["ph"] == "e":
                del open_slices[key]
            seen.add(event["cat"])
        else:
            check(event["ph"] == "i" and event["s"] in "tpg", f"{event}")
    check(not open_slices, f"never end: {open_slices}")
    check({"CPU, ms/s", "waits behind, ms/s", "finding", "action"} <= seen, f"only {seen}")


def a_replay_finds_and_does_what_czd_did():
    with tempfile.TemporaryDirectory() as folder, live.Czd(CONFIG) as czd, live.Group(f"{NAME}-lc") as lc, \
            live.Group(f"{NAME}-be") as be:
        recorder = Recorder(czd, f"{folder}/a.czrec")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        live.wait_for(lambda: {f"/{NAME}-lc", f"/{NAME}-be"} <= {z["path"] for z in czd.request("list", all=True)["zones"]}, 10, "zones")
        czd.request("protect", zone=f"/{NAME}-lc", slo="wait.p99=500us")
        czd.request("protect", zone=f"/{NAME}-be", **{"class": "be"})
        lc.start(work("sine", "--period", "4s", "--min", "40%", "--max", "70%"), cpu=CPU, **quiet)
        be.start(work("hog", "--threads", "1"), cpu=CPU, **quiet)
        live.wait_for(lambda: czd.request("findings")["findings"], 20, "a finding")
        czd.request("mode", mode="enforce")
        live.wait_for(lambda: any(a["outcome"] != "pending" for a in czd.request("actions", all=True)["actions"]), 40, "an outcome")
        czd.request("undo")
        done = czd.request("actions", all=True)["actions"]
        said = json.loads(recorder.end())
        check(said["ticks"] > 5 and said["missed_lines"] == 0 and 0 < said["bytes_per_zone_second"], f"{said}")
        again = replay(recorder.path)
        check(again["differing"] == 0 and again["same"] >= 4 and not again["cut"], f"{again}")
        for action in done:
            check(any(f"{action['state']}, {action['outcome']}: {action['knob']}" in t and action["target"] in t
                      for t in texts(again, "action")), f"{action} is not in {texts(again, 'action')}")
        check(f"{NAME}-lc hurt by neighbour" in "".join(texts(again, "finding")).replace(NAME[3:], NAME), f"{again}")
        check(texts(replay(recorder.path, "--mode", "observe"), "step") == [], "observe acts")
        calm = replay(recorder.path, "--slo", f"/{NAME}-lc=wait.p99=10s")
        check(calm["what_if"] and texts(calm, "finding") != texts(again, "finding"), "a goal of an hour changes nothing")
        replay(recorder.path, "--slo", "nobody=wait.p99=1ms", exits=(4,))
        replay(recorder.path, "--perfetto", f"{folder}/trace.json")
        check_trace(f"{folder}/trace.json", f"{NAME[3:]}-lc")


def killed(czd):
    """What it had is left."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(czd, f"{folder}/a.czrec", "--anonymous")
        size = os.path.getsize(recorder.path)
        live.wait_for(lambda: os.path.getsize(recorder.path) > size, 10, "another tick")
        recorder.end(signal.SIGKILL)
        kept = replay(recorder.path)
        check(kept["cut"] and kept["ticks"] >= 1 and kept["differing"] == 0, f"{kept}")
        check(czd.request("version")["pid"], "czd minds")
        taken = subprocess.run([live.program("czctl"), "--socket", czd.socket_path, "record", "--for", "1s", "-o", recorder.path],
                               text=True, capture_output=True)
        check(taken.returncode == 1 and "not written over" in taken.stderr, f"{taken}")


def connect(czd):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(czd.socket_path)
    return connection


def slow(czd):
    """Who does not read is told what it missed, and can go on."""
    with tempfile.TemporaryDirectory() as folder, connect(czd) as slow, connect(czd) as busy:
        slow.sendall(b'{"id":9223372036854775807,"verb":"record"}\n')
        answers = busy.makefile("rb")
        for _ in range(150):  # each request makes two lines, which together outgrow the 1 MiB that is kept
            busy.sendall(b'{"verb":"mode","args":{"mode":"observe"}}\n' * 100)
            for _ in range(100):
                answers.readline()
        lines, missed = [], False
        with slow.makefile("rb") as told:
            while not missed or "moved" not in lines[-1]:
                lines.append(json.loads(told.readline())["data"])
                missed |= "missed" in lines[-1]
        at = next(i for i, line in enumerate(lines) if "missed" in line)
        check(lines[at]["missed"] > 0 and "zones" in lines[at + 1], f"{str(lines[at:at + 2])[:300]}")
        with open(f"{folder}/a.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        kept = replay(f"{folder}/a.jsonl", exits=(0, 6))
        check(kept["missed_lines"] == lines[at]["missed"] and texts(kept, "gap"), f"{str(kept)[:500]}")


def many(czd):
    """Only so many may record; a place that is free is given again."""
    connections = [connect(czd) for _ in range(5)]
    answers = []
    for connection in connections:
        connection.sendall(b'{"id":1,"verb":"record"}\n')
        answers.append(json.loads(connection.makefile("rb").readline()))
    check([a["ok"] for a in answers] == [True] * 4 + [False], f"{answers[-1]}")
    check(answers[-1]["error"]["name"] == "EBUSY", f"{answers[-1]}")
    connections[0].close()

    def again():
        with connect(czd) as connection:
            connection.sendall(b'{"id":1,"verb":"record"}\n')
            return json.loads(connection.makefile("rb").readline())["ok"]
    live.wait_for(again, 10, "a place that is free again")
    for connection in connections[1:]:
        connection.close()


def recorders_are_no_burden():
    with live.Czd(CONFIG) as czd:
        killed(czd)
        slow(czd)
        many(czd)


def main():
    live.need_root()
    live.raise_on_signals()
    return live.run_cases([a_replay_finds_and_does_what_czd_did, recorders_are_no_burden],
                          (AssertionError, TimeoutError, OSError, live.RequestError, json.JSONDecodeError))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 300
# cases: by name
"""History from a real czd through cz-gate: a zone that is hurt, by whom, what was done; over restarts of
cz-gate, with a file that is damaged, a disk that is full, and none at all."""
import concurrent.futures
import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check, work  # noqa: E402
from history import HistoryGate, file_of  # noqa: E402

SHOWN = f"hist{os.getpid()}"  # what czd calls it
NAME = f"cz-{SHOWN}"
FAST = "tick: 200ms\nmode: enforce\nguard: {measure: 500ms, cooldown: 500ms}\n"
CPU = os.cpu_count() - 1


@contextlib.contextmanager
def scene(config=FAST):
    with live.Czd(config) as czd, live.Group(f"{NAME}-lc") as victim, live.Group(f"{NAME}-be") as be:
        live.wait_for(lambda: {f"/{NAME}-lc", f"/{NAME}-be"} <= {row["path"] for row in czd.request("list", all=True)["zones"]},
                      10, "czd sees the new zones")
        czd.request("protect", zone=f"/{NAME}-lc", slo="wait.p99=500us")
        czd.request("protect", zone=f"/{NAME}-be", **{"class": "be"})
        yield czd, victim, be


def quiet(group, *command):
    group.start(work(*command), cpu=CPU, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def is_told():
    """What czd's ledger says is in history: the waiting, its parts, finding, action, events."""
    with scene() as (czd, victim, be), HistoryGate(czd, file_of(czd)) as gate:
        # enforcing, the fast path may end the harm before it is a finding
        czd.request("mode", mode="observe")
        quiet(victim, "sine", "--period", "4s", "--min", "40%", "--max", "70%")
        time.sleep(1)
        quiet(be, "hog", "--threads", "1")
        findings = live.wait_for(lambda: gate.tell("history/notes/findings")[1].get("findings"), 20, "a finding in history")
        czd.request("mode", mode="enforce")
        live.wait_for(lambda: gate.tell("history/notes/actions")[1].get("actions"), 20, "an action in history")
        live.wait_for(lambda: sum(gate.tell("history", zone=f"{NAME}-be", since="1m")[1].get("count", [0])) >= 10, 20, "samples")
        check(max(gate.values(zone=f"{NAME}-be", since="1m")) > 1_000_000, "the hog's CPU time, ns a second")
        status, ledger = gate.tell("history/ledger", zone=f"/{NAME}-lc", since="1m", points=1)
        check(status == 200, ledger)
        hog = [part for part in ledger["parts"] if part["path"] == f"/{NAME}-be"]
        check(hog and hog[0]["cause"] == "neighbour" and hog[0]["class"] == "be", f"the hog in {ledger['parts']}")
        parts, wait = sum(part["mean"][0] for part in ledger["parts"]), ledger["wait"]["mean"][0]
        check(wait > 1_000_000 and abs(parts - wait) <= len(ledger["parts"]) + 1, f"parts sum to the wait: {parts} of {wait}")
        check(findings[0]["victim"] == f"{SHOWN}-lc" and findings[0]["from_ms"] <= findings[0]["to_ms"], findings)
        texts = [event["text"] for event in gate.tell("history/notes/events")[1]["events"]]
        check(any(f"{SHOWN}-lc" in text for text in texts), texts)
        zones = {zone["name"]: zone for zone in gate.tell("history/zones", **{"class": "lc"})[1]["zones"]}
        check(f"{SHOWN}-lc" in zones and f"{SHOWN}-be" not in zones, zones)
        check(gate.values(zone="host", metric="host_cpu_busy_ns_total", since="1m"), "the host")
        check_czctl(czd, gate)


def check_czctl(czd, gate):
    address = f"127.0.0.1:{gate.port}"
    shown = czd.czctl("history", f"{NAME}-be", "--since", "1m", "--gate", address)
    check(shown.returncode == 0 and f"{NAME}-be" in shown.stdout and "CPU" in shown.stdout, shown)
    body = json.loads(czd.czctl("history", f"{NAME}-lc", "--metric", "wait_p99_ns", "--gate", address, "-o", "json").stdout)
    check(body["metric"] == "wait_p99_ns" and len(body["mean"]) == body["points"], body)
    check(czd.czctl("history", "--gate", address).stdout.count("\n") > 3, "the list of zones")
    missing = czd.czctl("history", "nobody-at-all", "--gate", address)
    check(missing.returncode == 4 and "nobody-at-all" in missing.stderr, missing)
    tokenless = czd.czctl("history", "--gate", address, "--token", os.path.join(czd.folder, "no-such-file"))
    check(tokenless.returncode and "--token" in tokenless.stderr, tokenless)
    report = os.path.join(czd.folder, "report.html")
    made = czd.czctl("report", "--since", "2m", "--file", report, "--gate", address)
    check(made.returncode == 0, made)
    html = live.read(report)
    check("<script" not in html and "http:" not in html.replace("http://www.w3.org/2000/svg", ""), "self-contained")
    for text in (f"{SHOWN}-lc", f"{SHOWN}-be", "cpu.idle", "<svg", "prefers-color-scheme"):
        check(text in html, f"{text} in the report")


def outlives_the_gate():
    """Killed and started again: what was there is there, and it goes on."""
    with scene() as (czd, victim, be):
        path = file_of(czd)
        quiet(be, "hog", "--threads", "1")
        for _ in range(3):
            with HistoryGate(czd, path) as gate:
                before = sum(gate.tell("history", zone=f"{NAME}-be", since="1m")[1].get("count", [0]))
                live.wait_for(lambda: sum(gate.tell("history", zone=f"{NAME}-be", since="1m")[1].get("count", [0])) >= before + 5,
                              20, "history goes on")
                gate.kill()
        check(before >= 10, f"{before} samples of earlier runs")


def damaged_file():
    with scene() as (czd, victim, be):
        path = file_of(czd)
        os.mkdir(os.path.dirname(path))
        live.write(path, "this is no database" * 100)
        for name in (path, os.path.dirname(path)):
            shutil.chown(name, "nobody", "nogroup")
        with HistoryGate(czd, path) as gate:
            live.wait_for(lambda: gate.values(zone="host", metric="host_cpu_busy_ns_total", since="1m"), 20, "a new history")
            check("moved to" in gate.said(), gate.said())
            check("no database" in live.read(path + ".damaged"), "the old one is kept")


def full_disk():
    """A filesystem of 1 MiB, in a mount namespace of its own: czd and the API go on, and history does later."""
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        raise live.Skip("no mount namespace may be made here")
    with scene() as (czd, victim, be):
        folder = os.path.join(czd.folder, "small")
        os.mkdir(folder)
        gate = HistoryGate(czd, os.path.join(folder, "history.db"))
        mount = f"mount --make-rprivate / && mount -t tmpfs -o size=300k,mode=0777 none {folder} && head -c 150k /dev/zero >{folder}/fill; "
        gate.command = ["unshare", "-m", "--propagation", "private", "sh", "-c", mount + 'exec "$@"', "sh", *gate.command]
        with gate:
            live.wait_for(lambda: "no room" in gate.said(), 60, "it says that the disk is full")
            check(gate.tell("zones")[0] == 200, "the API goes on")
            check(gate.tell("version")[0] == 200, "czd is asked")
            subprocess.run(["nsenter", "-t", str(gate.child.pid), "-m", "rm", f"{folder}/fill"], check=True)
            live.wait_for(lambda: "history is kept again" in gate.said(), 60, "history goes on when there is room")


def without():
    with scene() as (czd, victim, be), HistoryGate(czd, "none") as gate:
        status, body = gate.tell("history", zone="host")
        check(status >= 400 and "no history" in body["error"]["message"], body)
        shown = czd.czctl("history", "host", "--gate", f"127.0.0.1:{gate.port}")
        check(shown.returncode == 1 and "no history" in shown.stderr, shown)


@contextlib.contextmanager
def hung(thread):
    """A thread of another process stands still, as if its disk did; the others go on."""
    libc, seize, interrupt, detach, wall = ctypes.CDLL(None, use_errno=True), 0x4206, 0x4207, 17, 0x40000000
    for request in (seize, interrupt):
        if libc.ptrace(request, thread, None, None):
            raise live.Skip(f"no thread may be traced here: {os.strerror(ctypes.get_errno())}")
    libc.waitpid(thread, None, wall)
    try:
        yield
    finally:
        libc.ptrace(detach, thread, None, None)


def reader_hangs():
    """Questions to history wait for a thread of their own, only so many; nobody else waits for them."""
    with scene() as (czd, victim, be), HistoryGate(czd, file_of(czd)) as gate, concurrent.futures.ThreadPoolExecutor(48) as pool:
        def asked():
            return gate.ask("/api/v1/history?zone=host&metric=host_cpu_busy_ns_total")
        live.wait_for(lambda: asked()[0] == 200, 20, "samples")
        reader = max(int(thread) for thread in os.listdir(f"/proc/{gate.child.pid}/task"))
        status = live.read(f"/proc/{gate.child.pid}/task/{reader}/status")
        check(reader != gate.child.pid and "Seccomp:\t2" in status and "CapEff:\t0000000000000000" in status, "the reader's rights")
        with hung(reader):
            answers = [pool.submit(asked) for _ in range(48)]
            full = live.wait_for(lambda: [a for a in answers if a.done()], 20, "too many ask")
            status, headers, _ = full[0].result()
            check(status == 503 and headers["Retry-After"] == "1", f"{status} {headers}")
            for path in ("/metrics", "/healthz", "/api/v1/zones", "/api/v1/host"):
                check(gate.ask(path)[0] == 200, f"{path} waits for history")
            before = czd.request("doctor")["self"]["ticks_total"]
            live.wait_for(lambda: b"cz_gate_history_reads_refused_total " in gate.ask("/metrics")[2] and
                          czd.request("doctor")["self"]["ticks_total"] > before + 2, 20, "all else goes on")
        told = [answer.result()[0] for answer in answers]
        check(set(told) <= {200, 503, 504} and told.count(503) >= 16, told)
        check(asked()[0] == 200, "history answers again")


def bad_questions():
    with scene() as (czd, victim, be), HistoryGate(czd, file_of(czd)) as gate:
        live.wait_for(lambda: gate.values(zone="host", metric="host_cpu_busy_ns_total", since="1m"), 20, "samples")
        for query, status in (({}, 400), ({"zone": "nobody"}, 404), ({"zone": "host", "metric": "none_such"}, 404),
                              ({"zone": "host", "points": "0"}, 400), ({"zone": "host", "points": "100000"}, 400),
                              ({"zone": "host", "from": "5", "to": "4"}, 400), ({"zone": "host", "since": "soon"}, 400),
                              ({"zone": "host", "from": "99999999999999999999"}, 400),
                              ({"zone": "x' OR 1=1 --"}, 404), ({"zone": "host", "since": "1h", "from": "1"}, 400)):
            found, body = gate.tell("history", **query)
            check(found == status and body["error"]["message"], f"{query}: {found} {body}")
        check(gate.tell("history", zone="host", metric="host_cpu_busy_ns_total", **{"from": 0})[0] == 200, "from 1970")
        check(gate.tell("history/notes/none")[0] == 404, "an unknown kind")
        check(gate.ask("/api/v1/history?zone=%FFx")[0] == 404, "a name that is no UTF-8")


if __name__ == "__main__":
    live.need_root()
    live.raise_on_signals()
    if not shutil.which("unshare"):
        sys.exit("unshare is missing: util-linux")
    sys.exit(live.run_cases([is_told, outlives_the_gate, damaged_file, full_disk, without, reader_hangs, bad_questions],
                            (AssertionError, TimeoutError, RuntimeError, OSError, KeyError, ValueError,
                             subprocess.SubprocessError, live.RequestError)))

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 180
# cases: by name
"""czctl bundle of a real czd with real harm and real history: names and secrets that were planted must not be in it,
in any form; what it is for must be.

Usage: test-bundle.py [CASE...]"""
import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import live  # noqa: E402
from live import check  # noqa: E402
from history import HistoryGate, file_of  # noqa: E402

SHOWN = f"acmepay{os.getpid()}"
NAME = f"cz-{SHOWN}"
COMMAND = "ledgerhog"
SECRET, PERSON, ADDRESS, HOST = "hunter2-s3cr3t", "wilhelmina", "203.0.113.77", "oakfield"
CONFIG = f"""# by {PERSON}, token={SECRET}
tick: 200ms
mode: enforce
guard: {{measure: 500ms, cooldown: 500ms}}
zones:
  - {{match: /{NAME}-lc, class: lc, slo: {{wait.p99: 500us}}}}
  - match: {SHOWN}-be # {PERSON}'s
    class: be
"""
LOG = f"""{HOST} czd: zone {NAME}-lc: peer {ADDRESS}:9000 said no
czd: Authorization: Bearer {SECRET}
czd: /home/{PERSON}/plan.txt: password="{SECRET}"
"""
CPU = os.cpu_count() - 1
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@contextlib.contextmanager
def harm():
    """A czd that found a hog and did something about it, and cz-gate that remembers."""
    with live.Czd(CONFIG) as czd, live.Group(f"{NAME}-lc") as victim, live.Group(f"{NAME}-be") as be, \
            HistoryGate(czd, file_of(czd)) as gate:
        victim.start([live.program("cz-work"), "sine", "--period", "4s", "--min", "40%", "--max", "70%", "--seconds", "600"], cpu=CPU, **QUIET)
        be.start([shutil.copy(live.program("cz-work"), os.path.join(czd.folder, COMMAND)), "hog", "--threads", "1", "--seconds", "600"],
                 cpu=CPU, **QUIET)
        live.wait_for(lambda: any(COMMAND in json.dumps(f) for f in czd.request("findings", all=True)["findings"]), 100, "a finding")
        live.wait_for(lambda: gate.tell("history/notes/findings")[1].get("findings"), 60, "a finding in history")
        live.write(os.path.join(czd.folder, "czd.log"), LOG)
        yield czd, gate


def bundle(czd, gate, *arguments):
    file = os.path.join(czd.folder, "b" + (".tar.gz" if "--gz" in arguments else ".tar.zst"))
    command = [live.program("czctl"), "--socket", czd.socket_path, "bundle", "-o", file, "--config", czd.config, "--log",
               os.path.join(czd.folder, "czd.log"), "--gate", f"127.0.0.1:{gate.port}", *[a for a in arguments if a != "--gz"]]
    # on a host of that name
    result = subprocess.run(["unshare", "--uts", "sh", "-c", f'hostname {HOST}; exec "$@"', "sh", *command], text=True,
                            capture_output=True, check=False, timeout=60)
    check(result.returncode == 0, result)
    check(stat.S_IMODE(os.stat(file).st_mode) == 0o600, "readable by its owner only")
    return unpacked(file), result.stdout


def unpacked(file):
    """{name: bytes}"""
    with tempfile.NamedTemporaryFile(suffix=".tar") as plain:
        if file.endswith(".zst"):
            subprocess.run(["zstd", "-dqf", file, "-o", plain.name], check=True)
        with tarfile.open(file if file.endswith(".gz") else plain.name) as tar:
            check(all(m.isfile() and m.mode == 0o600 and not m.uname for m in tar.getmembers()), "members")
            return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}


def nothing_of(files, planted):
    for name, data in files.items():
        for word in planted:
            check(word.lower().encode() not in name.encode() + data.lower(), f"{word} is in {name}: {data[:200]}")


def without_names():
    with harm() as (czd, gate):
        files, said = bundle(czd, gate)
        again, _ = bundle(czd, gate, "--gz", "--keep-names")
    manifest = json.loads(files["manifest.json"])
    for name in ("version.json", "doctor.json", "probes.json", "zones.json", "findings.json", "actions.json", "events.json", "host.json",
                 "czd.yaml", "log.txt", "history/zones.json", "history/findings.json", "history/events.json", "history/ledger-1.json"):
        check(name in files, f"{name} is not in {sorted(files)}: {manifest['missing']}")
    check({f["name"]: f["bytes"] for f in manifest["files"]} == {n: len(d) for n, d in files.items() if n != "manifest.json"}, "manifest")
    nothing_of(files, (SHOWN, "acmepay", COMMAND, SECRET, "hunter2", PERSON, ADDRESS, HOST, czd.folder.split("/")[-1]))
    check(not manifest["names_kept"] and all(manifest["redacted"][k] >= 1 for k in ("zones", "commands", "secrets", "addresses", "hosts")), manifest)
    stays_true(files)
    check(f"{NAME}-lc".encode() in again["zones.json"] and COMMAND.encode() in again["findings.json"], "names are kept on request")
    nothing_of(again, (SECRET, "hunter2"))
    check("Written to" in said, said)


def stays_true(files):
    """One name, one pseudonym: of the victim in findings, zones, configuration, log and history."""
    zones = {row["path"]: row for row in json.loads(files["zones.json"])["zones"]}
    findings = json.loads(files["findings.json"])["findings"]
    lc = [path for path, row in zones.items() if row["class"] == "lc" and row["class_own"]]
    be = [path for path, row in zones.items() if row["class"] == "be" and row["class_own"]]
    check(len(lc) == 1 and len(be) == 1 and lc != be, f"{lc} {be}")
    check(any(zones[lc[0]]["name"] == f["victim"] for f in findings), findings)
    culprits = [c for f in findings for c in f["culprits"]]
    check(any(c["zone"] == zones[be[0]]["name"] and c["comm"].startswith("cmd") for c in culprits), culprits)
    check(f"match: {lc[0]}".encode() in files["czd.yaml"] and b"wait.p99: 500us" in files["czd.yaml"], files["czd.yaml"])
    check(f"zone {lc[0][1:]}".encode() in files["log.txt"] and b"REMOVED" in files["log.txt"], files["log.txt"])
    check(lc[0] in [row["path"] for row in json.loads(files["history/zones.json"])["zones"]], "history")
    check(json.loads(files["findings.json"])["findings"][0]["cause_ppm"], "figures stay")


def without_anybody():
    """No czd, no cz-gate, no configuration: a bundle of what there is, that says what is not."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "b.tar.gz")
        result = subprocess.run([live.program("czctl"), "--socket", f"{folder}/none", "-o", "json", "bundle", "-o", file, "--gate", "127.0.0.1:1",
                                 "--config", f"{folder}/none.yaml"], text=True, capture_output=True, check=False, timeout=60)
        check(result.returncode == 0, result)
        files = unpacked(file)
    manifest = json.loads(files["manifest.json"])
    check(json.loads(result.stdout) == manifest, result.stdout)
    missing = {row["what"]: row["why"] for row in manifest["missing"]}
    check({"version.json", "czd.yaml", "history"} <= set(missing) and all(missing.values()), missing)
    check("host.json" in files and folder.split("/")[-1] not in json.dumps(manifest), files["host.json"])


def refusals():
    with tempfile.TemporaryDirectory() as folder:
        for name, code in (("b.zip", 2), ("none/b.tar.gz", 4)):
            result = subprocess.run([live.program("czctl"), "--socket", f"{folder}/none", "bundle", "--gate", "127.0.0.1:1", "-o", f"{folder}/{name}"],
                                    text=True, capture_output=True, check=False, timeout=60)
            check(result.returncode == code and name in result.stderr, result)
        check(not os.listdir(folder), "nothing is left")


if __name__ == "__main__":
    live.need_root()
    live.raise_on_signals()
    sys.exit(live.run_cases((without_names, without_anybody, refusals),
                            (AssertionError, TimeoutError, OSError, ValueError, KeyError, RuntimeError, live.RequestError,
                             subprocess.SubprocessError)))

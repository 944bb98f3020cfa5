#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 120
# beside: yes
"""czctl detect on traces in each format that it knows: the victim and the culprit that were put into them are
found, and what is said of bad input."""
import gzip
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib")]
import live  # noqa: E402

MAKE = os.path.join(HERE, "..", "fixtures", "traces", "make-traces")
CZCTL = live.program("czctl")


def check(holds, text):
    if not holds:
        raise AssertionError(text)


def make(folder, form, *options):
    path = os.path.join(folder, form)
    with open(path, "w", encoding="utf-8") as file:
        subprocess.run([MAKE, form, *options], stdout=file, check=True)
    return path


def ask(*words, code=0, stdin=None):
    child = subprocess.run([CZCTL, *words], capture_output=True, text=True, input=stdin)
    check(child.returncode == code, f"{words}: exit {child.returncode}: {child.stdout[-2000:]}{child.stderr}")
    return child.stdout + child.stderr


def detect(*words):
    return json.loads(ask("-o", "json", "detect", *words))


def finds(found, victim, culprit):
    alarms = found["alarms"]
    check(alarms, "no alarm")
    check({a["task"] for a in alarms} == {victim}, f"alarms of {({a['task'] for a in alarms})}")
    check({a["culprit"] for a in alarms if a["culprit"]} == {culprit}, f"named {({a['culprit'] for a in alarms})}")


def every_format_is_read(folder):
    slow = ("--period", "300")
    csv = make(folder, "csv")
    finds(detect("--set", "spec=2h", csv), "web-0", "batch-0")
    google = ("--set", "spec=10h")
    finds(detect("--format", "google2011", *google, make(folder, "google2011", *slow)), "6000097428/0", "6473309322/0")
    finds(detect("--format", "google2019", *google, make(folder, "google2019", *slow)), "6000097428/0", "6473309322/0")
    finds(detect("--format", "alibaba2018", "--set", "spec=2h", "--jobs", make(folder, "alibaba2018-jobs"), make(folder, "alibaba2018")),
          "c_web-0", "c_batch-0")
    plain = make(folder, "amtrace")
    with open(plain, "rb") as source, gzip.open(plain + ".gz", "wb") as target:
        target.write(source.read())
    amtrace = ("--format", "amtrace", "--set", "spec=2h", "--jobs", make(folder, "amtrace-jobs"))
    found = detect(*amtrace, plain + ".gz")
    finds(found, "web-0", "batch-0")
    check({a["lacking"] for a in found["alarms"]} == {"cache"}, f"{[a['lacking'] for a in found['alarms']]}")
    check(found == detect(*amtrace, plain), "gzip differs from plain")
    with open(csv, encoding="utf-8") as file:
        lines = file.readlines()
    for number, part in enumerate((lines[:1000], lines[:1] + lines[1000:])):
        with open(os.path.join(folder, f"part{number}"), "w", encoding="utf-8") as file:
            file.writelines(part)
    check(detect("--set", "spec=2h", csv) == detect("--set", "spec=2h", *(os.path.join(folder, f"part{n}") for n in (0, 1))),
          "two parts differ from the whole")


def the_truth_is_held_against_it(folder):
    path = make(folder, "csv")
    truth = detect("--set", "spec=2h", path)["truth"]
    check(truth["precision"] == 1 and truth["recall"] == 1 and truth["name_precision"] == 1, f"{truth}")
    check(truth["false_alarms_per_task_day"] == 0, f"{truth}")
    check("Recall 1.000" in ask("detect", "--set", "spec=2h", path), "the text does not say so")
    # 1.5 times as many cycles: an alarm, and nobody is named; by the ceiling the culprit is
    small = make(folder, "csv", "--times", "1.5")
    found = detect("--set", "spec=2h", small)
    check(found["samples"]["alarms"] > 0 and found["samples"]["named"] == 0, f"{found['samples']}")
    found = detect("--set", "spec=2h,ceiling=0.65", small)
    check(found["truth"]["names_right"] > 0, f"{found['truth']}")
    quiet = detect("--set", "spec=2h", make(folder, "csv", "--times", "1"))
    check(quiet["samples"]["named"] == 0 and quiet["truth"]["recall"] in (0, None), f"{quiet['truth']}")


def presets_differ(folder):
    path = make(folder, "csv")
    rubik = detect("--preset", "rubik", path)
    check(rubik["truth"]["names_right"] > 0, f"{rubik['truth']}")
    robust = detect("--preset", "robust", "--set", "spec=2h,min-samples=20,min-tasks=2", path)
    check(robust["truth"]["recall"] == 1, f"{robust['truth']}")
    check("correlation" in ask("detect", "--set", "help"), "no list of settings")


def a_plot_is_svg(folder):
    path = os.path.join(folder, "plot.svg")
    ask("detect", "--set", "spec=2h", "--plot", path, make(folder, "csv"))
    tree = xml.etree.ElementTree.parse(path)
    text = " ".join(tree.getroot().itertext())
    check("web-0" in text and "batch-0" in text, text)
    check(len(list(tree.getroot().iter("{http://www.w3.org/2000/svg}circle"))) > 20, "no outliers in it")


def what_is_wrong_is_told(folder):
    path = make(folder, "csv")
    with open(path, "a", encoding="utf-8") as file:
        file.write("99999,web-0,web,m0,lc,one,1,0,\n")
    told = ask("detect", path, code=2)
    check(f"{path}:2162: 'one' is not a number" in told and "--lenient" in told, told)
    check("1 lines are no rows" in ask("detect", "--lenient", path), "lenient does not count")
    check("no column 'pods'" in ask("detect", "--map", "task=pods", path, code=4), "a column that is not there")
    check("no unit of time" in ask("detect", "--map", "time=time:h", path, code=2), "a bad unit")
    check("nothing would ever alarm" in ask("detect", "--set", "period=5m", path, code=2), "settings that cannot work")
    check("is not known" in ask("detect", "--format", "x", path, code=2), "a bad format")
    check("No such file" in ask("detect", "/none", code=4), "a file that is not there")
    check("nothing is in it" in ask("detect", "-", code=2, stdin=""), "an empty trace")
    check("twice" in ask("detect", "--plot", "/dev/null", "-", code=2, stdin=""), "a plot of the input")
    alone = "".join(f"{t * 60},t,1,1.5\n" for t in range(200))
    told = ask("detect", "--map", "time=#1,task=#2,cpu=#3,cpi=#4", "-", stdin=alone)
    check("min-tasks=1" in told, told)
    backwards = "time,task,cpu,cpi\n" + "".join(f"{9000 - t * 60},t,1,1.5\n" for t in range(100))
    check("99 that came too late (rows must be sorted by time)" in ask("detect", "-", stdin=backwards).replace("\n", " "), "not sorted")


def main():
    with tempfile.TemporaryDirectory(prefix="cz-detect-") as folder:
        for case in (every_format_is_read, the_truth_is_held_against_it, presets_differ, a_plot_is_svg, what_is_wrong_is_told):
            case(folder)
            print(f"ok {case.__name__}", flush=True)


main()

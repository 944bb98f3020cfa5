#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 60
# beside: yes
"""examples/prometheus/cz-cpi2.rules.yml in Prometheus' own engine: the rules of CPI2 on series whose mean,
deviation and outliers are known; and the metrics that they use are those of czd.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RULES = f"{TOP}/examples/prometheus/cz-cpi2.rules.yml"

HZ = 2_000_000_000
MINUTES = 150
HARM = 140  # from here on web on h0 needs 1.6 cycles an instruction, for so many minutes:
HARM_MINUTES = 4


def grow(per_minute):
    """A counter that grows by the list of amounts, one a minute."""
    total, out = 0, [0]
    for amount in per_minute:
        total += amount
        out.append(total)
    return " ".join(str(v) for v in out)


def zone(name, host, cpi, cpu=1.0, cpu_type="a"):
    labels = f'{{zone="{name}",class="lc",kind="cgroup",instance="{host}",cpu_type="{cpu_type}"}}'
    cycles = [int(HZ * 60 * cpu)] * MINUTES
    return [{"series": f"cz_zone_ref_cycles_total{labels}", "values": grow(cycles)},
            {"series": f"cz_zone_instructions_total{labels}",
             "values": grow([round(c / cpi(i)) for i, c in enumerate(cycles)])},
            {"series": f"cz_zone_cpu_usage_seconds_total{labels}", "values": grow([60 * cpu] * MINUTES)}]


def steady(level):
    return lambda minute: level


def harmed(minute):
    return 1.6 if HARM <= minute < HARM + HARM_MINUTES else 1.2


def expect(expr, time, samples):
    return {"expr": expr, "eval_time": f"{time}m", "exp_samples": samples}


series = zone("web", "h0", harmed)
for i in range(1, 5):
    series += zone("web", f"h{i}", steady(1.0 if i % 2 else 1.4))
for i in range(4):  # four are not enough
    series += zone("few", f"h{i}", steady(1.5))
for i in range(5):  # nor are those that hardly run
    series += zone("idle", f"h{i}", steady(1.5), cpu=0.2)
for i in range(5):  # of another type of CPU it is another job
    series += zone("web", f"b{i}", steady(3.0), cpu_type="b")

ANOMALY = {"alertname": "CzCpiAnomaly", "zone": "web", "class": "lc", "kind": "cgroup", "instance": "h0", "cpu_type": "a"}
test = {
    "rule_files": [RULES],
    "evaluation_interval": "1m",
    "group_eval_order": ["cz-cpi", "cz-cpi-job", "cz-cpi-outliers"],
    "tests": [{
        "interval": "1m",
        "input_series": series,
        # rates are of two minutes: what happens in a minute is half of it seen in the next
        "promql_expr_test": [
            expect("cz:cpi_job_mean", 90, []),
            expect("round(cz:cpi_job_mean, 0.001)", 130, [
                {"labels": '{zone="web",cpu_type="a"}', "value": 1.2},
                {"labels": '{zone="web",cpu_type="b"}', "value": 3.0}]),
            # 1.2, 1.0, 1.4, 1.0, 1.4: the deviation is the root of 0.032
            expect('round(cz:cpi_job_stddev{cpu_type="a"}, 0.001)', 130, [{"labels": '{zone="web",cpu_type="a"}', "value": 0.179}]),
            expect('round(cz:cpi_job_threshold{cpu_type="a"}, 0.001)', 130,
                   [{"labels": '{zone="web",cpu_type="a"}', "value": 1.558}]),
            expect('cz:cpi:1m{zone="idle"}', 130, []),
            expect("sum(cz:cpi_outlier:1m)", 130, [{"labels": "{}", "value": 0}]),
        ],
        "alert_rule_test": [
            {"eval_time": f"{HARM + 3}m", "alertname": "CzCpiAnomaly", "exp_alerts": []},
            {"eval_time": f"{HARM + 4}m", "alertname": "CzCpiAnomaly", "exp_alerts": [{
                "exp_labels": {k: v for k, v in ANOMALY.items() if k != "alertname"} | {"severity": "warning"},
                "exp_annotations": {
                    "summary": "web on h0 needs more cycles an instruction than is usual for it on its type of CPU",
                    "description": "czctl why web on that host says with whose CPU use it goes"}}]},
            {"eval_time": f"{HARM + 9}m", "alertname": "CzCpiAnomaly", "exp_alerts": []},
        ],
    }],
}

if not shutil.which("promtool"):
    print("skip: no promtool (Debian: prometheus)")
    sys.exit(77)

with open(f"{TOP}/src/model/metric.h", encoding="utf-8") as f:
    known = {f"cz_zone_{name}".replace("_ns_total", "_seconds_total") for name in re.findall(r'X\(\w+, "(\w+)"', f.read())}
with open(RULES, encoding="utf-8") as f:
    used = set(re.findall(r"cz_zone_\w+", f.read()))
assert used and used <= known, f"no such metrics: {used - known}"


def promtool(*args):
    done = subprocess.run(["promtool", *args], capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr, end="")
    return done.returncode == 0


assert promtool("check", "rules", RULES)
with tempfile.NamedTemporaryFile("w", suffix=".yml") as f:
    json.dump(test, f)
    f.flush()
    assert promtool("test", "rules", f.name)
with tempfile.NamedTemporaryFile("w", suffix=".yml") as f:  # it can fail
    test["tests"][0]["promql_expr_test"][1]["exp_samples"][0]["value"] = 1.3
    json.dump(test, f)
    f.flush()
    assert not promtool("test", "rules", f.name)

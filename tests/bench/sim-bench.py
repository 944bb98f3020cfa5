#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The published controllers on the simulated machine (docs/algorithms/simulator.md): the four 3-app maps, and
CLITE beside two latency-critical apps and a best-effort one, against the best allocation by search. Seeded: it says the same on every machine."""
import json
import os
import subprocess
import sys

CZCTL = os.path.join(os.environ["CZ_BIN"], "czctl")


def sim(*args):
    child = subprocess.run([CZCTL, "-o", "json", "sim", *args], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(child.stdout)


def say(text):
    print(text, file=sys.stderr, flush=True)


def common_emu(one, other):
    """Means of the three loads over the cells that both maps have."""
    both = [(a + b + 2) / 10 for a in range(9) for b in range(9) if one["map"][a][b] and other["map"][a][b]]
    third = [sum(m["map"][a][b] for a in range(9) for b in range(9) if one["map"][a][b] and other["map"][a][b]) for m in (one, other)]
    return [(sum(both) + t) / len(both) for t in third]


def maps():
    worst, runs, settled, late, over = 1.0, 0, 0, [], None
    for third in ("nginx", "moses", "sphinx", "mongodb"):
        tables = {t["how"]: t for t in sim("--table", third)["tables"]}
        parties = tables["parties"]
        say(third + ": " + ", ".join(f"{how} {t['emu']:.3f}" for how, t in tables.items()))
        worst = min(worst, parties["emu"] / tables["oracle"]["emu"])
        runs, settled = runs + parties["runs"], settled + parties["settled"]
        late.append(parties["violated_share"])
        if third == "nginx":
            mine, theirs = common_emu(parties, tables["heracles"])
            over = mine / theirs
    return {"sim_parties_of_oracle_ppm": round(worst * 1e6), "sim_parties_of_heracles_ppm": round(over * 1e6),
            "sim_parties_settled_ppm": round(settled / runs * 1e6),
            "sim_parties_late_ppm": round(sum(late) / len(late) * 1e6)}


def clite(name):
    ratios, samples = [], 0
    for effort in ("stream", "compute", "analytics"):
        for loads in [(m, x) for m in (10, 20, 30, 40) for x in (10, 20, 30, 40)]:
            found = sim("--controller", name, f"memcached={loads[0]}%", f"xapian={loads[1]}%", effort)
            if not found["feasible"]:
                continue
            run = found["runs"][0]
            samples = max(samples, run["samples"])
            best = found["oracle_emu"] - sum(loads) / 100
            ratios.append(run["final_progress"] / best if run["final_met"] else 0)
    say(f"{name}: {sum(r > 0 for r in ratios)} of {len(ratios)} meet all targets in the end")
    key = "sim_" + name.replace("-", "_")
    return {key + "_of_oracle_ppm": round(sum(ratios) / len(ratios) * 1e6), key + "_samples": samples}


print(json.dumps({**maps(), **clite("clite"), **clite("clite-jobs")}))

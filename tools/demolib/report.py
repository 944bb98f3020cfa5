# SPDX-License-Identifier: MIT
"""The HTML report: one file, no external resources, light and dark."""
from . import charts, redis_part, sine_part
from .charts import esc
from .screen import number, percent
from .stage import WORK_CPU

STYLE = """
:root{--bg:#fff;--fg:#1c1f24;--dim:#667;--rule:#dde;--lc:#2563a8;--be:#c2571a;--other:#9aa3ad;
--kernel:#7b5ea7;--good:#1a7f37;--bad:#b42318;--card:#f6f7f9}
@media(prefers-color-scheme:dark){:root{--bg:#15181c;--fg:#e6e8ea;--dim:#9aa3ad;--rule:#333a42;
--lc:#6aa9ee;--be:#f0955c;--other:#5c656e;--kernel:#b79ae0;--good:#56c271;--bad:#ff8a7a;
--card:#1d2126}}
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;max-width:800px;
margin:2em auto;padding:0 16px}
h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.15em;margin-top:2em}
table{border-collapse:collapse;width:100%;font-size:.93em;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25em .6em .25em 0;border-bottom:1px solid var(--rule);
vertical-align:top}th{color:var(--dim);font-weight:500}td.n,th.n{text-align:right;white-space:nowrap}
.name{white-space:nowrap}
.lead{font-size:1.1em}.dim{color:var(--dim)}.ok{color:var(--good)}.no{color:var(--bad);
font-weight:600}pre{background:var(--card);padding:12px;overflow-x:auto;font-size:.85em}
.scroll{overflow-x:auto}svg{width:100%;height:auto;font:12px system-ui,sans-serif}
.three{display:grid;grid-template-columns:repeat(3,1fr);gap:8px}
@media(max-width:600px){.three{grid-template-columns:1fr}}
svg text{fill:var(--fg)}svg .axis{fill:var(--dim);font-size:11px}svg .strong{font-weight:600}
svg .inside{fill:var(--bg)}.grid{stroke:var(--rule)}.mark{stroke:var(--dim)}
.range{stroke:var(--other);stroke-width:3}.p50,.p90{fill:var(--other)}.p99{fill:var(--be)}
.run{fill:var(--fg);opacity:.55}.run.noisy{fill:none;stroke:var(--dim)}
.lc{fill:var(--lc);background:var(--lc)}.be{fill:var(--be);background:var(--be)}
.kernel{fill:var(--kernel);background:var(--kernel)}
.other{fill:var(--other);background:var(--other)}
.want{fill:none;stroke:var(--fg);stroke-width:1.5;stroke-dasharray:4 3}
.legend span{margin-right:1.4em}.legend i{display:inline-block;width:12px;height:12px;
margin-right:5px;border-radius:2px}
"""


def table(head, rows, numeric=()):
    def cell(tag, column, value):
        return f'<{tag}{" class=n" if column in numeric else ""}>{value}</{tag}>'
    lines = ["<tr>" + "".join(cell("th", c, esc(v)) for c, v in enumerate(head)) + "</tr>"]
    lines += ["<tr>" + "".join(cell("td", c, v) for c, v in enumerate(row)) + "</tr>"
              for row in rows]
    return '<div class="scroll"><table>' + "".join(lines) + "</table></div>"


def name(words):
    return f'<span class="name">{esc(words)}</span>'


def mark(met):
    return '<span class="ok">met</span>' if met else '<span class="no">missed</span>'


def lead(result):
    redis = result["redis"]
    alone, observe, enforce = (redis[c]["p99_us"] for c in ("alone", "observe", "enforce"))
    if result["failures"]:
        return f'<p class="lead no">It did not work: {esc("; ".join(result["failures"]))}.</p>'
    return (f'<p class="lead">A CPU hog took Redis from {charts.micro(alone)} to '
            f'{charts.micro(observe)} (p99). czd named it with '
            f'{percent(redis["culprit_share"])} of the waiting and acted '
            f'{number(redis["reaction_ms"]["median"])} ms after the harm began: '
            f'{charts.micro(enforce)}. The hog kept {percent(redis["be_share_of_leftover"])} of '
            'the CPU that Redis left, and the host is as it was.</p>')


def target_section(result):
    rows = [(esc(r["what"]), esc(r["want"]), esc(number(r["got"])), mark(r["met"]))
            for r in result["targets"]]
    return "<h2>Targets</h2>" + table(["", "wanted", "got", ""], rows, numeric=(1, 2))


def latency_section(redis):
    rows = [(redis_part.TITLES[c], redis[c],
             [(r["p99_us"], r["quiet"]) for r in redis["runs"] if r["condition"] == c])
            for c in redis_part.CONDITIONS]
    few = [redis_part.TITLES[c] for c in redis_part.CONDITIONS if not redis[c]["enough_quiet"]]
    note = (f' <span class="no">Too few runs were quiet ({esc(", ".join(few))}): the quietest were '
            'used.</span>' if few else "")
    return ("<h2>Latency of Redis</h2>"
            f'<p class="dim">{redis["rate_per_sec"]:,} requests/s, open loop, {esc(redis["hog"])} '
            f'on the same CPU. Medians of the runs used; small dots are the p99 of each run, '
            f'hollow if it was not quiet. {esc(redis["filter"])}{note}</p>'
            + charts.latency(rows)
            + charts.legend([("other", "p50 and p90"), ("be", "p99")]))


def shares_section(redis, sampler):
    runs = [r for r in redis["runs"] if r["round"] == 1]
    start = runs[0]["start_mono_ns"]
    bands = [((r["start_mono_ns"] - start) / 1e9,
              (r["start_mono_ns"] - start + r["length_ns"]) / 1e9,
              redis_part.TITLES[r["condition"]]) for r in runs]
    points = sampler.series(start, runs[-1]["start_mono_ns"] + runs[-1]["length_ns"], WORK_CPU)
    layers = [("demo-redis", "lc"), ("demo-hog", "be"), ("other", "other")]
    return ("<h2>Shares of CPU 1 over time</h2>"
            '<p class="dim">The first round. Between the runs the hog is stopped.</p>'
            + charts.stacked(points, layers, bands)
            + charts.legend([("lc", "Redis"), ("be", "hog"), ("other", "others")]))


def part_name(part):
    return part.get("zone") or part["cause"]


def ledger_section(redis_state):
    why = redis_state.why or {}
    parts = (why.get("ledger") or {}).get("parts") or []
    if not parts:
        return "<h2>The wait ledger</h2><p>czd gave none.</p>"
    colours = {"neighbour": "be", "self": "lc", "kernel": "kernel"}
    bar = [(part_name(p), p["share_ppm"] / 1e6, colours.get(p["cause"], "other")) for p in parts]
    rows = [(name(part_name(p)), esc(p["cause"]), percent(p["share_ppm"] / 1e6),
             esc("-" if p.get("cpu") is None else p["cpu"]),
             esc(p.get("cmdline") or p.get("comm") or "-")) for p in parts]
    said = f"<pre>{esc(redis_state.why_text)}</pre>" if redis_state.why_text else ""
    return ("<h2>The wait ledger: who ran while Redis waited</h2>" + charts.bar(bar)
            + table(["who", "cause", "share", "CPU", "command"], rows, numeric=(2, 3)) + said)


def one_reaction(trials):
    """The trial nearest to the median, drawn."""
    acted = sorted((t for t in trials if t["reaction_ms"] is not None),
                   key=lambda t: t["reaction_ms"])
    if not acted:
        return ""
    trial = acted[len(acted) // 2]
    action, start = trial["action"], trial["hog_start_ns"]
    first = min(start, action["onset_ns"])
    events = [(start, "the hog's first instant"), (action["onset_ns"], "a Redis task waits"),
              (action["written_ns"], f"{action['knob']} written")]
    events = sorted(((at - first) / 1e6, title) for at, title in events)
    if trial["recover_ms"] is not None:
        events.append(((start - first) / 1e6 + trial["recover_ms"], "p99 back, within 10 ms"))
    events.sort()
    return charts.moments(events, max(events[-1][0] * 1.05, 0.1))


def action_section(redis):
    actions = [(f"run {r['round']}", r["action"]) for r in redis["runs"] if r.get("action")]
    actions += [(f"trial {n + 1}", t["action"]) for n, t in enumerate(redis["reaction_runs"])
                if t["action"]]

    def effect(action):
        before, after = action.get("before_behind_ppm"), action.get("after_behind_ppm")
        if before is None or after is None:
            return "-"
        return f"{percent(before / 1e6)} to {percent(after / 1e6)} of the time"
    rows = [(name(where), name(a["target"]), name(f"{a['knob']} {a['from']} to {a['to']}"),
             esc(a["reason"]), f"{(a['written_ns'] - a['onset_ns']) / 1e6:.2f} ms",
             esc(effect(a)), esc(a["state"])) for where, a in actions]
    reaction = redis["reaction_ms"]
    return ("<h2>Actions</h2>"
            f'<p class="dim">Reaction: from the first instant at which a Redis task waits while '
            f'the hog runs, to the knob written. Median {number(reaction["median"])} ms, slowest '
            f'{number(reaction["max"])} ms over {reaction["acted"]} of {reaction["trials"]} trials '
            '(the trial drawn is the one in the middle).</p>' + one_reaction(redis["reaction_runs"])
            + table(["", "zone", "knob", "reason", "took", "Redis waits behind it", "state"], rows,
                    numeric=(4,)))


def sine_section(sine):
    pictures = "".join(charts.curves(sine[c]["intervals"], sine_part.TITLES[c])
                       for c in sine_part.CONDITIONS)
    rows = [(esc(sine_part.TITLES[c]), number(sine[c]["correlation"]),
             percent(sine[c]["achieved_amplitude"]), percent(sine[c]["max_share"]),
             percent(sine[c]["unmet_ratio"]), percent(sine[c]["hog_cpu"]))
            for c in sine_part.CONDITIONS]
    return ("<h2>A sine against the hog</h2>"
            f'<p class="dim">A service whose demand is a sine of {sine["period_s"]} s between 10 % '
            'and 90 % of CPU 1: demanded (dashed) and achieved.</p>'
            f'<div class="three">{pictures}</div>'
            + table(["", "correlation", "amplitude", "largest", "not met", "hog gets"], rows,
                    numeric=(1, 2, 3, 4, 5)))


def runs_section(redis):
    rows = [(r["round"], esc(redis_part.TITLES[r["condition"]]), f"{r['p50_us']:.0f}",
             f"{r['p99_us']:,.0f}", percent(r["hog_cpu"]), percent(max(r["other"])),
             percent(max(r["steal"])), f"{r['lag_p99_us']:.0f}", f"{r['whole_p99_us']:.0f}",
             "quiet" if r["quiet"] else esc("no: " + r["noise_why"])) for r in redis["runs"]]
    return ("<h2>All runs</h2>"
            + table(["round", "condition", "p50 us", "p99 us", "hog", "others", "steal",
                     "own lag us", "p99 of all us", ""], rows, numeric=(0, 2, 3, 4, 5, 6, 7, 8)))


def host_section(result):
    host = result["host"]
    verify = host["verify"] or {}
    lines = [f"czctl verify: {number(verify.get('differing'))} of "
             f"{number(verify.get('checked'), 9)} knobs differ from what czd found",
             f"compared from outside: {len(host['changed_knobs'])} knobs changed, "
             f"{len(host['leftovers'])} cgroups left over"]
    lines += [f"{c['path']}/{c['knob']}: {c['was']} to {c['is']}" for c in host["changed_knobs"]]
    return "<h2>The host afterwards</h2><ul>" + "".join(f"<li>{esc(t)}</li>" for t in lines) + "</ul>"


def page(result, redis_state, sampler):
    redis = result["redis"]
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>Control Zone: demo</title><style>{STYLE}</style></head><body>"
            "<h1>Control Zone: the noisy neighbour, named and stopped</h1>"
            f'<p class="dim">{esc(result["when"])}, kernel {esc(result["kernel"])}, '
            f'{result["cpus"]} CPUs, cgroups {esc(result["cgroups"])}</p>'
            + lead(result) + target_section(result) + latency_section(redis)
            + shares_section(redis, sampler) + ledger_section(redis_state)
            + action_section(redis) + sine_section(result["sine"]) + runs_section(redis)
            + host_section(result) + "</body></html>\n")

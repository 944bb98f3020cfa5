#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 30
"""The demo's own arithmetic, without the demo: windows, the quiet filter, targets, the report."""
import html.parser
import os
import re
import sys
import types
import unittest

TOP = os.environ.get("CZ_TOP", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, os.path.join(TOP, "tools"))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
from demolib import machine, redis_part, report, screen, stage, verdict  # noqa: E402

MS = 10 ** 6


class FakeMachine:
    cpus = 2


def sampler_with(samples):
    sampler = machine.Sampler(FakeMachine(), 0)
    sampler.samples = samples
    return sampler


def sample(t_ms, busy, zones, steal=(0, 0), czd=0, demo=0):
    def ns(values):
        return [v * MS for v in values]
    return {"t": t_ms * MS, "busy": ns(busy), "steal": ns(steal), "czd": czd * MS,
            "demo": demo * MS, "zones": {name: ns(usage) for name, usage in zones.items()}}


class Window(unittest.TestCase):
    def test_shares(self):
        sampler = sampler_with([
            sample(0, (5, 5), {"demo-redis": (0, 0)}),
            sample(100, (0, 0), {"demo-redis": (0, 0)}),
            # the hog came within the window: all its time counts
            sample(1100, (310, 900), {"demo-redis": (0, 250), "demo-hog": (0, 600),
                                      "demo-load": (280, 0)}, steal=(0, 20), czd=5, demo=10),
            sample(1200, (999, 999), {})])
        window = sampler.window(50 * MS, 1150 * MS)
        self.assertAlmostEqual(window["zones"]["demo-redis"][1], 0.25)
        self.assertAlmostEqual(window["zones"]["demo-hog"][1], 0.6)
        self.assertAlmostEqual(window["steal"][1], 0.02)
        self.assertAlmostEqual(window["other"][0], 0.310 - 0.280 - 0.005 - 0.010)
        self.assertAlmostEqual(window["other"][1], 0.9 - 0.25 - 0.6 - 0.005)
        with self.assertRaises(RuntimeError):
            sampler.window(0, 1)

    def test_series(self):
        sampler = sampler_with([sample(0, (0, 0), {"demo-redis": (0, 0)}),
                                sample(100, (0, 90), {"demo-redis": (0, 30)}),
                                sample(200, (0, 190), {"demo-redis": (0, 60), "demo-hog": (0, 9)})])
        points = sampler.series(0, 200 * MS, 1)
        self.assertAlmostEqual(points[0]["demo-redis"], 0.3)
        self.assertAlmostEqual(points[0]["other"], 0.6)
        self.assertEqual(points[1]["demo-hog"], 0)  # no earlier reading to compare with

    def test_knob_changes(self):
        before = {("/x/a", "cpu.idle"): "0\n", ("/x/b", "cpu.idle"): "0\n",
                  ("/x/cz-other", "cpu.idle"): "0\n", ("/x/gone", "cpu.idle"): "0\n"}
        after = {("/x/a", "cpu.idle"): "0\n", ("/x/b", "cpu.idle"): "1\n",
                 ("/x/cz-other", "cpu.idle"): "1\n", ("/x/new", "cpu.idle"): "1\n"}
        self.assertEqual(machine.knob_changes(before, after),
                         [{"path": "/x/b", "knob": "cpu.idle", "was": "0", "is": "1"}])

    def test_the_real_machine(self):
        real = machine.Machine()
        usage = real.group_usage(real.dir_of(os.getpid()), 0)
        self.assertEqual(len(usage), real.cpus)
        self.assertGreater(sum(usage), 0)
        self.assertGreater(sum(real.all_usage()[0]), 0)


def run(condition, p99, quiet=True, noise=0.5, **more):
    return {"condition": condition, "round": 1, "p50_us": 30, "p90_us": 50, "p99_us": p99,
            "p99_9_us": p99, "max_us": p99, "quiet": quiet, "noise": noise, "noise_why": "steal",
            "hog_cpu": 0.69, "redis_cpu": 0.3, "be_share_of_leftover": 0.98, "other": [0, 0],
            "steal": [0, 0], "lag_p99_us": 60, "whole_p99_us": p99 + 1,
            "start_mono_ns": 10 * MS, "length_ns": 100 * MS,
            **more}


ACTION = {"onset_ns": 1000 * MS, "written_ns": 1000 * MS + 400000, "target": "demo-hog-1",
          "knob": "cpu.idle", "from": "0", "to": "1", "reason": "<script>", "state": "kept",
          "before_wait_p99_ns": 4 * MS, "after_wait_p99_ns": None}


def part(runs):
    screen = types.SimpleNamespace(say=lambda *_: None, step=lambda *_: None)
    there = types.SimpleNamespace(control=None, screen=screen, quick=True, hog_name="stress-ng")
    redis = redis_part.RedisPart(there)
    redis.runs = runs
    redis.trials = [{"hog_start_ns": 995 * MS, "action": ACTION, "reaction_ms": 0.4,
                     "since_hog_start_ms": 5.4, "plausible": True, "recover_ms": 0.0},
                    {"hog_start_ns": 1, "action": None, "reaction_ms": None,
                     "since_hog_start_ms": None, "plausible": False, "recover_ms": None}]
    return redis


def good_runs():
    culprit = {"zone": "demo-hog-1", "share_ppm": 970000, "right": True}
    return [r for _ in range(2) for r in (
        run("alone", 93), run("observe", 4227, culprit=culprit),
        run("enforce", 56, action=ACTION), run("after", 90))]


def result_of(redis):
    interval = {"t_ns": 0, "length_ns": 1000, "demanded_ns": 500, "achieved_ns": 400}
    phase = {"correlation": 0.99, "achieved_amplitude": 0.4, "max_share": 0.9, "unmet_ratio": 0.01,
             "hog_cpu": 0.4, "amplitude_ratio": 0.99, "intervals": [interval] * 4}
    result = {"when": "now", "kernel": "6.18", "cpus": 2, "cgroups": "v2", "host_unchanged": True,
              "host": {"verify": {"checked": 9, "differing": 0}, "changed_knobs": [],
                       "leftovers": []},
              "redis": redis.result(),
              "sine": {"period_s": 8, "alone": phase, "uncontrolled": phase, "enforce": phase}}
    result["targets"] = verdict.targets(result)
    result["failures"] = verdict.failures(result)
    return result


class Verdict(unittest.TestCase):
    def test_good(self):
        result = result_of(part(good_runs()))
        self.assertEqual(result["failures"], [])
        missed = [row["key"] for row in result["targets"] if not row["met"]]
        self.assertEqual(missed, [])
        self.assertAlmostEqual(result["redis"]["harm_removed"], (4227 - 56) / (4227 - 93))
        self.assertEqual(result["redis"]["reaction_ms"]["acted"], 3)
        self.assertEqual(result["redis"]["reaction_ms"]["trials"], 4)

    def test_quiet_runs_only(self):
        runs = good_runs() + [run("alone", 9999, quiet=False, noise=30)]
        self.assertEqual(result_of(part(runs))["redis"]["alone"]["p99_us"], 93)
        noisy = [dict(r, quiet=False, noise=n) for n, r in enumerate(runs)]
        alone = result_of(part(noisy))["redis"]["alone"]
        self.assertEqual((alone["p99_us"], alone["quiet_runs"], alone["enough_quiet"]),
                         (93, 0, False))

    def test_wrong_culprit_fails(self):
        runs = good_runs()
        runs[1]["culprit"] = {"zone": "innocent", "share_ppm": 500000, "right": False}
        result = result_of(part(runs))
        self.assertIn("the culprit named was innocent, not the hog", result["failures"])

    def test_host_changed_fails(self):
        result = result_of(part(good_runs()))
        result["host_unchanged"] = False
        self.assertIn("the host was not left as it was found", verdict.failures(result))

    def test_what_is_not_known_is_said(self):
        def words(runs):
            redis = result_of(part(runs))["redis"]
            return screen.harm_words(redis), screen.recovery_words(redis)
        self.assertEqual(words(good_runs()), ("100.0 %", "at once: not one step of 10 ms was bad"))
        noisy = [dict(r, quiet=False) for r in good_runs()]
        self.assertEqual(words(noisy), ("not known: no run was quiet", "not known"))

    def test_whose_zone(self):
        hog = types.SimpleNamespace(demo_name="demo-hog-1")
        for name, mine in (("demo-hog-1", True), ("cz-demo-hog-1", True), ("/a/cz-demo-hog-1", True),
                           ("demo-hog-11", False), (None, False), ("/", False)):
            self.assertEqual(stage.Stage.is_zone(name, hog), mine)

    def test_recovery(self):
        redis = part(good_runs())

        def step(number, p99_us, lag_us=9):
            return {"t_ns": number * 10 * MS, "length_ns": 10 * MS,
                    "latency_ns": {"p99": p99_us * 1000}, "lag_ns": {"p99": lag_us * 1000}}
        got = {"start_mono_ns": 0, "intervals": [step(n, p) for n, p in enumerate(
            [90, 90, 4000, 90, 4000, 90, 95, 80, 90, 90, 90])]}
        self.assertAlmostEqual(redis.recovery(got, 22 * MS), 28.0)
        self.assertIsNone(redis.recovery(got, 100 * MS))
        # A step in which the generator was late itself is no sign of harm, nor of health.
        got["intervals"][8] = step(8, 4000, lag_us=900)
        got["intervals"].append(step(11, 90))
        self.assertAlmostEqual(redis.recovery(got, 22 * MS), 28.0)


class Tags(html.parser.HTMLParser):
    """Every tag that is opened is closed, in order."""
    VOID = {"meta", "line", "circle", "rect", "polygon", "polyline", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open and self.open.pop() == tag, f"</{tag}> out of order"


class Report(unittest.TestCase):
    def page(self):
        redis = part(good_runs())
        redis.why = {"ledger": {"parts": [
            {"cause": "neighbour", "zone": "<b>hog", "share_ppm": 970000, "cpu": 1,
             "comm": "x", "cmdline": "stress-ng & more"},
            {"cause": "kernel", "zone": None, "share_ppm": 30000, "cpu": None, "comm": None}]}}
        redis.why_text = "demo-redis-1 is <hurt>"
        samples = sampler_with([sample(t, (t, t), {"demo-redis": (0, t / 3)})
                                for t in range(0, 200, 50)])
        return report.page(result_of(redis), redis, samples)

    def test_well_formed_and_self_contained(self):
        tags = Tags()
        page = self.page()
        tags.feed(page)
        self.assertEqual(tags.open, [])
        self.assertNotIn("script", {tag for tag, _ in tags.seen})
        for _, attributes in tags.seen:
            self.assertFalse({"src", "href"} & set(attributes))
        self.assertIsNone(re.search(r"https?://|@import|url\(", page))
        self.assertIn("prefers-color-scheme:dark", page)

    def test_text_is_escaped(self):
        page = self.page()
        for text in ("&lt;b&gt;hog", "stress-ng &amp; more", "is &lt;hurt&gt;", "&lt;script&gt;"):
            self.assertIn(text, page)


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: MIT
"""(b) A sine against a hog: whole alone, flattened uncontrolled, whole again controlled."""
import json
import time

from .stage import WORK_CPU

CONDITIONS = ("alone", "uncontrolled", "enforce")
TITLES = {"alone": "alone", "uncontrolled": "hog, no control", "enforce": "hog, controlled"}
SLO = "wait.p99=500us"


class SinePart:
    def __init__(self, stage):
        self.stage = stage
        self.period_s = 8 if stage.quick else 20
        self.runs = {}

    def seconds(self):
        return len(CONDITIONS) * (self.period_s + 2)

    def run(self):
        for condition in CONDITIONS:
            self.measure(condition)
        self.stage.mode("observe")

    def measure(self, condition):
        stage = self.stage
        stage.mode("enforce" if condition == "enforce" else "observe")
        hog = stage.start_hog() if condition != "alone" else None
        try:
            sine = stage.enter(
                "demo-sine", "lc",
                [stage.control.program("cz-work"), "sine", "--cpu", str(WORK_CPU), "--period",
                 str(self.period_s), "--seconds", str(self.period_s), "--report",
                 f"{self.period_s * 25}ms", "--min", "10%", "--max", "90%", "-o", "json", "-q"],
                WORK_CPU, slo=SLO, keep_output=True)
            stage.run_for(time.monotonic_ns() + int(self.period_s * 1e9))
            got = json.loads(stage.processes.finish(sine, 30))
        finally:
            if hog:
                stage.stop_hog(hog)
        start = got["start_mono_ns"]
        window = stage.sampler.window(start, start + got["wall_ns"])
        got["hog_cpu"] = window["zones"].get("demo-hog", [0] * (WORK_CPU + 1))[WORK_CPU] \
            if hog else None
        leftover = 1 - got["achieved_ns"] / got["wall_ns"] - window["other"][WORK_CPU]
        got["be_share_of_leftover"] = got["hog_cpu"] / leftover if hog and leftover > 0 else None
        got["other"], got["steal"] = window["other"], window["steal"]
        self.runs[condition] = got
        correlation = got["correlation"]
        stage.screen.step(f"sine: {TITLES[condition]:<16} "
                          f"correlation {'-' if correlation is None else f'{correlation:.3f}'}, "
                          f"{got['unmet_ratio']:.0%} of the demand not met")

    def result(self):
        out = {"period_s": self.period_s}
        keys = ("correlation", "achieved_amplitude", "demanded_amplitude", "max_share",
                "unmet_ratio", "hog_cpu", "be_share_of_leftover", "other", "steal", "intervals")
        for condition in CONDITIONS:
            out[condition] = {key: self.runs[condition][key] for key in keys}
        alone = out["alone"]["achieved_amplitude"]
        for condition in CONDITIONS[1:]:
            mine = out[condition]["achieved_amplitude"]
            out[condition]["amplitude_ratio"] = mine / alone if alone and mine is not None else None
        return out

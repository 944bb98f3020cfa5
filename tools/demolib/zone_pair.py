# SPDX-License-Identifier: MIT
"""(b) Two zones, each on a CPU of its own, with different schedulers: the policy of one is felt in
that one only. Told by the ledger in each guest: how much its hog ran while its Redis waited."""
import time

from .zone_latency import LoadedZone

NAMES = ("cz-demo-a", "cz-demo-b")


class PairPart:
    def __init__(self, control, screen, quick):
        self.control, self.screen, self.seconds = control, screen, 4 if quick else 8
        self.zones = [LoadedZone(control, name, str(cpu), 1) for cpu, name in enumerate(NAMES)]
        self.phases = []

    def expected_s(self):
        return 20 + 2 * (self.seconds + 6)

    def run(self, rate):
        for zone in self.zones:
            zone.boot()
            zone.start_hog()
            zone.wait_for_ledger()
        for policies in (("exclusive", "none"), ("none", "exclusive")):
            self.phase(policies, rate)
        for zone in self.zones:
            zone.stop_hog()

    def phase(self, policies, rate):
        for zone, policy in zip(self.zones, policies):
            zone.policy(policy)
        before = [zone.be_ran_ns() for zone in self.zones]
        start = time.monotonic()
        loads = [self.control.start_inside(f"load-{zone.name}", zone.name,
                                           *zone.load_words(rate, self.seconds))
                 for zone in self.zones]
        for load in loads:
            self.control.processes.finish(load, self.seconds + 90)
        wall_s = time.monotonic() - start
        ran = [zone.be_ran_ns() - b for zone, b in zip(self.zones, before)]
        row = {name: {"policy": policy, "be_ran_while_lc_waited_ppm": 1e6 * ns / 1e9 / wall_s}
               for name, policy, ns in zip(NAMES, policies, ran)}
        self.phases.append(row)
        self.screen.step("two zones: " + "; ".join(
            f"{policy}: the hog ran {ns / 1e7 / wall_s:.1f} % of the time while Redis waited"
            for policy, ns in zip(policies, ran)))

    def result(self):
        """seen_only_in_its_zone: in both phases the restrained zone is better off by a factor."""
        pairs = [(row[name]["be_ran_while_lc_waited_ppm"], row[name]["policy"])
                 for row in self.phases for name in NAMES]
        held = [ppm for ppm, policy in pairs if policy == "exclusive"]
        free = [ppm for ppm, policy in pairs if policy == "none"]
        return {"phases": self.phases,
                "seen_only_in_its_zone": bool(held) and max(held) * 4 < min(free)}

# SPDX-License-Identifier: MIT
"""The terminal: one line per step with the time left, and the table at the end."""
import sys
import time


def number(value, digits=3):
    """Rounded to what is known; '-' when nothing is."""
    if value is None:
        return "-"
    if isinstance(value, (bool, str)):
        return {True: "yes", False: "no"}.get(value, value)
    if value == 0 or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def percent(value):
    return "-" if value is None else f"{value:.1%}".replace("%", " %")


def is_known(redis):
    """Not one quiet run of a condition: its figures are those of other work on this machine."""
    return all(redis[name]["quiet_runs"] for name in ("alone", "observe", "enforce"))


def harm_words(redis):
    if not is_known(redis):
        return "not known: no run was quiet"
    return percent(None if redis["harm_removed"] is None else min(redis["harm_removed"], 1))


def recovery_words(redis):
    """Told in steps of 10 ms, by a limit that comes from the runs alone."""
    if redis["recover_ms"] is None or not redis["alone"]["quiet_runs"]:
        return "not known"
    if redis["recover_ms"] == 0:
        return "at once: not one step of 10 ms was bad"
    return f"{number(redis['recover_ms'])} ms after the hog's start"


class Screen:
    def __init__(self):
        self.start, self.total_s, self.colour = time.monotonic(), None, sys.stdout.isatty()

    def plan(self, total_s):
        self.start, self.total_s = time.monotonic(), total_s

    def say(self, text=""):
        print(text, flush=True)

    def step(self, text):
        gone = time.monotonic() - self.start
        left = max(0, (self.total_s or 0) - gone)
        print(f"{gone:4.0f} s  {text}   [{left:.0f} s left]", flush=True)

    def mark(self, met):
        word = "ok" if met else "MISSED"
        if not self.colour:
            return word
        return f"\033[{32 if met else 31}m{word}\033[0m"

    def latency_table(self, redis, conditions, titles):
        self.say(f"\nRedis at {redis['rate_per_sec']:,} requests/s, next to {redis['hog']}")
        self.say(f"{'':<20}{'p50':>9}{'p99':>11}{'hog gets':>11}   runs used (quiet)")
        for name in conditions:
            row = redis[name]
            hog = percent(row["hog_cpu"]) if name in ("observe", "enforce") else ""
            flag = "" if row["enough_quiet"] else "  the quietest: too few were quiet"
            self.say(f"  {titles[name]:<18}{row['p50_us']:>6.0f} us{row['p99_us']:>8,.0f} us"
                     f"{hog:>11}   {row['runs']} ({row['quiet_runs']}){flag}")
        reaction = redis["reaction_ms"]
        self.say(f"\n  culprit named        {redis['culprit'] or '-'}, with "
                 f"{percent(redis['culprit_share'])} of the waiting")
        self.say(f"  harm removed         {harm_words(redis)}")
        self.say(f"  reaction             median {number(reaction['median'])} ms, slowest "
                 f"{number(reaction['max'])} ms ({reaction['acted']} of {reaction['trials']})")
        self.say(f"  Redis well again     {recovery_words(redis)}")

    def sine_table(self, sine, conditions, titles):
        self.say(f"\nA sine of {sine['period_s']} s, 10 % to 90 % of one CPU, next to the hog")
        self.say(f"{'':<20}{'correlation':>12}{'amplitude':>12}{'largest':>10}{'not met':>10}")
        for name in conditions:
            row = sine[name]
            self.say(f"  {titles[name]:<18}{number(row['correlation']):>12}"
                     f"{percent(row['achieved_amplitude']):>12}{percent(row['max_share']):>10}"
                     f"{percent(row['unmet_ratio']):>10}")

    def target_table(self, rows):
        self.say("\nTargets")
        for row in rows:
            self.say(f"  {row['what']:<48} {number(row['got']):>16}  {row['want']:<8} "
                     + self.mark(row["met"]))

# SPDX-License-Identifier: MIT
"""Targets, and whether the main job worked."""


def pick(result, path):
    for key in path.split("."):
        result = result.get(key) if isinstance(result, dict) else None
    return result


# What, where in the result, at least or at most, how much: a table for limit_rows().
TARGETS = (
    ("the hog multiplies Redis' p99 by", "redis.harm_factor", ">=", 10),
    ("part of that harm removed", "redis.harm_removed", ">=", 0.95),
    ("the hog keeps of what Redis leaves", "redis.be_share_of_leftover", ">=", 0.9),
    ("share of the waiting the culprit is named with", "redis.culprit_share", ">=", 0.8),
    ("reaction, median (ms)", "redis.reaction_ms.median", "<=", 1),
    ("reaction, slowest (ms)", "redis.reaction_ms.max", "<=", 5),
    ("sine: correlation under control", "sine.enforce.correlation", ">=", 0.9),
    ("sine: amplitude against alone", "sine.enforce.amplitude_ratio", ">=", 0.9),
)


def limit_rows(table, result):
    """A row of the result for each line of the table."""
    rows = []
    for what, path, way, limit in table:
        got = pick(result, path)
        met = got is not None and (got >= limit if way == ">=" else got <= limit)
        rows.append({"what": what, "key": path, "want": f"{way} {limit}", "got": got, "met": met})
    return rows


def true_row(what, key, got):
    return {"what": what, "key": key, "want": "true", "got": got, "met": got}


def targets(result):
    redis = result["redis"]
    alone, observe = redis["alone"]["p99_us"], redis["observe"]["p99_us"]
    redis["harm_factor"] = observe / alone if alone else None
    return [*limit_rows(TARGETS, result),
            {"what": "the right culprit, in every run", "key": "redis.culprit", "want": "hog",
             "got": redis["culprit"], "met": redis["culprit_right"]},
            true_row("host unchanged", "host_unchanged", result["host_unchanged"])]


def failures(result):
    """Why the main job did not work; empty if it did. A missed target alone is not a failure."""
    redis, sine = result["redis"], result["sine"]
    reasons = []
    if not redis["culprit_right"]:
        reasons.append(f"the culprit named was {redis['culprit'] or 'nobody'}, not the hog")
    if not redis["reaction_ms"]["acted"]:
        reasons.append("czd never acted on the hog")
    if (redis["harm_removed"] or 0) < 0.5:
        reasons.append("Redis was not restored: less than half of the harm was removed")
    if (sine["enforce"]["amplitude_ratio"] or 0) < 0.5:
        reasons.append("the sine stayed flattened under control")
    if not result["host_unchanged"]:
        reasons.append("the host was not left as it was found")
    if reasons and not any(redis[c]["quiet_runs"] for c in ("alone", "observe", "enforce")):
        reasons.append("not one run was quiet: other work on this machine may be the reason")
    return reasons

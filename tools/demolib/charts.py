# SPDX-License-Identifier: MIT
"""Small inline SVG charts. Colours are CSS classes, so that they follow the page's theme; every
colour has its name next to it."""
import html
import math

WIDTH = 760


def esc(value):
    return html.escape(str(value), quote=True)


def text(x, y, words, anchor="start", cls=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{cls}">{esc(words)}</text>'


def line(x1, y1, x2, y2, cls):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{cls}"/>'


def svg(height, parts, label):
    return (f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{esc(label)}">'
            + "".join(parts) + "</svg>")


def legend(entries):
    return ('<p class="legend">' + "".join(f'<span><i class="{cls}"></i>{esc(words)}</span>'
                                           for cls, words in entries) + "</p>")


def micro(us):
    for unit, factor in (("s", 1e6), ("ms", 1e3)):
        if us >= factor:
            return f"{us / factor:.3g} {unit}"
    return f"{us:.3g} us"


def latency(rows):
    """rows: [(title, {p50_us, p90_us, p99_us}, [(p99 of a run, quiet)])]; logarithmic."""
    left, right, step = 140, WIDTH - 90, 46
    values = [v for _, typical, runs in rows
              for v in [typical["p50_us"], typical["p99_us"], *[p for p, _ in runs]] if v]
    low = 10 ** math.floor(math.log10(min(values)))
    high = 10 ** math.ceil(math.log10(max(values) * 1.01))
    height = step * len(rows) + 40

    def x(us):
        return left + (right - left) * math.log(us / low) / math.log(high / low)
    parts = []
    tick = low
    while tick <= high:
        parts += [line(x(tick), 8, x(tick), height - 28, "grid"),
                  text(x(tick), height - 10, micro(tick), "middle", "axis")]
        tick *= 10
    for number, (title, typical, runs) in enumerate(rows):
        y = 28 + number * step
        parts += [text(left - 12, y + 4, title, "end"),
                  line(x(typical["p50_us"]), y, x(typical["p99_us"]), y, "range")]
        for p99, quiet in runs:
            parts.append(f'<circle cx="{x(p99):.1f}" cy="{y + 12}" r="3" '
                         f'class="{"run" if quiet else "run noisy"}"><title>p99 of a run: '
                         f'{micro(p99)}{"" if quiet else ", not quiet"}</title></circle>')
        for key, cls, size in (("p50_us", "p50", 4), ("p90_us", "p90", 4), ("p99_us", "p99", 6)):
            parts.append(f'<circle cx="{x(typical[key]):.1f}" cy="{y}" r="{size}" class="{cls}">'
                         f'<title>{key[:-3]} {micro(typical[key])}</title></circle>')
        parts.append(text(x(typical["p99_us"]) + 10, y + 4, micro(typical["p99_us"]), cls="strong"))
    return svg(height, parts, "Redis latency percentiles by condition")


def stacked(points, layers, bands):
    """points: [{t_s, layer: share}]; layers: [(key, class)]; bands: [(from_s, to_s, title)]."""
    left, right, top, bottom, height = 44, WIDTH - 8, 26, 196, 222
    if not points:
        return "<p>no samples</p>"
    end = max(points[-1]["t_s"], bands[-1][1])

    def x(t_s):
        return left + (right - left) * t_s / end

    def y(share):
        return bottom - (bottom - top) * min(share, 1.0)
    parts = []
    for share in (0, 0.5, 1):
        parts += [line(left, y(share), right, y(share), "grid"),
                  text(left - 6, y(share) + 4, f"{share:.0%}", "end", "axis")]
    floor = [0.0] * len(points)
    for key, cls in layers:
        roof = [low + p.get(key, 0) for low, p in zip(floor, points)]
        there = [f"{x(p['t_s']):.1f},{y(v):.1f}" for p, v in zip(points, roof)]
        back = [f"{x(p['t_s']):.1f},{y(v):.1f}" for p, v in zip(points, floor)]
        parts.append(f'<polygon points="{" ".join(there + back[::-1])}" class="{cls}"/>')
        floor = roof
    for start, stop, title in bands:
        parts += [line(x(start), top - 16, x(start), bottom, "mark"),
                  text((x(start) + x(stop)) / 2, top - 8, title, "middle")]
    parts += [text(left, height - 8, "0 s", "middle", "axis"),
              text(right, height - 8, f"{end:.0f} s", "end", "axis")]
    return svg(height, parts, "Shares of CPU 1 over time")


def bar(parts_of_whole):
    """[(title, share, class)] as one horizontal bar."""
    parts, at = [], 0.0
    for title, share, cls in parts_of_whole:
        width = (WIDTH - 2) * share
        parts.append(f'<rect x="{at:.1f}" y="2" width="{max(width, 0):.1f}" height="26" '
                     f'class="{cls}"><title>{esc(title)}: {share:.1%}</title></rect>')
        if width > 120:
            parts.append(text(at + 8, 20, f"{title} {share:.1%}", cls="inside"))
        at += width
    return svg(30, parts, "Who ran while Redis waited")


def curves(intervals, title):
    """What a sine demanded (line) and got (area)."""
    width, left, top, bottom, height = 250, 34, 24, 150, 172
    if not intervals:
        return ""
    end = intervals[-1]["t_ns"] + intervals[-1]["length_ns"]

    def point(i, key):
        x = left + (width - left - 6) * (i["t_ns"] + i["length_ns"] / 2) / end
        return f"{x:.1f},{bottom - (bottom - top) * min(1, i[key] / i['length_ns']):.1f}"
    got = [point(i, "achieved_ns") for i in intervals]
    want = [point(i, "demanded_ns") for i in intervals]
    first, last = got[0].split(",")[0], got[-1].split(",")[0]
    parts = [text(left, 14, title)]
    for share in (0, 0.5, 1):
        y = bottom - (bottom - top) * share
        parts += [line(left, y, width - 6, y, "grid"),
                  text(left - 4, y + 4, f"{share:.0%}", "end", "axis")]
    parts += [f'<polygon points="{first},{bottom} {" ".join(got)} {last},{bottom}" class="lc"/>',
              f'<polyline points="{" ".join(want)}" class="want"/>',
              text(width - 6, height - 8, f"{end / 1e9:.0f} s", "end", "axis")]
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{esc(title)}">'
            + "".join(parts) + "</svg>")


def moments(events, end_ms):
    """[(ms, title)] on one line; each label has a height of its own, so that none covers another."""
    left, right, y, height = 20, WIDTH - 20, 74, 148
    heights = (-22, 22, -46, 46)
    parts = [line(left, y, right, y, "mark")]
    for number, (ms, title) in enumerate(events):
        x = left + (right - left) * max(0, min(1, ms / end_ms))
        anchor = "start" if x < WIDTH / 3 else "end" if x > WIDTH * 2 / 3 else "middle"
        away = heights[number % len(heights)]
        parts += [f'<circle cx="{x:.1f}" cy="{y}" r="5" class="p99"/>',
                  line(x, y, x, y + away, "mark"),
                  text(x, y + away + (14 if away > 0 else -6), f"{title}, {ms:.2f} ms", anchor)]
    return svg(height, parts, "One reaction")

// SPDX-License-Identifier: MIT
// Stacked areas over time, with marks for what happened. Series differ by order and legend, not by colour alone.
import {clock, day, el, percent, svg} from "./util.js";

const WIDTH = 720, HEIGHT = 220, LEFT = 52, BOTTOM = 20, TOP = 8;
const COLOURS = 8;
const DAY_NS = 24 * 3600e9;

// points: [{at_ns, values: Map(name -> ppm), or null: not known}] in order of time; the names with the largest sums first.
export function biggest(points, most) {
	const sums = new Map();
	for (const point of points)
		for (const [name, value] of point.values || [])
			sums.set(name, (sums.get(name) || 0) + value);
	return [...sums].sort((a, b) => b[1] - a[1]).slice(0, most).map(([name]) => name);
}

function ceiling(points, names) {
	let top = 0;
	for (const {values} of points)
		if (values)
			top = Math.max(top, names.reduce((sum, name) => sum + (values.get(name) || 0), 0));
	if (top <= 0)
		return 10000;
	const power = 10 ** Math.floor(Math.log10(top));
	return [1, 2, 5, 10].map((m) => m * power).find((x) => x >= top);
}

// Points one after the other that are known: between them nothing is drawn.
function runs(points) {
	const found = [];
	for (const point of points) {
		if (!point.values)
			found.push([]);
		else if (found.length)
			found[found.length - 1].push(point);
		else
			found.push([point]);
	}
	return found.filter((run) => run.length);
}

function areas(run, names, x, y) {
	const ends = run.length > 1 ? run : [run[0], run[0]];
	const at = (k) => x(ends[k].at_ns) + (run.length === 1 && k ? 1.5 : 0); // one alone is seen too
	let floor = ends.map(() => 0);
	return names.map((name, i) => {
		const ceil = ends.map((p, k) => floor[k] + (p.values.get(name) || 0));
		const up = ends.map((p, k) => `${at(k).toFixed(1)},${y(ceil[k]).toFixed(1)}`);
		const down = ends.map((p, k) => `${at(k).toFixed(1)},${y(floor[k]).toFixed(1)}`).reverse();
		floor = ceil;
		return svg("polygon", {class: "f" + i, points: [...up, ...down].join(" ")}, svg("title", {}, name));
	});
}

// The whole time is `from_ns` to `to_ns`, or that of the points.
export function stacked(points, marks, label, from_ns, to_ns) {
	const names = biggest(points, COLOURS);
	const top = ceiling(points, names);
	const first = from_ns ?? (points.length ? points[0].at_ns : 0);
	const last = to_ns ?? (points.length ? points[points.length - 1].at_ns : 1);
	const when = last - first > DAY_NS ? day : clock;
	const x = (at) => LEFT + (WIDTH - LEFT) * (last > first ? (at - first) / (last - first) : 1);
	const y = (ppm) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * ppm / top;
	const chart = svg("svg", {class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label});

	if (points.length > 1)
		for (const run of runs(points))
			chart.append(...areas(run, names, x, y));
	for (const part of [0, 0.5, 1]) {
		chart.append(svg("line", {class: "grid", x1: LEFT, x2: WIDTH, y1: y(top * part), y2: y(top * part)}));
		chart.append(svg("text", {x: LEFT - 6, y: y(top * part) + 4, "text-anchor": "end"}, percent(top * part)));
	}
	chart.append(svg("text", {x: LEFT, y: HEIGHT - 5}, points.length ? when(first) : ""));
	chart.append(svg("text", {x: WIDTH, y: HEIGHT - 5, "text-anchor": "end"}, points.length ? when(last) : ""));
	for (const mark of marks.filter((m) => m.at_ns >= first && m.at_ns <= last))
		chart.append(svg("line", {class: "mark", x1: x(mark.at_ns), x2: x(mark.at_ns), y1: TOP, y2: HEIGHT - BOTTOM},
			svg("title", {}, mark.text)));
	return el("div", {}, chart, el("ul", {class: "legend"}, names.map((name, i) =>
		el("li", {}, svg("svg", {viewBox: "0 0 8 8", "aria-hidden": "true"}, svg("rect", {class: "f" + i, width: 8, height: 8})), name))));
}

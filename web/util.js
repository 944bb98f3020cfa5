// SPDX-License-Identifier: MIT
// Elements and numbers. Text always goes in as text: no name of a zone is ever markup.
export function el(tag, attributes, ...children) {
	const node = document.createElement(tag);
	return fill(node, attributes, children);
}

export function svg(tag, attributes, ...children) {
	return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes || {}))
		if (value !== null && value !== undefined && value !== false)
			node.setAttribute(name, value === true ? "" : value);
	for (const child of children.flat())
		if (child !== null && child !== undefined)
			node.append(child);
	return node;
}

const digits = (x) => (x >= 99.95 ? x.toFixed(0) : x >= 9.995 ? x.toFixed(1) : x.toFixed(2));

// What is not known is "-", never 0.
function scaled(value, units, step) {
	if (value === null || value === undefined)
		return "-";
	let i = 0, x = value;
	while (x >= step && i < units.length - 1) {
		x /= step;
		i++;
	}
	return (i === 0 ? String(Math.round(x)) : digits(x)) + " " + units[i];
}

export const bytes = (n) => scaled(n, ["B", "KiB", "MiB", "GiB", "TiB"], 1024);
export const duration = (ns) => scaled(ns, ["ns", "us", "ms", "s"], 1000);
export const percent = (ppm) => (ppm === null || ppm === undefined ? "-" : (ppm / 10000).toFixed(1) + " %");
export const clock = (ns) => (ns ? new Date(ns / 1e6).toLocaleTimeString() : "-");
export const day = (ns) => (ns ? new Date(ns / 1e6).toLocaleString([], {dateStyle: "short", timeStyle: "short"}) : "-");
export const partName = (part) => (part.cause === "neighbour" ? part.zone || "(gone)" : part.cause);
export const zoneLink = (name) => el("a", {href: "#zone=" + encodeURIComponent(name)}, name);

function heading(heads) {
	return el("thead", {}, el("tr", {}, heads.map((h) => el("th", {class: h.class, scope: "col"}, h.text))));
}

const rowOf = (heads, cells) => el("tr", {}, cells.map((cell, i) => el("td", {class: heads[i].class}, cell)));

export function table(heads, rows, attributes) {
	return el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": attributes["aria-label"]},
		el("table", attributes, heading(heads), el("tbody", {}, rows.map((row) => rowOf(heads, row)))));
}

const ROW = 32, MARGIN = 10; // px, as style.css has it; rows beyond what is seen
// A table of which only the rows that are seen are made: rows(i) is the cells of row i.
export function longTable(heads, count, rows, attributes) {
	const body = el("tbody", {}), space = () => el("tr", {class: "space", "aria-hidden": "true"}, el("td", {colspan: heads.length}));
	const above = space(), below = space();
	const box = el("div", {class: "scroll tall", tabindex: "0", role: "region", "aria-label": attributes["aria-label"]},
		el("table", {...attributes, "aria-rowcount": count + 1}, heading(heads), body));
	let first = -1;
	const show = () => {
		const from = Math.max(0, Math.min(Math.floor(box.scrollTop / ROW), count) - MARGIN);
		const to = Math.min(count, from + Math.ceil((box.clientHeight || innerHeight) / ROW) + 2 * MARGIN);
		if (from === first)
			return;
		first = from;
		above.firstChild.style.height = `${from * ROW}px`;
		below.firstChild.style.height = `${(count - to) * ROW}px`;
		body.replaceChildren(above, ...Array.from({length: to - from}, (_, i) => rowOf(heads, rows(from + i))), below);
	};
	box.addEventListener("scroll", show, {passive: true});
	show();
	return box;
}

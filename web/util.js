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
export const zoneLink = (name) => el("a", {href: "#zone=" + encodeURIComponent(name)}, name);

export function table(heads, rows, attributes) {
	const cells = (row) => row.map((cell, i) => el("td", {class: heads[i].class}, cell));
	return el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": attributes["aria-label"]},
		el("table", attributes,
			el("thead", {}, el("tr", {}, heads.map((h) => el("th", {class: h.class, scope: "col"}, h.text)))),
			el("tbody", {}, rows.map((row) => el("tr", {}, cells(row))))));
}

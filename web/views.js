// SPDX-License-Identifier: MIT
// What is drawn: each view makes its elements from the state, and knows nothing of the network.
import {stacked} from "./chart.js";
import {bytes, clock, day, duration, el, longTable, partName, percent, table, zoneLink} from "./util.js";

const RECENT = 10; // snapshots over which the matrix is told
const CAUSES = ["self", "kernel", "host", "throttled", "idle", "unknown"];

// Of one ledger window: who took how much of the victim's time, in ppm of wall time.
export function shares(ledger) {
	const values = new Map();
	for (const part of ledger.parts)
		values.set(partName(part), (values.get(partName(part)) || 0) + part.ns / ledger.window_ns * 1e6);
	return values;
}

function recent(points) {
	const sums = new Map(), last = points.slice(-RECENT);
	for (const point of last)
		for (const [name, value] of point.values)
			sums.set(name, (sums.get(name) || 0) + value / last.length);
	return sums;
}

const heat = (ppm) => (ppm >= 100000 ? "heat3" : ppm >= 10000 ? "heat2" : ppm >= 1000 ? "heat1" : null);

function matrix(state) {
	const rows = state.now.ledgers.map((ledger) => ({ledger, sums: recent(state.points.get(ledger.zone) || [])}));
	const totals = new Map();
	for (const {sums} of rows)
		for (const [name, value] of sums)
			totals.set(name, (totals.get(name) || 0) + value);
	const neighbours = [...totals].filter(([name]) => !CAUSES.includes(name)).sort((a, b) => b[1] - a[1])
		.slice(0, 12).map(([name]) => name);
	const names = [...neighbours, ...CAUSES.filter((name) => totals.has(name))];
	const cell = (value) => el("td", {class: heat(value || 0)}, value ? percent(value) : el("span", {class: "dim"}, "0"));
	return el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Who hurts whom"},
		el("table", {class: "matrix", id: "matrix"},
			el("thead", {}, el("tr", {}, el("th", {scope: "col"}, "victim"), names.map((name) => el("th", {scope: "col", class: "n"}, name)))),
			el("tbody", {}, rows.map(({ledger, sums}) => el("tr", {"data-zone": ledger.zone},
				el("th", {scope: "row"}, zoneLink(ledger.zone)),
				names.map((name) => cell(sums.get(name))))))));
}

function verdict(state) {
	const hurt = state.now.ledgers.filter((ledger) => ledger.state === "hurt").map((ledger) => ledger.zone);
	if (!state.now.ledgers.length)
		return el("p", {class: "verdict"}, "No zone is protected. ", el("code", {}, "czctl protect ZONE"));
	if (!hurt.length)
		return el("p", {class: "verdict good", id: "verdict"}, `Nobody is hurt, of ${state.now.ledgers.length} protected.`);
	return el("p", {class: "verdict bad", id: "verdict"}, hurt.join(", ") + (hurt.length > 1 ? " are" : " is") + " being hurt.");
}

function zoneRows(state, zones) {
	const states = new Map(state.now.ledgers.map((ledger) => [ledger.zone, ledger]));
	const heads = [{text: "zone"}, {text: "class"}, {text: "CPU", class: "n"}, {text: "memory", class: "n"},
		{text: "waits", class: "n"}, {text: "wait p99", class: "n"}, {text: "state"}];
	return longTable(heads, zones.length, (i) => {
		const zone = zones[i], ledger = states.get(zone.name);
		return [zoneLink(zone.name), zone.class_own ? zone.class : el("span", {class: "dim"}, zone.class), percent(zone.cpu_ppm), bytes(zone.memory_bytes),
			ledger ? percent(ledger.wait_ns / ledger.window_ns * 1e6) : "-", ledger ? duration(ledger.wait_p99_ns) : "-",
			ledger ? el("span", {class: ledger.state === "hurt" ? "bad" : null}, ledger.state) : "-"];
	}, {id: "zones", "aria-label": "Zones"});
}

function findings(rows) {
	if (!rows.length)
		return el("p", {class: "dim"}, "No findings.");
	const heads = [{text: "since"}, {text: "victim"}, {text: "cause"}, {text: "culprits"}, {text: "why", class: "text"}, {text: "state"}];
	return table(heads, rows.slice(0, 50).map((f) => [clock(f.since_real_ns), zoneLink(f.victim), f.cause,
		f.culprits.map((c) => `${c.zone} ${percent(c.share_ppm)}`).join(", ") || "-", f.why,
		f.open ? el("span", {class: "bad"}, f.severity) : "closed"]), {id: "findings", "aria-label": "Findings"});
}

function actions(rows) {
	if (!rows.length)
		return el("p", {class: "dim"}, "No actions.");
	const heads = [{text: "when"}, {text: "zone"}, {text: "knob"}, {text: "from → to"}, {text: "for"}, {text: "effect", class: "text"}, {text: "state"}];
	return table(heads, rows.slice(0, 50).map((a) => [clock(a.written_real_ns), zoneLink(a.target), a.knob, `${a.from ?? "-"} → ${a.to}`,
		a.victim, a.after_wait_p99_ns === null ? a.expect : `wait p99 ${duration(a.before_wait_p99_ns)} → ${duration(a.after_wait_p99_ns)}`,
		a.state]), {id: "actions", "aria-label": "Actions"});
}

export function overview(state) {
	const host = state.now.host, busy = host.host_cpu_busy_ns_total;
	return [verdict(state),
		el("p", {class: "dim"}, `mode ${state.now.mode.mode}, ${state.now.zones_total} zones, ` +
			`${busy === null ? "-" : (busy / state.now.window_ns).toFixed(2)} CPUs busy, ` +
			`${bytes(host.host_memory_available_bytes)} of memory available`),
		el("h2", {}, "Who hurts whom"), el("p", {class: "dim"}, "Of a victim's time (the last 10 s, its tasks added up), waiting for a CPU on which the culprit ran."),
		matrix(state),
		el("h2", {}, "Findings"), findings(state.findings.filter((f) => f.open).reverse()),
		el("h2", {}, "Actions"), actions([...state.actions].reverse()),
		el("h2", {}, "Busiest zones"), zoneRows(state, state.now.zones.filter((z) => z.name !== "/").slice(0, 12))];
}

export const zones = (state) => [el("h2", {}, "Zones"),
	el("p", {class: "dim"}, `Those with a class, and the busiest, of ${state.now.zones_total}.`), zoneRows(state, state.now.zones)];

export function zone(state, name) {
	const points = state.points.get(name) || [];
	const ledger = state.now.ledgers.find((l) => l.zone === name);
	const row = state.now.zones.find((z) => z.name === name);
	const mine = (list, keys) => list.filter((item) => keys.some((key) => item[key] === name));
	const found = mine(state.findings, ["victim"]), done = mine(state.actions, ["victim", "target"]);
	const marks = [...found.map((f) => ({at_ns: f.since_real_ns, text: `finding ${f.seq}: ${f.why}`})),
		...done.filter((a) => a.written_real_ns).map((a) => ({at_ns: a.written_real_ns, text: `action ${a.seq}: ${a.target} ${a.knob} ${a.to}`}))];
	const parts = [el("h2", {id: "zone-name"}, name)];

	if (state.why && state.why.zone.name === name)
		parts.push(el("p", {class: "verdict" + (state.why.verdict === "hurt" ? " bad" : "")}, state.why.headline));
	if (row)
		parts.push(el("p", {class: "dim"}, `class ${row.class}, CPU ${percent(row.cpu_ppm)}, memory ${bytes(row.memory_bytes)}`));
	if (ledger)
		parts.push(el("figure", {}, el("figcaption", {}, "Time waited for a CPU, by who ran meanwhile; dashed: findings and actions"),
			stacked(points, marks, `Waiting of ${name} by who ran meanwhile`)),
			zoneRows(state, row ? [row] : []));
	else
		parts.push(el("p", {class: "dim"}, "It is not protected, so who runs while it waits is not kept. ", el("code", {}, `czctl protect ${name}`)));
	return [...parts, el("h2", {}, "Findings"), findings([...found].reverse()), el("h2", {}, "Actions"), actions([...done].reverse())];
}

function pastMarks(past, keys) {
	const mine = (list) => list.filter((item) => keys.some((key) => item[key] === past.name));
	const found = mine(past.findings), done = mine(past.actions);
	return {found, done, marks: [...found.map((f) => ({at_ns: f.since_real_ns, text: `finding ${f.seq}: ${f.why}`})),
		...done.filter((a) => a.written_real_ns).map((a) => ({at_ns: a.written_real_ns, text: `action ${a.seq}: ${a.target} ${a.knob} ${a.to}`}))]};
}

function pastChart(past, points, marks, caption) {
	return el("figure", {}, el("figcaption", {}, caption), stacked(points, marks, caption, past.from_ms * 1e6, past.to_ms * 1e6));
}

function pastTime(past) {
	const away = past.away >= past.step_ms ? `; nobody watched for ${Math.round(past.away / 60000)} min of it` : "";
	return el("p", {class: "dim", id: "past"}, `${day(past.from_ms * 1e6)} to ${day(past.to_ms * 1e6)}, steps of ${duration(past.step_ms * 1e6)}${away}.`);
}

// One zone over a time that was; it may be gone by now, and czd away.
export function pastZone(past) {
	const {found, done, marks} = pastMarks(past, ["victim", "target"]);
	const parts = [el("h2", {id: "zone-name"}, past.name), pastTime(past)];

	if (past.waiting)
		parts.push(pastChart(past, past.waiting, marks, `Time that ${past.name} waited for a CPU, by who ran meanwhile; dashed: findings and actions`));
	else
		parts.push(el("p", {class: "dim"}, "It was not protected then, so who ran while it waited was not kept."));
	if (past.cpu)
		parts.push(pastChart(past, past.cpu, marks, "CPU time that it used"));
	else
		parts.push(el("p", {class: "dim"}, "It did not run then."));
	return [...parts, el("h2", {}, "Findings"), findings(found.reverse()), el("h2", {}, "Actions"), actions(done.reverse())];
}

// The host over a time that was, and the zones that there were.
export function pastHost(past, link) {
	const heads = [{text: "zone"}, {text: "class"}, {text: "kind"}, {text: "first seen"}, {text: "last seen"}];
	const order = ["lc", "be", "normal"];
	const zones = [...past.zones].sort((a, b) => order.indexOf(a.class) - order.indexOf(b.class) || b.last_ms - a.last_ms);
	const marks = past.findings.map((f) => ({at_ns: f.since_real_ns, text: `${f.victim}: ${f.why}`}));
	return [el("h2", {}, "History"), pastTime(past), pastChart(past, past.cpu, marks, "CPU time of the host; dashed: findings"),
		el("h2", {}, "Zones"), longTable(heads, zones.length, (i) => [link(zones[i]), zones[i].class, zones[i].kind, day(zones[i].first_ms * 1e6),
			day(zones[i].last_ms * 1e6)], {id: "past-zones", "aria-label": "Zones that there were"}),
		el("h2", {}, "Findings"), findings([...past.findings].reverse())];
}

export const events = (state) => [el("h2", {}, "Events"), state.events.length
	? el("ul", {class: "plain", id: "events"}, [...state.events].reverse().map((e) =>
		el("li", {}, el("span", {class: "dim"}, clock(e.real_ns) + " "), e.text)))
	: el("p", {class: "dim"}, "Nothing happened yet.")];

// SPDX-License-Identifier: MIT
// The state of the page, and when it is drawn: with each snapshot, and when another view is asked for.
import {get, listen, Refused, setToken} from "./net.js";
import {clock} from "./util.js";
import * as views from "./views.js";

const KEPT = 300; // snapshots: five minutes
const EVENTS_KEPT = 200;
const PAGES = ["overview", "zones", "events"];
const main = document.getElementById("main"), status = document.getElementById("status"), login = document.getElementById("login");
const state = {now: null, points: new Map(), findings: [], actions: [], events: [], why: null};

function takeSnapshot(snapshot) {
	if (!snapshot.czd) {
		state.now = null;
		status.textContent = "czd is away";
		return;
	}
	state.now = snapshot;
	const there = new Set();
	for (const ledger of snapshot.ledgers) {
		const points = state.points.get(ledger.zone) || [];
		there.add(ledger.zone);
		if (ledger.window_ns)
			points.push({at_ns: snapshot.real_ns, values: views.shares(ledger)});
		if (points.length > KEPT)
			points.shift();
		state.points.set(ledger.zone, points);
	}
	for (const name of state.points.keys())
		if (!there.has(name))
			state.points.delete(name);
	status.textContent = "as of " + clock(snapshot.real_ns);
	document.body.dataset.realNs = snapshot.real_ns;
}

const takers = {
	snapshot: takeSnapshot,
	findings: (data) => { state.findings = data.findings; },
	actions: (data) => { state.actions = data.actions; },
	event: (data) => { state.events = [...state.events, data].slice(-EVENTS_KEPT); },
};

// What somebody typed that is no view is the overview.
function where() {
	const hash = location.hash.slice(1);
	try {
		if (hash.startsWith("zone="))
			return ["zone", decodeURIComponent(hash.slice(5))];
	} catch (error) { /* a % that stands for nothing */ }
	return [PAGES.includes(hash) ? hash : "overview"];
}

// What is focused, where it is scrolled to, and what is selected stay: nothing jumps under a reader.
function draw() {
	const [view, name] = where();
	if (!state.now) {
		main.replaceChildren();
		return;
	}
	if (!getSelection().isCollapsed && main.contains(getSelection().anchorNode))
		return;
	const focused = main.contains(document.activeElement) ? [...main.querySelectorAll("a, [tabindex]")].indexOf(document.activeElement) : -1;
	const scrolled = [...main.querySelectorAll(".scroll")].map((node) => node.scrollLeft);
	main.replaceChildren(...views[view](state, name));
	main.querySelectorAll(".scroll").forEach((node, i) => { node.scrollLeft = scrolled[i] || 0; });
	if (focused >= 0)
		[...main.querySelectorAll("a, [tabindex]")][focused]?.focus({preventScroll: true});
	for (const link of document.querySelectorAll("nav a"))
		link.dataset.view === view ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
}

async function askWhy() {
	const [view, name] = where();
	if (view !== "zone")
		return;
	try {
		state.why = await get(`api/v1/zones/${encodeURIComponent(name)}/why`);
	} catch (error) {
		state.why = null;
	}
}

async function fetchLists() {
	const [found, done, happened] = await Promise.all([get("api/v1/findings?all=true"), get("api/v1/actions?all=true"), get("api/v1/events")]);
	state.findings = found.findings;
	state.actions = done.actions;
	state.events = happened.events.slice(-EVENTS_KEPT);
}

async function run() {
	for (let pause = 500; ; pause = Math.min(pause * 2, 10000)) {
		try {
			await fetchLists();
			login.hidden = true;
			await listen((name, data) => {
				pause = 500;
				takers[name]?.(data);
				if (name === "snapshot")
					askWhy();
				draw();
			});
		} catch (error) {
			if (error instanceof Refused && error.status === 401) {
				login.hidden = false;
				status.textContent = "a token is needed";
				return;
			}
			status.textContent = error instanceof Refused ? error.message : "cz-gate is away";
		}
		await new Promise((done) => setTimeout(done, pause));
	}
}

login.addEventListener("submit", (event) => {
	event.preventDefault();
	setToken(document.getElementById("token").value);
	run();
});
addEventListener("hashchange", () => {
	scrollTo(0, 0);
	askWhy().then(draw);
	draw();
	main.focus({preventScroll: true});
});
addEventListener("keydown", (event) => {
	if (event.key === "Escape")
		location.hash = "";
});
run();

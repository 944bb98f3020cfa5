// SPDX-License-Identifier: MIT
// The state of the page, and when it is drawn: with each snapshot, and when another view is asked for.
import {ofHost, ofZone, rangeOf} from "./history.js";
import {get, listen, Refused, setToken} from "./net.js";
import {clock, el} from "./util.js";
import * as views from "./views.js";

const KEPT = 300; // snapshots: five minutes
const EVENTS_KEPT = 200;
const PAGES = ["overview", "zones", "events", "history"];
const PAST_AGAIN_MS = 30000;
const main = document.getElementById("main"), status = document.getElementById("status"), login = document.getElementById("login");
const state = {now: null, points: new Map(), findings: [], actions: [], events: [], why: null, past: null};
const picker = {form: document.getElementById("range"), span: document.getElementById("span"), own: document.getElementById("own"),
	from: document.getElementById("from"), to: document.getElementById("to")};

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
		decodeURIComponent(hash);
	} catch (error) { // a % that stands for nothing
		return {view: "overview", range: null};
	}
	const parameters = new URLSearchParams(hash.replaceAll("+", "%2B")), view = parameters.keys().next().value;
	if (view === "zone" && parameters.get("zone"))
		return {view, name: parameters.get("zone"), range: rangeOf(parameters)};
	if (view === "history")
		return {view, range: rangeOf(parameters) || {since: "1h"}};
	return {view: PAGES.includes(view) ? view : "overview", range: null};
}

const addressOf = (view, name, range) => "#" + [view + (name ? "=" + encodeURIComponent(name) : ""), ...Object.entries(range || {}).map(([k, v]) => `${k}=${v}`)].join("&");

// A redraw makes the same boxes again: they stay where they were scrolled to.
function boxes() {
	return [...main.querySelectorAll(".scroll")];
}

// What is focused, where it is scrolled to, and what is selected stay: nothing jumps under a reader.
function put(nodes) {
	if (!getSelection().isCollapsed && main.contains(getSelection().anchorNode))
		return;
	const focused = main.contains(document.activeElement) ? [...main.querySelectorAll("a, [tabindex]")].indexOf(document.activeElement) : -1;
	const scrolled = boxes().map((box) => [box.getAttribute("aria-label"), box.scrollLeft, box.scrollTop]);
	main.replaceChildren(...nodes);
	boxes().forEach((box, i) => {
		if (scrolled[i]?.[0] === box.getAttribute("aria-label"))
			[, box.scrollLeft, box.scrollTop] = scrolled[i];
		box.dispatchEvent(new Event("scroll"));
	});
	if (focused >= 0)
		[...main.querySelectorAll("a, [tabindex]")][focused]?.focus({preventScroll: true});
}

function drawPast(at) {
	const link = (zone) => el("a", {href: addressOf("zone", zone.path, at.range)}, zone.name);
	if (!state.past || state.past.key !== location.hash)
		put([el("p", {class: "dim"}, "Reading history ...")]);
	else if (state.past.error)
		put([el("p", {class: "verdict", id: "past-error"}, state.past.error)]);
	else
		put(at.view === "zone" ? views.pastZone(state.past) : views.pastHost(state.past, link));
}

// With a new snapshot only what is live is drawn.
function draw(live) {
	const at = where();
	if (at.range && !live)
		drawPast(at);
	else if (!at.range && state.now)
		put(views[at.view](state, at.name));
	else if (!at.range)
		put([el("p", {class: "verdict"}, status.textContent + ". "), el("p", {}, el("a", {href: "#history"}, "How it was"))]);
	for (const link of document.querySelectorAll("nav a"))
		link.dataset.view === at.view ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
}

async function readPast() {
	const at = where(), key = location.hash;
	const tick_ms = (state.now?.window_ns || 1e9) / 1e6;
	let past;
	if (!at.range)
		return;
	try {
		past = at.view === "zone" ? await ofZone(at.name, at.range, tick_ms) : await ofHost(at.range, tick_ms);
	} catch (error) {
		past = {error: error instanceof TypeError ? "cz-gate is away" : error.message};
	}
	if (key !== location.hash || (past.error && state.past?.key === key && !state.past.error))
		return; // another was asked for meanwhile; or what is there is better than nothing
	state.past = {...past, key};
	draw();
}

const local = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 16);

function showPicker() {
	const {view, range} = where();
	picker.form.hidden = view !== "zone" && view !== "history";
	picker.span.firstElementChild.hidden = view === "history";
	picker.span.value = range ? range.since || "own" : "";
	picker.own.hidden = !range?.from;
	if (range?.from)
		[picker.from.value, picker.to.value] = [local(range.from), local(range.to)];
}

function pick() {
	const {view, name} = where(), since = picker.span.value;
	const from = Date.parse(picker.from.value), to = Date.parse(picker.to.value);
	picker.own.hidden = since !== "own";
	if (since === "own" && !picker.from.value)
		[picker.from.value, picker.to.value] = [local(Date.now() - 3600000), local(Date.now())];
	else if (since === "own" && from < to)
		location.hash = addressOf(view, name, {from, to});
	else if (since !== "own")
		location.hash = addressOf(view, name, since ? {since} : null);
}

async function askWhy() {
	const {view, name, range} = where();
	if (view !== "zone" || range)
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
				draw(true);
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
	readPast();
});
picker.span.addEventListener("change", pick);
picker.form.addEventListener("submit", (event) => {
	event.preventDefault();
	pick();
});
addEventListener("hashchange", () => {
	scrollTo(0, 0);
	showPicker();
	askWhy().then(() => draw(true));
	readPast();
	draw();
	main.focus({preventScroll: true});
});
addEventListener("keydown", (event) => {
	if (event.key === "Escape")
		location.hash = "";
});
showPicker();
readPast();
setInterval(readPast, PAST_AGAIN_MS);
run();

// SPDX-License-Identifier: MIT
// How it was: what is asked of history, and its answers in the form that charts take. A step without a value is a gap.
import {get} from "./net.js";
import {partName} from "./util.js";

const HOURS = {"1h": 1, "6h": 6, "24h": 24, "7d": 168, "14d": 336};
const POINTS = 300, TICKS_A_POINT = 2; // at least: where there is none, nobody watched

// {since} or {from, to} in ms since 1970, as it stands in the address; null: none, which is live.
export function rangeOf(parameters) {
	const from = Number(parameters.get("from")), to = Number(parameters.get("to"));
	if (from > 0 && to > from)
		return {from, to};
	return HOURS[parameters.get("since")] ? {since: parameters.get("since")} : null;
}

const query = (range, more) => new URLSearchParams({
	...(range.since ? {since: HOURS[range.since] + "h"} : range), ...more});

// Columns of ns a second -> [{at_ns, values}] in ppm of one CPU; values null where `known` is: nobody watched.
function pointsOf(answer, known, columns) {
	const points = [];
	for (let i = 0; i < answer.points; i++) {
		const values = known[i] === null ? null : new Map();
		for (const [name, column] of values ? columns : [])
			values.set(name, (values.get(name) || 0) + (column[i] || 0) / 1000);
		points.push({at_ns: (answer.from_ms + i * answer.step_ms) * 1e6, values});
	}
	return points;
}

// What is not there is null: a zone may never have been protected, or be new.
async function orNull(path) {
	try {
		return await get(path);
	} catch (error) {
		if (error.status === 404)
			return null;
		throw error;
	}
}

// The host is measured in each tick: where it has no value, czd was away. Its time is that of all else.
async function frame(range, tick_ms) {
	const span_ms = range.since ? HOURS[range.since] * 3600000 : range.to - range.from;
	const points = Math.max(1, Math.min(POINTS, Math.floor(span_ms / tick_ms / TICKS_A_POINT)));
	const host = await orNull("api/v1/history?" + query(range, {zone: "host", metric: "host_cpu_busy_ns_total", points}));
	if (!host)
		throw new Error("History has nothing of that time.");
	const time = {from: host.from_ms, to: host.to_ms};
	return {host, time, points, notes: (kind) => get(`api/v1/history/notes/${kind}?` + query(time))};
}

const shown = (range, host) => ({range, from_ms: host.from_ms, to_ms: host.to_ms, step_ms: host.step_ms,
	away: host.mean.filter((value) => value === null).length * host.step_ms});

// All that the page shows of one zone over a time.
export async function ofZone(name, range, tick_ms) {
	const {host, time, points, notes} = await frame(range, tick_ms);
	const zone = query(time, {zone: name, points});
	const [ledger, cpu, findings, actions] = await Promise.all([orNull("api/v1/history/ledger?" + zone), orNull("api/v1/history?" + zone),
		notes("findings"), notes("actions")]);
	const waits = ledger && ledger.wait.count.some((n) => n > 0);
	return {...shown(range, host), name, findings: findings.findings, actions: actions.actions,
		waiting: waits ? pointsOf(ledger, ledger.wait.mean, ledger.parts.map((part) => [partName(part), part.mean])) : null,
		cpu: cpu ? pointsOf(cpu, host.mean, [["CPU", cpu.mean]]) : null};
}

// The zones that there were, and how busy the host was.
export async function ofHost(range, tick_ms) {
	const {host, time, notes} = await frame(range, tick_ms);
	const [told, findings] = await Promise.all([get("api/v1/history/zones?" + query(time)), notes("findings")]);
	return {...shown(range, host), zones: told.zones, findings: findings.findings, cpu: pointsOf(host, host.mean, [["CPUs busy", host.mean]])};
}

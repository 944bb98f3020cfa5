// SPDX-License-Identifier: MIT
// The API and its stream. A token, where one is needed, stays in this tab.
const KEY = "cz-gate-token";

export const setToken = (text) => sessionStorage.setItem(KEY, text);

function headers() {
	const token = sessionStorage.getItem(KEY);
	return token ? {Authorization: "Bearer " + token} : {};
}

export class Refused extends Error {
	constructor(status, message) {
		super(message);
		this.status = status;
	}
}

export async function get(path) {
	const answer = await fetch(path, {headers: headers(), cache: "no-store"});
	const body = await answer.json();
	if (!answer.ok)
		throw new Refused(answer.status, body.error ? body.error.message : answer.statusText);
	return body;
}

function takeEvent(text, onEvent) {
	let name = "message", data = "";
	for (const line of text.split("\n")) {
		if (line.startsWith("event: "))
			name = line.slice(7);
		else if (line.startsWith("data: "))
			data += line.slice(6);
	}
	if (data)
		onEvent(name, JSON.parse(data));
}

// EventSource can't send a token, so the stream is read by hand. Returns when it ends.
export async function listen(onEvent) {
	const answer = await fetch("api/v1/stream", {headers: headers(), cache: "no-store"});
	if (!answer.ok)
		throw new Refused(answer.status, answer.statusText);
	const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
	let text = "";
	for (;;) {
		const {value, done} = await reader.read();
		if (done)
			return;
		text += value;
		for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
			takeEvent(text.slice(0, end), onEvent);
			text = text.slice(end + 2);
		}
	}
}

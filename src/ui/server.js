// SPDX-License-Identifier: BSD-2-Clause
// server: asking the server, who we are to it, and following its events.

const ROOT = new URL("../", location.href).href;
const TOKEN = "rosterd-token"; // in sessionStorage: gone with the tab
const REPLY_MS = 20000; // without another octet of a reply
const SILENCE_MS = 45000; // the server says something every 15 s
const RETRY_MAX_MS = 30000;

// What the server refused, in its words; status 0: it could not be asked.
export class Refusal extends Error {
	constructor(status, message) {
		super(message);
		this.status = status;
	}
}

// ---- Who asks ----

export function hasToken() {
	return sessionStorage.getItem(TOKEN) !== null;
}

// null forgets it. false: no header can carry this.
export function setToken(token) {
	if (token === null) sessionStorage.removeItem(TOKEN);
	else if (!/^[\x21-\x7e]+$/.test(token)) return false;
	else sessionStorage.setItem(TOKEN, token);
	return true;
}

function headers(more) {
	const token = sessionStorage.getItem(TOKEN);
	return token === null ? more : { ...more, Authorization: `Bearer ${token}` };
}

// ---- Asking ----

async function refusalOf(reply) {
	try {
		const { error } = await reply.json();
		return new Refusal(reply.status, error.field ? `${error.field}: ${error.message}`
			: error.message);
	} catch {
		return new Refusal(reply.status, `the server replied with status ${reply.status}`);
	}
}

async function send(path, options) {
	let reply;
	try {
		reply = await fetch(ROOT + path, { cache: "no-store", redirect: "error", ...options });
	} catch (error) {
		if (error.name === "AbortError") throw error;
		throw new Refusal(0, "the server cannot be reached");
	}
	if (!reply.ok) throw await refusalOf(reply);
	return reply;
}

// The text of a whole reply. One that ends in the middle is none, nor is one that stops coming: a
// host that is gone says nothing, not even that.
async function sendWhole(path, options) {
	const abort = new AbortController();
	let silence = setTimeout(() => abort.abort(), REPLY_MS);
	try {
		const reply = await send(path, { ...options, signal: abort.signal });
		const octets = reply.body.getReader();
		const decoder = new TextDecoder();
		let text = "";
		for (;;) {
			const { done, value } = await octets.read();
			if (done) return text + decoder.decode();
			clearTimeout(silence);
			silence = setTimeout(() => abort.abort(), REPLY_MS);
			text += decoder.decode(value, { stream: true });
		}
	} catch (error) {
		if (error instanceof Refusal) throw error;
		throw new Refusal(0, "the server does not reply");
	} finally {
		clearTimeout(silence);
	}
}

async function sendForJson(path, options) {
	const text = await sendWhole(path, options);
	try {
		return JSON.parse(text);
	} catch {
		throw new Refusal(0, "what replied is no rosterd");
	}
}

export function ask(path) {
	return sendForJson(path, { headers: headers({}) });
}

export function askText(path) {
	return sendWhole(path, { headers: headers({}) });
}

export function change(method, path, body) {
	return sendForJson(path, {
		method,
		headers: headers({ "Content-Type": "application/json" }),
		body: JSON.stringify(body),
	});
}

export function servicePath(service) {
	return `registry/services/${encodeURIComponent(service)}`;
}

export function instancePath(service, id) {
	return `${servicePath(service)}/instances/${encodeURIComponent(id)}`;
}

// ---- Rights ----

// Who we are, and for which services we have which rights.
export function askAccess() {
	return ask("server/access");
}

export function allows(patterns, service) {
	return patterns.some((pattern) => pattern.endsWith("*")
		? service.startsWith(pattern.slice(0, -1)) : pattern === service);
}

// ---- Events ----

// Reads Server-Sent Events (the HTML standard, 9.2.6) from text that comes in pieces.
export class EventReader {
	constructor(onEvent) {
		this.onEvent = onEvent;
		this.id = "";
		this.rest = "";
		this.data = "";
	}

	push(text) {
		const lines = (this.rest + text).split("\n");
		this.rest = lines.pop();
		for (const line of lines) this.line(line);
	}

	line(line) {
		if (line === "") {
			if (this.data) this.onEvent(JSON.parse(this.data));
			this.data = "";
		} else if (line.startsWith("data: ")) {
			this.data += line.slice(6);
		} else if (line.startsWith("id: ")) {
			this.id = line.slice(4);
		}
	}
}

// Follows the registry from a revision on, whatever happens to the connection:
//   onState("connecting" | "live"), onState("waiting", { until, reason });
//   onEvent(event); onEnd(refusal): what trying again would not help against.
// fetch() and not EventSource, which could not send a token.
export class Watch {
	constructor(hooks) {
		this.hooks = hooks;
		this.abort = null;
		this.run = 0; // numbers the runs, so that a stopped one knows that it is
		this.isOn = false;
	}

	stop() {
		this.isOn = false;
		this.run++;
		this.abort?.abort();
	}

	// `service`: the one to follow; empty: all of them.
	async start(since, service) {
		this.stop();
		const run = this.run;
		this.isOn = true;
		let wait_ms = 500;
		let position = String(since);
		while (run === this.run) {
			let reason = "the connection has ended";
			this.hooks.onState("connecting");
			try {
				await this.read(position, service, run, (id) => {
					if (id) position = id;
					wait_ms = 500;
				});
			} catch (error) {
				if (run !== this.run) return;
				if ([401, 403, 404, 410].includes(error.status)) {
					this.isOn = false;
					this.hooks.onEnd(error);
					return;
				}
				if (error instanceof Refusal) reason = error.message;
			}
			if (run !== this.run) return;
			await this.wait(wait_ms * (0.75 + Math.random() / 2), reason);
			wait_ms = Math.min(wait_ms * 2, RETRY_MAX_MS);
		}
	}

	wait(ms, reason) {
		this.hooks.onState("waiting", { until: performance.now() + ms, reason });
		return new Promise((resolve) => setTimeout(resolve, ms));
	}

	async read(position, service, run, onProgress) {
		const abort = new AbortController();
		let silence = setTimeout(() => abort.abort(), SILENCE_MS);
		this.abort = abort;
		try {
			const path = `registry/watch?since=${position}${service && `&service=${service}`}`;
			const reply = await send(path, { headers: headers({}), signal: abort.signal });
			const events = new EventReader((event) => run === this.run && this.hooks.onEvent(event));
			const octets = reply.body.getReader();
			const decoder = new TextDecoder();
			this.hooks.onState("live");
			for (;;) {
				const { done, value } = await octets.read();
				if (done || run !== this.run) return;
				clearTimeout(silence);
				silence = setTimeout(() => abort.abort(), SILENCE_MS);
				events.push(decoder.decode(value, { stream: true }));
				onProgress(events.id);
			}
		} finally {
			clearTimeout(silence);
			abort.abort();
		}
	}
}

// ---- Metrics ----

// What the page needs of the Prometheus text format: name, labels and value of each sample.
export function* samples(text) {
	for (const line of text.split("\n")) {
		const found = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
		if (!found) continue;
		const labels = {};
		for (const [, key, value] of (found[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
			labels[key] = value.replace(/\\(.)/g, "$1");
		yield { name: found[1], labels, value: Number(found[3]) };
	}
}

// SPDX-License-Identifier: BSD-2-Clause
// main: the page as a whole: its head, the filter, the events, the keys, and who talks to whom.

import { count, counted, el, mark, rate, setAttribute, setLine, setText } from "./dom.js";
import { Details } from "./details.js";
import { List, stateWord } from "./list.js";
import * as server from "./server.js";
import { Store } from "./store.js";

const METRICS_MS = 2000;
const READY_MS = 5000;
const REFRESH_MS = 4000; // of what is in sight
const REFRESH_WHOLE = 40; // instances up to which a service is read as a whole
const DENIED_MS = 10000; // between two readings of everything, for who may not follow events
const EVENTS_MAX = 200;
const SEARCH_MS = 60;
const HIDDEN_MS = 5000; // until a page that nobody looks at lets go of its events

const $ = (id) => document.getElementById(id);

const FILTERS = [
	{ name: "all", word: "All", states: null },
	{ name: "passing", word: "Passing", states: ["passing"] },
	{ name: "warning", word: "Warning", states: ["warning"] },
	{ name: "critical", word: "Critical", states: ["critical"] },
	{ name: "out", word: "Taken out", states: ["drain", "down"], mark: "drain" },
];

let access = { name: null, read: [], register: [], admin: [] };
let filter = FILTERS[0];
let isLoaded = false;
let words = [];

// ---- Notes at the foot: what was done, what was refused ----

function say(text, isBad = false) {
	const note = el("p", { class: isBad ? "note is-bad" : "note" }, text);
	$("notes").replaceChildren(note);
	setTimeout(() => note.remove(), isBad ? 10000 : 4000);
}

function refused(refusal) {
	if (refusal.status === 401) askToken(refusal.message);
	else say(refusal.message, true);
}

// ---- Dialogs ----

// Each is a promise of the pressed button's value; Escape is "cancel".
function askDialog(dialog) {
	return new Promise((resolve) => {
		dialog.returnValue = "cancel";
		dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
		dialog.showModal();
	});
}

for (const dialog of document.querySelectorAll("dialog"))
	dialog.addEventListener("click", (event) => {
		const button = event.target.closest("button[type=button]");
		if (button) dialog.close(button.value);
	});

async function confirm(title, text, warning, word) {
	setText($("confirm-title"), title);
	setText($("confirm-text"), text);
	setText($("confirm-warning"), warning);
	setText($("confirm").querySelector(".main"), word);
	return await askDialog($("confirm")) === "yes";
}

async function askToken(reason) {
	if ($("token").open) return;
	setText($("token-reason"), reason);
	$("token-forget").hidden = !server.hasToken();
	$("token-value").value = "";
	const answer = await askDialog($("token"));
	const value = $("token-value").value.trim();
	$("token-value").value = "";
	if (answer === "forget") server.setToken(null);
	else if (answer !== "use" || !value) return;
	else if (!server.setToken(value)) {
		say("No token has such characters", true);
		return;
	}
	start();
}

// ---- What is shown ----

const store = new Store(() => drawSoon());
const list = new List({ frame: $("registry"), scroller: $("scroller"), grid: $("grid"), pinned: $("pinned"),
	onOpen: (service, id) => open(service, id, true) });
const details = new Details($("details"), {
	onClose: () => closeDetails(),
	onSay: (text) => say(text),
	onRefused: refused,
	onChange: (service, id) => store.want(service, id),
	countServed: (service) => store.find(service, null)?.n_served,
	confirm,
});

let drawing = 0;
function drawSoon() {
	drawing ||= requestAnimationFrame(draw);
}

function draw() {
	drawing = 0;
	store.settle();
	list.show(store.select(words, filter.states));
	drawCounts();
	drawDetails();
	drawEmpty();
	setText($("revision"), isLoaded ? String(store.revision) : "–");
}

function drawDetails() {
	if (!details.isOpen) return;
	store.settle();
	const { service, id } = details;
	details.show(store.find(service, null), store.find(service, id), access);
}

function drawCounts() {
	const counts = store.counts();
	for (const { name, states, button, number } of FILTERS) {
		const n = states ? states.reduce((sum, state) => sum + counts[state], 0) : store.n_instances;
		setText(number, count(n));
		button.classList.toggle("is-zero", n === 0);
		setAttribute(button, "aria-pressed", String(filter.name === name));
	}
	const bad = counts.critical ? `${count(counts.critical)} critical · ` : "";
	document.title = `${bad}rosterd ${location.host}`;
}

function drawEmpty() {
	const isEmpty = list.items.length === 0;
	const place = $("empty");
	place.hidden = !isEmpty && !store.is_cut;
	place.className = isEmpty ? "" : "is-cut";
	if (!isLoaded) return;
	if (isEmpty && store.n_instances)
		place.replaceChildren(el("p", {}, "Nothing matches this filter."),
			el("button", { type: "button", onclick: clearFilter }, "Show all"));
	else if (isEmpty)
		place.replaceChildren(el("p", {}, "No service is registered yet."));
	else if (store.is_cut)
		place.replaceChildren(el("p", {}, `The first ${counted(store.n_instances, "instance")}: ` +
			"there are more than a page can hold."));
}

// Not for this token, or not without one.
function isDenied(refusal) {
	return refusal.status === 401 || refusal.status === 403;
}

function showProblem(refusal) {
	const place = $("empty");
	const button = isDenied(refusal)
		? el("button", { type: "button", class: "main", onclick: () => askToken(refusal.message) },
			"Enter a token")
		: el("button", { type: "button", onclick: start }, "Try again");
	place.hidden = false;
	place.className = "";
	place.replaceChildren(el("p", {}, refusal.message), button);
}

// ---- Details, and the part of the address that names them ----

function open(service, id, isAsked) {
	const fragment = [service, ...(id === null ? [] : [id])].map(encodeURIComponent).join("/");
	details.open(service, id);
	$("side").classList.add("has-details");
	list.setOpened(List.key(service, id));
	drawDetails();
	if (location.hash !== `#${fragment}`) history.replaceState(null, "", `#${fragment}`);
	if (isAsked) details.title.focus({ preventScroll: true });
}

function closeDetails() {
	details.shut();
	$("side").classList.remove("has-details");
	list.setOpened(null);
	history.replaceState(null, "", location.pathname);
	list.focus();
}

function openFromAddress() {
	let parts;
	try {
		parts = location.hash.slice(1).split("/").map(decodeURIComponent);
	} catch {
		return; // no percent-encoding of ours
	}
	if (!parts[0] || parts.length > 2) return;
	open(parts[0], parts[1] ?? null, false);
	list.goTo(List.key(parts[0], parts[1] ?? null));
}

// ---- The filter ----

for (const one of FILTERS) {
	one.number = el("b");
	one.button = el("button", { type: "button", "data-filter": one.name, "aria-pressed": "false",
		onclick: () => setFilter(one) },
	one.states && mark(one.mark ?? one.name), `${one.word} `, one.number);
	$("states").append(one.button);
}

function setFilter(one) {
	filter = one;
	$("scroller").scrollTop = 0;
	draw();
}

let searching = null;
function search() {
	words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
	$("scroller").scrollTop = 0;
	draw();
}

function clearFilter() {
	$("filter").value = "";
	filter = FILTERS[0];
	search();
}

$("filter").addEventListener("input", () => {
	clearTimeout(searching);
	searching = setTimeout(search, SEARCH_MS);
});

// ---- Events ----

const log = [];

function logEvent(event) {
	const { service, id } = event;
	const isOfStatus = ["registered", "updated", "status"].includes(event.event);
	const state = isOfStatus ? event.status : "unknown";
	const what = event.event === "status" ? stateWord(event.status)
		: event.event === "admin" ? `admin: ${event.admin}` : event.event;
	const time = new Date();
	const line = el("li", {}, el("button", { type: "button",
		onclick: () => open(service, id ?? null, true) },
	el("time", { datetime: time.toISOString() }, time.toLocaleTimeString("en-GB")), mark(state),
	el("span", { class: "what" }, what),
	el("span", { class: "who" }, el("bdi", {}, id ?? service),
		id === undefined ? null : el("span", { class: "dim" }, ` · ${service}`))));
	log.push(line);
	if (log.length > EVENTS_MAX) log.shift().remove();
	return line;
}

let unlogged = [];
function onEvent(event) {
	store.apply(event);
	if (details.isOpen && details.service === event.service) whySoon();
	// Of a burst, what nobody could read is left out.
	unlogged.push(event);
	if (unlogged.length > 1) return;
	setTimeout(() => {
		const lines = unlogged.slice(-EVENTS_MAX).map(logEvent);
		unlogged = [];
		$("log").prepend(...lines.reverse());
		$("quiet").hidden = true;
	}, 50);
}

let asking = null;
function whySoon() {
	asking ??= setTimeout(() => {
		asking = null;
		if (details.isOpen) details.askWhy();
	}, 300);
}

let waiting = null; // until the next try; null: there is a connection
function drawLink(word, state, title = "", hidden = "") {
	$("link").replaceChildren(mark(state), word, el("span", { "aria-hidden": "true" }, hidden));
	$("link").dataset.state = state;
	$("link").title = title;
}

// What this reader may follow: a service, or all of them (""); null: neither.
function followed() {
	if (access.read.includes("*")) return "";
	return access.read.length === 1 && !access.read[0].endsWith("*") ? access.read[0] : null;
}

function follow() {
	const service = followed();
	if (service === null) pollAll("Events are for who may read all services, or a single one");
	else watch.start(store.revision, service);
	onVisibility(); // it may have been opened behind another page
}

// A browser has six connections to a server, for all of its tabs: six that nobody looks at would
// leave none to the seventh. What was missed is read when somebody looks again.
let hiding = null;
let isAsleep = false;
function onVisibility() {
	clearTimeout(hiding);
	if (document.hidden) {
		hiding = setTimeout(() => {
			isAsleep ||= watch.isOn;
			watch.stop();
		}, HIDDEN_MS);
	} else if (isAsleep) {
		isAsleep = false;
		follow();
	}
}
document.addEventListener("visibilitychange", onVisibility);

// Who may not follow events reads again and again.
function pollAll(reason) {
	drawLink("no events", "warning", reason, `read each ${DENIED_MS / 1000} s`);
	again = setTimeout(load, DENIED_MS);
}

// A reload that changes who may do what ends the streams.
async function onLive() {
	drawLink("live", "passing");
	try {
		access = await server.askAccess();
	} catch {
		return; // whatever comes next says so too
	}
	drawWho();
	drawDetails();
}

const watch = new server.Watch({
	onEvent,
	onState: (state, more) => {
		waiting = state === "waiting" ? more : null;
		if (state === "live") onLive();
		else if (state === "connecting") drawLink("connecting", "warning");
		else tickLink(performance.now());
	},
	onEnd: (refusal) => {
		if (refusal.status === 410) load();
		else if (refusal.status === 401) onRefusedStart(refusal);
		else pollAll(refusal.message);
	},
});

function tickLink(now) {
	if (!waiting) return;
	const s = Math.max(0, Math.ceil((waiting.until - now) / 1000));
	// Screen readers would read each second out.
	if ($("link").dataset.state === "critical") setText($("link").lastChild, `again in ${s} s`);
	else drawLink("disconnected", "critical", waiting.reason, `again in ${s} s`);
}

// ---- The server itself ----

const rates = [];
let before = null;

function readMetrics(text) {
	let queries = 0;
	const zones = [];
	for (const { name, labels, value } of server.samples(text)) {
		if (name === "rosterd_dns_queries_total") queries += value;
		else if (name === "rosterd_dns_zone_queries_total" && labels.zone !== "none")
			zones.push(labels.zone.replace(/\.$/, ""));
		else if (name === "rosterd_build_info") $("host").title = `rosterd ${labels.version}`;
	}
	return { queries, zones, at: performance.now() };
}

async function pollMetrics() {
	const now = readMetrics(await server.askText("metrics"));
	details.setZones(now.zones);
	if (before && now.queries >= before.queries) {
		const perSecond = (now.queries - before.queries) / ((now.at - before.at) / 1000);
		rates.push(perSecond);
		if (rates.length > 60) rates.shift();
		setText($("rate"), rate(perSecond));
		setLine($("line").firstElementChild, rates);
	}
	before = now;
}

// Screen readers would read it out each time, also where nothing is new.
function drawServer(word, state, reason = "") {
	const text = reason ? `${word}: ${reason}` : word;
	if ($("server").textContent === text && $("server").dataset.state === state) return;
	setAttribute($("server"), "data-state", state);
	$("server").replaceChildren(mark(state), el("span", {}, text));
}

async function pollReady() {
	try {
		const said = await server.ask("health/ready");
		if (said.status === "ready") drawServer("ready", "passing");
		else drawServer(said.status, "warning", said.reason);
	} catch (refusal) {
		if (refusal.status) drawServer("not ready", "critical", refusal.message.replace(/^not ready$/, ""));
		else drawServer("unreachable", "critical");
	}
}

// What is in sight: results of checks and renewed leases are no events.
function refreshVisible() {
	if (!waiting && isLoaded) {
		const ids = new Map();
		for (const { service, id } of list.visible())
			ids.set(service, [...(ids.get(service) ?? []), id]);
		if (details.isOpen && details.found && details.id !== null)
			ids.set(details.service, [...(ids.get(details.service) ?? []), details.id]);
		for (const [service, some] of ids) {
			const isSmall = store.find(service, null)?.instances.size <= REFRESH_WHOLE;
			for (const id of isSmall ? [null] : some) store.want(service, id);
		}
	}
}

// Runs again `ms` after it has ended, while somebody looks.
function repeat(poll, ms) {
	const run = async () => {
		if (!document.hidden && (poll === pollReady || isLoaded)) {
			try {
				await poll();
			} catch {
				before = null; // the head says that the server is not there
			}
		}
		setTimeout(run, ms);
	};
	run();
}

setInterval(() => {
	const now = performance.now();
	if (document.hidden) return;
	list.tick(now);
	details.tick(now);
	tickLink(now);
}, 1000);

// ---- Keys ----

document.addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
	const isTyping = event.target.matches("input, select, textarea");
	if (event.key === "/" && !isTyping) {
		$("filter").focus();
		$("filter").select();
	} else if (event.key === "Escape" && event.target === $("filter")) {
		clearFilter();
		list.focus();
	} else if (event.key === "Escape" && details.isOpen) {
		closeDetails();
	} else if (event.key === "Escape" && (words.length || filter.states)) {
		clearFilter();
	} else if (event.target === $("filter") && (event.key === "ArrowDown" || event.key === "Enter")) {
		clearTimeout(searching);
		search();
		list.focus();
	} else {
		return;
	}
	event.preventDefault();
});

// ---- The start, and each one after ----

let again = null; // the next try of load()

function drawWho() {
	const isSomebody = access.name || server.hasToken();
	$("who").hidden = !isSomebody;
	setText($("who"), access.name ?? "token");
	setAttribute($("who"), "title", `${access.name ?? "somebody"}, by a token: change or forget it`);
}

function onRefusedStart(refusal) {
	isLoaded = false;
	watch.stop();
	drawLink("not connected", "unknown", refusal.message);
	store.services.clear();
	details.shut(); // the address still says what it showed
	$("side").classList.remove("has-details");
	log.length = unlogged.length = 0;
	$("log").replaceChildren();
	draw();
	showProblem(refusal);
	if (refusal.status === 401) askToken(refusal.message);
	else if (refusal.status === 0 || refusal.status === 503) again = setTimeout(start, 2000);
}

async function load() {
	clearTimeout(again);
	if (!isLoaded) $("empty").hidden = false;
	try {
		const isOurs = await store.load((n) => {
			if (!isLoaded) setText($("empty"), `reading, ${counted(n, "instance")} …`);
		});
		if (!isOurs) return;
		isLoaded = true;
		draw();
		follow();
	} catch (refusal) {
		if (!(refusal instanceof server.Refusal)) throw refusal;
		if (isLoaded && !isDenied(refusal)) again = setTimeout(load, DENIED_MS);
		else onRefusedStart(refusal);
	}
}

async function start() {
	clearTimeout(again);
	watch.stop();
	drawLink("connecting", "warning");
	try {
		access = await server.askAccess();
	} catch (refusal) {
		access = { name: null, read: [], register: [], admin: [] };
		drawWho();
		onRefusedStart(refusal);
		return;
	}
	drawWho();
	await load();
	if (isLoaded && !details.isOpen) openFromAddress();
}

setText($("host"), location.host);
drawServer("asking", "unknown");
$("who").addEventListener("click", () => askToken(`You are ${access.name ?? "not known"} to this server.`));
addEventListener("hashchange", openFromAddress);
addEventListener("pagehide", () => watch.stop());
addEventListener("pageshow", (event) => event.persisted && start());
await start();
repeat(pollReady, READY_MS);
repeat(pollMetrics, METRICS_MS);
repeat(async () => refreshVisible(), REFRESH_MS);

// SPDX-License-Identifier: BSD-2-Clause
// details: one instance or service: what is known of it, why DNS gives it to clients or does not,
// and, for who may, taking it out of service and putting it back.

import { count, counted, duration, el, mark, percent, setText, strip } from "./dom.js";
import { stateWord, took } from "./list.js";
import { allows, ask, change, instancePath } from "./server.js";
import { leaseLeft } from "./store.js";

const WHY_ROWS = 100; // of a service's instances
const TYPES = ["A", "AAAA", "SRV", "TXT"];

const IF_ALL_FAIL = { empty: "serve nothing", all: "serve all", last: "serve the last healthy ones" };

const ACTIONS = [
	{ admin: "auto", word: "Auto", hint: "Its status decides whether it is served" },
	{ admin: "drain", word: "Drain", hint: "Out of new answers; it finishes the work that it has" },
	{ admin: "down", word: "Down", hint: "Out of answers, whatever its checks say" },
	{ admin: "up", word: "Up", hint: "Served, whatever its checks say" },
];
const CONSEQUENCES = {
	drain: "It leaves new answers at once and goes on with the work that it has. As soon as the " +
		"last answer that named it has expired, this page says that it is safe to stop.",
	down: "It leaves answers at once, whatever its checks say, and stays out until somebody sets it " +
		"to auto or up.",
};

// A part of the pane: it is made anew only when what it shows has changed, so that a selection
// of text, and the focus, stay.
class Part {
	constructor(make) {
		this.make = make;
		this.element = el("section");
		this.shown = null;
	}

	show(about, ...rest) {
		const key = JSON.stringify(about, (name, value) => (value instanceof Map ? undefined : value));
		if (key === this.shown) return;
		this.shown = key;
		this.element.replaceChildren(...[this.make(about, ...rest)].flat().filter(Boolean));
	}
}

function facts(pairs) {
	const list = el("dl", { class: "facts" });
	for (const [name, value] of pairs)
		if (value !== null && value !== "")
			list.append(el("dt", {}, name), el("dd", {}, value));
	return list;
}

function labels(texts) {
	return el("span", { class: "labels" }, ...texts.map((text) => el("span", { class: "label" }, text)));
}

// ---- The parts ----

const GONE = { state: "unknown" };

function makeState({ state, status, reason, admin, share, served, mode }) {
	if (!status)
		return el("p", { class: "state" }, mark(state), el("strong", {}, "not registered"),
			el("span", { class: "dim" }, "any more, or not yet"));
	const where = mode === "last" ? "" : served ? "in DNS answers" : "not in DNS answers";
	return [el("p", { class: "state" }, mark(state), el("strong", {}, stateWord(state)),
		admin === "auto" || admin === state ? null : el("span", { class: "label" }, `admin: ${admin}`),
		state === status ? null : el("span", { class: "dim" }, `checks say ${status}`),
		el("span", { class: "dim push" }, where + (share ? `, ${percent(share)}` : ""))),
	el("p", { class: "reason" }, reason)];
}

// `left` says how much of the lease there is; it changes by itself.
function makeInstanceFacts(instance, left) {
	const ports = Object.entries(instance.ports).map(([name, port]) => `${name} ${port}`);
	return facts([
		["Address", [instance.ipv4, instance.ipv6].filter(Boolean).join(", ")],
		["Port", `${instance.port}/${instance.protocol}${ports.length ? ` (${ports.join(", ")})` : ""}`],
		["Priority", String(instance.priority)],
		["Weight", String(instance.weight)],
		["DNS label", instance.name === instance.id ? "" : instance.name],
		["TTL", instance.ttl === null ? "" : `${instance.ttl} s`],
		["Lease", instance.lease === null ? "none" : el("span", {}, duration(instance.lease), left)],
		["Tags", instance.tags.length ? labels(instance.tags) : ""],
		["Heartbeat", instance.output ? el("span", { class: "said" }, instance.output) : ""],
		["Created", `revision ${instance.created}`],
		["Changed", `revision ${instance.modified}`],
	]);
}

function makeMeta(meta) {
	const pairs = Object.entries(meta);
	return pairs.length ? [el("h3", {}, "Metadata"), facts(pairs)] : null;
}

function targetOf(check) {
	if (check.kind === "ttl") return `a report every ${duration(check.ttl)}`;
	const what = check.path === undefined ? "" : `${check.method} ${check.path}, `;
	return `${what}port ${check.port}, every ${duration(check.interval)}`;
}

function makeCheck(check) {
	const damping = check.rise === undefined ? "" : `rise ${check.rise}, fall ${check.fall}`;
	return el("div", { class: "check" },
		el("p", { class: "state" }, mark(check.status), el("strong", {}, check.kind.toUpperCase()),
			el("span", {}, check.status), el("span", { class: "dim push" }, damping)),
		el("p", { class: "dim" }, targetOf(check)),
		strip(check.history),
		el("p", { class: "said" }, check.output ?? "no result yet"),
		el("p", { class: "dim" }, took(check) && `took ${took(check)}`));
}

function makeChecks(checks) {
	return [el("h3", {}, checks.length === 1 ? "Check" : "Checks"),
		...(checks.length ? checks.map(makeCheck) : [el("p", { class: "dim" },
			"none: its lease and its heartbeats speak for it")])];
}

function makeServiceFacts(service) {
	const counts = Object.entries(service.counts).filter(([, n]) => n);
	return facts([
		["Instances", el("span", { class: "labels" }, ...counts.map(([state, n]) =>
			el("span", { class: "label" }, mark(state), `${count(n)} ${stateWord(state)}`)))],
		["Served", service.mode === "last" ? "those that were healthy last" : count(service.n_served)],
		["TTL", service.ttl === null ? "the server's" : `${service.ttl} s`],
		["Addresses", service.answer_limit ? `at most ${count(service.answer_limit)} an answer` : "all"],
		["If all fail", IF_ALL_FAIL[service.failure]],
		["Panic below", service.panic_threshold ? `${percent(service.panic_threshold)} healthy` : ""],
	]);
}

function makeWhy({ why, error, id }) {
	if (error) return el("p", { class: "dim" }, error);
	if (!why) return el("p", { class: "dim" }, "asking …");
	const all = why.instances.filter((one) => id === null || one.id === id);
	const rows = all.slice(0, WHY_ROWS).map((one) => el("li", { "data-served": String(one.served) },
		el("span", { class: "in" }, one.served ? "in" : "out"),
		el("span", { class: "who" }, one.id), el("span", { class: "reason" }, one.reason)));
	return [el("p", { class: "dim" },
		`${why.dns.rcode}, ${counted(why.dns.records, "record")}` +
		(why.policy === "fit" ? "" : `; policy: ${why.policy}`)),
	el("ul", { class: "why" }, ...rows),
	all.length > WHY_ROWS ? el("p", { class: "dim" }, `and ${count(all.length - WHY_ROWS)} more`) : null];
}

// ---- The pane ----

export class Details {
	// onClose(), onSay(text), onChange(service, id),
	// confirm(title, text, warning, word) -> promise
	constructor(element, hooks) {
		Object.assign(this, { element, hooks, service: null, id: null, zones: [], why: null });
		this.access = { admin: [] };
		this.title = el("h2", { tabindex: "-1" });
		this.subtitle = el("p", { class: "subtitle" });
		this.close = el("button", { class: "icon", "aria-label": "Close the details",
			onclick: () => hooks.onClose() }, "✕");
		this.actions = el("div", { class: "actions", role: "group", "aria-label": "Admin state" });
		this.safeWord = el("span");
		this.safeLeft = el("span", { "aria-hidden": "true" }); // who listens is not told each second
		this.safe = el("p", { class: "safe", role: "status" }, this.safeWord, this.safeLeft);
		this.lease = el("span", { class: "dim" });
		this.type = el("select", { "aria-label": "Type of record", onchange: () => this.askWhy() },
			...TYPES.map((type) => el("option", {}, type)));
		this.zone = el("select", { "aria-label": "Zone", onchange: () => this.askWhy() });
		this.state = new Part(makeState);
		this.facts = new Part((about, left) => (about.service ? makeServiceFacts(about)
			: makeInstanceFacts(about, left)));
		this.meta = new Part(makeMeta);
		this.checks = new Part(makeChecks);
		this.answer = new Part(makeWhy);
		this.name = el("code");
		element.append(el("header", {}, el("div", {}, this.title, this.subtitle), this.close),
			this.state.element, this.actions, this.safe, this.checks.element,
			el("section", {}, el("h3", {}, "Why"), el("div", { class: "asked" }, this.name, this.type,
				this.zone), this.answer.element),
			el("section", {}, el("h3", {}, "Registration"), this.facts.element),
			this.meta.element);
	}

	get isOpen() {
		return this.service !== null;
	}

	setZones(zones) {
		if (zones.join() === this.zones.join()) return;
		this.zones = zones;
		this.zone.replaceChildren(...zones.map((zone) => el("option", {}, zone)));
		this.zone.hidden = zones.length < 2;
		if (this.isOpen) this.askWhy();
	}

	open(service, id) {
		Object.assign(this, { service, id, found: null, why: null });
		this.element.hidden = false;
		this.element.scrollTop = 0;
		setText(this.title, id ?? service);
		setText(this.subtitle, id === null ? "service" : `instance of ${service}`);
		this.answer.show({ id });
		this.saySafe("");
		this.askWhy();
	}

	shut() {
		this.service = null;
		this.element.hidden = true;
	}

	// Of a host with IPv6 alone, A says only that.
	chooseType({ ipv4 }) {
		const type = ipv4 ? "A" : "AAAA";
		if (!["A", "AAAA"].includes(this.type.value) || this.type.value === type) return;
		this.type.value = type;
		this.askWhy();
	}

	// Who asked for something else meanwhile does not get this.
	async askWhy() {
		const { service, id } = this;
		const [zone] = this.zone.selectedOptions;
		if (!zone) return;
		const name = `${service}.${zone.value}`;
		const type = this.type.value;
		const asked = this.asked = {};
		setText(this.name, name);
		try {
			const why = await ask(`registry/why?name=${encodeURIComponent(name)}&type=${type}`);
			if (asked === this.asked) this.answer.show({ why, id });
		} catch (refusal) {
			if (asked === this.asked) this.answer.show({ error: refusal.message, id });
		}
	}

	// ---- What is known ----

	// `found`: the instance or service as the store has it; undefined: it has gone.
	show(service, found, access) {
		const isInstance = this.id !== null;
		this.access = access;
		if (found && !this.found && isInstance) this.chooseType(found);
		this.found = found;
		this.element.classList.toggle("is-gone", !found);
		if (!found) {
			this.state.show(GONE);
			this.state.element.hidden = false;
			this.actions.hidden = true;
			this.saySafe("");
			setText(this.lease, "");
			return;
		}
		this.state.element.hidden = this.checks.element.hidden = !isInstance;
		if (isInstance) this.showInstance(service, found);
		else this.showService(found);
		this.tick(performance.now());
	}

	showService(service) {
		this.actions.hidden = true;
		this.meta.show({});
		this.facts.show({ service: true, counts: service.counts, mode: service.mode, ttl: service.ttl,
			n_served: service.n_served, answer_limit: service.answer_limit, failure: service.failure,
			panic_threshold: service.panic_threshold });
	}

	showInstance(service, instance) {
		const { state, status, reason, admin, share, served } = instance;
		this.state.show({ state, status, reason, admin, share, served, mode: service.mode });
		this.facts.show({ ipv4: instance.ipv4, ipv6: instance.ipv6, port: instance.port,
			ports: instance.ports, protocol: instance.protocol, priority: instance.priority,
			weight: instance.weight, name: instance.name, id: instance.id, ttl: instance.ttl,
			lease: instance.lease, tags: instance.tags, output: instance.output,
			created: instance.revision_created, modified: instance.revision_modified }, this.lease);
		this.meta.show(instance.meta);
		this.checks.show(instance.checks.map(({ last_run_ago: _, ...check }) => check));
		this.showActions(admin, allows(this.access.admin, this.service));
	}

	showActions(admin, mayAct) {
		const key = `${this.service}/${this.id} ${admin} ${mayAct}`;
		this.actions.hidden = !mayAct;
		if (this.actions.shown === key) return;
		const hadFocus = this.actions.contains(document.activeElement);
		this.actions.shown = key;
		this.actions.replaceChildren(...(mayAct ? ACTIONS.map((action) => el("button", {
			type: "button",
			class: `action is-${action.admin}`,
			title: action.hint,
			"data-admin": action.admin,
			"aria-pressed": String(action.admin === admin),
			onclick: () => this.act(action),
		}, action.word)) : []));
		if (hadFocus) this.actions.querySelector("[aria-pressed=true]")?.focus();
	}

	tick(now) {
		if (!this.isOpen || !this.found) return;
		if (this.id === null) return;
		const left = leaseLeft(this.found, now);
		setText(this.lease, left === null ? "" : `, ${duration(left)} left`);
		const s = (this.found.safe_at - now) / 1000;
		if (this.found.safe_at === undefined) this.saySafe("");
		else if (s > 0) this.saySafe("Clients may still use it", `: safe to stop in ${Math.ceil(s)} s`);
		else this.saySafe("Safe to stop: the last answer that named it has expired");
		this.safe.classList.toggle("is-safe", s <= 0);
	}

	saySafe(word, left = "") {
		this.safe.hidden = word === "";
		setText(this.safeWord, word);
		setText(this.safeLeft, left);
	}

	// ---- Changes ----

	async act({ admin, word }) {
		const { service, id, found, hooks } = this;
		if (found.admin === admin) return;
		if (CONSEQUENCES[admin]) {
			const isLast = found.served && hooks.countServed(service) === 1;
			const yes = await hooks.confirm(`${word} ${id} of ${service}?`, CONSEQUENCES[admin],
				isLast ? `It is the only instance of ${service} that is served.` : "", word);
			if (!yes) return;
		}
		try {
			await change("PUT", `${instancePath(service, id)}/admin`, { state: admin });
			hooks.onChange(service, id);
			hooks.onSay(`${id} of ${service}: ${admin}`);
		} catch (refusal) {
			hooks.onRefused(refusal);
		}
		if (this.service === service && this.id === id) this.askWhy();
	}
}

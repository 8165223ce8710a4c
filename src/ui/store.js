// SPDX-License-Identifier: BSD-2-Clause
// store: what this page knows of the registry: read once, then kept up to date by events.
//
// An event says that something changed and how it is now, but not everything: what changed is read
// again soon after, a crowd of changes as a whole. Results of checks and renewed leases are no
// events: what is on the screen is read again every few seconds.

import * as server from "./server.js";

const INSTANCES_MAX = 50000; // more would take the memory of a small machine
const AT_ONCE = 4; // requests; a browser has six connections, one of which follows the events
const CROWD = 16; // changed instances of a service from which it is read as a whole
const SETTLE_MS = 120;
const PAUSE_MS = 400;
const RETRY_MS = 3000; // of what could not be read

// ---- Who is served: model/policy.c and model/compile_set.c, as far as JSON tells ----

function isEligible(instance) {
	return instance.admin === "auto" || instance.admin === "up";
}

function isFit(instance) {
	return instance.admin === "up" || (instance.admin === "auto" && instance.healthy);
}

function chooseMode(service, instances) {
	const eligible = instances.filter(isEligible).length;
	const fit = instances.filter(isFit).length;
	if (fit > 0) return fit < eligible * service.panic_threshold ? "panic" : "fit";
	if (eligible === 0) return "empty";
	if (service.failure === "last") return "last";
	if (service.failure === "all") return "all";
	return service.panic_threshold > 0 ? "panic" : "empty";
}

function pick(mode, instance) {
	if (mode === "fit") return isFit(instance);
	return mode !== "empty" && mode !== "last" && isEligible(instance);
}

// How often each comes first in an answer: the best tier alone, by weight.
function setShares(instances, has) {
	const served = instances.filter((instance) => instance.served && has(instance));
	const best = served.reduce((least, { priority }) => Math.min(least, priority), Infinity);
	const tier = served.filter((instance) => instance.priority === best);
	const total = tier.reduce((sum, instance) => sum + instance.weight, 0);
	for (const instance of served) {
		instance.share = 0;
		instance.isBackup = instance.priority !== best;
	}
	for (const instance of tier)
		instance.share = total ? instance.weight / total : 1 / tier.length;
}

// What is said in one word: what an operator decided, else the status.
function stateOf(instance) {
	return isEligible(instance) ? instance.status : instance.admin;
}

function workOut(service) {
	const instances = [...service.instances.values()];
	service.mode = chooseMode(service, instances);
	service.counts = { passing: 0, warning: 0, critical: 0, drain: 0, down: 0 };
	service.n_served = 0;
	for (const instance of instances) {
		instance.state = stateOf(instance);
		instance.served = pick(service.mode, instance);
		instance.share = null;
		instance.isBackup = false;
		service.counts[instance.state]++;
		service.n_served += instance.served;
	}
	// Whom "last" serves only the server knows.
	if (service.mode !== "last") {
		setShares(instances, (instance) => instance.ipv6 && !instance.ipv4);
		setShares(instances, (instance) => instance.ipv4);
	}
	service.sorted = instances.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
	service.is_stale = false;
}

// ---- Instances ----

function textOf(instance) {
	const meta = Object.entries(instance.meta).map(([key, value]) => `${key}=${value}`);
	return [instance.service, instance.id, instance.ipv4, instance.ipv6, instance.port, instance.state,
		instance.admin, ...instance.tags, ...meta].join("\n").toLowerCase();
}

// The check that one looks at first.
function worstCheck(instance) {
	const badness = { passing: 0, warning: 1, critical: 2 };
	return instance.checks.reduce((worst, check) =>
		!worst || badness[check.status] > badness[worst.status] ? check : worst, null);
}

function prepare(json, read_at) {
	json.read_at = read_at;
	// By performance.now(); undefined: it is in service.
	json.safe_at = isEligible(json) ? undefined : read_at + (json.safe_after_s ?? 0) * 1000;
	json.check = worstCheck(json);
	json.text = null; // of textOf(), when somebody searches
	return json;
}

export function leaseLeft(instance, now) {
	if (instance.lease === null) return null;
	return Math.max(0, instance.lease_left - (now - instance.read_at) / 1000);
}

// ---- The store ----

export class Store {
	// onChange(): something is different now; settle() before looking.
	constructor(onChange) {
		this.onChange = onChange;
		this.services = new Map();
		this.revision = 0;
		this.n_instances = 0;
		this.is_cut = false; // there are more than INSTANCES_MAX
		this.wanted = new Map(); // service -> Set of ids, or null for all of it
		this.gone = new Map(); // "service/id" -> when; replies from before do not bring it back
		this.failed = []; // of the newest round: [service, id or null]
		this.timer = null;
		this.is_busy = false;
		this.generation = 0; // of load(): an older one's replies are of no use
	}

	// Reads all there is; false: a later load() has taken over.
	async load(onProgress) {
		const generation = ++this.generation;
		const services = new Map();
		let revision = null, after = "", n = 0, is_cut = false;
		do {
			const page = await server.ask(`registry/services${after && `?after=${after}`}`);
			const now = performance.now();
			if (generation !== this.generation) return false;
			revision ??= page.revision;
			for (const json of page.services) {
				services.set(json.service, this.take(json, now));
				n += json.instances.size;
			}
			onProgress(n);
			after = page.next ?? "";
			is_cut = after !== "" && n >= INSTANCES_MAX;
		} while (after && !is_cut);
		for (const [name, service] of services)
			service.is_closed = this.services.get(name)?.is_closed ?? false;
		Object.assign(this, { services, revision, is_cut });
		this.wanted.clear();
		this.onChange();
		return true;
	}

	take(json, now) {
		json.instances = new Map(json.instances.map((one) => [one.id, prepare(one, now)]));
		json.is_stale = true;
		return json;
	}

	// Before anything is shown: many changes are worked out as one.
	settle() {
		this.n_instances = 0;
		for (const service of this.services.values()) {
			if (service.is_stale) workOut(service);
			this.n_instances += service.instances.size;
		}
	}

	find(name, id) {
		const service = this.services.get(name);
		return id === null || !service ? service : service.instances.get(id);
	}

	counts() {
		const total = { passing: 0, warning: 0, critical: 0, drain: 0, down: 0 };
		for (const { counts } of this.services.values())
			for (const state of Object.keys(total)) total[state] += counts[state];
		return total;
	}

	// The services with those of their instances that a filter lets through, by name.
	select(words, states) {
		const found = [];
		const names = [...this.services.keys()].sort();
		for (const name of names) {
			const service = this.services.get(name);
			const instances = service.sorted.filter((instance) => {
				if (states && !states.includes(instance.state)) return false;
				if (words.length === 0) return true;
				instance.text ??= textOf(instance);
				return words.every((word) => instance.text.includes(word));
			});
			if (instances.length) found.push({ service, instances });
		}
		return found;
	}

	// ---- Events ----

	apply(event) {
		this.revision = Math.max(this.revision, event.revision);
		const service = this.services.get(event.service);
		const key = `${event.service}/${event.id}`;
		if (event.event === "deregistered" || event.event === "expired") {
			this.gone.set(key, performance.now());
			this.drop(event.service, event.id);
			this.onChange();
			return;
		}
		this.gone.delete(key);
		const instance = service?.instances.get(event.id);
		if (instance && instance.status !== event.status) {
			instance.status = event.status;
			instance.healthy = event.status !== "critical";
			instance.text = null;
			service.is_stale = true;
			this.onChange();
		}
		if (service || !this.is_cut) this.want(event.service, event.id ?? null);
	}

	drop(name, id) {
		const service = this.services.get(name);
		if (!service || !service.instances.delete(id)) return;
		service.is_stale = true;
		if (service.instances.size === 0) this.services.delete(name);
	}

	// ---- Reading again ----

	// An instance, or (id null) a service, is to be read again.
	want(name, id) {
		const ids = this.wanted.get(name);
		if (id === null || ids === null || !this.services.has(name)) this.wanted.set(name, null);
		else if (ids) ids.add(id);
		else this.wanted.set(name, new Set([id]));
		if (!this.timer && !this.is_busy)
			this.timer = setTimeout(() => this.readWanted(), SETTLE_MS);
	}

	async readWanted() {
		const generation = this.generation;
		const started = performance.now();
		const jobs = [];
		for (const [name, ids] of this.wanted) {
			const service = this.services.get(name);
			if (ids === null || !service || ids.size > CROWD)
				jobs.push(() => this.readService(name, generation));
			else for (const id of ids) jobs.push(() => this.readInstance(name, id, generation));
		}
		this.wanted.clear();
		this.gone.clear();
		this.failed = [];
		this.timer = null;
		this.is_busy = true;
		await Promise.all(Array.from({ length: AT_ONCE }, async () => {
			for (let job = jobs.pop(); job; job = jobs.pop()) await job();
		}));
		this.onChange();
		// What takes long is not asked more often for it.
		const pause_ms = Math.max(this.failed.length ? RETRY_MS : PAUSE_MS,
			3 * (performance.now() - started));
		for (const [name, id] of this.failed) this.want(name, id);
		setTimeout(() => {
			this.is_busy = false;
			if (this.wanted.size) this.readWanted();
		}, pause_ms);
	}

	wasGone(name, id, since) {
		return this.gone.get(`${name}/${id}`) >= since;
	}

	async readService(name, generation) {
		const asked = performance.now();
		try {
			const json = await server.ask(server.servicePath(name));
			if (generation !== this.generation) return;
			const service = this.take(json, performance.now());
			for (const id of service.instances.keys())
				if (this.wasGone(name, id, asked)) service.instances.delete(id);
			service.is_closed = this.services.get(name)?.is_closed ?? false;
			if (service.instances.size) this.services.set(name, service);
		} catch (refusal) {
			if (refusal.status === 404) this.services.delete(name);
			else this.noteFailed(name, null, refusal, generation);
		}
	}

	async readInstance(name, id, generation) {
		const asked = performance.now();
		try {
			const json = await server.ask(server.instancePath(name, id));
			const service = this.services.get(name);
			if (generation !== this.generation || !service || this.wasGone(name, id, asked)) return;
			service.instances.set(id, prepare(json, performance.now()));
			service.is_stale = true;
		} catch (refusal) {
			if (refusal.status === 404) this.drop(name, id);
			else this.noteFailed(name, id, refusal, generation);
		}
	}

	// No event will tell of it again.
	noteFailed(name, id, refusal, generation) {
		const mayNot = refusal.status === 401 || refusal.status === 403;
		if (generation === this.generation && !mayNot) this.failed.push([name, id]);
	}
}

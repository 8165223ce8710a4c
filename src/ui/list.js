// SPDX-License-Identifier: BSD-2-Clause
// list: services and their instances. Only the rows in sight are elements; they are used again for
// others as one scrolls, so the page is as quick with 10,000 instances as with ten.
//
// For the keyboard and for screen readers it is a treegrid (WAI-ARIA): it has the focus, and says
// which row is the active one.

import { bar, count, counted, duration, el, mark, percent, setAttribute, setBar, setMark, setStrip,
	setText, strip } from "./dom.js";
import { leaseLeft } from "./store.js";

const OVERSCAN = 6; // rows that are ready above and below
// The heights of the rows, by the width of the list; style.css has the same.
const SIZES = [
	{ name: "xl", from: 1180, service: 38, instance: 32 },
	{ name: "l", from: 1010, service: 38, instance: 32 },
	{ name: "ml", from: 955, service: 38, instance: 32 },
	{ name: "m", from: 640, service: 38, instance: 32 },
	{ name: "s", from: 0, service: 42, instance: 62 },
];
const STATES = ["passing", "warning", "critical", "drain", "down"];
const STATE_WORDS = { drain: "draining", down: "down" };
const MODE_WORDS = {
	empty: "serves nothing",
	all: "none healthy: serves all",
	panic: "too few healthy: serves all",
	last: "none healthy: serves the last ones",
};

export function stateWord(state) {
	return STATE_WORDS[state] ?? state;
}

function addressOf(instance) {
	const address = instance.ipv4 ?? `[${instance.ipv6}]`;
	return `${address}:${instance.port}`;
}

// How long the newest run of a check took; empty where nobody runs it.
export function took(check) {
	if (typeof check?.latency_ms !== "number") return "";
	return check.latency_ms ? `${count(check.latency_ms)} ms` : "<1 ms";
}

// Tags and the version, as they fit a line.
function labelsOf(instance) {
	const { version } = instance.meta;
	return [...(version ? [version.replace(/^(?=\d)/, "v")] : []), ...instance.tags].join(", ");
}

// ---- A row: made once, then filled with one after another ----

function cell(name, ...children) {
	return el("span", { class: `cell c-${name}`, role: "gridcell" }, ...children);
}

class ServiceRow {
	constructor() {
		this.chevron = el("span", { class: "chevron", "aria-hidden": "true" });
		this.name = cell("name");
		this.bar = bar();
		this.counts = cell("counts");
		this.mode = cell("mode");
		this.served = cell("served");
		this.element = el("div", { class: "row service", role: "row", "aria-level": "1" },
			this.chevron, this.name, el("span", { class: "cell c-bar", "aria-hidden": "true" }, this.bar),
			this.counts, this.served, this.mode);
	}

	fill({ service, instances }) {
		setAttribute(this.element, "aria-expanded", String(!service.is_closed));
		setText(this.name, service.service);
		setBar(this.bar, STATES.map((state) => [state, service.counts[state]]));
		const all = service.instances.size;
		setText(this.counts, instances.length === all ? counted(all, "instance")
			: `${count(instances.length)} of ${counted(all, "instance")}`);
		setText(this.served, service.mode === "last" ? "" : `${count(service.n_served)} served`);
		setText(this.mode, MODE_WORDS[service.mode] ?? "");
		setAttribute(this.mode, "class", `cell c-mode is-${service.mode}`);
	}
}

class InstanceRow {
	constructor() {
		this.mark = mark("unknown");
		this.word = el("span", { class: "word" });
		this.id = cell("id");
		this.address = cell("address");
		this.priority = cell("priority");
		this.weight = cell("weight");
		this.shareBar = bar();
		this.shareText = el("span", { class: "share-text" });
		this.labels = cell("labels");
		this.strip = strip("");
		this.latency = cell("latency");
		this.lease = cell("lease");
		this.element = el("div", { class: "row instance", role: "row", "aria-level": "2" },
			cell("state", this.mark, this.word), this.id, this.address, this.priority, this.weight,
			cell("share", this.shareBar, this.shareText), this.labels, cell("strip", this.strip),
			this.latency, this.lease);
	}

	fill({ instance }) {
		const { check } = instance;
		this.instance = instance;
		setMark(this.mark, instance.state);
		setText(this.word, stateWord(instance.state));
		setAttribute(this.element, "data-state", instance.state);
		setAttribute(this.element, "data-served", String(instance.served));
		setText(this.id, instance.id);
		setAttribute(this.id, "title", this.id.textContent);
		setText(this.address, addressOf(instance));
		setAttribute(this.address, "title", this.address.textContent);
		setText(this.priority, String(instance.priority));
		setText(this.weight, String(instance.weight));
		// A number alone says nothing to who does not see the heads of the columns.
		setAttribute(this.priority, "aria-label", `priority ${instance.priority}`);
		setAttribute(this.weight, "aria-label", `weight ${instance.weight}`);
		setBar(this.shareBar, [["share", instance.share ?? 0], ["rest", 1 - (instance.share ?? 0)]]);
		setText(this.shareText, instance.share === null ? "–" : instance.isBackup ? "backup"
			: percent(instance.share));
		setText(this.labels, labelsOf(instance));
		setAttribute(this.labels, "title", this.labels.textContent);
		this.strip.classList.toggle("is-absent", !check);
		setStrip(this.strip, check?.history ?? "");
		setText(this.latency, took(check));
		this.tick(performance.now());
	}

	// What changes by itself.
	tick(now) {
		const { instance } = this;
		const left = leaseLeft(instance, now);
		const isOut = instance.safe_at !== undefined;
		if (isOut) {
			const s = (instance.safe_at - now) / 1000;
			setText(this.lease, s > 0 ? `safe in ${duration(Math.ceil(s))}` : "safe to stop");
		} else {
			setText(this.lease, left === null ? "" : `${duration(left)}`);
		}
		const isLate = left !== null && left < instance.lease / 4;
		this.lease.classList.toggle("is-late", isLate && !isOut);
	}
}

const KINDS = { service: ServiceRow, instance: InstanceRow };

// ---- The list ----

export class List {
	// `frame` is told which size it has; onOpen(service, id): somebody wants to know more; id null: of the service.
	constructor({ frame, scroller, grid, pinned, onOpen }) {
		Object.assign(this, { frame, scroller, grid, onOpen });
		this.items = [];
		this.tops = [0]; // where each begins, and behind the last the end
		this.shown = new Map(); // key -> { row, kind }
		this.spare = { service: [], instance: [] };
		this.active = null; // a key
		this.opened = null; // the key that the details are of
		this.found = [];
		this.pinned = new ServiceRow();
		this.pinned.element.setAttribute("aria-hidden", "true");
		this.pinned.element.removeAttribute("role");
		for (const one of this.pinned.element.children) one.removeAttribute("role");
		pinned.append(this.pinned.element);
		this.pinnedPlace = pinned;
		this.setSize();
		new ResizeObserver(() => this.setSize()).observe(scroller);
		scroller.addEventListener("scroll", () => this.render(), { passive: true });
		grid.addEventListener("keydown", (event) => this.onKey(event));
		grid.addEventListener("click", (event) => this.onClick(event));
		pinned.addEventListener("click", () => this.goTo(this.pinnedKey));
	}

	static key(service, id) {
		return id === null ? service : `${service}/${id}`;
	}

	setSize() {
		const width = this.scroller.clientWidth;
		const size = SIZES.find(({ from }) => width >= from);
		this.frame.dataset.size = size.name;
		if (this.size !== size) {
			this.size = size;
			this.layOut();
		} else {
			this.render();
		}
	}

	// What Store.select() has found.
	show(found) {
		this.found = found;
		this.layOut();
	}

	layOut() {
		const items = [];
		const tops = [0];
		let top = 0;
		for (const { service, instances } of this.found) {
			items.push({ kind: "service", key: service.service, service, instances });
			tops.push(top += this.size.service);
			if (service.is_closed) continue;
			for (const instance of instances) {
				const key = List.key(service.service, instance.id);
				items.push({ kind: "instance", key, instance });
				tops.push(top += this.size.instance);
			}
		}
		this.items = items;
		this.tops = tops;
		this.index = null;
		this.grid.style.setProperty("height", `${top}px`);
		setAttribute(this.grid, "aria-rowcount", String(items.length));
		this.render();
	}

	indexOf(key) {
		this.index ??= new Map(this.items.map((item, i) => [item.key, i]));
		return this.index.get(key) ?? -1;
	}

	// The row at this height, by halving.
	at(height) {
		let low = 0, high = this.items.length - 1;
		while (low < high) {
			const middle = (low + high + 1) >> 1;
			if (this.tops[middle] <= height) low = middle;
			else high = middle - 1;
		}
		return low;
	}

	// ---- Rows in sight ----

	render() {
		const { scrollTop, clientHeight } = this.scroller;
		const first = Math.max(0, this.at(scrollTop) - OVERSCAN);
		const last = Math.min(this.items.length - 1, this.at(scrollTop + clientHeight) + OVERSCAN);
		const wanted = new Map();
		for (let i = first; i <= last; i++) wanted.set(this.items[i].key, i);
		for (const [key, { row, kind }] of this.shown) {
			const i = wanted.get(key);
			if (i !== undefined && this.items[i].kind === kind) continue;
			row.element.remove();
			this.spare[kind].push(row);
			this.shown.delete(key);
		}
		for (const [key, i] of wanted) this.place(key, i);
		this.pin(this.at(scrollTop));
		this.markActive();
	}

	place(key, i) {
		const item = this.items[i];
		let shown = this.shown.get(key);
		if (!shown) {
			const row = this.spare[item.kind].pop() ?? new KINDS[item.kind]();
			shown = { row, kind: item.kind };
			this.shown.set(key, shown);
			row.element.id = `row-${this.nextId = (this.nextId ?? 0) + 1}`;
			row.element.dataset.key = key;
			this.grid.append(row.element);
		}
		const { element } = shown.row;
		shown.row.fill(item);
		element.style.setProperty("transform", `translateY(${this.tops[i]}px)`);
		setAttribute(element, "aria-rowindex", String(i + 1));
		element.classList.toggle("is-open", key === this.opened);
	}

	// Above the instances of a service whose own row is out of sight, it is shown all the same,
	// until the next service's pushes it away.
	pin(i) {
		const { scrollTop } = this.scroller;
		const next = this.at(scrollTop + this.size.service);
		while (i >= 0 && this.items[i]?.kind === "instance") i--;
		const item = this.items[i];
		const isNeeded = item && scrollTop > this.tops[i];
		this.pinnedPlace.hidden = !isNeeded;
		this.pinnedKey = item?.key;
		if (!isNeeded) return;
		this.pinned.fill(item);
		const pushed = next !== i && this.items[next].kind === "service"
			? this.tops[next] - scrollTop - this.size.service : 0;
		this.pinnedPlace.style.setProperty("transform", `translateY(${pushed}px)`);
	}

	tick(now) {
		for (const { row, kind } of this.shown.values()) if (kind === "instance") row.tick(now);
	}

	// The instances that one sees.
	visible() {
		const { scrollTop, clientHeight } = this.scroller;
		return this.items.slice(this.at(scrollTop), this.at(scrollTop + clientHeight) + 1)
			.filter(({ kind }) => kind === "instance").map(({ instance }) => instance);
	}

	setOpened(key) {
		this.opened = key;
		if (key !== null) this.active = key;
		this.render();
	}

	// ---- The active row ----

	markActive() {
		let id = null;
		for (const [key, { row }] of this.shown) {
			row.element.classList.toggle("is-active", key === this.active);
			setAttribute(row.element, "aria-selected", key === this.active ? "true" : null);
			if (key === this.active) id = row.element.id;
		}
		setAttribute(this.grid, "aria-activedescendant", id);
	}

	goTo(key) {
		const i = this.indexOf(key);
		if (i < 0) return false;
		const item = this.items[i];
		const room = item.kind === "instance" ? this.size.service : 0; // of the pinned row
		const { scrollTop, clientHeight } = this.scroller;
		this.active = key;
		if (this.tops[i] - room < scrollTop) this.scroller.scrollTop = this.tops[i] - room;
		else if (this.tops[i + 1] > scrollTop + clientHeight)
			this.scroller.scrollTop = this.tops[i + 1] - clientHeight;
		this.render();
		return true;
	}

	move(steps) {
		if (!this.items.length) return;
		const i = this.indexOf(this.active);
		const to = i < 0 ? this.at(this.scroller.scrollTop) : i + steps;
		this.goTo(this.items[Math.min(Math.max(to, 0), this.items.length - 1)].key);
	}

	focus() {
		if (this.indexOf(this.active) < 0 && this.items.length)
			this.active = this.items[this.at(this.scroller.scrollTop)].key;
		this.grid.focus({ preventScroll: true });
		this.render();
	}

	// ---- What people do ----

	setClosed(item, isClosed) {
		item.service.is_closed = isClosed;
		this.layOut();
	}

	open(item) {
		if (item.kind === "service") this.onOpen(item.service.service, null);
		else this.onOpen(item.instance.service, item.instance.id);
	}

	onKey(event) {
		if (event.ctrlKey || event.altKey || event.metaKey) return;
		const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.size.instance) - 1);
		const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page,
			Home: -this.items.length, End: this.items.length, j: 1, k: -1 };
		const item = this.items[this.indexOf(this.active)];
		if (event.key in steps) this.move(steps[event.key]);
		else if (!item) return;
		else if (event.key === "Enter") this.open(item);
		else if (event.key === " " && item.kind === "service")
			this.setClosed(item, !item.service.is_closed);
		else if (event.key === "ArrowRight" && item.kind === "service") this.setClosed(item, false);
		else if (event.key === "ArrowLeft" && item.kind === "service") this.setClosed(item, true);
		else if (event.key === "ArrowLeft") this.goTo(item.instance.service);
		else return;
		event.preventDefault();
	}

	onClick(event) {
		const row = event.target.closest(".row");
		const item = row && this.items[this.indexOf(row.dataset.key)];
		if (!item) return;
		this.active = item.key;
		this.grid.focus({ preventScroll: true });
		if (event.target.closest(".chevron")) this.setClosed(item, !item.service.is_closed);
		else this.open(item);
	}
}

// SPDX-License-Identifier: BSD-2-Clause
// dom: making elements, and what the page says in words and shapes.
//
// What the server says was written by others. It gets into the page as text, by textContent and
// attributes that run nothing; there is no innerHTML, and the policy would stop it.

const SVG = "http://www.w3.org/2000/svg";
const number = new Intl.NumberFormat("en");

// Characters that nobody sees, or that turn others around, could make one name look like another:
// they are shown as rosterctl shows them.
const UNSEEN = /[^\P{C}\t\n\r]|[\u2028\u2029]/gu;

function shown(text) {
	return text.replace(UNSEEN, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
}

// ---- Elements ----

// el("p", { class: "x", onclick: f }, "text", another): attributes, listeners, children.
export function el(tag, attributes = {}, ...children) {
	const made = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
		else if (value === true) made.setAttribute(name, "");
		else if (value !== false && value !== undefined) made.setAttribute(name, value);
	}
	made.append(...children.filter((child) => child !== null && child !== undefined)
		.map((child) => (typeof child === "string" ? shown(child) : child)));
	return made;
}

function svg(tag, attributes = {}, ...children) {
	const made = document.createElementNS(SVG, tag);
	for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
	made.append(...children);
	return made;
}

// Nothing is touched that says so already: the browser then has nothing to lay out.
export function setText(element, text) {
	const wanted = shown(text);
	if (element.textContent !== wanted) element.textContent = wanted;
}

export function setAttribute(element, name, value) {
	if (value === null) element.removeAttribute(name);
	else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// ---- Words ----

export function count(n) {
	return number.format(n);
}

export function counted(n, noun) {
	return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}

// Seconds, as short as they are useful.
export function duration(s) {
	const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
	const i = units.findIndex(([, length]) => s >= length);
	if (i < 0) return s ? `${Math.round(s * 1000)} ms` : "0 s";
	if (i === 3) return `${Math.floor(s)} s`;
	const rest = Math.floor((s % units[i][1]) / units[i + 1][1]);
	return `${Math.floor(s / units[i][1])} ${units[i][0]}${rest ? ` ${rest} ${units[i + 1][0]}` : ""}`;
}

export function percent(share) {
	if (share === 0) return "0 %";
	if (share < 0.001) return "<0.1 %";
	return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

export function rate(perSecond) {
	if (perSecond >= 10000) return `${(perSecond / 1000).toFixed(1)}k`;
	return perSecond >= 10 || perSecond === 0 ? count(Math.round(perSecond)) : perSecond.toFixed(1);
}

// ---- Shapes ----

// A status is never told by its colour alone.
const MARKS = {
	passing: "M6 .8a5.2 5.2 0 1 0 0 10.4A5.2 5.2 0 0 0 6 .8z",
	warning: "M6 .6 11.8 11.2H.2z",
	critical: "M2.3.9 6 4.6 9.7.9l1.4 1.4L7.4 6l3.7 3.7-1.4 1.4L6 7.4l-3.7 3.7L.9 9.7 4.6 6 .9 2.3z",
	drain: "M.8 1.4h10.4v2.2H.8zM2.9 4.9h6.2v2.2H2.9zM4.9 8.4h2.2v2.2H4.9z",
	down: "M.8 4.8h10.4v2.4H.8z",
	unknown: "M6 .8a5.2 5.2 0 1 0 0 10.4A5.2 5.2 0 0 0 6 .8zm0 2a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.4z",
};

export function mark(state) {
	const made = svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path"));
	setMark(made, state);
	return made;
}

export function setMark(made, state) {
	if (made.shown === state) return;
	made.shown = state;
	made.setAttribute("class", `mark is-${state}`);
	made.firstChild.setAttribute("d", MARKS[state] ?? MARKS.unknown);
}

// The strip of results: the newest at the right; the worse, the higher.
const RESULTS = { p: ["passing", 5], w: ["warning", 2], c: ["critical", 0] };
const SLOTS = 60;

export function strip(history) {
	const made = svg("svg", { class: "strip", viewBox: "0 0 240 16", role: "img",
		preserveAspectRatio: "none" });
	for (const name of ["none", "passing", "warning", "critical"])
		made.append(svg("path", { class: `is-${name}` }));
	setStrip(made, history);
	return made;
}

export function setStrip(made, history) {
	if (made.shown === history) return;
	made.shown = history;
	const drawn = { none: "", passing: "", warning: "", critical: "" };
	const counts = { passing: 0, warning: 0, critical: 0 };
	const first = SLOTS - history.length;
	for (let slot = 0; slot < SLOTS; slot++) {
		const [name, top] = RESULTS[history[slot - first]] ?? ["none", 13];
		drawn[name] += `M${slot * 4} ${top}h3v${16 - top}h-3z`;
		if (name !== "none") counts[name]++;
	}
	for (const path of made.children)
		path.setAttribute("d", drawn[path.getAttribute("class").slice(3)]);
	const said = Object.entries(counts).filter(([, n]) => n).map(([name, n]) => `${n} ${name}`);
	const text = history ? `last ${counted(history.length, "result")}: ${said.join(", ")}`
		: "no results yet";
	made.setAttribute("aria-label", text);
}

// Parts of a whole, as a bar: [["passing", 9], ["critical", 1]].
export function setBar(bar, parts) {
	const total = parts.reduce((sum, [, n]) => sum + n, 0);
	const key = parts.join();
	if (bar.shown === key) return;
	bar.shown = key;
	bar.replaceChildren();
	let at = 0;
	for (const [name, n] of parts) {
		if (!n) continue;
		const width = (n / total) * 100;
		bar.append(svg("rect", { class: `is-${name}`, x: at, y: 0, width: Math.max(width, 1.5),
			height: 6 }));
		at += width;
	}
}

export function bar() {
	return svg("svg", { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none",
		"aria-hidden": "true" });
}

// A line of numbers, newest at the right.
export function setLine(line, values) {
	const most = Math.max(1, ...values);
	const step = 100 / 59;
	const points = values.map((value, i) =>
		`${(100 - (values.length - 1 - i) * step).toFixed(1)},${(19 - (value / most) * 17).toFixed(1)}`);
	line.setAttribute("points", points.join(" "));
}

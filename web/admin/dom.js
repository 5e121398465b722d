// SPDX-License-Identifier: MIT
// Making elements and text.  Nothing here or elsewhere parses HTML: what a
// user wrote is only ever text.

/**
 * h("button", { class: "primary", onclick: f }, "Save", …): an element.
 * Children are nodes, texts, arrays of them, or nothing (null, false).
 */
export function h(tag, props = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(props)) {
		if (value === undefined || value === null || value === false)
			continue;
		if (name.startsWith("on"))
			element.addEventListener(name.slice(2), value);
		else if (name === "value" || name === "checked")
			element[name] = value;
		else
			element.setAttribute(name, value === true ? "" : value);
	}
	element.append(...children.flat(Infinity)
	    .filter((child) => child !== null && child !== undefined &&
		child !== false)
	    .map((child) => child instanceof Node ? child : String(child)));
	return element;
}

/** Puts children in place of what an element holds. */
export function fill(element, ...children) {
	element.replaceChildren(...children.flat(Infinity)
	    .filter((child) => child !== null && child !== false &&
		child !== undefined));
}

// --- text --------------------------------------------------------------------

const numbers = new Intl.NumberFormat("en");
const dates = new Intl.DateTimeFormat("en", { dateStyle: "medium",
	timeStyle: "medium" });
const days = new Intl.DateTimeFormat("en", { month: "short", day: "numeric",
	timeZone: "UTC" });

export const count = (value) => numbers.format(value ?? 0);

export function signed(value) {
	return value === 0 ? "0" : value > 0 ? `+${count(value)}` :
	    `\u2212${count(-value)}`;
}

/** Thousandths of a currency's unit. */
export function money(milli, currency) {
	try {
		return new Intl.NumberFormat("en", { style: "currency",
			currency: currency ?? "USD" }).format(milli / 1000);
	} catch {
		return `${(milli / 1000).toFixed(2)} ${currency}`;
	}
}

/** Millionths of a US dollar. */
export const dollars = (micro) => money((micro ?? 0) / 1000, "USD");

export const when = (text) => text ? dates.format(new Date(text)) : "";
export const dayOf = (text) => days.format(new Date(text));

/** "3 min ago". */
export function ago(text) {
	const s = (Date.now() - Date.parse(text)) / 1000;
	const [n, unit] = s < 90 ? [s, "s"] : s < 5400 ? [s / 60, "min"] :
	    s < 129600 ? [s / 3600, "h"] : [s / 86400, "days"];
	return `${Math.max(0, Math.round(n))} ${unit} ago`;
}

export function bytes(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let at = 0;
	for (; n >= 1024 && at < units.length - 1; at++)
		n /= 1024;
	return `${n < 10 && at > 0 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

// --- pieces ------------------------------------------------------------------

const tones = {
	active: "good", available: "good", completed: "good", ok: "good",
	succeeded: "good", done: "good",
	banned: "bad", failed: "bad", lost: "bad", full: "bad", alarm: "bad",
	deleted: "dim", cancelled: "dim", disabled: "dim", retired: "dim",
	queued: "wait", submitting: "wait", waiting: "wait", running: "busy",
	storing: "busy", warning: "wait",
};

export function chip(text, tone = tones[text]) {
	return h("span", { class: `chip ${tone ?? ""}` }, text);
}

export function time(text) {
	return h("time", { datetime: text, title: when(text) }, ago(text));
}

/** An id, short, that is whole when it is copied or hovered over. */
export function idText(id) {
	return h("code", { title: id, class: "id" }, id);
}

export function table(heads, rows, empty) {
	if (rows.length === 0)
		return h("p", { class: "empty" }, empty);
	return h("div", { class: "scroll" }, h("table", {},
	    h("thead", {}, h("tr", {}, heads.map((head) => h("th",
		{ class: head.startsWith("#") ? "number" : null },
		head.replace("#", ""))))),
	    h("tbody", {}, rows)));
}

export function card(title, ...content) {
	return h("section", { class: "card" },
	    title && h("h2", {}, title), content);
}

export function toast(text, tone = "good") {
	const element = h("div", { class: `toast ${tone}` }, text);
	document.getElementById("toasts").append(element);
	setTimeout(() => element.remove(), 6000);
}

/**
 * A button that does something: it cannot be pressed twice, and says what
 * went wrong.
 */
export function action(label, work, props = {}) {
	const button = h("button", { type: "button", ...props,
		async onclick() {
			button.disabled = true;
			try {
				await work(button);
			} catch (error) {
				toast(error.message, "bad");
			} finally {
				button.disabled = false;
			}
		} }, label);
	return button;
}

/**
 * Asks for a reason in a dialog, or only for a yes; null when there was none.
 */
export function askReason(title, text, { confirm = "Confirm",
    danger = false, fields = [], isReasonless = false } = {}) {
	return new Promise((resolve) => {
		const reason = h("input", { name: "reason",
			required: !isReasonless,
			maxlength: 200, placeholder: "Why? Kept for ever.",
			autocomplete: "off" });
		const dialog = h("dialog", { onclose: () => {
			resolve(dialog.returnValue === "yes" ? reason.value : null);
			dialog.remove();
		} }, h("form", { method: "dialog", onsubmit(event) {
			event.preventDefault();
			dialog.close("yes");
		} }, h("h2", {}, title), h("p", {}, text), fields,
		    !isReasonless && h("label", {}, "Reason", reason),
		    h("div", { class: "row end" },
			h("button", { type: "button",
				onclick: () => dialog.close("no") }, "Cancel"),
			h("button", { type: "submit",
				class: danger ? "danger" : "primary" },
			    confirm))));
		document.body.append(dialog);
		dialog.showModal();
		if (!isReasonless)
			(fields[0]?.querySelector("input") ?? reason).focus();
	});
}

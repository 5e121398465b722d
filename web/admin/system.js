// SPDX-License-Identifier: MIT
// How the machine is, its switches, its books, and who did what.

import { get, post } from "./api.js";
import { action, askReason, bytes, card, chip, count, fill, h, signed, table,
	time, toast, when } from "./dom.js";

/** What the worker measures it measures every few seconds. */
const WORKER_LATE_MS = 120_000;

function tile(label, value, note, tone) {
	return h("div", { class: `tile ${tone ?? ""}` }, h("span", {}, label),
	    h("strong", {}, value), h("small", {}, note));
}

function health({ storage, alarms, backup, audit, queue, mode }) {
	const [disk] = storage;
	const [saved] = backup;
	const [proved] = audit;
	const isLate = !disk ||
	    Date.now() - Date.parse(disk.measured_at) > WORKER_LATE_MS;
	const open = queue.reduce((sum, { jobs }) => sum + jobs, 0);
	return h("div", { class: "tiles" },
	    tile("Mode", mode, mode === "sandbox" ?
		"Apple and the provider are stand-ins" : "real money"),
	    tile("Worker", isLate ? "silent" : "at work", disk ?
		h("span", {}, "last seen ", time(disk.measured_at)) :
		"never seen", isLate ? "bad" : ""),
	    tile("Jobs under way", count(open), queue.map(({ state, jobs }) =>
		`${jobs} ${state}`).join(", ") || "none waits"),
	    tile("Storage", disk ? bytes(disk.used_bytes) : "?", disk ?
		`of ${bytes(disk.limit_bytes)}, ${disk.level}` : "",
	    disk && disk.level !== "ok" ? "bad" : ""),
	    tile("Backup", saved?.good_at ? time(saved.good_at) : "none",
		saved && saved.failed_at && (!saved.good_at ||
		    saved.failed_at > saved.good_at) ? "the last one failed" :
		    "the last good one", saved?.good_at ? "" : "warn"),
	    tile("Alarms", count(alarms.length), alarms.length === 0 ?
		"nothing is wrong" : alarms.map(({ name }) => name).join(", "),
	    alarms.length > 0 ? "bad" : ""),
	    proved && tile("Audit", proved.violations === 0 ? "clean" :
		`${proved.violations} violations`, h("span", {}, "made ",
		time(proved.made_at)), proved.violations > 0 ? "bad" : ""));
}

function maintenance(switches, reload) {
	const isOn = switches.some(({ name, is_on }) =>
	    name === "maintenance" && is_on);
	return h("div", { class: "item" },
	    h("div", {}, h("strong", {}, "Maintenance"),
		h("small", {}, "No orders and no uploads are taken; what was" +
		    " ordered is made, what was bought is credited.")),
	    h("div", { class: "tags" }, chip(isOn ? "on" : "off",
		isOn ? "bad" : "dim")),
	    h("div", { class: "end" }, action(isOn ? "End" : "Begin",
		async () => {
		const reason = await askReason(isOn ? "End maintenance?" :
		    "Begin maintenance?", isOn ? "Orders are taken again." :
		    "Orders and uploads are answered 503 until you end it.",
		{ confirm: isOn ? "End" : "Begin", danger: !isOn });
		if (reason === null)
			return;
		await post("admin-system", { action: "maintenance",
			is_on: !isOn, reason });
		await reload();
	    }, { class: isOn ? "primary" : "danger" })));
}

function provider(one, reload) {
	const company = one.company === "" ? "all" : one.company;
	return h("div", { class: "item" },
	    h("div", {}, h("strong", {}, company === "all" ? "All providers" :
		company), h("small", {}, one.endpoint || "all models")),
	    h("div", { class: "tags" }, chip(one.reason, "bad"),
		one.next_try_at ? chip(`tries again ${when(one.next_try_at)}`,
		    "wait") : chip("until you start it", "dim")),
	    h("div", { class: "end" }, action("Start", async () => {
		const reason = await askReason("Ask it again?",
		    "Jobs that waited are sent.", { confirm: "Start" });
		if (reason === null)
			return;
		await post("admin-system", { action: "provider_start", company,
			...(one.endpoint ? { endpoint: one.endpoint } : {}),
			reason });
		await reload();
	    }, { class: "primary" })));
}

function stopAll(reload) {
	return action("Stop all providers", async () => {
		const reason = await askReason("Stop sending anything?",
		    "Orders are answered 502 and not charged; jobs that wait go on" +
		    " waiting.", { confirm: "Stop", danger: true });
		if (reason === null)
			return;
		await post("admin-system", { action: "provider_stop",
			company: "all", reason });
		toast("Nothing more is sent.");
		await reload();
	}, { class: "danger" });
}

function books() {
	const result = h("div", {});
	return card("Books", h("p", {}, "Proves every invariant of the ledger, the" +
	    " jobs and the purchases over the whole database."),
	action("Verify everything", async () => {
		fill(result, h("p", { class: "empty" }, "Reading everything\u2026"));
		const found = await post("admin-system", { action: "verify" });
		fill(result, h("p", {}, chip(found.ok ? "all is well" :
		    "something is wrong", found.ok ? "good" : "bad")),
		table(["Invariant", "#Checked", "#Violations"],
		    found.invariants.map((one) => h("tr", {},
			h("td", {}, `${one.invariant}. ${one.title}`,
			    one.reported.map(({ problem, id }) => h("small", {},
				`${problem}: ${id}`))),
			h("td", { class: "number" }, count(one.checked)),
			h("td", { class: `number ${one.violations > 0 ? "minus" :
				""}` }, count(one.violations)))), ""));
	}, { class: "primary" }), result);
}

function line(entry) {
	const subject = entry.subject_id && (entry.action.startsWith("job") ?
	    h("a", { href: `#/jobs/${entry.subject_id}` }, "job") : null);
	return h("tr", {}, h("td", { class: "number" }, entry.number),
	    h("td", {}, when(entry.created_at)),
	    h("td", {}, entry.actor, entry.address && h("small", {},
		entry.address)),
	    h("td", {}, entry.action.replaceAll("_", " "),
		entry.undone_by_number !== null && chip("undone", "dim")),
	    h("td", {}, entry.user_id && h("a",
		{ href: `#/users/${entry.user_id}` }, "user"), " ", subject, " ",
		entry.field, entry.credits !== 0 && ` ${signed(entry.credits)}`,
		(entry.old_value ?? entry.new_value) !== null && h("small", {},
		    `${entry.old_value ?? ""} \u2192 ${entry.new_value ?? ""}`)),
	    h("td", {}, entry.reason));
}

async function log() {
	const { log: first } = await get("admin-system?log_before=0");
	const body = first.map(line);
	const shown = table(["#No.", "When", "Who", "Did", "What", "Why"], body,
	    "Nobody did anything.");
	let last = first.at(-1)?.number;
	const more = action("Earlier", async (button) => {
		const { log: next } = await get(`admin-system?log_before=${last}`);
		last = next.at(-1)?.number ?? last;
		shown.querySelector("tbody").append(...next.map(line));
		button.hidden = next.length < 100;
	}, { hidden: first.length < 100 });
	return card("Admin log", shown, more);
}

export async function system(page, signal) {
	const reload = async () => {
		const data = await get("admin-system");
		const entries = await log();
		if (signal.aborted)
			return;
		fill(page, h("div", { class: "head" }, h("h1", {}, "System"),
		    action("Refresh", reload)),
		health(data),
		data.alarms.length > 0 && card("Alarms", h("div", { class: "list" },
		    data.alarms.map((alarm) => h("div", { class: "item" },
			h("div", {}, h("strong", {},
			    alarm.name.replaceAll("_", " ")),
			h("small", {}, `${alarm.subject} ${alarm.detail}`)),
			h("div", { class: "end" }, time(alarm.raised_at)))))),
		card("Switches", h("div", { class: "list" },
		    maintenance(data.switches, reload),
		    data.breakers.map((one) => provider(one, reload))),
		!data.breakers.some(({ company, reason }) => company === "" &&
		    reason === "operator") && stopAll(reload)),
		books(),
		card("Admins", table(["Name", "", "Last sign-in"],
		    data.admins.map((one) => h("tr", {}, h("td", {}, one.name),
			h("td", {}, chip(one.is_disabled ? "disabled" : "active")),
			h("td", {}, when(one.signed_in_at) || "never"))), "")),
		entries);
	};
	await reload();
}

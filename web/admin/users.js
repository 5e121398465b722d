// SPDX-License-Identifier: MIT
// Finding a user, seeing all that happened, and setting it right.

import { get, post } from "./api.js";
import { action, askReason, card, chip, count, fill, h, idText, money, signed,
	table, time, toast, when } from "./dom.js";

const PAGE = 100;

// --- the list ----------------------------------------------------------------

function row(user) {
	return h("a", { class: "item", href: `#/users/${user.id}` },
	    h("div", {}, h("strong", {}, user.email ??
		(user.is_guest ? "Guest" : "User")), idText(user.id)),
	    h("div", { class: "tags" }, chip(user.status),
		user.tier === "premium" && chip("premium", "busy"),
		user.found_by !== "newest" && user.found_by !== "user" &&
		    chip(`by ${user.found_by}`, "dim")),
	    h("div", { class: "end" }, h("strong", {},
		`${count(user.credits_remaining)} credits`),
	    time(user.created_at)));
}

export async function users(page, signal) {
	const list = h("div", { class: "list" });
	const field = h("input", { type: "search", name: "q", maxlength: 254,
		"aria-label": "Search", autocapitalize: "none", spellcheck: "false",
		placeholder: "User, job or account id \u00b7 Apple transaction \u00b7 " +
		    "start of an e-mail" });
	const search = async () => {
		const { users: found } = await get("admin-users?q=" +
		    encodeURIComponent(field.value));
		if (!signal.aborted)
			fill(list, found.length > 0 ? found.map(row) :
			    h("p", { class: "empty" }, "Nobody was found."));
	};

	fill(page, h("div", { class: "head" }, h("h1", {}, "Users")),
	    h("form", { class: "search", onsubmit(event) {
		event.preventDefault();
		search().catch((error) => toast(error.message, "bad"));
	    } }, field, h("button", { type: "submit", class: "primary" },
		"Search")), list);
	await search();
}

// --- one user ----------------------------------------------------------------

const icons = { account: "\u25cf", ledger: "\u00a4", job: "\u25b6",
	provider: "\u2601", purchase: "\u20ac", device: "\u25a2",
	session: "\u26bf", consent: "\u2713", admin: "\u2691" };

function entry(event, reload) {
	const isJob = ["job", "provider", "ledger"].includes(event.kind) &&
	    event.subject_id;
	return h("li", { class: `event ${event.kind}` },
	    h("span", { class: "mark", "aria-hidden": "true" },
		icons[event.kind] ?? "\u25cf"),
	    h("div", {},
		h("div", {}, h("strong", {}, `${event.kind} `),
		    h("span", { class: `what ${event.what}` }, event.what),
		    event.kind === "provider" && event.number !== null &&
			h("small", {}, ` attempt ${event.number}`)),
		event.note && h("p", { class: "note" }, event.note),
		isJob && h("a", { href: `#/jobs/${event.subject_id}` },
		    `job \u2026${event.subject_id.slice(-8)}`)),
	    h("div", { class: "end" },
		event.credits !== null && event.kind === "ledger" &&
		    h("strong", { class: event.credits < 0 ? "minus" :
			event.credits > 0 ? "plus" : null },
			signed(event.credits)),
		event.balance !== null && h("small", {},
		    `${count(event.balance)} left`),
		h("time", { datetime: event.at }, when(event.at)),
		event.kind === "admin" && event.what === "user_adjust" &&
		    action("Undo", async () => {
			const reason = await askReason("Undo this?",
			    `${signed(-event.credits)} credits, as a new entry of` +
			    " the ledger. It can be done once.",
			    { confirm: "Undo" });
			if (reason === null)
				return;
			await post("admin-users", { action: "undo",
				number: event.number, reason });
			toast("Undone.");
			await reload();
		    }, { class: "quiet small" })));
}

async function giveCredits(user, reload) {
	const amount = h("input", { type: "number", name: "credits", min: -10000,
		max: 10000, step: 1, value: 5, required: true,
		inputmode: "numeric" });
	const reason = await askReason("Give credits",
	    "A negative number takes them. The reason stands in the ledger: write" +
	    " no names.", { confirm: "Give", fields: [h("label", {}, "Credits",
		amount)] });
	if (reason === null)
		return;
	const answer = await post("admin-users", { action: "adjust",
		user_id: user.id, credits: Number(amount.value), reason });
	toast(`Done: ${count(answer.credits_remaining)} credits now.`);
	await reload();
}

async function setBanned(user, reload) {
	const bans = user.status !== "banned";
	const reason = await askReason(bans ? "Ban this user?" : "Lift the ban?",
	    bans ? "All sessions end now, and nobody gets in again." :
		"The user can come in again.",
	    { confirm: bans ? "Ban" : "Lift", danger: bans });
	if (reason === null)
		return;
	await post("admin-users", { action: bans ? "ban" : "unban",
		user_id: user.id, reason });
	toast(bans ? "Banned." : "The ban is lifted.");
	await reload();
}

async function verify(user, result) {
	const { ok, problem } = await post("admin-users", { action: "verify",
		user_id: user.id });
	fill(result, chip(ok ? "ledger is whole" : problem, ok ? "good" : "bad"));
}

function facts(pairs) {
	return h("dl", {}, pairs.filter(([, value]) => value !== null &&
	    value !== undefined && value !== "" && value !== false)
	    .map(([name, value]) => h("div", {}, h("dt", {}, name),
		h("dd", {}, value))));
}

function purchases(rows) {
	return table(["When", "Product", "Transaction", "#Price", "#Credits", ""],
	    rows.map((one) => h("tr", {}, h("td", {}, when(one.purchased_at)),
		h("td", {}, one.product_id),
		h("td", {}, h("code", {}, one.transaction_id)),
		h("td", { class: "number" }, one.price_milli === null ? "" :
		    money(one.price_milli, one.currency)),
		h("td", { class: "number" }, count(one.credits)),
		h("td", {}, one.environment === "Sandbox" && chip("test", "dim"),
		    one.waits_for && chip(`waits for ${one.waits_for}`, "wait"),
		    one.refund_millipercent > 0 && chip("refunded " +
			`${one.refund_millipercent / 1000} %`, "bad")))),
	    "Nothing was bought.");
}

function ledger(rows) {
	return table(["#No.", "When", "Kind", "Reason", "#Change", "#Balance"],
	    rows.map((one) => h("tr", {},
		h("td", { class: "number" }, one.number),
		h("td", {}, when(one.created_at)), h("td", {}, one.kind),
		h("td", {}, one.reason, " ", one.job_id && h("a",
		    { href: `#/jobs/${one.job_id}` }, "job")),
		h("td", { class: `number ${one.change < 0 ? "minus" :
			one.change > 0 ? "plus" : ""}` },
		    one.change === 0 ? "0" : signed(one.change)),
		h("td", { class: "number" }, count(one.balance_after)))),
	    "No entries.");
}

export async function user(page, id, signal) {
	const reload = async () => {
		const data = await get(`admin-users?user_id=${id}&limit=${PAGE}`);
		if (!signal.aborted)
			show(page, data, reload);
	};
	await reload();
}

function show(page, data, reload) {
	const [one] = data.user;
	const verdict = h("span", {});
	const list = h("ol", { class: "timeline" }, data.timeline
	    .map((event) => entry(event, reload)));
	let offset = data.timeline.length;
	const more = action("Earlier", async (button) => {
		const next = await get(`admin-users?user_id=${one.id}` +
		    `&limit=${PAGE}&offset=${offset}`);
		offset += next.timeline.length;
		list.append(...next.timeline.map((event) => entry(event, reload)));
		button.hidden = next.timeline.length < PAGE;
	}, { hidden: data.timeline.length < PAGE });

	fill(page, h("div", { class: "head" },
	    h("div", {}, h("a", { class: "back", href: "#/users" }, "Users"),
		h("h1", {}, one.email ?? (one.is_guest ? "Guest" : "User")),
		idText(one.id)),
	    h("div", { class: "balance" }, h("strong", {},
		count(one.credits_remaining)), h("span", {}, "credits"))),
	h("div", { class: "row tags" }, chip(one.status),
	    chip(one.is_guest ? "guest" : "signed in with Apple", "dim"),
	    one.tier === "premium" && chip("premium", "busy"),
	    one.debt_credits > 0 && chip(`owes ${one.debt_credits}`, "bad"),
	    verdict),
	one.status !== "deleted" && h("div", { class: "row" },
	    action("Give credits", () => giveCredits(one, reload),
		{ class: "primary" }),
	    action("Verify ledger", () => verify(one, verdict)),
	    action("Sign out everywhere", async () => {
		await post("admin-users", { action: "logout", user_id: one.id });
		toast("All sessions are over.");
		await reload();
	    }),
	    action(one.status === "banned" ? "Lift ban" : "Ban",
		() => setBanned(one, reload), { class: "danger" })),
	card(null, facts([["Created", when(one.created_at)],
		["Language", one.language], ["Gift", one.grant],
		["Received in all", count(one.credits_total)],
		["Jobs", `${count(one.jobs_count)}, ` +
		    `${count(one.jobs_open_count)} under way`],
		["Purchases", count(one.purchases_count)],
		["Sessions", count(one.sessions_count)],
		["Account token", h("code", {}, one.app_account_token)],
		["Merged into", one.merged_into_id && h("a",
		    { href: `#/users/${one.merged_into_id}` },
		    one.merged_into_id)]])),
	card("Timeline", list, more),
	card("Purchases", purchases(data.purchases)),
	card("Ledger", ledger(data.ledger)));
}

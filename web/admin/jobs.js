// SPDX-License-Identifier: MIT
// Videos under way, as it happens, and what became of those before.

import { get, post } from "./api.js";
import { action, ago, askReason, card, chip, count, dollars, fill, h, idText,
	signed, table, time, toast, when } from "./dom.js";

const LIVE_MS = 3000;

/** What an error code means, for who has to answer a user. */
const meanings = {
	content_policy: "The provider refused the prompt or the picture.",
	provider_error: "The provider tried and failed.",
	provider_auth: "The provider refused our key.",
	provider_locked: "Our account at the provider is locked: pay its bill.",
	model_gone: "The provider has no such model any more.",
	timeout: "It was not told to have ended within its time.",
	canceled: "It was cancelled.",
	invalid_input: "The provider did not accept a setting or the picture.",
	result_unavailable: "The provider's file could not be had.",
};

function row(job) {
	return h("a", { class: "item", href: `#/jobs/${job.id}` },
	    h("div", {}, h("strong", {}, job.model_name), idText(job.id)),
	    h("div", { class: "tags" }, chip(job.state),
		job.error_code && chip(job.error_code, "bad"),
		job.is_refunded && chip("refunded by hand", "dim"),
		job.attempts_count > 1 &&
		    chip(`${job.attempts_count} attempts`, "dim")),
	    h("div", { class: "end" }, h("strong", {},
		`${count(job.cost_credits)} credits`),
	    time(job.completed_at ?? job.created_at)));
}

export async function jobs(page, signal) {
	const live = h("span", { class: "live" }, "live");
	const open = h("div", { class: "list" });
	const ended = h("div", { class: "list" });
	let shown = "";
	const refresh = async () => {
		const data = await get("admin-jobs?limit=50");
		const text = JSON.stringify(data);
		if (signal.aborted || text === shown)
			return;
		shown = text;
		fill(open, data.open.length > 0 ? data.open.map(row) :
		    h("p", { class: "empty" }, "Nothing is under way."));
		fill(ended, data.ended.length > 0 ? data.ended.map(row) :
		    h("p", { class: "empty" }, "Nothing has ended yet."));
	};

	await refresh();
	fill(page, h("div", { class: "head" }, h("h1", {}, "Jobs"), live),
	    card("Under way", open), card("Ended", ended));
	const timer = setInterval(() => {
		if (document.visibilityState !== "visible")
			return;
		refresh().then(() => live.classList.remove("off"),
		    () => live.classList.add("off"));
	}, LIVE_MS);
	signal.addEventListener("abort", () => clearInterval(timer));
}

function fate(one) {
	if (one.is_refunded)
		return "Its credits were given back by an admin.";
	if (one.is_free)
		return "It came after its credits had gone back: it was free.";
	if (one.settlement === "release")
		return `Its ${one.cost_credits} credits went back to the user.`;
	if (one.settlement === "capture")
		return one.is_charge_kept ? "It failed, and its credits were kept by" +
		    " the operator's rule." :
		    `Its ${one.cost_credits} credits are spent.`;
	return `Its ${one.cost_credits} credits are held until it ends.`;
}

export async function job(page, id, signal) {
	const data = await get(`admin-jobs?job_id=${id}`);
	const [one] = data.job;
	if (signal.aborted)
		return;
	const reload = () => job(page, id, signal);
	const canRefund = !one.is_refunded && one.settlement !== "release";

	fill(page, h("div", { class: "head" },
	    h("div", {}, h("a", { class: "back", href: "#/jobs" }, "Jobs"),
		h("h1", {}, one.model_name), idText(one.id)),
	    h("div", { class: "balance" }, h("strong", {},
		count(one.cost_credits)), h("span", {}, "credits"))),
	h("div", { class: "row tags" }, chip(one.state),
	    one.error_code && chip(one.error_code, "bad"),
	    one.is_hidden && chip("deleted by its user", "dim"),
	    one.wish !== "wanted" && chip("given up by its user", "dim")),
	h("p", { class: "verdict" }, one.error_code &&
	    h("strong", {}, meanings[one.error_code] ??
		"The provider's own reason."), " ", fate(one)),
	h("div", { class: "row" },
	    h("a", { class: "button", href: `#/users/${one.user_id}` },
		"Its user"),
	    canRefund && action(one.settlement === null ? "Cancel and give back" :
		"Give credits back", async () => {
		const reason = await askReason("Give the credits back?",
		    one.settlement === null ? "What was not sent ends now. Of what" +
			" is under way the provider is asked to cancel it." :
			`${signed(one.cost_credits)} credits, once. The user keeps` +
			" the video.", { confirm: "Give back" });
		if (reason === null)
			return;
		const { credits_refunded } = await post("admin-jobs",
		    { action: "refund", job_id: id, reason });
		toast(credits_refunded > 0 ? `${credits_refunded} credits are back.` :
		    "The provider is being asked to cancel it.");
		await reload();
	    }, { class: "primary" }),
	    action("Refresh", reload)),
	card(null, h("p", { class: "prompt" }, one.prompt),
	    h("dl", {}, [["Settings", `${one.duration_s} s, ${one.resolution}` +
		(one.has_image ? ", with a picture" : "")],
	    ["Company", one.company], ["Ordered", when(one.created_at)],
	    ["Ended", when(one.completed_at) || "not yet"],
	    ["Next look", one.due_at && ago(one.due_at).replace(/^0 s ago$/,
		"now")],
	    ["Given up at", one.completed_at ? null : when(one.deadline_at)]]
		.filter(([, value]) => value).map(([name, value]) =>
		h("div", {}, h("dt", {}, name), h("dd", {}, value))))),
	card("Attempts at the provider", table(["#No.", "State", "Provider",
		"Error", "#Cost", "Sent", "Ended"],
	    data.attempts.map((attempt) => h("tr", {},
		h("td", { class: "number" }, attempt.number),
		h("td", {}, chip(attempt.state)),
		h("td", {}, attempt.endpoint, attempt.request_id &&
		    h("small", {}, attempt.request_id)),
		h("td", {}, attempt.error_code ?? ""),
		h("td", { class: "number" }, dollars(attempt.cost_micro_usd)),
		h("td", {}, when(attempt.sent_at)),
		h("td", {}, when(attempt.ended_at)))), "None.")),
	data.reports.length > 0 && card("What the provider told", table(
	    ["Outcome", "Error", "Received", "Handled"],
	    data.reports.map((report) => h("tr", {}, h("td", {}, report.outcome),
		h("td", {}, report.error_code ?? ""),
		h("td", {}, when(report.received_at)),
		h("td", {}, when(report.handled_at)))), "")),
	card("Its entries in the ledger", table(["#No.", "Kind", "Reason",
		"#Change", "#Balance", "When"],
	    data.ledger.map((line) => h("tr", {},
		h("td", { class: "number" }, line.number),
		h("td", {}, line.kind), h("td", {}, line.reason),
		h("td", { class: "number" }, line.change === 0 ? "0" :
		    signed(line.change)),
		h("td", { class: "number" }, count(line.balance_after)),
		h("td", {}, when(line.created_at)))), "None.")));
}

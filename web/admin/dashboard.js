// SPDX-License-Identifier: MIT
// What happened, by day: money, videos, people; and what each model brings.

import { get } from "./api.js";
import { byDay, chart } from "./charts.js";
import { card, count, dollars, fill, h, money, table } from "./dom.js";

const RANGES = [7, 30, 90];

/** Sums by currency, the largest first: [[currency, milli], …]. */
function revenueOf(rows) {
	const sums = new Map();
	for (const { currency, price_milli, refunded_milli } of rows)
		sums.set(currency ?? "USD", (sums.get(currency ?? "USD") ?? 0) +
		    price_milli - refunded_milli);
	return [...sums].sort(([, a], [, b]) => b - a);
}

function sumText(sums) {
	return sums.length === 0 ? money(0, "USD") :
	    sums.map(([currency, milli]) => money(milli, currency)).join(" + ");
}

function tile(label, value, note, tone) {
	return h("div", { class: `tile ${tone ?? ""}` }, h("span", {}, label),
	    h("strong", {}, value), h("small", {}, note));
}

function margins(rows) {
	return card("Margin by model", table(["Model", "#Completed", "#Failed",
		"#Credits", "#Worth", "#Cost", "#Margin"],
	    rows.map((row) => h("tr", {},
		h("td", {}, h("strong", {}, row.name),
		    h("small", {}, row.endpoint)),
		h("td", { class: "number" }, count(row.completed)),
		h("td", { class: "number" }, count(row.failed)),
		h("td", { class: "number" }, count(row.credits)),
		h("td", { class: "number" }, dollars(row.value_micro_usd)),
		h("td", { class: "number" }, dollars(row.cost_micro_usd)),
		h("td", { class: `number ${row.margin_micro_usd < 0 ? "minus" :
			"plus"}` }, dollars(row.margin_micro_usd)))),
	    "Nothing was made in these days."));
}

async function draw(page, days, signal) {
	const numbers = await get(`admin-system?days=${days}`);
	if (signal.aborted)
		return;
	const { since } = numbers;
	// Purchases of Apple's test environment are no revenue.
	const real = numbers.days_revenue.filter(({ environment }) =>
	    environment === "Production");
	const isTest = real.length === 0 && numbers.days_revenue.length > 0;
	const sales = isTest ? numbers.days_revenue : real;
	const currency = revenueOf(sales)[0]?.[0] ?? "USD";
	const today = new Date().toISOString().slice(0, 10);
	const ofToday = (rows) => rows.filter(({ day }) => day.startsWith(today));
	const one = (rows) => ofToday(rows)[0] ?? {};
	const jobs = one(numbers.days_jobs);
	const credits = one(numbers.days_credits);
	const people = one(numbers.days_users);
	const owed = numbers.liability.reduce((sum, row) => sum + row.credits, 0);
	const owedWorth = numbers.liability.reduce((sum, row) =>
	    sum + row.value_micro_usd, 0);
	const plots = ["Revenue", "Worth and cost of videos", "Videos",
		"New users"].map((title) => ({ title, box: h("div",
	    { class: "plot" }) }));

	fill(page, h("div", { class: "head" }, h("h1", {}, "Today"),
	    h("div", { class: "segments", role: "group" }, RANGES.map((range) =>
		h("button", { type: "button", "aria-pressed":
		    String(range === days), onclick: () =>
		    draw(page, range, signal) }, `${range} days`)))),
	h("div", { class: "tiles" },
	    tile(isTest ? "Test purchases" : "Revenue",
		sumText(revenueOf(ofToday(sales))),
		isTest ? "Apple's sandbox: no money was paid" :
		    "before Apple's share, less refunds"),
	    tile("Margin", dollars(credits.margin_micro_usd),
		`${dollars(credits.value_micro_usd)} worth, ` +
		`${dollars(credits.cost_micro_usd)} cost`,
		credits.margin_micro_usd < 0 ? "bad" : ""),
	    tile("Videos", count(jobs.completed), `${count(jobs.failed)} failed, ` +
		`${count(jobs.cancelled)} cancelled`, jobs.failed > 0 ? "warn" : ""),
	    tile("New users", count(people.users),
		`${count(numbers.totals[0].users)} in all`),
	    tile("Credits owed", count(owed), `worth ${dollars(owedWorth)}`)),
	h("div", { class: "grid" }, plots.map(({ title, box }) =>
	    card(title, box))),
	margins(numbers.margins));

	const [sold, worth, made, came] = plots.map(({ box }) => box);
	chart(sold, since, [{ label: isTest ? `test, ${currency}` : currency,
		colour: "accent", values: byDay(sales.filter((row) =>
		    (row.currency ?? "USD") === currency), since, (row) =>
		    row.price_milli - row.refunded_milli) }],
	(milli) => money(milli, currency), signal);
	chart(worth, since, [
		{ label: "worth", colour: "good", line: true, values:
		    byDay(numbers.days_credits, since, (row) =>
			row.value_micro_usd) },
		{ label: "cost", colour: "bad", line: true, values:
		    byDay(numbers.days_credits, since, (row) =>
			row.cost_micro_usd) }], dollars, signal);
	chart(made, since, ["completed", "failed", "cancelled"].map((label, i) =>
	    ({ label, colour: ["good", "bad", "faint"][i],
		values: byDay(numbers.days_jobs, since, (row) => row[label]) })),
	count, signal, true);
	chart(came, since, [{ label: "guests", colour: "accent", values:
	    byDay(numbers.days_users, since, (row) =>
		row.users - row.linked_to_apple) },
	{ label: "with Apple", colour: "good", values:
	    byDay(numbers.days_users, since, (row) => row.linked_to_apple) }],
	count, signal, true);
}

export async function dashboard(page, signal) {
	await draw(page, 30, signal);
}

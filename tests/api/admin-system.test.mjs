// SPDX-License-Identifier: MIT
// /functions/v1/admin-system: how the machine is, what it earns, and its
// switches.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter } from "./support/admin.mjs";
import { AppStore, post } from "./support/appstore.mjs";
import { id, sql } from "./support/database.mjs";
import { assertAuditClean, assertError, assertPersonal, assertStatements,
	DATE } from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf, endOf, order, orderJob } from "./support/jobs.mjs";

const TARGET = "/functions/v1/admin-system".split("/").at(-1);
const CREDIT_MICRO_USD = 150_000;

let rendio, admin, ada;

before(async () => {
	rendio = await start();
	admin = await enter(rendio);
	ada = await rendio.guest("ada");
});
after(() => rendio.stop());

async function act(body) {
	return await admin.call("POST", TARGET, body);
}

async function numbers(days = 1) {
	return assertPersonal(await admin.call("GET",
	    `${TARGET}?days=${days}`));
}

test("today's numbers are what happened today", async () => {
	const store = new AppStore(rendio);
	const bought = await post(rendio, ada, { signed_transaction:
	    store.sign(store.transaction({ price: 4990, currency: "USD" })) });
	assert.equal(bought.status, 200, bought.text);
	const job = await orderJob(rendio, ada, { settings: { duration: 4 } });
	const { credits_used } = await endOf(rendio, ada, job);
	await endOf(rendio, ada, await orderJob(rendio, ada,
	    { prompt: "[fail:provider] x" }));

	const now = await numbers();
	assert.match(now.since, DATE);
	assert.equal(now.credit_value_micro_usd, CREDIT_MICRO_USD);
	assert.deepEqual(now.days_users.map(({ users }) => users), [1]);
	assert.deepEqual(now.days_jobs.map(({ completed, failed, cancelled }) =>
	    [completed, failed, cancelled]), [[1, 1, 0]]);
	assert.deepEqual(now.days_revenue.map(({ environment, currency,
	    purchases, price_milli, refunded_milli }) => [environment, currency,
		purchases, price_milli, refunded_milli]),
	    [["Sandbox", "USD", 1, 4990, 0]]);
	const value = credits_used * CREDIT_MICRO_USD;
	const [day] = now.days_credits;
	assert.equal(day.credits, credits_used);
	assert.equal(day.value_micro_usd, value);
	assert.equal(day.margin_micro_usd, value - day.cost_micro_usd);
	const [spent] = await sql(rendio,
	    "SELECT SUM(micro_usd) AS micro_usd FROM provider_spend");
	assert.equal(day.cost_micro_usd, spent.micro_usd ?? 0);
	const model = now.margins.find(({ completed }) => completed === 1);
	assert.equal(model.credits, credits_used);
	assert.equal(model.value_micro_usd, value);
	assert.equal(now.liability.reduce((sum, { credits }) => sum + credits, 0),
	    await creditsOf(rendio, ada));
	assert.equal(now.totals[0].users, 1);
});

test("what was given back by hand brings nothing", async () => {
	const before = await numbers();
	const job = await orderJob(rendio, ada, { settings: { duration: 4 } });
	await endOf(rendio, ada, job);
	assertPersonal(await admin.call("POST", "admin-jobs",
	    { action: "refund", job_id: job, reason: "x" }));
	const now = await numbers();
	assert.equal(now.days_credits[0].credits, before.days_credits[0].credits);
	assert.equal(now.days_jobs[0].completed,
	    before.days_jobs[0].completed + 1);
});

test("days are those of UTC, and none but those asked for", async () => {
	await sql(rendio, `UPDATE users SET created_at_ms = created_at_ms -
	    172800000 WHERE id = ${id(ada.user_id)}`);
	assert.deepEqual((await numbers(2)).days_users, []);
	const [day] = (await numbers(3)).days_users;
	assert.match(day.day, /T00:00:00\.000Z$/);
	assert.equal(Date.parse(day.day) - Date.parse((await numbers(3)).since),
	    0);
});

test("in maintenance nothing is begun and nothing charged; what was goes on",
    async () => {
	const before = await creditsOf(rendio, ada);
	const running = await orderJob(rendio, ada,
	    { prompt: "[slow:2] x", settings: { duration: 4 } });
	assertPersonal(await act({ action: "maintenance", is_on: true,
		reason: "a new disk" }));
	const left = await creditsOf(rendio, ada);
	assertError(await order(rendio, ada), 503, "service_unavailable");
	const upload = await rendio.request("POST",
	    `/storage/v1/object/thumbnails/${ada.user_id}/a.png`, {
		bearer: ada.access_token, headers:
		    { "content-type": "image/png" },
		body: Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ" +
		    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
		    "base64") });
	assert.equal(upload.status, 503, upload.text);
	assert.equal(await creditsOf(rendio, ada), left);
	assert.equal((await endOf(rendio, ada, running)).status, "completed");
	const { switches } = assertPersonal(await admin.call("GET", TARGET));
	assert.deepEqual(switches.map(({ name, is_on }) => [name, is_on]),
	    [["maintenance", true]]);
	assertPersonal(await act({ action: "maintenance", is_on: false }));
	assert.equal((await order(rendio, ada,
	    { settings: { duration: 4 } })).status, 200);
	assert.ok(before > left);
});

test("a stopped provider is sent nothing, and orders are not charged",
    async () => {
	const before = await creditsOf(rendio, ada);
	assertPersonal(await act({ action: "provider_stop", company: "all",
		reason: "too expensive" }));
	assertError(await order(rendio, ada), 502, "provider_unavailable");
	assert.equal(await creditsOf(rendio, ada), before);
	const { breakers } = assertPersonal(await admin.call("GET", TARGET));
	assert.deepEqual(breakers.map(({ company, reason }) =>
	    [company, reason]), [["", "operator"]]);
	assertPersonal(await act({ action: "provider_start", company: "all" }));
	assertError(await act({ action: "provider_start", company: "all" }), 404,
	    "not_found");
	assertPersonal(await act({ action: "provider_stop", company: "fal",
		endpoint: "fal-ai/x" }));
	assertPersonal(await act({ action: "provider_start", company: "fal",
		endpoint: "fal-ai/x" }));
});

test("the books are verified, and what is wrong in them is named",
    async () => {
	const good = assertPersonal(await act({ action: "verify" }));
	assert.equal(good.ok, true);
	assert.ok(good.invariants.length >= 9);
	await sql(rendio, `UPDATE users SET credits_remaining =
	    credits_remaining + 1 WHERE id = ${id(ada.user_id)}`);
	const bad = assertPersonal(await act({ action: "verify" }));
	assert.equal(bad.ok, false);
	assert.ok(bad.invariants.some(({ reported }) => reported.some(
	    (violation) => violation.id === ada.user_id)));
	await sql(rendio, `UPDATE users SET credits_remaining =
	    credits_remaining - 1 WHERE id = ${id(ada.user_id)}`);
	await assertAuditClean(rendio);
});

test("the log tells who did what, newest first, in pages", async () => {
	const { log } = assertPersonal(await admin.call("GET",
	    `${TARGET}?log_before=0`));
	const [first, second] = log;
	assert.deepEqual([first.action, first.field, first.new_value,
		first.actor, first.address],
	    ["provider_start", "fal", "fal-ai/x", "root", "127.0.0.1"]);
	assert.equal(log.find(({ action, new_value }) =>
	    action === "switch_set" && new_value === "on").reason, "a new disk");
	assert.deepEqual(log.at(-1).actor, "console");
	const page = assertPersonal(await admin.call("GET",
	    `${TARGET}?log_before=${first.number}&limit=1`));
	assert.deepEqual(page.log, [second]);
});

test("the machine says how it is", async () => {
	const res = await admin.call("GET", TARGET);
	const body = assertPersonal(res);
	await assertStatements(rendio, res, 12);
	assert.equal(body.mode, "sandbox");
	assert.equal(body.storage[0].level, "ok");
	assert.deepEqual(body.admins.map(({ name }) => name), ["root"]);
	assert.ok(Array.isArray(body.queue));
});

test("what is not understood is 400", async () => {
	for (const body of [{}, { action: "x" }, { action: "maintenance" },
		{ action: "maintenance", is_on: 1 },
		{ action: "provider_stop" },
		{ action: "provider_stop", company: "" },
		{ action: "provider_stop", company: "all", endpoint: "x" },
		{ action: "provider_stop", company: "x".repeat(256) },
		{ action: "verify", reason: "x".repeat(256) },
		{ action: "verify", more: 1 }])
		assertError(await act(body), 400, "invalid_request");
	for (const query of ["days=0", "days=367", "days=x", "log_before=-1",
		"log_before=0&limit=201"])
		assertError(await admin.call("GET", `${TARGET}?${query}`), 400,
		    "invalid_request");
	assertError(await rendio.request("GET", `/functions/v1/${TARGET}`,
	    { bearer: ada.access_token }), 401, "unauthorized");
	assertError(await rendio.request("GET", `/functions/v1/${TARGET}`,
	    { bearer: admin.token.replace(/./, "g") }), 401, "unauthorized");
});

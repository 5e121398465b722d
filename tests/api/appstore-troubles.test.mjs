// SPDX-License-Identifier: MIT
// Apple's store is slow, down, wrong or confused: nothing is lost, and what
// could not be done at once comes by itself.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AppStore, balanceOf, BEST, buy, notify, later, newId, POPULAR, post,
	profileOf, refunded } from "./support/appstore.mjs";
import { AppleServer } from "./support/appstore-server.mjs";
import { sql, whileLocked } from "./support/database.mjs";
import { assertAuditClean, assertError } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";

const answer = (status, body = "", headers = {}) => (req, res) => {
	res.writeHead(status, headers);
	res.end(body);
};

let rendio, apple, store, ada;

before(async () => {
	store = AppStore.withOwnRoot();
	apple = await AppleServer.start(store);
	rendio = await start({ env: apple.env });
	ada = await rendio.guest("ada");
});
after(async () => {
	await rendio.stop();
	await apple.stop();
});

/** What waits is due now. */
async function hurry() {
	await sql(rendio, "UPDATE purchase_lookups SET next_try_at_ms = 1" +
	    " WHERE state = 'open'; UPDATE repairs SET next_run_at_ms = 1;");
}

async function comesTo(expected, ms = 20_000) {
	await until(async () => await balanceOf(rendio, ada) === expected, ms);
	assert.equal(await balanceOf(rendio, ada), expected);
}

test("a signed purchase needs nobody; a bare id needs Apple", async () => {
	const before = await balanceOf(rendio, ada);
	const calls = apple.calls.length;
	await buy(rendio, ada, store, store.transaction());
	assert.ok(!apple.calls.slice(calls).some(({ url }) =>
	    url.includes("/v1/transactions/")));
	const sold = apple.sell(store.transaction({ productId: POPULAR }));
	const res = await post(rendio, ada,
	    { transaction_id: sold.transactionId });
	assert.equal(JSON.parse(res.text).credits_added, 60);
	assert.equal(await balanceOf(rendio, ada), before + 85);
});

const TROUBLES = {
	"401 without a word": answer(401),
	"404 with 4040010": answer(404, '{"errorCode":4040010}'),
	"429 until a moment": (req, res) => {
		res.writeHead(429, { "retry-after": String(Date.now() + 500) });
		res.end('{"errorCode":4290000}');
	},
	"500": answer(500, '{"errorCode":5000000}'),
	"503 of a gateway": answer(503, "<html>"),
	"garbage": answer(200, "{]"),
	"another's proof": answer(200, '{"signedTransactionInfo":"a.b.c"}'),
	"an empty object": answer(200, "{}"),
	"a closed line": (req) => req.socket.destroy(),
	"slow": () => {},
};

test("each trouble has its answer, and the credits come by themselves",
    async () => {
	const before = await balanceOf(rendio, ada);
	let bought = 0;

	for (const [name, trouble] of Object.entries(TROUBLES)) {
		const sold = apple.sell(store.transaction({ productId: BEST }));
		apple.trouble = trouble;
		const res = await post(rendio, ada,
		    { transaction_id: sold.transactionId });
		apple.trouble = null;
		assertError(res, 503, "service_unavailable");
		assert.ok(Number(res.headers["retry-after"]) > 0, name);
		bought += 150;
	}
	await hurry();
	await comesTo(before + bought, 45_000);
	assert.deepEqual(await sql(rendio, "SELECT 1 FROM purchase_lookups" +
	    " WHERE state = 'open'"), []);
});

test("an id that Apple never knows is given up after a day", async () => {
	const transaction_id = newId();
	assertError(await post(rendio, ada, { transaction_id }), 503,
	    "service_unavailable");
	await sql(rendio, "UPDATE purchase_lookups SET created_at_ms = 1" +
	    ` WHERE transaction_id = '${transaction_id}'`);
	await hurry();
	assert.ok(await until(async () => (await sql(rendio, "SELECT 1 FROM" +
	    " purchase_lookups WHERE state = 'unknown' AND" +
	    ` transaction_id = '${transaction_id}'`)).length === 1, 20_000));
});

test("news of another app or environment are logged and have no effect",
    async () => {
	const before = await balanceOf(rendio, ada);
	const appAccountToken = (await profileOf(rendio, ada)).app_account_token;
	const count = async () => (await sql(rendio, "SELECT" +
	    " (SELECT COUNT(*) FROM purchases) +" +
	    " (SELECT COUNT(*) FROM apple_notifications) AS n"))[0].n;
	const rows = await count();

	// Signed by the same root as what is credited.
	for (const [other, outcome] of [
		[{ bundleId: "com.example.other" }, "wrong_app"],
		[{ environment: "Xcode" }, "wrong_environment"]]) {
		const shop = Object.assign(Object.create(store), other);
		const res = await notify(rendio, shop.notification(
		    "ONE_TIME_CHARGE", shop.transaction({ appAccountToken })));
		assert.equal(res.status, 200, res.text);
		const lines = (await rendio.logOf(res.headers["x-request-id"]))
		    .map((line) => JSON.parse(line))
		    .filter((line) => line.event === "appstore_notification");
		assert.deepEqual(lines.map((line) => [line.level, line.outcome]),
		    [["warning", outcome]]);
	}
	assert.equal(await count(), rows);
	assert.equal(await balanceOf(rendio, ada), before);
});

test("notifications that did not reach us are fetched, page by page",
    async () => {
	const before = await balanceOf(rendio, ada);
	const token = (await profileOf(rendio, ada)).app_account_token;
	const all = Array.from({ length: 30 }, () =>
	    store.transaction({ appAccountToken: token }));

	apple.missed = all.map((t) => store.notification("ONE_TIME_CHARGE", t));
	apple.missed.push(...all.slice(0, 15).map((t) =>
	    store.notification("REFUND", refunded(t, 5))));
	apple.missed.push(...all.slice(0, 5).map((t) =>
	    store.notification("REFUND_REVERSED", later(t, 9))));
	const heard = async () => (await sql(rendio,
	    "SELECT COUNT(*) AS n FROM apple_notifications"))[0].n;
	const heardBefore = await heard();
	await hurry();
	// The balance passes the right number on its way.
	assert.ok(await until(async () => await heard() === heardBefore + 50,
	    20_000));
	assert.equal(await balanceOf(rendio, ada), before + 20 * 25);
	apple.missed = [];
});

test("refunds that nobody told of are found by their payer", async () => {
	const before = await balanceOf(rendio, ada);
	const [one, two] = [1, 2].map(() => store.transaction(
	    { appTransactionId: "70400001" }));

	for (const t of [one, two])
		await buy(rendio, ada, store, t);
	apple.refunds.set(one.transactionId, [refunded(two, 5)]);
	const check = "UPDATE payers SET revision = '', next_check_at_ms = 1" +
	    " WHERE payer_id = '70400001'";
	await sql(rendio, check);
	await comesTo(before + 25);
	// What Apple signs later about it is news, what it said then is not.
	await notify(rendio, store.notification("REFUND_REVERSED",
	    later(two, 1000)));
	await comesTo(before + 50);
	const asked = apple.calls.length;
	await sql(rendio, check);
	await until(() => apple.calls.slice(asked).some(({ url }) =>
	    url.includes(`/refund/lookup/${one.transactionId}`)), 20_000);
	await comesTo(before + 50);
});

test("a refund that a busy database cannot take is asked for again", async () => {
	const before = await balanceOf(rendio, ada);
	const t = store.transaction({ appTransactionId: "70400002" });
	const failed = () => rendio.log().filter((line) => line.includes(
	    '"program":"worker"') && line.includes('"event":"database"')).length;
	let held;

	await buy(rendio, ada, store, t);
	apple.trouble = (req, res) => {
		const url = new URL(req.url, apple.url);
		// Whoever asks on from there has seen it.
		const page = () => res.end(JSON.stringify({ hasMore: false,
			revision: "seen", signedTransactions:
			url.searchParams.get("revision") === null ?
			[store.sign(refunded(t, 5))] : [] }));

		if (!url.pathname.endsWith(`/refund/lookup/${t.transactionId}`))
			return answer(404, '{"errorCode":4040010}')(req, res);
		if (held !== undefined)
			return page();
		const earlier = failed();
		held = whileLocked(rendio, async () => {
			page();
			return await until(() => failed() > earlier, 30_000);
		});
	};
	try {
		await until(async () => {
			await sql(rendio, "UPDATE payers SET next_check_at_ms = 1" +
			    " WHERE payer_id = '70400002'");
			return await balanceOf(rendio, ada) === before;
		}, 60_000);
		assert.ok(await held, "the database was busy for the worker");
		assert.equal(await balanceOf(rendio, ada), before);
	} finally {
		apple.trouble = null;
	}
});

test("how much was used is told with consent, once, and never without",
    async () => {
	const told = () => apple.calls.filter(({ url }) =>
	    url.includes("/consumption/"));
	const ask = async (t, changes) => await notify(rendio,
	    store.notification("CONSUMPTION_REQUEST", later(t, 1),
		{ consumptionRequestReason: "UNINTENDED_PURCHASE", ...changes }));
	const states = async () => (await sql(rendio, "SELECT r.state FROM" +
	    " consumption_requests r JOIN purchases p ON p.id = r.purchase_id" +
	    " ORDER BY r.asked_at_ms, r.state")).map(({ state }) => state);
	const [first, second] = [1, 2].map(() => store.transaction());

	for (const t of [first, second])
		await buy(rendio, ada, store, t);
	await ask(first);
	assert.ok(await until(async () => (await states())[0] === "withheld",
	    20_000));
	assert.deepEqual(told(), []);

	await rendio.request("POST", "/functions/v1/update-consumption-consent",
	    { bearer: ada.access_token,
		body: { consent: true, text_version: "2026-11" } });
	// A fifth of that very lot is gone.
	await sql(rendio, "UPDATE credit_lots SET remaining_credits = 20" +
	    " WHERE purchase_id = (SELECT id FROM purchases WHERE" +
	    ` transaction_id = '${second.transactionId}')`);
	for (let i = 0; i < 3; i++)
		await ask(second);
	assert.ok(await until(async () => (await states()).includes("answered"),
	    20_000));
	await ask(second);
	await sql(rendio, "UPDATE credit_lots SET remaining_credits = 25" +
	    " WHERE purchase_id = (SELECT id FROM purchases WHERE" +
	    ` transaction_id = '${second.transactionId}')`);
	assert.equal(told().length, 1);
	assert.ok(told()[0].url.endsWith(`/${second.transactionId}`));
	assert.deepEqual(JSON.parse(told()[0].text), { customerConsented: true,
		deliveryStatus: "DELIVERED", sampleContentProvided: true,
		consumptionPercentage: 20_000 });
	const [kept] = await sql(rendio, "SELECT consumed_millipercent," +
	    " http_status FROM consumption_requests WHERE state = 'answered'");
	assert.deepEqual(kept, { consumed_millipercent: 20_000,
		http_status: 202 });
});

test("the audit is clean", async () => await assertAuditClean(rendio));

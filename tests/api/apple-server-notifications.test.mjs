// SPDX-License-Identifier: MIT
// POST /functions/v1/apple-server-notifications: what Apple tells takes
// effect once, in any order; what it did not sign takes none.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { AppStore, balanceOf, buy, DAY, later, newId, notify, post, profileOf,
	refunded } from "./support/appstore.mjs";
import { id, sql, whileLocked } from "./support/database.mjs";
import { assertAuditClean, assertError, assertStatements }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { endOf, order, orderJob } from "./support/jobs.mjs";

const MONTHLY = "com.rendioai.premium.monthly";

let rendio, store, ada, token, base;

before(async () => {
	rendio = await start();
	store = new AppStore(rendio);
	ada = await rendio.guest("ada");
	token = (await profileOf(rendio, ada)).app_account_token;
	base = await balanceOf(rendio, ada);
	await sql(rendio, "INSERT INTO subscription_products VALUES" +
	    ` ('${MONTHLY}', 40)`);
});
after(() => rendio.stop());

async function tell(...args) {
	const res = await notify(rendio, store.notification(...args));
	assert.equal(res.status, 200, res.text);
	assert.deepEqual(JSON.parse(res.text), { success: true });
	return res;
}

async function balance() {
	return await balanceOf(rendio, ada);
}

/** The balance ends where it began. */
async function undo(transaction) {
	await tell("REFUND", refunded(transaction, 100_000));
	assert.equal(await balance(), base);
}

test("a purchase that the app never posted is credited", async () => {
	const t = store.transaction({ appAccountToken: token });
	await assertStatements(rendio, await tell("ONE_TIME_CHARGE", t), 24);
	assert.equal(await balance(), base + 25);
	assert.equal((await buy(rendio, ada, store, t)).already_processed, true);
	assert.equal(await balance(), base + 25);
	await undo(t);
});

test("50 copies at once take effect once", async () => {
	const t = store.transaction({ appAccountToken: token });
	const body = store.notification("ONE_TIME_CHARGE", t);
	const answers = await Promise.all(Array.from({ length: 50 },
	    () => notify(rendio, body)));
	for (const { status } of answers)
		assert.equal(status, 200);
	assert.equal(await balance(), base + 25);
	const refund = refunded(t, 5);
	await Promise.all(Array.from({ length: 20 }, () => tell("REFUND",
	    refund)));
	assert.equal(await balance(), base);
});

test("refund, reversal and older news, in any order", async () => {
	const t = store.transaction({ appAccountToken: token });
	await tell("REFUND_REVERSED", later(t, 20));
	assert.equal(await balance(), base + 25);
	await tell("REFUND", refunded(t, 10));
	await tell("ONE_TIME_CHARGE", t);
	assert.equal(await balance(), base + 25);
	await tell("REFUND", refunded(t, 30, 50_000));
	assert.equal(await balance(), base + 13);
	await undo(t);
});

test("what was spent is owed, and nothing is ordered until it is covered",
    async () => {
	const debtor = await rendio.guest("debtor");
	const gift = await balanceOf(rendio, debtor);
	const owed = async () => (await sql(rendio, "SELECT debt_credits FROM" +
	    ` users WHERE id = ${id(debtor.user_id)}`))[0].debt_credits;
	const assertPoor = async (credits) => {
		assertError(await order(rendio, debtor), 402,
		    "insufficient_credits");
		assert.equal(await balanceOf(rendio, debtor), credits);
	};
	const t = store.transaction();
	await buy(rendio, debtor, store, t);
	const jobs = [];
	for (let i = 0; i < 8; i++)
		jobs.push(await orderJob(rendio, debtor));
	for (const job of jobs)
		await endOf(rendio, debtor, job);
	const left = gift + 25 - 8 * 4;
	assert.equal(await balanceOf(rendio, debtor), left);

	await tell("REFUND", refunded(t, 10));
	const debt = 25 - left;
	assert.ok(debt > 0);
	assert.equal(await owed(), debt);
	await assertPoor(0);
	// What is bought next is less by what was owed, and too little.
	const next = store.transaction();
	await buy(rendio, debtor, store, next);
	assert.equal(await owed(), 0);
	assert.ok(25 - debt > 0 && 25 - debt < 4);
	await assertPoor(25 - debt);
	await buy(rendio, debtor, store, store.transaction());
	await orderJob(rendio, debtor);
	assert.equal(await balanceOf(rendio, debtor), 50 - debt - 4);

	await tell("REFUND_REVERSED", later(t, 20));
	assert.equal(await balanceOf(rendio, debtor), gift + 75 - 9 * 4);
	await tell("REFUND", refunded(next, 10));
	await tell("REFUND", refunded(t, 30));
	assert.equal(await balanceOf(rendio, debtor), 0);
	assert.equal(await owed(), 9 * 4 - gift - 25);
	await assertAuditClean(rendio);
});

test("a refund of a deleted account is recorded, and nobody else's",
    async () => {
	const gone = await rendio.guest("gone");
	const t = store.transaction();
	await buy(rendio, gone, store, t);
	assert.equal((await rendio.request("POST",
	    "/functions/v1/delete-account", { bearer: gone.access_token,
		body: {} })).status, 200);
	// Whoever has the phone now is somebody else.
	const heir = await rendio.guest("gone", gone.device_id);
	assert.notEqual(heir.user_id, gone.user_id);
	const others = async () => await sql(rendio, "SELECT id," +
	    " credits_remaining, debt_credits FROM users WHERE id <>" +
	    ` ${id(gone.user_id)} ORDER BY id`);
	const before = await others();

	const refund = refunded(t, 10);
	await tell("REFUND", refund);
	await tell("REFUND", refund);
	assert.deepEqual(await others(), before);
	assert.equal(await balanceOf(rendio, heir), 0);
	assert.deepEqual(await sql(rendio, "SELECT refund_millipercent AS part," +
	    ` user_id = ${id(gone.user_id)} AS is_theirs FROM purchases` +
	    ` WHERE transaction_id = '${t.transactionId}'`),
	    [{ part: 100_000, is_theirs: 1 }]);
	// It is not for sale again.
	assertError(await post(rendio, heir, { signed_transaction:
	    store.sign(t) }), 409, "purchase_belongs_to_other_account");
	assert.deepEqual(await others(), before);
	await assertAuditClean(rendio);
});

test("a subscription makes premium for as long as it lasts", async () => {
	const original = newId();
	const now = Date.now();
	const period = (n, more = {}) => store.transaction({
		type: "Auto-Renewable Subscription", productId: MONTHLY,
		originalTransactionId: original, appAccountToken: token,
		purchaseDate: now + n, expiresDate: now + n + 20 * DAY,
		signedDate: now - 100_000 + n, ...more });
	const first = period(0, { transactionId: original });
	const renewal = (signedDate, more) => ({ originalTransactionId: original,
		productId: MONTHLY, autoRenewProductId: MONTHLY,
		autoRenewStatus: 1, environment: "Sandbox", signedDate, ...more });
	const tier = async () => (await profileOf(rendio, ada)).tier;

	assert.equal(await tier(), "free");
	await tell("SUBSCRIBED", first, { subtype: "INITIAL_BUY",
		renewal: renewal(first.signedDate) });
	assert.equal(await tier(), "premium");
	assert.equal(await balance(), base + 40);
	await tell("EXPIRED", later(first, 50, { expiresDate: now - 1000 }),
	    { subtype: "VOLUNTARY" });
	assert.equal(await tier(), "free");
	// Apple tries to collect, and is patient.
	await tell("DID_FAIL_TO_RENEW", later(first, 60,
	    { expiresDate: now - 1000 }), { subtype: "GRACE_PERIOD",
		renewal: renewal(first.signedDate + 60,
		    { gracePeriodExpiresDate: now + DAY }) });
	assert.equal(await tier(), "premium");
	await tell("GRACE_PERIOD_EXPIRED", later(first, 70,
	    { expiresDate: now - 1000 }), { renewal:
		renewal(first.signedDate + 70) });
	assert.equal(await tier(), "free");
	const second = period(1000);
	await tell("DID_RENEW", second, { subtype: "BILLING_RECOVERY",
		renewal: renewal(second.signedDate) });
	assert.equal(await tier(), "premium");
	await tell("REFUND", refunded(second, 10));
	assert.equal(await tier(), "free");
	await tell("REFUND_REVERSED", later(second, 20));
	assert.equal(await tier(), "premium");
	await tell("DID_CHANGE_RENEWAL_PREF", later(second, 30,
	    { isUpgraded: true }), { subtype: "UPGRADE" });
	assert.equal(await tier(), "free");
	await tell("RENEWAL_EXTENDED", later(second, 40,
	    { expiresDate: second.expiresDate + DAY }));
	assert.equal(await tier(), "premium");
	await tell("REVOKE", refunded(second, 50));
	assert.equal(await tier(), "free");
	await assertAuditClean(rendio);
});

test("what needs nothing of us is taken", async () => {
	await tell("TEST", undefined);
	await tell("A_KIND_OF_TOMORROW", undefined, { subtype: "UNHEARD_OF" });
	await tell("REFUND_DECLINED", store.transaction());
	await tell("ONE_TIME_CHARGE", store.transaction({ type:
	    "Non-Consumable" }));
});

test("Apple's word about another app has no effect", async () => {
	const before = await balance();
	const t = store.transaction({ appAccountToken: token,
		bundleId: "com.example.other" });
	const other = new AppStore(rendio, "com.example.other");
	const res = await notify(rendio, other.notification("ONE_TIME_CHARGE",
	    t));
	assert.equal(res.status, 200);
	assert.deepEqual(await sql(rendio, "SELECT 1 FROM purchases WHERE" +
	    ` transaction_id = '${t.transactionId}'`), []);
	assert.equal(await balance(), before);
});

test("the sandbox's own store sells nothing for money", async () => {
	const before = await balance();
	const other = new AppStore(rendio);
	other.environment = "Production";
	assertError(await notify(rendio, other.notification("ONE_TIME_CHARGE",
	    other.transaction({ appAccountToken: token }))), 400,
	    "invalid_request");
	assert.equal(await balance(), before);
});

test("what Apple did not sign is refused", async () => {
	const t = store.transaction({ appAccountToken: token });
	const { signedPayload } = store.notification("REFUND", refunded(t, 1));
	const [head, payload, signature] = signedPayload.split(".");
	const bad = [{ signedPayload: "x" },
		{ signedPayload: `${head}.${payload}.AAAA` },
		{ signedPayload: `${head}.${payload.slice(1)}.${signature}` },
		// A good letter around a forged paper.
		store.notification("ONE_TIME_CHARGE", undefined, { data: {
			signedTransactionInfo: store.sign(t).slice(0, -4) + "AAAA" } }),
		{}, { signedPayload: 1 },
		{ notification_type: "REFUND", data: { transaction_id: "1" } }];
	for (const body of bad)
		assertError(await notify(rendio, body), 400, "invalid_request");
});

test("the database is locked: Apple is asked to repeat it", async () => {
	const t = store.transaction({ appAccountToken: token });
	const body = store.notification("ONE_TIME_CHARGE", t);
	const before = await balance();
	await whileLocked(rendio, async () => assertError(
	    await notify(rendio, body), 503, "service_unavailable"));
	assert.equal((await notify(rendio, body)).status, 200);
	assert.equal(await balance(), before + 25);
});

test("the audit is clean", async () => await assertAuditClean(rendio));

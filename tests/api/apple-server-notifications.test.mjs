// SPDX-License-Identifier: MIT
// POST /functions/v1/apple-server-notifications: what Apple tells takes
// effect once, in any order; what it did not sign takes none.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { AppStore, balanceOf, buy, DAY, later, newId, notify, post, profileOf,
	refunded } from "./support/appstore.mjs";
import { sql, whileLocked } from "./support/database.mjs";
import { assertAuditClean, assertError, assertStatements }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { endOf, orderJob } from "./support/jobs.mjs";

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

test("what was spent is owed, and earned back by the next purchase",
    async () => {
	const t = store.transaction({ appAccountToken: token });
	await buy(rendio, ada, store, t);
	const job = await orderJob(rendio, ada);
	await endOf(rendio, ada, job);
	const left = await balance();
	const spent = base + 25 - left;
	const gift = base;
	await tell("REFUND", refunded(t, 10));
	const owed = Math.max(0, spent - gift);
	assert.equal(await balance(), Math.max(0, gift - spent));
	const next = store.transaction({ appAccountToken: token });
	await buy(rendio, ada, store, next);
	assert.equal(await balance(), Math.max(0, gift - spent) + 25 - owed);
	await tell("REFUND_REVERSED", later(t, 20));
	assert.equal(await balance(), gift - spent + 50);
	await tell("REFUND", refunded(next, 10));
	await tell("REFUND", refunded(t, 30));
	base = await balance();
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
	const t = store.transaction({ appAccountToken: token,
		bundleId: "com.example.other" });
	const other = new AppStore(rendio, "com.example.other");
	const res = await notify(rendio, other.notification("ONE_TIME_CHARGE",
	    t));
	assert.equal(res.status, 200);
	assert.deepEqual(await sql(rendio, "SELECT 1 FROM purchases WHERE" +
	    ` transaction_id = '${t.transactionId}'`), []);
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

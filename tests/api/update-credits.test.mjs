// SPDX-License-Identifier: MIT
// POST /functions/v1/update-credits: what Apple sold becomes credits, once.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { AppStore, BEST, balanceOf, buy, later, newId, post, profileOf,
	refunded, STARTER } from "./support/appstore.mjs";
import { id, sql, whileLocked } from "./support/database.mjs";
import { assertAuditClean, assertError, assertIncident, assertNotLogged,
	assertPersonal, assertStatements } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";

let rendio, store, ada, bob;

before(async () => {
	rendio = await start();
	store = new AppStore(rendio);
	[ada, bob] = [await rendio.guest("ada"), await rendio.guest("bob")];
});
after(() => rendio.stop());

async function tokenOf(guest) {
	return (await profileOf(rendio, guest)).app_account_token;
}

test("a guest buys, and a repeat adds nothing", async () => {
	const signed_transaction = store.sign(store.transaction(
	    { appAccountToken: await tokenOf(ada) }));
	const before = await balanceOf(rendio, ada);
	const res = await post(rendio, ada, { signed_transaction,
		product_id: STARTER, of_another_app_version: 1 });
	const first = assertPersonal(res);

	await assertStatements(rendio, res, 26);
	assert.deepEqual(Object.keys(first), ["success", "credits_added",
		"credits_remaining", "total_credits", "transaction_id",
		"already_processed"]);
	assert.equal(first.success, true);
	assert.equal(first.credits_added, 25);
	assert.equal(first.credits_remaining, before + 25);
	assert.equal(first.total_credits, before + 25);
	assert.equal(first.already_processed, false);
	for (let i = 0; i < 3; i++)
		assert.deepEqual(assertPersonal(await post(rendio, ada,
		    { signed_transaction })), { ...first, already_processed: true });
	// Once it is known, its bare id is enough.
	assert.deepEqual(assertPersonal(await post(rendio, ada,
	    { transaction_id: first.transaction_id })),
	    { ...first, already_processed: true });
	assert.equal(await balanceOf(rendio, ada), before + 25);
	await assertNotLogged(rendio, [signed_transaction]);
});

test("what the sandbox's own store sells is bought alike", async () => {
	const jws = (await rendio.cli("sandbox", "purchase", "--user",
	    ada.user_id, "--product", BEST)).stdout.trim();
	const before = await balanceOf(rendio, ada);
	assert.equal((await post(rendio, ada, { signed_transaction: jws })).status,
	    200);
	assert.equal(await balanceOf(rendio, ada), before + 150);
});

test("a bare id is looked up in the store", async () => {
	const jws = (await rendio.cli("sandbox", "purchase", "--user",
	    bob.user_id, "--product", STARTER)).stdout.trim();
	const { transactionId } = JSON.parse(Buffer.from(jws.split(".")[1],
	    "base64url"));
	const body = assertPersonal(await post(rendio, bob,
	    { transaction_id: transactionId }));
	assert.equal(body.credits_added, 25);
	assert.equal(body.transaction_id, transactionId);
	assert.equal((await post(rendio, ada, { transaction_id: transactionId }))
	    .status, 409);
	assertError(await post(rendio, ada, { transaction_id: newId() }), 400,
	    "invalid_transaction");
});

test("ids that Apple must be asked about are rationed", async () => {
	const eve = await rendio.guest("eve");
	const seen = [];

	for (let i = 0; i < 31; i++)
		seen.push((await post(rendio, eve, { transaction_id: newId() }))
		    .status);
	assert.deepEqual(seen, [...Array(30).fill(400), 429]);
});

test("quantities multiply; what is no quantity is refused", async () => {
	const body = await buy(rendio, ada, store,
	    store.transaction({ quantity: 3 }));
	assert.equal(body.credits_added, 75);
	for (const quantity of [0, -1, 11, 1e9, 1.5, "3"])
		assertError(await post(rendio, ada, { signed_transaction:
		    store.sign(store.transaction({ quantity })) }), 400,
		    "invalid_transaction");
});

test("whom it names has it, whoever posts it", async () => {
	const transaction = store.transaction({
		appAccountToken: (await tokenOf(ada)).toUpperCase() });
	const before = [await balanceOf(rendio, ada),
		await balanceOf(rendio, bob)];
	assertError(await post(rendio, bob,
	    { signed_transaction: store.sign(transaction) }), 409,
	    "purchase_belongs_to_other_account");
	assert.equal(await balanceOf(rendio, ada), before[0] + 25);
	assert.equal(await balanceOf(rendio, bob), before[1]);
	assert.equal((await buy(rendio, ada, store, transaction))
	    .already_processed, true);
});

test("a token of nobody is refused and kept", async () => {
	const transaction = store.transaction({ appAccountToken: randomUUID() });
	assertError(await post(rendio, ada,
	    { signed_transaction: store.sign(transaction) }), 409,
	    "purchase_belongs_to_other_account");
	assert.deepEqual(await sql(rendio, "SELECT waits_for FROM purchases" +
	    ` WHERE transaction_id = '${transaction.transactionId}'`),
	    [{ waits_for: "account" }]);
});

test("who posts it first has it; 50 at once are one credit", async () => {
	const jws = store.sign(store.transaction());
	const before = [await balanceOf(rendio, ada),
		await balanceOf(rendio, bob)];
	const answers = await Promise.all(Array.from({ length: 50 },
	    (_, i) => post(rendio, [ada, bob][i % 2],
	        { signed_transaction: jws })));
	const good = answers.filter(({ status }) => status === 200)
	    .map(({ text }) => JSON.parse(text));

	assert.equal(good.length, 25);
	assert.equal(good.filter((body) => !body.already_processed).length, 1);
	for (const res of answers.filter(({ status }) => status !== 200))
		assertError(res, 409, "purchase_belongs_to_other_account");
	const now = [await balanceOf(rendio, ada), await balanceOf(rendio, bob)];
	assert.deepEqual([now[0] - before[0], now[1] - before[1]].sort(),
	    [0, 25]);
});

test("what was sold before we knew of it is credited when we do", async () => {
	const productId = "com.rendioai.credits.mega.400";
	const eve = await rendio.guest("mega");
	const signed_transaction = store.sign(store.transaction({ productId }));
	const set = (...args) => rendio.cli("product", "set", ...args);

	assertError(await post(rendio, eve, { signed_transaction }), 400,
	    "unknown_product");
	assert.equal(await balanceOf(rendio, eve), 10);
	assert.equal((await set(productId, "credits=400")).code, 0);
	// Nobody has to post it again.
	assert.ok(await until(async () =>
	    await balanceOf(rendio, eve) === 410, 30_000));
	// Its price is a matter of the future.
	assert.equal((await set(productId, "credits=500")).code, 0);
	assert.equal((await post(rendio, eve, { signed_transaction })).json()
	    .credits_added, 400);

	assert.equal((await set("com.rendioai.pro", "credits_per_period=0"))
	    .code, 0);
	const { stdout } = await rendio.cli("product", "list", "--json");
	const sold = Object.fromEntries(JSON.parse(stdout).map((one) =>
	    [one.id, [one.kind, one.credits]]));
	assert.deepEqual(sold[productId], ["consumable", 500]);
	assert.deepEqual(sold[STARTER], ["consumable", 25]);
	assert.deepEqual(sold["com.rendioai.pro"], ["subscription", 0]);
	// Not both, not nothing, and no id that Apple could not have.
	assert.equal((await set(productId, "credits_per_period=5")).code, 1);
	// What was entered as the wrong kind is removed, and entered anew.
	const remove = (id) => rendio.cli("product", "remove", id);
	assert.equal((await set("com.rendioai.gold", "credits=5")).code, 0);
	assert.equal((await remove("com.rendioai.gold")).code, 0);
	assert.equal((await remove("com.rendioai.gold")).code, 1);
	assert.equal((await set("com.rendioai.gold", "credits_per_period=5"))
	    .code, 0);
	for (const [id, field] of [[productId, "credits=0"],
		[productId, "credits=10001"], [productId, "price=5"],
		[productId, "credits"], ["a b", "credits=5"], ["", "credits=5"]])
		assert.equal((await set(id, field)).code, 2, `${id} ${field}`);
	await assertAuditClean(rendio);
});

test("what is no purchase of ours is refused", async () => {
	const good = store.transaction();
	for (const changes of [{ bundleId: "com.example.other" },
		{ environment: "Production" }, { environment: "Xcode" },
		{ inAppOwnershipType: "FAMILY_SHARED" },
		{ type: "Non-Consumable" }, { type: "Non-Renewing Subscription" },
		{ transactionId: "x" }, { appAccountToken: "ada" },
		{ signedDate: Date.now() + 3_600_000 }])
		assertError(await post(rendio, ada, { signed_transaction:
		    store.sign({ ...good, ...changes }) }), 400,
		    "invalid_transaction");
	const [head, payload, signature] = store.sign(good).split(".");
	for (const jws of ["x", "..", `${head}.${payload}.`, `${head}.${payload}`,
		`${head}.${store.sign(store.transaction()).split(".")[1]}.` +
		signature])
		assertError(await post(rendio, ada, { signed_transaction: jws }),
		    400, "invalid_transaction");
	for (const productId of ["constructor", "__proto__",
		STARTER.toUpperCase(), "com.rendioai.credits.10"])
		assertError(await post(rendio, ada, { signed_transaction:
		    store.sign(store.transaction({ productId })) }), 400,
		    "unknown_product");
	for (const transaction_id of ["", "x", "1".repeat(33), "12 3", "-1", "１"])
		assertError(await post(rendio, ada, { transaction_id }), 400,
		    "invalid_transaction");
	assertError(await post(rendio, ada, {}), 400, "invalid_transaction");
	assertError(await post(rendio, ada, { transaction_id: 1 }), 400,
	    "invalid_request");
	assertError(await post(rendio, ada,
	    { signed_transaction: "x".repeat(300_000) }), 413,
	    "payload_too_large");
});

test("what was refunded is refused, and a later word counts", async () => {
	const transaction = store.transaction();
	const before = await balanceOf(rendio, ada);
	assertError(await post(rendio, ada, { signed_transaction:
	    store.sign(refunded(transaction, 1)) }), 400,
	    "invalid_transaction");
	assert.equal((await buy(rendio, ada, store, transaction)).credits_added,
	    0);
	assert.equal(await balanceOf(rendio, ada), before);
	await buy(rendio, ada, store, later(transaction, 2));
	assert.equal(await balanceOf(rendio, ada), before + 25);
});

test("a purchase outlives its account", async () => {
	const eve = await rendio.guest("eve-2");
	const jws = store.sign(store.transaction());
	assert.equal((await post(rendio, eve, { signed_transaction: jws })).status,
	    200);
	assert.equal((await rendio.request("POST",
	    "/functions/v1/delete-account", { bearer: eve.access_token,
		body: {} })).status, 200);
	assertError(await post(rendio, eve, { signed_transaction: jws }), 401,
	    "unauthorized");
	// Neither another account nor the next one on this phone has it.
	const next = await rendio.guest("eve-2", eve.device_id);
	assert.notEqual(next.user_id, eve.user_id);
	for (const guest of [ada, next]) {
		const before = await balanceOf(rendio, guest);
		assertError(await post(rendio, guest,
		    { signed_transaction: jws }), 409,
		    "purchase_belongs_to_other_account");
		assert.equal(await balanceOf(rendio, guest), before);
	}
	assert.equal(await balanceOf(rendio, next), 0);
});

test("the database is locked: said so, and credited afterwards", async () => {
	const jws = store.sign(store.transaction());
	const before = await balanceOf(rendio, bob);
	await whileLocked(rendio, async () => assertError(await post(rendio, bob,
	    { signed_transaction: jws }), 503, "service_unavailable"));
	assert.equal((await post(rendio, bob, { signed_transaction: jws })).status,
	    200);
	assert.equal(await balanceOf(rendio, bob), before + 25);
});

test("sandbox purchases have a cap, if the operator sets one", async () => {
	const capped = await start({ env: { RENDIO_SANDBOX_CREDITS_MAX: "50" } });
	try {
		const guest = await capped.guest("ada");
		const shop = new AppStore(capped);
		await buy(capped, guest, shop, shop.transaction({ quantity: 2 }));
		const over = { signed_transaction: shop.sign(shop.transaction()) };
		assertError(await post(capped, guest, over), 403, "forbidden");
		assertError(await post(capped, guest, over), 403, "forbidden");
		assert.equal(await balanceOf(capped, guest), 60);
		await assertAuditClean(capped);
	} finally {
		await capped.stop();
	}
});

test("a balance has a largest value, and passing it is an incident",
    async () => {
	const eve = await rendio.guest("eve-3");
	const transaction = store.transaction();
	const jws = store.sign(transaction);
	const standing = async () => (await sql(rendio, "SELECT" +
	    " credits_remaining AS credits, typeof(credits_remaining) AS type," +
	    " ledger_number AS entries, (SELECT COUNT(*) FROM credit_lots l" +
	    "  WHERE l.user_id = u.id) AS lots, (SELECT COUNT(*) FROM purchases" +
	    `  WHERE transaction_id = '${transaction.transactionId}') AS sold` +
	    ` FROM users u WHERE id = ${id(eve.user_id)}`))[0];
	const before = await standing();

	// One credit more than fits.
	await sql(rendio, "UPDATE users SET credits_remaining = 999999976" +
	    ` WHERE id = ${id(eve.user_id)}`);
	const res = await assertIncident(rendio, () => post(rendio, eve,
	    { signed_transaction: jws }), { event: "purchase",
		problem: "largest_balance" });
	assertError(res, 409, "conflict");
	assert.equal(before.type, "integer");
	assert.deepEqual(await standing(), { ...before, credits: 999999976 });
	assert.equal(await balanceOf(rendio, eve), 999999976);
	// When there is room for it, it is credited.
	await sql(rendio, "UPDATE users SET credits_remaining = 10" +
	    ` WHERE id = ${id(eve.user_id)}`);
	await post(rendio, eve, { signed_transaction: jws });
	assert.equal(await balanceOf(rendio, eve), 35);
});

test("the audit is clean", async () => await assertAuditClean(rendio));

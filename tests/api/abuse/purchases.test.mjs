// SPDX-License-Identifier: MIT
//
// What is tried with purchases (I) and with Apple's notifications (N), through
// the endpoints.  Every single thing that can be wrong with a chain or a
// payload is in verify-jws.test.mjs, which runs the same code; docs/abuse.md
// says where the rest of these rows is tested.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { appleChain, signJws } from "../support/apple-chain.mjs";
import { AppStore, balanceOf, buy, notify, post, profileOf,
	refunded }
    from "../support/appstore.mjs";
import { assertAuditClean, assertError, assertIncident } from "../support/expect.mjs";
import { start } from "../support/instance.mjs";
import { historyOf } from "../support/jobs.mjs";

/** The order of P-256's points. */
const N = BigInt("0xffffffff00000000ffffffffffffffff" +
    "bce6faada7179e84f3b9cac2fc632551");

let rendio, store, ada, bob, base;

before(async () => {
	rendio = await start();
	store = new AppStore(rendio);
	[ada, bob] = [await rendio.guest("ada"), await rendio.guest("bob")];
	base = await balanceOf(rendio, ada);
});
after(() => rendio.stop());

const encode = (value) => Buffer.from(JSON.stringify(value))
    .toString("base64url");

const number = (bytes) => BigInt(`0x${bytes.toString("hex")}`);

const bytesOf = (value) => Buffer.from(value.toString(16).padStart(64, "0"),
    "hex");

/** Refused as a purchase and as news, and nobody has gained anything. */
async function assertWorthless(jws, what) {
	const before = await balanceOf(rendio, ada);
	const res = await post(rendio, ada, { signed_transaction: jws });
	assert.ok(res.status === 413 || res.status === 400, `${what} ${res.text}`);
	if (res.status === 400)
		assertError(res, 400, "invalid_transaction");
	assert.ok([400, 413].includes((await notify(rendio,
	    { signedPayload: jws })).status), what);
	assert.equal(await balanceOf(rendio, ada), before, what);
}

test("I02 N02 a chain of one's own", async () => {
	const chain = appleChain();
	const before = await balanceOf(rendio, ada);
	const { app_account_token: appAccountToken } =
	    await profileOf(rendio, ada);
	await assertWorthless(signJws(chain, store.transaction()), "our own root");
	// A good letter around a paper that somebody else has signed.
	const sold = store.transaction({ appAccountToken });
	const body = store.notification("ONE_TIME_CHARGE", undefined, { data: {
		signedTransactionInfo: signJws(chain, sold) } });
	assertError(await assertIncident(rendio, () => notify(rendio, body), {
		event: "appstore_notification", outcome: "bad_nested" }), 400,
	    "invalid_request");
	// And the other way round.
	assertError(await notify(rendio, { signedPayload: signJws(chain, {
		notificationType: "ONE_TIME_CHARGE", version: "2.0",
		data: { signedTransactionInfo: store.sign(sold) } }) }), 400,
	    "invalid_request");
	assert.equal(await balanceOf(rendio, ada), before);
});

test("I04 certificates in another order or number", async () => {
	const [leaf, middle, root] = store.x5c;
	const shop = new AppStore(rendio);
	for (const x5c of [[], [leaf], [leaf, middle], [middle, leaf, root],
		[root, middle, leaf], [leaf, middle, root, root],
		[leaf, leaf, leaf], Array(100).fill(leaf), ["x", middle, root],
		[leaf, middle, 7], leaf, null, {}]) {
		shop.x5c = x5c;
		await assertWorthless(shop.sign(shop.transaction()),
		    JSON.stringify(x5c)?.slice(0, 40));
	}
});

test("I05 other algorithms", async () => {
	const [, payload, signature] = store.sign(store.transaction()).split(".");
	for (const alg of ["none", "None", "HS256", "ES384", "RS256", "es256", "",
		undefined, 7]) {
		const head = encode({ alg, x5c: store.x5c });
		const mac = createHmac("sha256", Buffer.from(store.x5c[0],
		    "base64")).update(`${head}.${payload}`).digest("base64url");
		for (const end of ["", signature, mac])
			await assertWorthless(`${head}.${payload}.${end}`,
			    String(alg));
	}
});

test("I06 the other form of a signature is the same transaction", async () => {
	const jws = store.sign(store.transaction());
	const [head, payload, text] = jws.split(".");
	const signature = Buffer.from(text, "base64url");
	const s = number(signature.subarray(32));
	const mirrored = Buffer.concat([signature.subarray(0, 32),
		bytesOf(N - s)]);

	for (const bytes of [signature.subarray(1), signature.subarray(0, 63),
		Buffer.concat([signature, Buffer.from([0])]), Buffer.alloc(64),
		Buffer.concat([bytesOf(N), signature.subarray(32)]),
		Buffer.concat([signature.subarray(0, 32), bytesOf(s + N & ((1n <<
		    256n) - 1n))]),
		Buffer.concat([Buffer.from([0x30, 0x44, 2, 0x20]),
			signature.subarray(0, 32), Buffer.from([2, 0x20]),
			signature.subarray(32)])])
		await assertWorthless(
		    `${head}.${payload}.${bytes.toString("base64url")}`,
		    bytes.toString("hex"));
	const before = await balanceOf(rendio, ada);
	for (const one of [jws,
		`${head}.${payload}.${mirrored.toString("base64url")}`, jws]) {
		const res = await post(rendio, ada, { signed_transaction: one });
		assert.ok([200, 400].includes(res.status), res.text);
	}
	assert.equal(await balanceOf(rendio, ada), before + 25);
});

test("I06 I23 base64 that is none, and too much of anything", async () => {
	const jws = store.sign(store.transaction());
	for (const text of [`${jws}=`, `${jws}\n`, ` ${jws}`, jws.replace(/\./,
	    ".."), `${jws}.x`, jws.replaceAll(".", "+"), "a.b.c", ".", "",
		"%00", `${"A".repeat(250_000)}.A.A`, "A".repeat(500_000),
		`${encode({ alg: "ES256", x5c: store.x5c, x:
		    "[".repeat(1000) })}.${encode({})}.AAAA`])
		await assertWorthless(text, text.slice(0, 20));
});

test("I13 I15 one purchase signed ten times is one credit", async () => {
	const transaction = store.transaction();
	const before = await balanceOf(rendio, ada);
	const answers = await Promise.all(Array.from({ length: 10 }, (_, i) =>
	    post(rendio, ada, { signed_transaction: store.sign({ ...transaction,
		signedDate: transaction.signedDate + i }) })));
	for (const res of answers) {
		assert.equal(res.status, 200, res.text);
		assert.equal(res.json().credits_added, 25);
	}
	assert.equal(answers.filter((res) => !res.json().already_processed)
	    .length, 1);
	assert.equal(await balanceOf(rendio, ada), before + 25);
});

test("I01 a word instead of a purchase", async () => {
	const before = await balanceOf(rendio, ada);
	for (const transaction_id of ["mock-transaction", "2000000999999999",
		"1000000000000000", "0", "00000000001", "9".repeat(32)]) {
		const res = await post(rendio, ada, { transaction_id,
			product_id: "com.rendioai.credits.best.150",
			credits: 150 });
		assertError(res, 400, "invalid_transaction");
	}
	assert.equal(await balanceOf(rendio, ada), before);
});

test("N01 N05 N06 N15 refunds are Apple's to tell, and once", async () => {
	const transaction = store.transaction();
	await buy(rendio, bob, store, transaction);
	const before = await balanceOf(rendio, bob);
	for (const body of [{ notification_type: "REFUND", data:
		{ transaction_id: transaction.transactionId } },
		{ signedPayload: encode({ notificationType: "REFUND" }) },
		{ signedPayload: null }, { signedPayload: [] },
		{ notificationType: "REFUND", data: { signedTransactionInfo:
		    store.sign(refunded(transaction, 1)) } }])
		assertError(await notify(rendio, body), 400, "invalid_request");
	assert.equal(await balanceOf(rendio, bob), before);
	for (let i = 0; i < 3; i++)
		assert.equal((await notify(rendio, store.notification("REFUND",
		    refunded(transaction, 1000)))).status, 200);
	// Older news than what is known.
	assert.equal((await notify(rendio, store.notification("ONE_TIME_CHARGE",
	    transaction))).status, 200);
	assert.equal(await balanceOf(rendio, bob), before - 25);
	assert.equal((await historyOf(rendio, bob)).entries.filter((entry) =>
	    entry.reason.includes("refund")).length, 1);
});

test("N08 a refund of what nobody has told us of yet", async () => {
	const transaction = store.transaction();
	const before = await balanceOf(rendio, bob);
	assert.equal((await notify(rendio, store.notification("REFUND",
	    refunded(transaction, 1000)))).status, 200);
	const res = await post(rendio, bob, { signed_transaction:
	    store.sign(transaction) });
	assert.ok([200, 400].includes(res.status), res.text);
	assert.equal(await balanceOf(rendio, bob), before);
});

test("N14 ten megabytes, and a thousand bad signatures", async () => {
	assertError(await notify(rendio, { signedPayload: "x".repeat(10 << 20) }),
	    413, "payload_too_large");
	const { signedPayload } = store.notification("TEST");
	const bad = { signedPayload: `${signedPayload.slice(0, -8)}AAAAAAAA` };
	for (let i = 0; i < 50; i++)
		for (const res of await Promise.all(Array.from({ length: 20 }, () =>
		    notify(rendio, bad))))
			assert.equal(res.status, 400, res.text);
	assert.deepEqual(rendio.log().filter((line) =>
	    line.includes("process_died")), []);
	assert.equal((await notify(rendio, { signedPayload })).status, 200);
});

test("after all this the books are in order", async () => {
	assert.equal(await balanceOf(rendio, ada), base + 2 * 25);
	await assertAuditClean(rendio);
});

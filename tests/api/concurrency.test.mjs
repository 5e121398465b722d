// SPDX-License-Identifier: MIT
// What must come out right however many ask at once.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { AppStore, post } from "./support/appstore.mjs";
import { id, sql } from "./support/database.mjs";
import { assertAuditClean, assertError, assertPersonal }
    from "./support/expect.mjs";
import { identityToken, merge, signedIn } from "./support/identity.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf, historyOf, order, orderJob, remove, startWorker,
	stopWorker } from "./support/jobs.mjs";

const PRICE = 4;
const BOUGHT = 25;

let rendio, store;

before(async () => {
	// Enough for exactly two videos.
	rendio = await start({ env: { RENDIO_GRANT_CREDITS: String(2 * PRICE) } });
	store = new AppStore(rendio);
});
after(() => rendio.stop());

/** The results of `count` calls at once. */
async function atOnce(count, call) {
	return await Promise.all(Array.from({ length: count }, (_, i) => call(i)));
}

async function jobsOf(guest) {
	const res = await rendio.request("GET", "/functions/v1/get-video-jobs",
	    { bearer: guest.access_token });
	return assertPersonal(res).jobs;
}

async function holdsOf(guest) {
	return (await historyOf(rendio, guest)).entries
	    .filter((entry) => entry.reason === "hold");
}

test("20 orders with one key: one job, one charge, 20 equal answers",
    async () => {
	const ada = await rendio.guest("ada");
	const key = randomUUID();
	const answers = await atOnce(20, () => order(rendio, ada, {}, key));

	for (const res of answers) {
		assert.equal(res.status, 200, res.text);
		assert.equal(res.text, answers[0].text);
	}
	assert.equal(answers.filter((res) =>
	    res.headers["x-idempotent-replay"] === "true").length, 19);
	assert.equal((await jobsOf(ada)).length, 1);
	assert.equal((await holdsOf(ada)).length, 1);
	assert.equal(await creditsOf(rendio, ada), PRICE);
});

test("20 orders with 20 keys and credits for two: 2 jobs, 18 times 402",
    async () => {
	const bob = await rendio.guest("bob");
	const answers = await atOnce(20, () => order(rendio, bob));
	const good = answers.filter((res) => res.status === 200);
	const refused = answers.filter((res) => res.status !== 200);

	assert.equal(good.length, 2);
	assert.equal(refused.length, 18);
	for (const res of refused) {
		assertError(res, 402, "insufficient_credits");
		assert.equal(res.json().credits_required, PRICE);
		assert.ok(res.json().credits_remaining < PRICE);
	}
	assert.deepEqual(good.map((res) => res.json().credits_remaining).sort(),
	    [0, PRICE]);
	assert.equal((await jobsOf(bob)).length, 2);
	assert.equal((await holdsOf(bob)).length, 2);
	assert.equal(await creditsOf(rendio, bob), 0);
});

test("20 orders of two kinds with one key: one job, the others 422",
    async () => {
	const carol = await rendio.guest("carol");
	const key = randomUUID();
	const answers = await atOnce(20, (i) => order(rendio, carol,
	    { prompt: i % 2 === 0 ? "A calm sea" : "A wild sea" }, key));

	assert.equal(answers.filter((res) => res.status === 200).length, 10);
	for (const res of answers.filter((res) => res.status !== 200))
		assertError(res, 422, "idempotency_key_reused");
	assert.equal((await jobsOf(carol)).length, 1);
	assert.equal(await creditsOf(rendio, carol), PRICE);
});

test("20 deletions of one job: one is done, one release", async (t) => {
	await stopWorker(rendio);
	t.after(() => startWorker(rendio));
	const dave = await rendio.guest("dave");
	const jobId = await orderJob(rendio, dave);
	const answers = await atOnce(20, () => remove(rendio, dave, jobId));

	assert.equal(answers.filter((res) => res.status === 200).length, 1);
	for (const res of answers.filter((res) => res.status !== 200))
		assertError(res, 404, "job_not_found");
	const { entries } = await historyOf(rendio, dave);
	assert.equal(entries.filter((entry) => entry.reason === "release").length,
	    1);
	assert.equal(await creditsOf(rendio, dave), 2 * PRICE);
});

async function enterAtOnce(phone, deviceId) {
	const { stdout } = await rendio.cli("sandbox", "device", phone);
	const answers = await atOnce(20, () => rendio.request("POST",
	    "/functions/v1/device-check", { body: { device_id: deviceId(),
		device_token: stdout.trim() } }));
	return answers.map(assertPersonal);
}

const count = (visits, test) => visits.filter(test).length;

test("one phone with 20 device ids: 20 guests, one gift", async () => {
	const visits = await enterAtOnce("phone-a", randomUUID);

	assert.equal(new Set(visits.map((visit) => visit.user_id)).size, 20);
	assert.equal(count(visits, (visit) => visit.grant === "granted"), 1);
	assert.equal(count(visits, (visit) => visit.grant === "already_claimed"),
	    19);
	const credits = await Promise.all(visits.map((visit) =>
	    creditsOf(rendio, visit)));
	assert.equal(credits.reduce((a, b) => a + b), 2 * PRICE);
});

test("20 visits with one device id: one user, one gift, ten sessions",
    async () => {
	const device_id = randomUUID();
	const visits = await enterAtOnce("phone-b", () => device_id);

	assert.equal(new Set(visits.map((visit) => visit.user_id)).size, 1);
	assert.equal(count(visits, (visit) => visit.is_new), 1);
	assert.equal(count(visits, (visit) => visit.grant === "granted"), 1);
	const alive = await Promise.all(visits.map((visit) =>
	    rendio.request("GET", "/functions/v1/get-user-credits",
		{ bearer: visit.access_token })));
	const good = alive.filter((res) => res.status === 200);
	assert.equal(good.length, 10);
	assert.equal(good[0].json().credits_remaining, 2 * PRICE);
});

test("10 refreshes of one token: one and the same next token", async () => {
	const erin = await rendio.guest("erin");
	const refresh = async ({ refresh_token }) => assertPersonal(
	    await rendio.request("POST",
		"/auth/v1/token?grant_type=refresh_token",
		{ body: { refresh_token } }));
	let session = erin;

	for (let round = 0; round < 3; round++) {
		const answers = await atOnce(10, () => refresh(session));
		const tokens = new Set(answers.map((answer) =>
		    answer.refresh_token));
		assert.equal(tokens.size, 1);
		assert.ok(!tokens.has(session.refresh_token));
		[session] = answers;
		for (const answer of answers)
			assert.equal(await creditsOf(rendio, answer), 2 * PRICE);
	}
});

// --- any two acts on one account ----------------------------------------------

/** What is done with an account 20 times at once, and how it may end. */
const ACTS = {
	order: { answers: [200, 401, 402],
		call: ({ guest }) => order(rendio, guest) },
	// Each purchase is posted twice.
	buy: { answers: [200, 401],
		call: ({ guest, sold }, i) => post(rendio, guest,
		    { signed_transaction: store.sign(sold[i >> 1]) }) },
	refresh: { answers: [200, 400],
		call: ({ guest }) => rendio.request("POST",
		    "/auth/v1/token?grant_type=refresh_token",
		    { body: { refresh_token: guest.refresh_token } }) },
	merge: { answers: [200, 401, 409],
		call: ({ guest, proofs }, i) => merge(rendio, guest,
		    { identity_token: proofs[i] }) },
	delete: { answers: [200, 401],
		call: ({ guest }) => rendio.request("POST",
		    "/functions/v1/delete-account",
		    { bearer: guest.access_token, body: {} }) },
};

const PAIRS = Object.keys(ACTS).flatMap((one, i, all) =>
    all.slice(i + 1).map((other) => [one, other]));

/** A guest, an account to be merged into, and what the guest has bought. */
async function somebody(name) {
	return { guest: await rendio.guest(name),
		heir: await signedIn(rendio, name),
		sold: Array.from({ length: 10 }, () => store.transaction()),
		proofs: name.includes("merge") ? await atOnce(20, () =>
		    identityToken(rendio, name)) : [] };
}

/** Both accounts at one moment: a merge moves all, a deletion keeps it. */
async function booksOf({ guest, heir }) {
	const ids = `(${id(guest.user_id)}, ${id(heir.user.id)})`;
	const [books] = await sql(rendio, `SELECT
	    (SELECT SUM(credits_remaining) FROM users WHERE id IN ${ids})
	     AS balance,
	    (SELECT COUNT(*) FROM jobs WHERE user_id IN ${ids}) AS orders,
	    (SELECT COUNT(*) FROM jobs WHERE user_id IN ${ids}
	     AND state NOT IN ('failed', 'cancelled', 'lost')) AS charged`);
	return books;
}

/** What was answered to is there once, the rest can still be bought once. */
async function assertSold({ sold }, owner, credited) {
	const other = await rendio.guest(randomUUID());
	const before = await creditsOf(rendio, other);
	let rest = 0;

	for (const transaction of sold) {
		const { transactionId } = transaction;
		const isCredited = credited.has(transactionId);
		assert.deepEqual(await sql(rendio, "SELECT p.waits_for," +
		    " (SELECT COUNT(*) FROM credit_lots l" +
		    "  WHERE l.purchase_id = p.id) AS lots," +
		    ` p.user_id = ${id(owner)} AS is_owners FROM purchases p` +
		    ` WHERE p.transaction_id = '${transactionId}'`),
		    isCredited ? [{ waits_for: null, lots: 1, is_owners: 1 }] : []);
		const res = await post(rendio, other,
		    { signed_transaction: store.sign(transaction) });
		if (isCredited)
			assertError(res, 409, "purchase_belongs_to_other_account");
		else
			assert.equal(assertPersonal(res).credits_added, BOUGHT);
		rest += isCredited ? 0 : 1;
	}
	assert.equal(await creditsOf(rendio, other), before + rest * BOUGHT);
}

for (const [one, other] of PAIRS)
	test(`20 times ${one} and ${other} at once: nothing lost, nothing twice`,
	    async () => {
		const who = await somebody(`${one}-${other}`);
		const answers = { order: [], buy: [], refresh: [], merge: [],
			delete: [] };
		await atOnce(40, async (i) => {
			const act = i % 2 === 0 ? one : other;
			const res = await ACTS[act].call(who, i >> 1);
			assert.ok(ACTS[act].answers.includes(res.status),
			    `${act}: ${res.status} ${res.text}`);
			if (res.status === 200)
				answers[act].push(res.json());
		});
		await assertAuditClean(rendio);

		// An account ends once, by the one or by the other.
		const ends = answers.merge.length + answers.delete.length;
		const isGone = [one, other].some((act) =>
		    ["merge", "delete"].includes(act));
		assert.equal(ends, isGone ? 1 : 0);
		for (const { access_token } of [who.guest, ...answers.refresh])
			assert.equal((await rendio.request("GET",
			    "/functions/v1/get-user-credits",
			    { bearer: access_token })).status, isGone ? 401 : 200);

		const credited = new Set(answers.buy.map((body) =>
		    body.transaction_id));
		assert.equal(answers.buy.filter((body) => !body.already_processed)
		    .length, credited.size);
		const { balance, orders, charged } = await booksOf(who);
		assert.equal(orders, answers.order.length);
		assert.equal(balance, 2 * PRICE + credited.size * BOUGHT -
		    charged * PRICE);
		const isMerged = answers.merge.length === 1;
		if (answers.delete.length === 0)
			assert.equal(await creditsOf(rendio,
			    isMerged ? who.heir : who.guest), balance);
		if ([one, other].includes("buy"))
			await assertSold(who, isMerged ? who.heir.user.id :
			    who.guest.user_id, credited);
		await assertAuditClean(rendio);
	});

test("the audit finds nothing", async () => {
	await assertAuditClean(rendio);
});

// SPDX-License-Identifier: MIT
// POST /functions/v1/merge-guest-user: a guest signs in with Apple and keeps
// what is theirs.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { id, sql, whileLocked } from "./support/database.mjs";
import { UUID, assertAuditClean, assertBudget, assertError, assertPersonal,
    stopClean } from "./support/expect.mjs";
import { assertDead, identityToken, merge, signedIn }
    from "./support/identity.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf, endOf, historyOf, order, orderJob, startWorker, statusOf,
    stopWorker } from "./support/jobs.mjs";
import { flipBit } from "./support/tokens.mjs";

let rendio;

before(async () => {
	rendio = await start({ env: { RENDIO_LIMIT_ACCOUNT_PER_H: "30" } });
});
after(() => stopClean(rendio));

async function merged(guest, sub) {
	return assertPersonal(await merge(rendio, guest,
	    { identity_token: await identityToken(rendio, sub) }));
}

async function give(userId, credits) {
	const { code, stderr } = await rendio.cli("user", "grant", userId,
	    String(credits), "--reason", "bought");
	assert.equal(code, 0, stderr);
}

async function jobsOf(session) {
	return (await rendio.request("GET", "/functions/v1/get-video-jobs",
	    { bearer: session.access_token })).json().jobs;
}

test("an unknown Apple ID becomes the guest's own, in place", async () => {
	const guest = await rendio.guest("in-place");
	const job = await orderJob(rendio, guest);
	await endOf(rendio, guest, job);
	const history = await historyOf(rendio, guest);
	const body = await merged(guest, "in-place");

	assert.equal(body.success, true);
	assert.equal(body.user.id, guest.user_id);
	assert.equal(body.user.is_guest, false);
	assert.equal(body.user.apple_sub, "in-place");
	assert.equal(body.user.email, "in-place@privaterelay.appleid.com");
	for (const session of [guest, body]) {
		assert.equal(await creditsOf(rendio, session), 6);
		assert.deepEqual(await historyOf(rendio, session), history);
		assert.equal((await jobsOf(session)).length, 1);
	}
	// Twice, and an Apple user into another Apple ID.
	for (const sub of ["in-place", "in-another-place"])
		assertError(await merge(rendio, body,
		    { identity_token: await identityToken(rendio, sub) }), 409,
		    "conflict");
	await assertAuditClean(rendio);
});

test("a known Apple ID's account takes over what the guest had", async () => {
	const owner = await signedIn(rendio, "owner");
	await give(owner.user.id, 7);
	const guest = await rendio.guest("taken-over");
	await give(guest.user_id, 20);
	const key = randomUUID();
	const ordered = (await order(rendio, guest, {}, key)).json();
	const before = await endOf(rendio, guest, ordered.job_id);
	const body = await merged(guest, "owner");

	assert.equal(body.user.id, owner.user.id);
	assert.match(body.user.id, UUID);
	// 10 as a gift, 20 and 7 bought, 4 for the video.
	assert.equal(body.user.credits_remaining, 33);
	assert.equal(await creditsOf(rendio, owner), 33);
	await assertDead(rendio, guest);
	const [job] = await jobsOf(body);
	assert.equal(job.job_id, ordered.job_id);
	// Links that were given out before go on working.
	for (const url of [before.video_url, job.video_url]) {
		assert.ok(url.includes(guest.user_id));
		const res = await rendio.request("GET",
		    url.slice(rendio.url.length), { apikey: null });
		assert.equal(res.status, 200);
	}
	// The same order under the same key is the same job.
	const again = await order(rendio, body, {}, key);
	assert.equal(again.json().job_id, ordered.job_id);
	assert.equal(again.headers["x-idempotent-replay"], "true");
	const [tombstone] = await sql(rendio, `SELECT status, credits_remaining,
	    hex(merged_into_id) AS heir FROM users
	    WHERE id = ${id(guest.user_id)}`);
	assert.deepEqual(tombstone, { status: "deleted", credits_remaining: 0,
		heir: owner.user.id.replaceAll("-", "").toUpperCase() });
	await assertAuditClean(rendio);
	// The phone opens a new guest, without a second gift.
	const back = await rendio.guest("taken-over", guest.device_id);
	assert.notEqual(back.user_id, owner.user.id);
	assert.equal(back.credits_remaining, 0);
	await assertAuditClean(rendio);
});

for (const [how, prompt, credits] of [
	["delivered", "A calm sea", 6],
	["given back", "[fail:provider]", 10],
])
	test(`a video under way is settled on the heir: ${how}`, async () => {
		const sub = how.replace(" ", "-");
		const owner = await signedIn(rendio, sub);
		const guest = await rendio.guest(sub);

		await stopWorker(rendio);
		const job = await orderJob(rendio, guest, { prompt });
		const body = await merged(guest, sub);
		assert.equal(body.user.credits_remaining, 6);
		await assertAuditClean(rendio);
		await startWorker(rendio);
		const end = await endOf(rendio, owner, job);
		assert.equal(await creditsOf(rendio, owner), credits);
		if (how === "delivered")
			assert.equal((await rendio.request("GET",
			    end.video_url.slice(rendio.url.length),
			    { apikey: null })).status, 200);
		await assertAuditClean(rendio);
	});

test("ten guests bring one gift, and all that was bought", async () => {
	let owner = await signedIn(rendio, "farmer");

	for (let i = 0; i < 10; i++) {
		const guest = await rendio.guest(`farm-${i}`);
		await give(guest.user_id, 2);
		owner = await merged(guest, "farmer");
	}
	assert.equal(await creditsOf(rendio, owner), 10 + 10 * 2);
	await assertAuditClean(rendio);
});

test("a lost gift does not come back by a video that fails", async () => {
	const owner = await signedIn(rendio, "back-door");
	await merged(await rendio.guest("back-door-1"), "back-door");
	const guest = await rendio.guest("back-door-2");

	await stopWorker(rendio);
	const job = await orderJob(rendio, guest, { prompt: "[fail:provider]" });
	await merged(guest, "back-door");
	assert.equal(await creditsOf(rendio, owner), 10);
	await startWorker(rendio);
	await endOf(rendio, owner, job);
	// What came back has expired: it cannot be spent.
	for (let i = 0; i < 2; i++)
		assert.equal((await order(rendio, owner)).status, 200);
	assert.equal((await order(rendio, owner)).status, 402);
	await assertAuditClean(rendio);
});

test("an upgraded guest brings its gift along, and no second one", async () => {
	const first = await merged(await rendio.guest("gift-1"), "gifted");
	assert.equal(await creditsOf(rendio, first), 10);
	await merged(await rendio.guest("gift-2"), "gifted");
	assert.equal(await creditsOf(rendio, first), 10);
	await assertAuditClean(rendio);
});

test("twenty parallel merges of one guest have one effect", async () => {
	const owner = await signedIn(rendio, "parallel");
	const guest = await rendio.guest("parallel");
	const tokens = await Promise.all(Array.from({ length: 20 }, () =>
	    identityToken(rendio, "parallel")));
	const all = await Promise.all(tokens.map((identity_token) =>
	    merge(rendio, guest, { identity_token })));

	assert.equal(all.filter(({ status }) => status === 200).length, 1);
	for (const { status } of all)
		assert.ok([200, 401, 409].includes(status), String(status));
	assert.equal(await creditsOf(rendio, owner), 10);
	await assertDead(rendio, guest);
	await assertAuditClean(rendio);
});

test("twenty guests merge into one account at once", async () => {
	await signedIn(rendio, "crowd");
	const guests = [];
	for (let i = 0; i < 20; i++) {
		guests.push(await rendio.guest(`crowd-${i}`));
		await give(guests[i].user_id, 1);
	}
	await Promise.all(guests.map((guest) => merged(guest, "crowd")));
	assert.equal(await creditsOf(rendio, await signedIn(rendio, "crowd")),
	    30);
	await assertAuditClean(rendio);
});

test("twenty guests claim one new Apple ID at once: one account", async () => {
	const guests = [];
	for (let i = 0; i < 20; i++)
		guests.push(await rendio.guest(`claim-${i}`));
	const bodies = await Promise.all(guests.map((guest) =>
	    merged(guest, "claimed")));
	assert.equal(new Set(bodies.map((body) => body.user.id)).size, 1);
	await assertAuditClean(rendio);
});

test("only the bearer's guest counts, whatever the body says", async () => {
	const victim = await rendio.guest("victim");
	const guest = await rendio.guest("thief");
	const identity_token = await identityToken(rendio, "thief");

	assertError(await merge(rendio, guest,
	    { identity_token, user_id: victim.user_id }), 403, "forbidden");
	assertError(await merge(rendio, guest,
	    { identity_token, apple_sub: "victim" }), 400, "invalid_request");
	assertPersonal(await merge(rendio, guest, { identity_token,
		apple_sub: "thief", device_id: victim.device_id }));
	assert.equal(await creditsOf(rendio, victim), 10);
});

test("without a proof nothing is merged", async () => {
	const owner = await signedIn(rendio, "proof");
	const guest = await rendio.guest("proof");
	const good = await identityToken(rendio, "proof");
	const nonce = "drawn by us";
	const withNonce = await identityToken(rendio, "proof", nonce);

	for (const body of [{}, { identity_token: null }, { identity_token: 7 },
		{ apple_sub: "proof" }])
		assertError(await merge(rendio, guest, body), 400,
		    "invalid_request");
	for (const body of [
		{ identity_token: "garbage" },
		{ identity_token: guest.access_token },
		{ identity_token: flipBit(good, 1) },
		{ identity_token: flipBit(good, 2) },
		{ identity_token: good, nonce },
		{ identity_token: withNonce },
		{ identity_token: withNonce, nonce: "another" },
	])
		assertError(await merge(rendio, guest, body), 401,
		    "unauthorized");
	assertError(await rendio.request("POST",
	    "/functions/v1/merge-guest-user",
	    { body: { identity_token: good } }), 401, "unauthorized");
	assert.equal(await creditsOf(rendio, guest), 10);
	assert.equal(await creditsOf(rendio, owner), 0);
	assertPersonal(await merge(rendio, guest,
	    { identity_token: withNonce, nonce }));
	// Its nonce is used up, for everybody.
	assertError(await merge(rendio, await rendio.guest("proof-2"),
	    { identity_token: withNonce, nonce }), 401, "unauthorized");
});

test("who tries thirty times within an hour has to wait", async () => {
	const guest = await rendio.guest("stubborn");
	const tries = await Promise.all(Array.from({ length: 32 }, () =>
	    merge(rendio, guest, { identity_token: "x" })));

	const refused = tries.filter(({ status }) => status !== 401);
	assert.equal(refused.length, 2);
	for (const res of refused)
		assertError(res, 429, "rate_limited");
});

test("a suspended account takes nothing over", async () => {
	const owner = await signedIn(rendio, "suspended");
	const guest = await rendio.guest("suspended");

	assert.equal((await rendio.cli("user", "ban", owner.user.id)).code, 0);
	assertError(await merge(rendio, guest,
	    { identity_token: await identityToken(rendio, "suspended") }), 403,
	    "user_banned");
	assert.equal(await creditsOf(rendio, guest), 10);
	await assertAuditClean(rendio);
});

test("a database that is locked for too long is 503, and nothing is decided",
    async () => {
	const guest = await rendio.guest("patient");
	const nonce = "once";
	const identity_token = await identityToken(rendio, "patient", nonce);

	await whileLocked(rendio, async () => {
		assertError(await merge(rendio, guest, { identity_token, nonce }),
		    503, "service_unavailable");
	});
	assertPersonal(await merge(rendio, guest, { identity_token, nonce }));
});

test("no request costs more statements than its budget", () => {
	assertBudget(rendio, "merge-guest-user", 60);
});

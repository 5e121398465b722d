// SPDX-License-Identifier: MIT
// POST /functions/v1/device-check: a phone's way in, and its one gift.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { assertAuditClean, assertError, assertPersonal, assertStatements, UUID }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { claimsOf } from "./support/tokens.mjs";
import { creditsOf } from "./support/jobs.mjs";

const PATH = "/functions/v1/device-check";

let rendio;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

async function tokenOf(phone) {
	return (await rendio.cli("sandbox", "device", phone)).stdout.trim();
}

async function check(body, options = {}) {
	return await rendio.request("POST", PATH, { body, ...options });
}

async function enter(phone, device_id) {
	return await check({ device_id, device_token: await tokenOf(phone) });
}

/** What the stand-in for Apple keeps of a phone: its two bits. */
function appleFile(phone) {
	return rendio.file("sandbox", "devices",
	    createHash("sha256").update(phone).digest("hex"));
}

test("a new phone gets an account, a session and the free credits", async () => {
	const res = await enter("new", randomUUID());
	const body = assertPersonal(res);

	assert.deepEqual(Object.keys(body), ["success", "user_id",
		"credits_remaining", "is_new", "access_token", "refresh_token",
		"expires_in", "expires_at", "token_type", "grant"]);
	assert.equal(body.success, true);
	assert.match(body.user_id, UUID);
	assert.equal(body.credits_remaining, 10);
	assert.equal(body.is_new, true);
	assert.equal(body.expires_in, 3600);
	assert.equal(body.token_type, "bearer");
	assert.equal(body.grant, "granted");
	assert.equal(await creditsOf(rendio, body), 10);
	await assertStatements(rendio, res, 17);
});

test("the access token says who and until when", async () => {
	const { access_token, user_id, expires_at } =
	    assertPersonal(await enter("claims", randomUUID()));
	const claims = claimsOf(access_token);

	assert.equal(claims.iss, `${rendio.url}/auth/v1`);
	assert.equal(claims.sub, user_id);
	assert.equal(claims.aud, "authenticated");
	assert.equal(claims.role, "authenticated");
	assert.equal(claims.exp, expires_at);
	assert.equal(claims.exp - claims.iat, 3600);
	assert.match(claims.session_id, UUID);
	assert.equal(claims.is_anonymous, true);
	assert.equal(claims.aal, "aal1");
	assert.equal(claims.amr[0].method, "anonymous");
	// supabase-js checks the shape.
	assert.match(access_token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
});

test("a secret device id comes back to its account, the gift does not",
    async () => {
	const device_id = randomUUID();
	const first = assertPersonal(await enter("back", device_id));
	const res = await enter("back", device_id.toUpperCase());
	const again = assertPersonal(res);

	assert.equal(again.user_id, first.user_id);
	assert.equal(again.is_new, false);
	assert.equal(again.grant, "already_claimed");
	assert.equal(again.credits_remaining, 10);
	await assertStatements(rendio, res, 6);
	// Another session, beside the first one.
	assert.notEqual(claimsOf(again.access_token).session_id,
	    claimsOf(first.access_token).session_id);
	assert.equal(await creditsOf(rendio, first), 10);
	assert.equal(await creditsOf(rendio, again), 10);
});

test("the same phone under another device id is a new guest without a gift",
    async () => {
	const first = assertPersonal(await enter("reinstalled", randomUUID()));
	const second = assertPersonal(await enter("reinstalled", randomUUID()));

	assert.notEqual(second.user_id, first.user_id);
	assert.equal(second.is_new, true);
	assert.equal(second.grant, "already_claimed");
	assert.equal(second.credits_remaining, 0);
});

test("a device id that is no secret never comes back to an account", async () => {
	const ids = ["AbC.d_e-1", "x".repeat(128),
		"6ba7b810-9dad-11d1-80b4-00c04fd430c8" /* version 1 */];

	for (const device_id of ids) {
		const first = assertPersonal(await enter("known", device_id));
		const second = assertPersonal(await enter("known", device_id));
		assert.notEqual(second.user_id, first.user_id);
		assert.equal(second.is_new, true);
		assert.equal(second.credits_remaining, 0);
	}
});

test("the device id stands in no answer and not in the database", async () => {
	const device_id = randomUUID();
	const res = await enter("private", device_id);
	const { access_token } = assertPersonal(res);
	const profile = await rendio.request("GET",
	    "/functions/v1/get-user-profile", { bearer: access_token });

	assert.equal(profile.json().device_id, null);
	for (const { text } of [res, profile])
		assert.ok(!text.includes(device_id));
	for (const name of ["rendio.db", "rendio.db-wal"]) {
		const bytes = fs.readFileSync(rendio.file(name));
		assert.ok(!bytes.includes(device_id));
		assert.ok(!bytes.includes(Buffer.from(
		    device_id.replaceAll("-", ""), "hex")));
	}
});

test("a guest speaks the language of the phone's first visit", async () => {
	const device_id = randomUUID();
	const { access_token } = assertPersonal(await check({ device_id,
		device_token: await tokenOf("turkish") },
	    { headers: { "accept-language": "tr-TR, en;q=0.5" } }));
	const profile = await rendio.request("GET",
	    "/functions/v1/get-user-profile", { bearer: access_token });

	assert.equal(profile.json().language, "tr");
});

test("a device id that it cannot be is 400 invalid_request", async () => {
	const device_token = await tokenOf("sound");
	const ids = [undefined, null, 7, "", "a b", "ä", "a/b", "a\n",
		"x".repeat(129), ["a"], { a: 1 }];

	for (const device_id of ids)
		assertError(await check({ device_id, device_token }), 400,
		    "invalid_request");
	for (const device_id of ["x", "x".repeat(127), "x".repeat(128)])
		assertPersonal(await check({ device_id, device_token }));
});

test("a device token that it cannot be is 400", async () => {
	const device_id = randomUUID();

	for (const device_token of ["", "%%%", "AAA", "AAAA\n", "a-_b",
		"A".repeat(40_000)])
		assertError(await check({ device_id, device_token }), 400,
		    "invalid_device_token");
	for (const device_token of [undefined, null, 7])
		assertError(await check({ device_id, device_token }), 400,
		    "invalid_request");
});

test("members that are not known are ignored: the app sends some", async () => {
	const res = await check({ device_id: randomUUID(), user_id: randomUUID(),
		device_token: await tokenOf("talkative"), more: { than: "asked" } });
	assertPersonal(res);
});

test("a phone that Apple does not vouch for is 403 device_rejected", async () => {
	const device_id = randomUUID();
	const stranger = Buffer.from(await tokenOf("stranger"), "base64");
	stranger[0] ^= 1;

	assertError(await check({ device_id,
		device_token: stranger.toString("base64") }), 403,
	    "device_rejected");
	assertError(await check({ device_id, device_token: "AAAA" }), 403,
	    "device_rejected");
});

test("a phone that was marked at Apple is 403 device_rejected", async () => {
	fs.writeFileSync(appleFile("marked"), "01\n");
	assertError(await enter("marked", randomUUID()), 403, "device_rejected");
});

test("a suspended account is 403 user_banned, until the ban is lifted",
    async () => {
	const device_id = randomUUID();
	const { user_id } = assertPersonal(await enter("banned", device_id));

	assert.equal((await rendio.cli("user", "ban", user_id)).code, 0);
	assertError(await enter("banned", device_id), 403, "user_banned");
	assert.equal((await rendio.cli("user", "unban", user_id)).code, 0);
	const back = assertPersonal(await enter("banned", device_id));
	assert.equal(back.user_id, user_id);
	assert.equal(back.credits_remaining, 10);
});

test("while Apple is away a new phone comes in, its gift is pending", async () => {
	const device_id = randomUUID();
	const file = appleFile("early");

	fs.writeFileSync(file, "unreadable");
	const first = assertPersonal(await enter("early", device_id));
	assert.equal(first.is_new, true);
	assert.equal(first.grant, "pending");
	assert.equal(first.credits_remaining, 0);
	// Nobody is let into an account on the device id alone.
	assertError(await enter("early", device_id), 503, "service_unavailable");

	fs.rmSync(file);
	const second = assertPersonal(await enter("early", device_id));
	assert.equal(second.user_id, first.user_id);
	assert.equal(second.is_new, false);
	assert.equal(second.grant, "granted");
	assert.equal(second.credits_remaining, 10);
	const third = assertPersonal(await enter("early", device_id));
	assert.equal(third.grant, "already_claimed");
	assert.equal(third.credits_remaining, 10);
});

test("a phone that opened several accounts while Apple was away has one gift",
    async () => {
	const ids = [randomUUID(), randomUUID(), randomUUID()];
	const file = appleFile("greedy");

	fs.writeFileSync(file, "unreadable");
	for (const device_id of ids)
		assertPersonal(await enter("greedy", device_id));
	fs.rmSync(file);
	const grants = [];
	for (const device_id of ids)
		grants.push(assertPersonal(await enter("greedy", device_id)).grant);
	assert.deepEqual(grants,
	    ["granted", "already_claimed", "already_claimed"]);
});

test("a device id that comes too often is 429 rate_limited", async () => {
	// This machine itself is not limited, as in nginx/limits.conf.
	const options = { localAddress: "127.0.0.2" };
	const body = { device_id: randomUUID(),
		device_token: await tokenOf("often") };

	for (let i = 0; i < 10; i++)
		assertPersonal(await check(body, options));
	const res = await check(body, options);
	assertError(res, 429, "rate_limited");
	assert.equal(res.headers["x-ratelimit-limit"], "10");
	assert.equal(res.headers["x-ratelimit-remaining"], "0");
	// One more in a tenth of the hour after which all ten are back.
	assert.match(res.headers["x-ratelimit-reset"], /^3[56]\d\d$/);
	assert.match(res.headers["retry-after"], /^3[56]\d$/);
	assertPersonal(await check(body));
});

test("a user keeps the ten newest sessions", async () => {
	const device_id = randomUUID();
	const device_token = await tokenOf("restless");
	const visits = [];

	for (let i = 0; i < 11; i++)
		visits.push(assertPersonal(await check({ device_id,
			device_token })));
	const [first, ...rest] = visits;
	assertError(await rendio.request("GET", "/functions/v1/get-user-credits",
	    { bearer: first.access_token }), 401, "unauthorized");
	for (const visit of rest)
		assert.equal(await creditsOf(rendio, visit), 10);
});

test("the audit finds nothing", async () => {
	await assertAuditClean(rendio);
});

// SPDX-License-Identifier: MIT
// POST /functions/v1/apple-id-notifications: Apple tells what became of a
// consent, an Apple ID or an address.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { AppleId, now_s } from "../fakes/appleid.mjs";
import { id, sql, whileGone } from "./support/database.mjs";
import { assertAuditClean, assertBudget, assertError, assertPersonal,
    assertTellsNothing } from "./support/expect.mjs";
import { assertDead, merge, signIn } from "./support/identity.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf } from "./support/jobs.mjs";
import { flipBit } from "./support/tokens.mjs";

let dir, apple, rendio;

before(async () => {
	dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	apple = await AppleId.start({ dir });
	rendio = await start({ env: apple.env });
});
after(async () => {
	await rendio.stop();
	await apple.stop();
	fs.rmSync(dir, { recursive: true });
});

async function notify(payload) {
	return await rendio.request("POST",
	    "/functions/v1/apple-id-notifications",
	    { body: { payload }, apikey: null });
}

async function noted(payload) {
	assert.deepEqual(assertPersonal(await notify(payload)),
	    { success: true });
}

/** A guest who has signed in with Apple, consent and all. */
async function linked(sub) {
	const guest = await rendio.guest(sub);
	const res = await merge(rendio, guest, {
		identity_token: apple.token({ sub, email: `${sub}@example.com` }),
		authorization_code: apple.code(sub),
	});
	return { ...assertPersonal(res), device_id: guest.device_id, sub };
}

async function userRow({ user }) {
	const [row] = await sql(rendio, `SELECT email, apple_sub, is_guest,
	    (SELECT COUNT(*) FROM apple_tokens WHERE user_id = users.id)
	    AS consents FROM users WHERE id = ${id(user.id)}`);
	return row;
}

test("a revoked consent signs out; a renewed sign-in finds the account",
    async () => {
	const ada = await linked("ada");
	assert.equal((await userRow(ada)).consents, 1);
	const payload = apple.notification({ type: "consent-revoked",
		sub: "ada" });

	await whileGone(rendio, ["apple_tokens"], async () =>
	    assertTellsNothing(await notify(payload)));
	await noted(payload);
	await assertDead(rendio, ada);
	assert.equal((await userRow(ada)).consents, 0);
	const again = assertPersonal(await signIn(rendio,
	    { id_token: apple.token({ sub: "ada" }) }));
	assert.equal(again.user.id, ada.user.id);
	// It comes again: it is known, and signs nobody out.
	await noted(payload);
	assert.equal(await creditsOf(rendio, again), 10);
	await assertAuditClean(rendio);
});

for (const type of ["account-delete", "account-deleted"])
	test(`${type}: the account is its phone's guest again`, async () => {
		const bob = await linked(type);

		await noted(apple.notification({ type, sub: bob.sub }));
		await assertDead(rendio, bob);
		assert.deepEqual(await userRow(bob), { email: null,
			apple_sub: null, is_guest: 1, consents: 0 });
		const back = await rendio.guest(type, bob.device_id);
		assert.equal(back.user_id, bob.user.id);
		assert.equal(await creditsOf(rendio, back), 10);
		await assertAuditClean(rendio);
	});

test("an address comes and goes", async () => {
	const eve = await linked("eve");
	assert.equal((await userRow(eve)).email, "eve@example.com");

	await noted(apple.notification({ type: "email-disabled", sub: "eve",
		email: "eve@example.com", is_private_email: "true" }));
	assert.equal((await userRow(eve)).email, null);
	await noted(apple.notification({ type: "email-enabled", sub: "eve",
		email: "new@example.com", is_private_email: "true" }));
	assert.equal((await userRow(eve)).email, "new@example.com");
	assert.equal(await creditsOf(rendio, eve), 10);
});

test("events may be an object, of an unknown kind, or about a stranger",
    async () => {
	const zoe = await linked("zoe");

	await noted(apple.notification({}, { events: { sub: "zoe",
		type: "passkey-added" } }));
	await noted(apple.notification({ type: "consent-revoked",
		sub: "stranger" }));
	assert.equal(await creditsOf(rendio, zoe), 10);
	await noted(apple.notification({}, { events: { sub: "zoe",
		type: "consent-revoked", event_time: Date.now() } }));
	await assertDead(rendio, zoe);
});

test("what Apple did not sign for us, and now, is 400", async () => {
	const max = await linked("max");
	const event = { type: "consent-revoked", sub: "max" };
	const good = apple.notification(event);
	const other = { ...apple.keys[0] };
	apple.rotate({ isPublished: false });
	const secret = apple.keys.shift();

	for (const payload of [
		"", "garbage", "a.b.c", flipBit(good, 1), flipBit(good, 2),
		apple.notification(event, {}, { key: { ...secret,
			kid: other.kid } }),
		apple.notification(event, {}, { header: { alg: "none" } }),
		apple.notification(event, { iss: "https://example.com" }),
		apple.notification(event, { aud: "com.example.stranger" }),
		apple.notification(event, { exp: now_s() }),
		apple.notification(event, { exp: undefined }),
		apple.notification(event, { iat: now_s() + 3600 }),
		apple.notification(event, { jti: undefined }),
		apple.notification(event, { events: undefined }),
		apple.notification(event, { events: "not json" }),
		apple.notification({ type: "consent-revoked" }),
		// An identity token is no notification.
		apple.token({ sub: "max" }),
	])
		assertError(await notify(payload), 400, "invalid_request");
	for (const body of [{}, { payload: null }, { payload: {} }])
		assertError(await rendio.request("POST",
		    "/functions/v1/apple-id-notifications", { body }), 400,
		    "invalid_request");
	assert.equal(await creditsOf(rendio, max), 10);
	await noted(good);
});

test("a notification that is sent twice at once is taken note of once",
    async () => {
	await linked("twice");
	const payload = apple.notification({ type: "consent-revoked",
		sub: "twice" }, { jti: randomUUID() });

	for (const res of await Promise.all(Array.from({ length: 10 }, () =>
	    notify(payload))))
		assert.equal(res.status, 200);
	await assertAuditClean(rendio);
});

test("while Apple's keys cannot be had it is 503: Apple sends it again",
    async () => {
	const payload = apple.notification({ type: "consent-revoked",
		sub: "later" });
	const cache = rendio.file("run", "appleid-jwks.json");
	const kept = fs.readFileSync(cache);

	fs.rmSync(cache);
	apple.fault = "500";
	assertError(await notify(payload), 503, "service_unavailable");
	apple.fault = null;
	fs.writeFileSync(cache, kept);
	await noted(payload);
});

test("no request costs more statements than its budget", () => {
	assertBudget(rendio, "apple-id-notifications", 6);
});

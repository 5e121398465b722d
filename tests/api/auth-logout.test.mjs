// SPDX-License-Identifier: MIT
// POST /auth/v1/logout: ends sessions, at once and everywhere.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertAuditClean, assertBudget, assertError }
    from "./support/expect.mjs";
import { assertDead } from "./support/identity.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf } from "./support/jobs.mjs";
import { badTokens, expiredToken } from "./support/tokens.mjs";

const PATH = "/auth/v1/logout";

let rendio;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

/** Three sessions of one user. */
async function sessions(name) {
	const first = await rendio.guest(name);
	const more = [];
	for (let i = 0; i < 2; i++)
		more.push(await rendio.guest(name, first.device_id));
	for (const { user_id } of more)
		assert.equal(user_id, first.user_id);
	return [first, ...more];
}

async function logOut(session, query = "", options = {}) {
	const res = await rendio.request("POST", `${PATH}${query}`,
	    { bearer: session.access_token, ...options });
	assert.equal(res.status, 204, res.text);
	assert.equal(res.text, "");
	assert.equal(res.headers["content-type"], undefined);
}

for (const query of ["", "?scope=global"])
	test(`logout${query} ends all sessions of the user, and no other`,
	    async () => {
		const mine = await sessions(`global${query.length}`);
		const other = await rendio.guest(`other${query.length}`);

		await logOut(mine[1], query);
		for (const session of mine)
			await assertDead(rendio, session);
		assert.equal(await creditsOf(rendio, other), 10);
		await assertAuditClean(rendio);
	});

test("scope=local ends this session alone", async () => {
	const [first, second, third] = await sessions("local");

	await logOut(second, "?scope=local");
	await assertDead(rendio, second);
	for (const session of [first, third])
		assert.equal(await creditsOf(rendio, session), 10);
});

test("scope=others ends all but this one", async () => {
	const [first, second, third] = await sessions("others");

	await logOut(second, "?scope=others");
	for (const session of [first, third])
		await assertDead(rendio, session);
	assert.equal(await creditsOf(rendio, second), 10);
	await logOut(second, "?scope=others");
	assert.equal(await creditsOf(rendio, second), 10);
});

test("another scope is 400 validation_failed, and nobody is out", async () => {
	const guest = await rendio.guest("scopes");

	for (const scope of ["", "all", "GLOBAL", "local,others"])
		assertError(await rendio.request("POST", `${PATH}?scope=${scope}`,
		    { bearer: guest.access_token }), 400, "validation_failed",
		    "auth");
	assert.equal(await creditsOf(rendio, guest), 10);
});

test("who is nobody cannot log out: 401 or 403", async () => {
	const guest = await rendio.guest("nobody");

	assertError(await rendio.request("POST", PATH), 401,
	    "no_authorization", "auth");
	for (const bearer of [expiredToken(rendio, guest),
		...Object.values(badTokens(rendio, guest))])
		assertError(await rendio.request("POST", PATH, { bearer }), 403,
		    "bad_jwt", "auth");
	await logOut(guest);
	assertError(await rendio.request("POST", PATH,
	    { bearer: guest.access_token }), 403, "session_not_found", "auth");
});

test("a body is not looked at", async () => {
	await logOut(await rendio.guest("body"), "", { body: {} });
	await logOut(await rendio.guest("bytes"), "", { body: "\0\0" });
});

test("no request costs more statements than its budget", () => {
	assertBudget(rendio, "auth-logout", 3);
});

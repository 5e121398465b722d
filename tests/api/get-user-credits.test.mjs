// SPDX-License-Identifier: MIT
// GET /functions/v1/get-user-credits: how many credits a user has left.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertError, assertPersonal, assertStatements }
    from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, orderJob } from "./support/jobs.mjs";
import { forge } from "./support/tokens.mjs";

const PATH = "/functions/v1/get-user-credits";

let rendio, ada, bob;

before(async () => {
	rendio = await start();
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
});
after(() => rendio.stop());

async function get(query = "", guest = ada) {
	return await rendio.request("GET", `${PATH}${query}`,
	    { bearer: guest.access_token });
}

test("a new guest has ten credits", async () => {
	const res = await get();

	assert.deepEqual(assertPersonal(res), { credits_remaining: 10 });
	// The session and the balance.
	await assertStatements(rendio, res, 2);
});

test("a token that was let in before ends with its time, and with its session",
    async () => {
	const guest = await rendio.guest("known");
	const exp = Math.floor(Date.now() / 1000) + 3;
	const short = { access_token: forge(rendio, guest, { exp }) };

	assert.equal((await get("", short)).status, 200);
	const res = await until(async () => {
		const got = await get("", short);
		return got.status !== 200 && got;
	}, 30_000);
	assertError(res, 401, "token_expired");
	assert.ok(Date.now() / 1000 >= exp);

	// As often as there are processes that may know it.
	for (let i = 0; i < 8; i++)
		assert.equal((await get("", guest)).status, 200);
	const out = await rendio.request("POST", "/auth/v1/logout",
	    { bearer: guest.access_token });
	assert.equal(out.status, 204);
	for (let i = 0; i < 8; i++)
		assertError(await get("", guest), 401, "unauthorized");
});

test("what is held by a job is not there", async () => {
	await orderJob(rendio, ada);
	assert.equal(await creditsOf(rendio, ada), 6);
	assert.equal(await creditsOf(rendio, bob), 10);
});

test("what the operator gives and takes is there at once", async () => {
	const grant = async (credits) => (await rendio.cli("user", "grant",
	    bob.user_id, credits, "--reason", "a gift")).code;

	assert.equal(await grant("15"), 0);
	assert.equal(await creditsOf(rendio, bob), 25);
	assert.equal(await grant("-25"), 0);
	assert.equal(await creditsOf(rendio, bob), 0);
	assert.notEqual(await grant("-1"), 0);
	assert.equal(await creditsOf(rendio, bob), 0);
});

test("the user_id that the app sends must be one's own", async () => {
	for (const query of [`?user_id=${ada.user_id}`,
		`?user_id=${ada.user_id.toUpperCase()}`, "?unknown=1"])
		assertPersonal(await get(query));
	for (const query of [`?user_id=${bob.user_id}`, "?user_id=",
		"?user_id=7"])
		assertError(await get(query), 403, "forbidden");
});

test("without a user it is 401", async () => {
	assertError(await get("", {}), 401, "unauthorized");
	assertError(await get(`?user_id=${ada.user_id}`,
	    { access_token: rendio.anonKey }), 401, "unauthorized");
});

// SPDX-License-Identifier: MIT
// GET /functions/v1/get-user-profile: the User object of the app.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertError, assertPersonal, assertStatements, DATE, UUID }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { orderJob } from "./support/jobs.mjs";

const PATH = "/functions/v1/get-user-profile";

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

test("a guest's profile has exactly the members of the app's User", async () => {
	const res = await get();
	const { app_account_token, created_at, updated_at, ...profile } =
	    assertPersonal(res);

	assert.deepEqual(profile, {
		id: ada.user_id,
		email: null,
		device_id: null,
		apple_sub: null,
		is_guest: true,
		tier: "free",
		credits_remaining: 10,
		credits_total: 10,
		initial_grant_claimed: true,
		language: "en",
		theme_preference: "system",
	});
	// What a purchase names must not tell who bought.
	assert.match(app_account_token, UUID);
	assert.notEqual(app_account_token, ada.user_id);
	// Mixed forms of dates inside one object break the app.
	assert.match(created_at, DATE);
	assert.match(updated_at, DATE);
	await assertStatements(rendio, res, 2);
});

test("what was spent and given shows in the numbers", async () => {
	await orderJob(rendio, ada);
	assert.equal((await rendio.cli("user", "grant", ada.user_id, "5",
	    "--reason", "a gift")).code, 0);
	const profile = assertPersonal(await get());

	assert.equal(profile.credits_remaining, 11);
	assert.equal(profile.credits_total, 15);
});

test("each has a purchase token of his own, and keeps it", async () => {
	const token = async (guest) =>
	    assertPersonal(await get("", guest)).app_account_token;

	assert.equal(await token(ada), await token(ada));
	assert.notEqual(await token(ada), await token(bob));
});

test("without a user it is 401, for another user 403", async () => {
	assertError(await get("", {}), 401, "unauthorized");
	assertError(await get(`?user_id=${bob.user_id}`), 403, "forbidden");
	assertPersonal(await get(`?user_id=${ada.user_id.toUpperCase()}`));
});

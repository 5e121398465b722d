// SPDX-License-Identifier: MIT
// GET /auth/v1/user: who the bearer of this token is.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertError, assertPersonal, assertStatements, DATE }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { expiredToken, flipBit, lostTokens } from "./support/tokens.mjs";

const PATH = "/auth/v1/user";

let rendio, ada, bob;

before(async () => {
	rendio = await start();
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
});
after(() => rendio.stop());

async function get(bearer) {
	return await rendio.request("GET", PATH, { bearer });
}

test("a guest is described in GoTrue's form", async () => {
	const res = await get(ada.access_token);
	const { created_at, updated_at, last_sign_in_at, ...user } =
	    assertPersonal(res);

	assert.deepEqual(user, {
		id: ada.user_id,
		aud: "authenticated",
		role: "authenticated",
		email: "",
		phone: "",
		app_metadata: {},
		user_metadata: {},
		identities: [],
		is_anonymous: true,
	});
	for (const date of [created_at, updated_at, last_sign_in_at])
		assert.match(date, DATE);
	await assertStatements(rendio, res, 2);
});

test("the official client takes our session for one of its own", async () => {
	const client = await rendio.supabase(ada);
	const { data, error } = await client.auth.getUser();

	assert.equal(error, null);
	assert.equal(data.user.id, ada.user_id);
	assert.equal(data.user.is_anonymous, true);
});

test("without a user it is 401 no_authorization", async () => {
	for (const bearer of [undefined, rendio.anonKey])
		assertError(await get(bearer), 401, "no_authorization", "auth");
});

test("a token that is not ours or has expired is 403 bad_jwt", async () => {
	for (const token of ["garbage", flipBit(ada.access_token, 1),
		expiredToken(rendio, ada)])
		assertError(await get(token), 403, "bad_jwt", "auth");
});

test("a session that is over is 403 session_not_found", async () => {
	const lost = lostTokens(rendio, ada, bob);

	for (const token of [lost.session_not_found, lost.another])
		assertError(await get(token), 403, "session_not_found", "auth");
});

test("a user who is not there is 403 user_not_found", async () => {
	assertError(await get(lostTokens(rendio, ada, bob).user_not_found), 403,
	    "user_not_found", "auth");
});

test("a suspended user is 403 user_banned, and later has no session",
    async () => {
	assert.equal((await rendio.cli("user", "ban", bob.user_id)).code, 0);
	assertError(await get(bob.access_token), 403, "user_banned", "auth");
	assert.equal((await rendio.cli("user", "unban", bob.user_id)).code, 0);
	assertError(await get(bob.access_token), 403, "session_not_found",
	    "auth");
});

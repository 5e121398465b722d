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

// --- PUT -----------------------------------------------------------------

async function put(guest, body) {
	return await rendio.request("PUT", PATH,
	    { bearer: guest.access_token, body });
}

async function metadataOf(guest) {
	return assertPersonal(await rendio.request("GET", PATH,
	    { bearer: guest.access_token })).user_metadata;
}

test("PUT merges data into user_metadata; null takes a member away",
    async () => {
	const guest = await rendio.guest("metadata");
	const deep = { a: [1, -2.5, 1e300, true, null, "\u0000é\"\\"
	    .slice(1)], b: { c: {} } };
	const body = assertPersonal(await put(guest, { data: { name: "Ada",
		deep, gone: 1 }, code_challenge: null,
		code_challenge_method: null }));

	assert.equal(body.id, guest.user_id);
	assert.deepEqual(body.user_metadata, { name: "Ada", deep, gone: 1 });
	assert.deepEqual(assertPersonal(await put(guest, { data: {
		gone: null, never: null, name: "Bob" } })).user_metadata,
	    { name: "Bob", deep });
	assert.deepEqual(await metadataOf(guest), { name: "Bob", deep });
	for (const nothing of [{}, { data: null }, { data: {} }])
		assert.deepEqual(assertPersonal(await put(guest, nothing))
		    .user_metadata, { name: "Bob", deep });
});

test("PUT of an email, phone or password is 422, other data is 400",
    async () => {
	const guest = await rendio.guest("no-email");

	for (const body of [{ email: "a@example.com" }, { phone: "1" },
		{ password: "x" }, { data: { a: 1 }, email: "" }])
		assertError(await put(guest, body), 422, "validation_failed",
		    "auth");
	for (const data of [7, "x", [], true])
		assertError(await put(guest, { data }), 400,
		    "validation_failed", "auth");
	assertError(await put(guest, "{"), 400, "bad_json", "auth");
	assert.deepEqual(await metadataOf(guest), {});
});

test("what is kept has at most 16,384 bytes", async () => {
	const guest = await rendio.guest("limit");
	const data = (n) => ({ a: "x".repeat(n - '{"a":""}'.length) });

	for (const [n, status] of [[16383, 200], [16384, 200], [16385, 422]])
		assert.equal((await put(guest, { data: data(n) })).status,
		    status, String(n));
	assertError(await put(guest, { data: { b: 1 } }), 422,
	    "validation_failed", "auth");
	assert.deepEqual(await metadataOf(guest), data(16384));
});

test("twenty parallel PUTs of different members all stay", async () => {
	const guest = await rendio.guest("parallel");
	const all = await Promise.all(Array.from({ length: 20 }, (_, i) =>
	    put(guest, { data: { [`m${i}`]: i } })));

	for (const res of all)
		assert.ok([200, 503].includes(res.status), res.text);
	const kept = all.filter(({ status }) => status === 200).length;
	assert.equal(Object.keys(await metadataOf(guest)).length, kept);
	assert.ok(kept >= 10, String(kept));
});

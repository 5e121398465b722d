// SPDX-License-Identifier: MIT
// POST /auth/v1/token: a new access token for a refresh token.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { id, sql, whileLocked } from "./support/database.mjs";
import { assertError, assertPersonal, assertStatements }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf, stopWorker } from "./support/jobs.mjs";
import { claimsOf } from "./support/tokens.mjs";

const PATH = "/auth/v1/token?grant_type=refresh_token";

let rendio;

before(async () => {
	rendio = await start();
	// It would clear away the sessions that are too old.
	await stopWorker(rendio);
});
after(() => rendio.stop());

async function refresh({ refresh_token }, options = {}) {
	return await rendio.request("POST", PATH,
	    { body: { refresh_token }, ...options });
}

async function refreshed(session) {
	return assertPersonal(await refresh(session));
}

/** Lets time pass for a session that was last refreshed just now. */
async function age(session, ms) {
	const { session_id } = claimsOf(session.access_token);
	await sql(rendio, `UPDATE sessions SET refreshed_at_ms =
	    refreshed_at_ms - ${ms} WHERE id = ${id(session_id)}`);
}

/** A refresh token with other bytes, its check sum made right again. */
function altered({ refresh_token }, at) {
	const bytes = Buffer.from(refresh_token, "base64url");
	const end = bytes.length - 4;
	bytes[at < 0 ? end + at : at] ^= 1;
	createHash("sha256").update(bytes.subarray(0, end)).digest()
	    .copy(bytes, end, 0, 4);
	return { refresh_token: bytes.toString("base64url") };
}

test("a refresh token gives a new session object of the same session",
    async () => {
	const ada = await rendio.guest("ada");
	const res = await refresh(ada);
	const body = assertPersonal(res);

	assert.deepEqual(Object.keys(body), ["access_token", "refresh_token",
		"expires_in", "expires_at", "token_type", "user"]);
	assert.equal(body.token_type, "bearer");
	assert.equal(body.expires_in, 3600);
	assert.equal(body.user.id, ada.user_id);
	assert.equal(body.user.is_anonymous, true);
	assert.notEqual(body.refresh_token, ada.refresh_token);
	const claims = claimsOf(body.access_token);
	assert.equal(claims.session_id, claimsOf(ada.access_token).session_id);
	assert.equal(claims.sub, ada.user_id);
	assert.equal(claims.exp, body.expires_at);
	await assertStatements(rendio, res, 4);
	for (const session of [ada, body])
		assert.equal(await creditsOf(rendio, session), 10);
});

test("the parent of the present token gives the present token again",
    async () => {
	const first = await rendio.guest("parent");
	const second = await refreshed(first);

	await age(second, 3600_000);
	const again = await refreshed(first);
	assert.equal(again.refresh_token, second.refresh_token);
	// The chain goes on from there.
	const third = await refreshed(again);
	assert.notEqual(third.refresh_token, second.refresh_token);
});

test("an older token is forgiven while racers may be under way", async () => {
	const first = await rendio.guest("racer");
	const third = await refreshed(await refreshed(first));

	assert.equal((await refreshed(first)).refresh_token,
	    third.refresh_token);
});

test("an older token later is a stolen one: the session ends", async () => {
	const first = await rendio.guest("victim");
	const third = await refreshed(await refreshed(first));

	await age(third, 10_000);
	assertError(await refresh(first), 400, "refresh_token_already_used",
	    "auth");
	assertError(await refresh(third), 400, "refresh_token_not_found",
	    "auth");
	assertError(await rendio.request("GET", "/auth/v1/user",
	    { bearer: third.access_token }), 403, "session_not_found", "auth");
});

test("a session that was not refreshed for half a year is session_expired",
    async () => {
	const guest = await rendio.guest("sleeper");

	await age(guest, 179 * 24 * 3600_000);
	const next = await refreshed(guest);
	await age(next, 181 * 24 * 3600_000);
	assertError(await refresh(next), 400, "session_expired", "auth");
	assertError(await refresh(next), 400, "refresh_token_not_found", "auth");
});

test("a token that is malformed is 400 validation_failed", async () => {
	const guest = await rendio.guest("mallory");
	const token = guest.refresh_token;

	for (const refresh_token of ["", "x", "abcdefghijkl", `${token}A`,
		`${token}=`, token.slice(1), token.slice(0, -1),
		token.replace(/.$/, (c) => c === "A" ? "B" : "A"),
		"A".repeat(50_000)])
		assertError(await refresh({ refresh_token }), 400,
		    "validation_failed", "auth");
	for (const body of [{}, { refresh_token: null }, { refresh_token: 7 }])
		assertError(await rendio.request("POST", PATH, { body }), 400,
		    "validation_failed", "auth");
	// A counter and a MAC that we never gave out.
	for (const at of [17, -1])
		assertError(await refresh(altered(guest, at)), 400,
		    "validation_failed", "auth");
	// Nothing of this has hurt the session.
	await refreshed(guest);
});

test("a token of no session is 400 refresh_token_not_found", async () => {
	const guest = await rendio.guest("nobody");

	assertError(await refresh(altered(guest, 1)), 400,
	    "refresh_token_not_found", "auth");
});

test("a suspended user is not refreshed", async () => {
	const guest = await rendio.guest("banned");

	assert.equal((await rendio.cli("user", "ban", guest.user_id)).code, 0);
	// The ban ended the sessions; one that slipped through is no better.
	assertError(await refresh(guest), 400, "refresh_token_not_found",
	    "auth");
	const other = await rendio.guest("banned-later");
	await sql(rendio, `UPDATE users SET status = 'banned'
	    WHERE id = ${id(other.user_id)}`);
	assertError(await refresh(other), 400, "user_banned", "auth");
});

test("another grant is 400 invalid_credentials", async () => {
	const guest = await rendio.guest("grants");
	const body = { refresh_token: guest.refresh_token };

	for (const query of ["", "?grant_type=password", "?grant_type=",
		"?grant_type=REFRESH_TOKEN", "?grant_type=refresh_token%20"])
		assertError(await rendio.request("POST", `/auth/v1/token${query}`,
		    { body }), 400, "invalid_credentials", "auth");
	await refreshed(guest);
});

test("a bearer, even an expired one, is not looked at", async () => {
	const guest = await rendio.guest("careless");

	for (const bearer of ["garbage", rendio.anonKey, guest.access_token])
		assertPersonal(await refresh(guest, { bearer }));
});

test("a database that is locked for too long is 503, and nothing is decided",
    async () => {
	const guest = await rendio.guest("patient");

	await whileLocked(rendio, async () => {
		assertError(await refresh(guest), 503, "service_unavailable",
		    "auth");
	});
	await refreshed(guest);
});

test("the official client refreshes by it", async () => {
	const guest = await rendio.guest("official");
	const client = await rendio.supabase(guest);
	const { data, error } = await client.auth.refreshSession();

	assert.equal(error, null);
	assert.equal(data.user.id, guest.user_id);
	assert.notEqual(data.session.refresh_token, guest.refresh_token);
	const again = await client.auth.refreshSession();
	assert.equal(again.error, null);
});

test("the official client knows a dead session by our code", async () => {
	const guest = await rendio.guest("dead");
	const client = await rendio.supabase(guest);

	assert.equal((await rendio.cli("user", "ban", guest.user_id)).code, 0);
	const { error } = await client.auth.refreshSession();
	assert.equal(error.code, "refresh_token_not_found");
});

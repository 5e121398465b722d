// SPDX-License-Identifier: MIT
// POST /auth/v1/token: a new access token for a refresh token, or for an
// identity token of Apple.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { id, sql, whileLocked } from "./support/database.mjs";
import { assertAuditClean, assertError, assertPersonal, assertStatements }
    from "./support/expect.mjs";
import { assertRefused, identityToken, signedIn, signIn }
    from "./support/identity.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf, orderJob, statusOf, stopWorker }
    from "./support/jobs.mjs";
import { badTokens, claimsOf, expiredToken, flipBit, lostTokens }
    from "./support/tokens.mjs";

const PATH = "/auth/v1/token?grant_type=refresh_token";

let rendio;

before(async () => {
	rendio = await start({ env: { RENDIO_LIMIT_FORGERY_PER_H: "3" } });
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
	await assertStatements(rendio, res, 7);
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

test("who shows forged tokens is held up, who has a good one is not",
    async () => {
	const guest = await rendio.guest("beside-a-forger");
	const from = { localAddress: "127.0.0.9" };
	const forged = { refresh_token: "forged" };

	for (let i = 0; i < 3; i++)
		assertError(await refresh(forged, from), 400,
		    "validation_failed", "auth");
	const res = await refresh(forged, from);
	assertError(res, 429, "over_request_rate_limit", "auth");
	assert.equal(res.headers["x-ratelimit-limit"], "3");
	assert.match(res.headers["retry-after"], /^[1-9]/);
	assertPersonal(await refresh(guest, from));
});

test("a token of no session is 400 refresh_token_not_found", async () => {
	const guest = await rendio.guest("nobody");

	assertError(await refresh(altered(guest, 1)), 400,
	    "refresh_token_not_found", "auth");
});

test("a suspended user is not refreshed", async () => {
	const guest = await rendio.guest("banned");

	assert.equal((await rendio.cli("user", "ban", guest.user_id)).code, 0);
	// Told why, as often as it comes; it does not come back with the ban.
	for (let i = 0; i < 2; i++)
		assertError(await refresh(guest), 400, "user_banned", "auth");
	assert.equal((await rendio.cli("user", "unban", guest.user_id)).code, 0);
	assertError(await refresh(guest), 400, "refresh_token_not_found",
	    "auth");
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

	assert.equal((await rendio.cli("user", "logout", guest.user_id)).code, 0);
	const { error } = await client.auth.refreshSession();
	assert.equal(error.code, "refresh_token_not_found");
});

// --- grant_type=id_token -----------------------------------------------------

test("an unknown Apple ID gets an account of its own, without a gift",
    async () => {
	const id_token = await identityToken(rendio, "new.person");
	const body = assertPersonal(await signIn(rendio, { id_token }));

	assert.deepEqual(Object.keys(body), ["access_token", "refresh_token",
		"expires_in", "expires_at", "token_type", "user"]);
	assert.equal(body.user.is_anonymous, false);
	assert.equal(body.user.email, "new.person@privaterelay.appleid.com");
	assert.deepEqual(body.user.app_metadata,
	    { provider: "apple", providers: ["apple"] });
	assert.equal(body.user.identities[0].id, "new.person");
	const claims = claimsOf(body.access_token);
	assert.equal(claims.sub, body.user.id);
	assert.equal(claims.is_anonymous, false);
	assert.equal(claims.amr[0].method, "oauth");
	assert.equal(await creditsOf(rendio, body), 0);
	const again = await signedIn(rendio, "new.person");
	assert.equal(again.user.id, body.user.id);
	assert.notEqual(again.refresh_token, body.refresh_token);
	await refreshed(again);
});

test("a guest with an unknown Apple ID is upgraded in place", async () => {
	const guest = await rendio.guest("upgraded");
	const job = await orderJob(rendio, guest);
	const body = assertPersonal(await signIn(rendio,
	    { id_token: await identityToken(rendio, "upgraded.person") },
	    { bearer: guest.access_token }));

	assert.equal(body.user.id, guest.user_id);
	assert.equal((await statusOf(rendio, body, job)).status, 200);
	assert.equal(await creditsOf(rendio, body),
	    await creditsOf(rendio, guest));
	// The phone's secret no longer opens what belongs to an Apple ID.
	const back = await rendio.guest("upgraded", guest.device_id);
	assert.notEqual(back.user_id, guest.user_id);
	assert.equal(back.credits_remaining, 0);
	await assertAuditClean(rendio);
});

test("a guest whose token has just expired does not lose what he has",
    async () => {
	const guest = await rendio.guest("late");
	const bearer = expiredToken(rendio, guest);
	const id_token = await identityToken(rendio, "late.person");

	assertError(await signIn(rendio, { id_token }, { bearer }), 403,
	    "bad_jwt", "auth");
	const next = await refreshed(guest);
	const body = assertPersonal(await signIn(rendio, { id_token },
	    { bearer: next.access_token }));
	assert.equal(body.user.id, guest.user_id);
	assert.equal(await creditsOf(rendio, body), 10);

	// What its session ended with tells nobody anything.
	assert.equal((await rendio.request("POST",
	    "/auth/v1/logout?scope=global",
	    { bearer: body.access_token })).status, 204);
	assertPersonal(await signIn(rendio,
	    { id_token: await identityToken(rendio, "late.person") },
	    { bearer }));
});

test("a known Apple ID is signed in to its account whoever asks", async () => {
	const owner = await signedIn(rendio, "known.person");
	const guest = await rendio.guest("visitor");
	const body = assertPersonal(await signIn(rendio,
	    { id_token: await identityToken(rendio, "known.person") },
	    { bearer: guest.access_token }));

	assert.equal(body.user.id, owner.user.id);
	assert.equal(await creditsOf(rendio, guest), 10);
});

test("link_identity attaches to the user of the token, or is refused",
    async () => {
	const guest = await rendio.guest("linker");
	const link = async (sub, bearer) => await signIn(rendio, {
		id_token: await identityToken(rendio, sub),
		link_identity: true }, { bearer });

	assertError(await link("linked", undefined), 401, "no_authorization",
	    "auth");
	assertError(await link("linked", rendio.anonKey), 401,
	    "no_authorization", "auth");
	for (const bearer of Object.values(badTokens(rendio, guest)))
		assertError(await link("linked", bearer), 403, "bad_jwt",
		    "auth");
	assertError(await link("linked",
	    lostTokens(rendio, guest, guest).session_not_found), 403,
	    "session_not_found", "auth");
	const body = assertPersonal(await link("linked", guest.access_token));
	assert.equal(body.user.id, guest.user_id);
	assert.equal(body.user.is_anonymous, false);
	// Its own again, another one, and one of somebody else.
	await signedIn(rendio, "somebody.else");
	for (const sub of ["linked", "another", "somebody.else"])
		assertError(await link(sub, guest.access_token), 422,
		    "identity_already_exists", "auth");
	const other = await rendio.guest("linker-2");
	assertError(await link("linked", other.access_token), 422,
	    "identity_already_exists", "auth");
	assert.equal(await creditsOf(rendio, other), 10);
});

test("a token with a nonce is taken once, and only with its nonce",
    async () => {
	const nonce = "a raw nonce";
	const id_token = await identityToken(rendio, "nonce.person", nonce);
	const hash = createHash("sha256").update(nonce).digest("hex");

	for (const wrong of [undefined, "", "another", hash])
		assertRefused(await signIn(rendio, { id_token, nonce: wrong }),
		    "invalid nonce");
	assertRefused(await signIn(rendio, { nonce,
		id_token: await identityToken(rendio, "nonce.person") }),
	    "invalid nonce");
	const all = await Promise.all(Array.from({ length: 10 }, () =>
	    signIn(rendio, { id_token, nonce })));
	assert.equal(all.filter(({ status }) => status === 200).length, 1);
	assertRefused(await signIn(rendio, { id_token, nonce }),
	    "ID token was used before");
});

test("a token that cannot be linked may still sign in", async () => {
	const nonce = "for both";
	const owner = await signedIn(rendio, "both.person");
	const guest = await rendio.guest("both");
	const id_token = await identityToken(rendio, "both.person", nonce);

	assertError(await signIn(rendio,
	    { id_token, nonce, link_identity: true },
	    { bearer: guest.access_token }), 422, "identity_already_exists",
	    "auth");
	assert.equal(assertPersonal(await signIn(rendio, { id_token, nonce }))
	    .user.id, owner.user.id);
});

test("an identity token that is not good is refused in OAuth's words",
    async () => {
	const good = await identityToken(rendio, "bad.person");
	const [head, body, mac] = good.split(".");
	const encode = (value) =>
	    Buffer.from(JSON.stringify(value)).toString("base64url");
	const claims = claimsOf(good);

	for (const id_token of [undefined, null, ""])
		assertRefused(await signIn(rendio, { id_token }),
		    "id_token required");
	for (const [what, id_token] of Object.entries({
		"garbage": "garbage",
		"three parts": "a.b.c",
		"no signature": `${head}.${body}.`,
		"a flipped bit": flipBit(good, 2),
		"alg none": `${encode({ alg: "none", kid: "sandbox" })}.${body}.`,
		"another kid": `${encode({ alg: "RS256", kid: "k" })}.${body}.${mac}`,
		"another subject":
		    `${head}.${encode({ ...claims, sub: "victim" })}.${mac}`,
		"too long": "A".repeat(9000),
	}))
		assertRefused(await signIn(rendio, { id_token }), "Bad ID token",
		    what);
	const ours = await rendio.guest("ours");
	assertError(await signIn(rendio, { id_token: ours.access_token }), 400,
	    "validation_failed", "auth");
	assertError(await signIn(rendio, { id_token: 7 }), 400,
	    "validation_failed", "auth");
});

test("another provider is 400 provider_disabled", async () => {
	const id_token = await identityToken(rendio, "other.provider");

	for (const provider of ["google", "", "Apple", undefined])
		assertError(await signIn(rendio, { id_token, provider }), 400,
		    "provider_disabled", "auth");
});

test("the Apple ID of a suspended account is 403 user_banned", async () => {
	const owner = await signedIn(rendio, "banned.person");

	assert.equal((await rendio.cli("user", "ban", owner.user.id)).code, 0);
	assertError(await signIn(rendio,
	    { id_token: await identityToken(rendio, "banned.person") }), 403,
	    "user_banned", "auth");
});

test("twenty parallel sign-ins of a new person make one account", async () => {
	const id_token = await identityToken(rendio, "parallel.person");
	const all = await Promise.all(Array.from({ length: 20 }, () =>
	    signIn(rendio, { id_token })));

	assert.deepEqual([...new Set(all.map(({ status }) => status))], [200]);
	assert.equal(new Set(all.map((res) => res.json().user.id)).size, 1);
	await assertAuditClean(rendio);
});

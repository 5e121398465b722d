// SPDX-License-Identifier: MIT
// The official client against our nginx, from a phone's first start to its
// sign-out.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { id, sql } from "./support/database.mjs";
import { assertAuditClean } from "./support/expect.mjs";
import { assertDead, identityToken } from "./support/identity.mjs";
import { start } from "./support/instance.mjs";
import { stopWorker } from "./support/jobs.mjs";
import { claimsOf, flipBit } from "./support/tokens.mjs";

let rendio;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

/** A client with the session of a new phone. */
async function client(name) {
	const guest = await rendio.guest(name);
	return { guest, auth: (await rendio.supabase(guest)).auth };
}

function good({ data, error }) {
	assert.equal(error, null);
	return data;
}

test("setSession, getUser and refreshSession", async () => {
	const { guest, auth } = await client("first");

	const { user } = good(await auth.getUser());
	assert.equal(user.id, guest.user_id);
	assert.equal(user.is_anonymous, true);
	const { session } = good(await auth.refreshSession());
	assert.notEqual(session.refresh_token, guest.refresh_token);
	assert.equal(session.user.id, guest.user_id);
	assert.equal(good(await auth.getUser()).user.id, guest.user_id);
});

test("ten clients that refresh at once hold one and the same token",
    async () => {
	const guest = await rendio.guest("ten");
	const clients = await Promise.all(Array.from({ length: 10 }, () =>
	    rendio.supabase(guest)));
	const sessions = await Promise.all(clients.map(async ({ auth }) =>
	    good(await auth.refreshSession()).session));

	assert.equal(new Set(sessions.map((session) =>
	    session.refresh_token)).size, 1);
	for (const { auth } of clients)
		good(await auth.getUser());
});

test("a stolen old token ends its session, and no other", async () => {
	const { guest, auth } = await client("robbed");
	const other = await rendio.guest("robbed", guest.device_id);
	good(await auth.refreshSession());
	const { session } = good(await auth.refreshSession());
	const { session_id } = claimsOf(session.access_token);
	await sql(rendio, `UPDATE sessions SET refreshed_at_ms =
	    refreshed_at_ms - 10000 WHERE id = ${id(session_id)}`);

	const thief = await rendio.supabase();
	const { error } = await thief.auth.refreshSession(guest);
	assert.equal(error.code, "refresh_token_already_used");
	await assertDead(rendio, session);
	const { error: dead } = await auth.getUser();
	assert.equal(dead.code ?? dead.name, "AuthSessionMissingError");
	good(await (await rendio.supabase(other)).auth.getUser());
});

test("signInWithIdToken, good and bad", async () => {
	const { auth } = await rendio.supabase();
	const nonce = "raw";
	const token = await identityToken(rendio, "js.person", nonce);
	const signIn = async (credentials) => await auth.signInWithIdToken(
	    { provider: "apple", ...credentials });

	const bad = await signIn({ token: flipBit(token, 2), nonce });
	assert.equal(bad.error.status, 400);
	assert.equal(bad.error.message, "Bad ID token");
	assert.equal((await signIn({ token })).error.message, "invalid nonce");
	assert.equal((await signIn({ token, nonce: "other" })).error.message,
	    "invalid nonce");
	const { user, session } = good(await signIn({ token, nonce }));
	assert.equal(user.is_anonymous, false);
	assert.equal(user.app_metadata.provider, "apple");
	assert.equal(session.user.id, user.id);
	assert.equal(good(await auth.getUser()).user.id, user.id);
	assert.equal((await signIn({ token, nonce })).error.message,
	    "ID token was used before");
	const other = await auth.signInWithIdToken({ provider: "google",
		token: await identityToken(rendio, "js.person") });
	assert.equal(other.error.code, "provider_disabled");
});

test("linkIdentity keeps the guest's id; a taken one is refused",
    async () => {
	const { guest, auth } = await client("linker");
	const token = await identityToken(rendio, "js.linked", "n");
	const { user } = good(await auth.linkIdentity({ provider: "apple",
		token, nonce: "n" }));

	assert.equal(user.id, guest.user_id);
	assert.equal(user.is_anonymous, false);
	const { identities } = good(await auth.getUserIdentities());
	assert.equal(identities.length, 1);
	assert.equal(identities[0].provider, "apple");
	assert.equal(identities[0].id, "js.linked");
	good(await auth.refreshSession());
	const second = await client("linker-2");
	const { error } = await second.auth.linkIdentity({ provider: "apple",
		token: await identityToken(rendio, "js.linked") });
	assert.equal(error.code, "identity_already_exists");
	good(await second.auth.getUser());
});

test("updateUser merges metadata, and refuses an e-mail address",
    async () => {
	const { auth } = await client("updater");

	good(await auth.updateUser({ data: { name: "Ada", a: 1 } }));
	const { user } = good(await auth.updateUser({ data: { a: 2 } }));
	assert.deepEqual(user.user_metadata, { name: "Ada", a: 2 });
	const { error } = await auth.updateUser({ email: "a@example.com" });
	assert.equal(error.code, "validation_failed");
	assert.equal(error.status, 422);
});

test("after deleting the account the client is signed out", async () => {
	const { auth } = await client("deleter");
	const { session } = good(await auth.getSession());
	const deleter = await rendio.supabase(session);

	assert.deepEqual(good(await deleter.functions.invoke("delete-account",
	    { body: {} })), { success: true });
	await assertDead(rendio, session);
	const { data, error } = await auth.refreshSession();
	assert.equal(error.code, "refresh_token_not_found");
	assert.equal(data.session, null);
});

test("signOut others leaves this one", async () => {
	const { guest, auth } = await client("others");
	const other = await rendio.guest("others", guest.device_id);

	assert.equal((await auth.signOut({ scope: "others" })).error, null);
	await assertDead(rendio, other);
	good(await auth.getUser());
	good(await auth.refreshSession());
});

for (const scope of ["local", "global"])
	test(`signOut ${scope}: the token is dead in every area`, async () => {
		const { auth } = await client(`leaver-${scope}`);
		const { session } = good(await auth.getSession());

		assert.equal((await auth.signOut({ scope })).error, null);
		assert.equal((await auth.getSession()).data.session, null);
		await assertDead(rendio, session);
	});

test("in the end everything fits together", async () => {
	await stopWorker(rendio);
	await assertAuditClean(rendio);
});

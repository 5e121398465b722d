// SPDX-License-Identifier: MIT
// POST /functions/v1/update-user-settings.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertError, assertPersonal, assertStatements } from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { badTokens, expiredToken } from "./support/tokens.mjs";

const TARGET = "/functions/v1/update-user-settings";

let rendio, ada, bob;

before(async () => {
	rendio = await start();
	ada = await rendio.guest("ada");
	bob = await rendio.guest("bob");
});
after(() => rendio.stop());

async function update(body, options = {}) {
	return await rendio.request("POST", TARGET,
	    { bearer: ada.access_token, body, ...options });
}

async function profile(who = ada) {
	return (await rendio.request("GET", "/functions/v1/get-user-profile",
	    { bearer: who.access_token })).json();
}

test("what is given is changed and answered", async () => {
	const before = await profile();
	const res = await update({ language: "es", theme_preference: "dark" });
	const after = assertPersonal(res);
	assert.deepEqual(after, { ...before, language: "es",
		theme_preference: "dark", updated_at: after.updated_at });
	assert.deepEqual(await profile(), after);
	await assertStatements(rendio, res, 5);

	assert.equal((await update({ language: "tr" })).json()
	    .theme_preference, "dark");
	assert.equal((await update({ theme_preference: "light",
		language: null })).json().language, "tr");
	for (const body of [{}, { user_id: ada.user_id },
		{ user_id: ada.user_id.toUpperCase() }])
		assert.equal((await update(body)).json().language, "tr");
	assert.equal((await profile(bob)).language, "en");
});

test("values and members are those that there are", async () => {
	const before = await profile();
	for (const value of ["xx", "", "EN", "en-US", 7, false, [], {},
		"x".repeat(5000)]) {
		assertError(await update({ language: value }), 400,
		    "invalid_request");
		assertError(await update({ theme_preference: value,
			language: "en" }), 400, "invalid_request");
	}
	for (const body of [{ language: "en", tier: "premium" },
		{ credits_remaining: 9 }, { is_admin: true }, { Language: "en" }])
		assertError(await update(body), 400, "invalid_request");
	assertError(await update({ language: "x".repeat(1 << 20) }), 413,
	    "payload_too_large");
	for (const body of ["", "{", "[]"])
		assertError(await update(body, { headers: {
			"content-type": "application/json" } }), 400,
		    "invalid_json");
	assert.deepEqual(await profile(), before);
});

test("only for oneself", async () => {
	assertError(await update({ language: "en", user_id: bob.user_id }), 403,
	    "forbidden");
	assertError(await rendio.request("POST",
	    `${TARGET}?user_id=${bob.user_id}`, { bearer: ada.access_token,
		body: { language: "en" } }), 403, "forbidden");
	for (const bearer of [undefined, rendio.anonKey,
		...Object.values(badTokens(rendio, ada))])
		assertError(await update({ language: "en" }, { bearer }), 401,
		    "unauthorized");
	assertError(await update({ language: "en" },
	    { bearer: expiredToken(rendio, ada) }), 401, "token_expired");
	assertError(await update({}, { apikey: null }), 401, "invalid_api_key");
	assertError(await rendio.request("GET", TARGET,
	    { bearer: ada.access_token }), 405, "method_not_allowed");
});

// SPDX-License-Identifier: MIT
// POST /auth/v1/signup: the door for new accounts is elsewhere.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sql } from "./support/database.mjs";
import { assertBudget, assertError } from "./support/expect.mjs";
import { start } from "./support/instance.mjs";

let rendio;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

test("every sign-up is 422 anonymous_provider_disabled", async () => {
	for (const body of [{}, { data: {}, gotrue_meta_security: {} },
		{ email: "a@example.com", password: "x" }, "", "not json"])
		assertError(await rendio.request("POST", "/auth/v1/signup",
		    { body }), 422, "anonymous_provider_disabled", "auth");
	assert.deepEqual(await sql(rendio, "SELECT id FROM users"), []);
});

test("the official client understands it", async () => {
	const client = await rendio.supabase();
	const { data, error } = await client.auth.signInAnonymously();

	assert.equal(error.code, "anonymous_provider_disabled");
	assert.equal(data.session, null);
});

test("without the apikey it says nothing of that", async () => {
	assertError(await rendio.request("POST", "/auth/v1/signup",
	    { apikey: null, body: {} }), 401, "invalid_api_key", "auth");
});

test("no request costs more statements than its budget", () => {
	assertBudget(rendio, "auth-signup", 0);
});

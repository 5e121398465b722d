// SPDX-License-Identifier: MIT
// GET /auth/v1/.well-known/jwks.json: there are no public keys.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertBudget } from "./support/expect.mjs";
import { start } from "./support/instance.mjs";

const PATH = "/auth/v1/.well-known/jwks.json";

let rendio;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

test("the set of public keys is empty, for anybody, for a while", async () => {
	const res = await rendio.request("GET", PATH, { apikey: null });

	assert.equal(res.status, 200);
	assert.deepEqual(res.json(), { keys: [] });
	assert.equal(res.headers["cache-control"], "public, max-age=600");
	const head = await rendio.request("HEAD", PATH, { apikey: null });
	assert.equal(head.status, 200);
	assert.equal(head.text, "");
});

test("the official client reads claims by asking us", async () => {
	const guest = await rendio.guest("claims");
	const client = await rendio.supabase(guest);
	const { data, error } = await client.auth.getClaims();

	assert.equal(error, null);
	assert.equal(data.claims.sub, guest.user_id);
});

test("no request costs more statements than its budget", () => {
	assertBudget(rendio, "auth-jwks", 0);
});

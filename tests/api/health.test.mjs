// SPDX-License-Identifier: MIT
// GET /health: the router, a process and the database answer.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sql } from "./support/database.mjs";
import { assertError, assertStatements } from "./support/expect.mjs";
import { start } from "./support/instance.mjs";

let rendio;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

async function get(method = "GET") {
	return await rendio.request(method, "/health", { apikey: null });
}

test("all is well", async () => {
	const res = await get();

	assert.equal(res.status, 200);
	assert.equal(res.headers["content-type"], "application/json");
	assert.equal(res.headers["cache-control"], "no-store");
	assert.deepEqual(res.json(), { status: "ok" });
	await assertStatements(rendio, res, 2);

	const head = await get("HEAD");
	assert.equal(head.status, 200);
	assert.equal(head.headers["content-length"],
	    res.headers["content-length"]);
	assert.equal(head.bytes.length, 0);
});

test("no active model is the owner's affair, not the machine's", async () => {
	const { models } = (await rendio.request("GET",
	    "/functions/v1/get-models")).json();

	for (const model of models)
		assert.equal((await rendio.cli("model", "set", model.id,
		    "state=disabled")).code, 0);
	assert.equal((await get()).status, 200);
});

test("a database that cannot be asked is 503 with Retry-After", async () => {
	await sql(rendio, "ALTER TABLE models RENAME TO elsewhere");
	try {
		assertError(await get(), 503, "service_unavailable");
		assert.equal((await get("HEAD")).status, 503);
	} finally {
		await sql(rendio, "ALTER TABLE elsewhere RENAME TO models");
	}
	assert.equal((await get()).status, 200);
});

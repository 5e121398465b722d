// SPDX-License-Identifier: MIT
// GET /health/ready: what we depend on, and how it is.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sql } from "./support/database.mjs";
import { assertError, assertStatements } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { stopWorker } from "./support/jobs.mjs";

let rendio;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

const get = (options = {}) => rendio.request("GET", "/health/ready",
    { apikey: null, ...options });

test("all is ready when all is well", async () => {
	const res = await until(async () => {
		const answer = await get();
		return answer.json().status === "ready" && answer;
	}, 30_000);
	assert.equal(res.status, 200);
	assert.deepEqual(res.json().dependencies, { database: "ok", disk: "ok",
		worker: "ok", realtime: "ok", providers: "ok", apple: "ok" });
	await assertStatements(rendio, res, 5);
});

test("it is told to this machine alone", async () => {
	assertError(await get({ localAddress: "127.0.0.2" }), 404, "not_found");
	assertError(await get({ headers: { "x-forwarded-for": "127.0.0.1" },
		localAddress: "127.0.0.2" }), 404, "not_found");
});

test("a breaker and a silent Apple degrade, but orders are taken", async () => {
	assert.equal((await rendio.cli("provider", "stop", "fal")).code, 0);
	assert.equal((await get()).json().dependencies.providers,
	    "breaker_open");
	assert.equal((await rendio.cli("provider", "start", "fal")).code, 0);
	const now = Date.now();
	await sql(rendio, "INSERT INTO upstreams VALUES ('apple', 'appleid', 3," +
	    ` 'no answer', ${now}, ${now})`);
	const res = await get();
	assert.equal(res.status, 200);
	assert.equal(res.json().status, "degraded");
	assert.equal(res.json().dependencies.apple, "failing");
	await sql(rendio, "DELETE FROM upstreams");
});

test("without room or a worker it is not ready", async () => {
	await stopWorker(rendio);
	await sql(rendio, "UPDATE storage_level SET level = 'full'");
	const res = await get();
	assert.equal(res.status, 503);
	assert.equal(res.json().status, "not_ready");
	assert.equal(res.json().dependencies.disk, "full");
	await sql(rendio, "UPDATE storage_level SET level = 'ok'");
	assert.equal((await get()).status, 200);
});

test("a database that cannot be asked is 503", async () => {
	await sql(rendio, "ALTER TABLE upstreams RENAME TO elsewhere");
	try {
		assertError(await get(), 503, "service_unavailable");
	} finally {
		await sql(rendio, "ALTER TABLE elsewhere RENAME TO upstreams");
	}
});

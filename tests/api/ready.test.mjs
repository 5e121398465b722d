// SPDX-License-Identifier: MIT
// GET /health/ready: what we depend on, and how it is.

import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { sql } from "./support/database.mjs";
import { assertError, assertStatements } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { startWorker, stopWorker } from "./support/jobs.mjs";

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

/** The worker has been seen so long ago; only its absence takes so long. */
async function silenceWorker(ms) {
	const seen_s = Number(/^rendio_heartbeat_seconds\{program="worker"\} (\d+)$/m
	    .exec((await rendio.request("GET", "/metrics", { apikey: null }))
		.text)[1]);
	const words = () => new BigInt64Array(new Uint8Array(
	    fs.readFileSync(rendio.file("metrics"))).buffer);
	const isSeen = (word) => word / 1000n === BigInt(seen_s);
	// The engine beats on, so in a moment this word is the worker's.
	const at = await until(() => words().filter(isSeen).length === 1 &&
	    words().findIndex(isSeen));
	const bytes = Buffer.alloc(8);
	bytes.writeBigInt64LE(BigInt(Date.now() - ms));
	const file = fs.openSync(rendio.file("metrics"), "r+");
	fs.writeSync(file, bytes, 0, 8, at * 8);
	fs.closeSync(file);
}

test("without room or a worker it is not ready", async () => {
	const assertNotReady = async (dependency, word) => {
		const res = await get();
		const body = res.json();
		assert.equal(res.status, 503);
		assert.equal(body.status, "not_ready");
		assert.deepEqual(body.dependencies, { database: "ok", disk: "ok",
			worker: "ok", realtime: "ok", providers: "ok",
			apple: "ok", [dependency]: word });
	};

	await stopWorker(rendio);
	await sql(rendio, "UPDATE storage_level SET level = 'full'");
	await assertNotReady("disk", "full");
	await sql(rendio, "UPDATE storage_level SET level = 'ok'");
	assert.equal((await get()).status, 200);

	// One start that failed is nothing yet; two are.
	await silenceWorker(100_000);
	assert.equal((await get()).status, 200);
	await silenceWorker(151_000);
	await assertNotReady("worker", "late");
	await startWorker(rendio);
	assert.ok(await until(async () => (await get()).status === 200, 30_000));
});

test("a database that cannot be asked is 503", async () => {
	await sql(rendio, "ALTER TABLE upstreams RENAME TO elsewhere");
	try {
		assertError(await get(), 503, "service_unavailable");
	} finally {
		await sql(rendio, "ALTER TABLE elsewhere RENAME TO upstreams");
	}
});

// SPDX-License-Identifier: MIT
// POST /functions/v1/delete-account: out at once, empty within moments.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { DeviceCheck } from "../fakes/devicecheck.mjs";
import { id, sql } from "./support/database.mjs";
import { endpoints } from "./support/endpoints.mjs";
import { assertAuditClean, assertError, assertPersonal, assertStatements } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, order, orderJob, startWorker, statusOf, stopWorker } from "./support/jobs.mjs";
import { Phone } from "./support/phone.mjs";
import { badTokens, expiredToken, lostTokens } from "./support/tokens.mjs";

const TARGET = "/functions/v1/delete-account";
const CLEAN_MS_MAX = 60_000;

let apple, rendio, number = 0;

before(async () => {
	apple = await DeviceCheck.start();
	rendio = await start({ env: apple.env });
});
after(async () => {
	await rendio.stop();
	await apple.stop();
});

async function comer() {
	const phone = new Phone(rendio, apple, `phone-${++number}`);
	return { phone, ...await phone.enter() };
}

async function remove(who, options = {}) {
	return await rendio.request("POST", TARGET,
	    { bearer: who.access_token, body: {}, ...options });
}

async function refresh(who) {
	return await rendio.request("POST",
	    "/auth/v1/token?grant_type=refresh_token",
	    { body: { refresh_token: who.refresh_token } });
}

/** The rows of a user in a table. */
async function rowsOf(who, table, condition = "1") {
	return await sql(rendio, `SELECT * FROM ${table}` +
	    ` WHERE user_id = ${id(who.user_id)} AND ${condition}`);
}

async function finished(who) {
	return await until(async () => (await rowsOf(who, "deletion_steps",
	    "state = 'open'")).length === 0, CLEAN_MS_MAX);
}

test("an account with all there can be is gone", async () => {
	const ada = await comer();
	const secret = `secret ${randomUUID()}`;
	const done = await orderJob(rendio, ada,
	    { prompt: secret, settings: { duration: 4 } });
	assert.equal((await endOf(rendio, ada, done)).status, "completed");
	const [{ id: object }] = await sql(rendio,
	    "SELECT lower(hex(id)) AS id FROM objects" +
	    ` WHERE user_id = ${id(ada.user_id)} AND bucket = 'videos'`);
	const files = () => fs.readdirSync(rendio.file("media", "videos"),
	    { recursive: true }).filter((name) =>
	    name.replaceAll("-", "").includes(object));
	assert.equal(files().length, 1);
	const balance = await creditsOf(rendio, ada);

	const res = await remove(ada);
	assert.deepEqual(assertPersonal(res), { success: true });
	await assertStatements(rendio, res, 16);

	assertError(await remove(ada), 401, "unauthorized");
	assertError(await refresh(ada), 400, "refresh_token_not_found", "auth");
	assert.equal((await rowsOf(ada, "sessions")).length, 0);
	assert.equal((await rowsOf(ada, "devices")).length, 0);
	assert.equal((await rowsOf(ada, "idempotency_records")).length, 0);
	for (const job of await rowsOf(ada, "jobs"))
		assert.deepEqual([job.prompt, job.is_hidden], ["", 1]);
	await assertAuditClean(rendio);

	assert.ok(await finished(ada), "all steps are done");
	assert.equal((await rowsOf(ada, "objects")).length, 0);
	assert.deepEqual(files(), []);
	const [user] = await sql(rendio,
	    `SELECT * FROM users WHERE id = ${id(ada.user_id)}`);
	assert.equal(user.status, "deleted");
	assert.equal(user.email, null);
	assert.equal(user.apple_sub, null);
	// The ledger stays, so that a refund finds its purchase.
	assert.equal(user.credits_remaining, balance);
	assert.ok((await rowsOf(ada, "ledger_entries")).length >= 3);
	const attempts = await sql(rendio, "SELECT a.video_url, a.status_url" +
	    " FROM attempts a JOIN jobs j ON j.id = a.job_id" +
	    ` WHERE j.user_id = ${id(ada.user_id)}`);
	assert.deepEqual(attempts, [{ video_url: null, status_url: null }]);
	await assertAuditClean(rendio);
});

test("queued videos are cancelled, their credits are released", async () => {
	const bea = await comer();
	await stopWorker(rendio);
	const jobs = [];
	for (let i = 0; i < 2; i++)
		jobs.push(await orderJob(rendio, bea,
		    { settings: { duration: 4 } }));
	assert.notEqual(await creditsOf(rendio, bea), 10);

	assert.equal((await remove(bea)).status, 200);
	const rows = await rowsOf(bea, "jobs");
	assert.deepEqual(rows.map(({ state }) => state),
	    ["cancelled", "cancelled"]);
	assert.equal((await rowsOf(bea, "ledger_entries",
	    "kind = 'release'")).length, 2);
	await assertAuditClean(rendio);
	await startWorker(rendio);
	assert.ok(await finished(bea));
});

test("a video under way is settled and not kept", async () => {
	const cleo = await comer();
	const job = await orderJob(rendio, cleo,
	    { prompt: "[slow:2] a sea", settings: { duration: 4 } });
	assert.ok(await until(async () => (await statusOf(rendio, cleo, job))
	    .json().status === "processing"));

	assert.equal((await remove(cleo)).status, 200);
	await assertAuditClean(rendio);
	assert.ok(await finished(cleo));
	const [{ state }] = await rowsOf(cleo, "jobs");
	assert.equal(state, "completed");
	assert.equal((await rowsOf(cleo, "ledger_entries",
	    "kind = 'capture'")).length, 1);
	assert.equal((await rowsOf(cleo, "objects")).length, 0);
	await assertAuditClean(rendio);
});

test("a deleted phone that returns has no second gift", async () => {
	const dot = await comer();
	assert.equal(dot.grant, "granted");
	await remove(dot);

	const same = await dot.phone.enter();
	assert.notEqual(same.user_id, dot.user_id);
	assert.equal(same.grant, "already_claimed");
	assert.equal(same.credits_remaining, 0);
	const other = await dot.phone.reinstall().enter();
	assert.equal(other.grant, "already_claimed");

	// Even if Apple had forgotten: the device id has not.
	apple.setBits(dot.phone.name, false, false);
	await remove(same);
	assert.equal((await dot.phone.reinstall(dot.phone.device_id).enter())
	    .credits_remaining, 0);
	await assertAuditClean(rendio);
});

test("a gift that was still owed is given once, to who returns", async () => {
	const phone = new Phone(rendio, apple, "owed");
	apple.fault({ path: "/v1/query_two_bits", status: 503 });
	const first = await phone.enter();
	assert.equal(first.grant, "pending");
	await remove(first);

	assert.equal((await phone.enter()).grant, "granted");
	assert.equal((await phone.enter()).grant, "already_claimed");
	await assertAuditClean(rendio);
});

test("nobody is let in any more, in no area", async () => {
	const eve = await comer();
	const bob = await comer();
	await remove(eve);
	await rendio.cli("user", "ban", bob.user_id);

	for (const endpoint of endpoints()) {
		// A user's token is no admin's, whoever the user is.
		if (endpoint.name.startsWith("admin"))
			continue;
		const target = endpoint.isPrefix ? `${endpoint.path}x` :
		    endpoint.path;
		for (const method of endpoint.methods) {
			if (["OPTIONS", "HEAD"].includes(method))
				continue;
			const ask = (bearer) => rendio.request(method, target, {
				bearer, body: method === "GET" ? undefined : {},
				headers: { "idempotency-key": randomUUID() } });
			const open = await ask(undefined);
			const name = `${method} ${target}`;
			// Where nobody must say who he is, nobody is asked.
			const isPrivate = [401, 403].includes(open.status) ||
			    endpoint.path === "/rest/v1/";
			const [hers, his] = [await ask(eve.access_token),
				await ask(bob.access_token)];
			if (!isPrivate)
				continue;
			assert.ok([401, 403].includes(hers.status),
			    `${name}: ${hers.status}`);
			assert.ok([401, 403].includes(his.status),
			    `${name}: ${his.status}`);
			assert.notEqual(hers.json().code, "user_banned", name);
			assert.equal(his.json().code, "user_banned", name);
		}
	}
	assertError(await refresh(eve), 400, "refresh_token_not_found", "auth");
	assertError(await refresh(bob), 400, "user_banned", "auth");
});

test("a ban that is lifted needs a new session", async () => {
	const fay = await comer();
	await rendio.cli("user", "ban", fay.user_id);
	assertError(await fay.phone.check(), 403, "user_banned");
	await rendio.cli("user", "unban", fay.user_id);
	assertError(await remove(fay), 401, "unauthorized");
	const again = await fay.phone.enter();
	assert.equal(again.user_id, fay.user_id);
	assert.equal(await creditsOf(rendio, again), 10);
});

test("only one's own", async () => {
	const [gus, hal] = [await comer(), await comer()];
	assertError(await remove(gus, { body: { user_id: hal.user_id } }), 403,
	    "forbidden");
	assertError(await rendio.request("POST",
	    `${TARGET}?user_id=${hal.user_id}`,
	    { bearer: gus.access_token, body: {} }), 403, "forbidden");
	for (const bearer of [undefined, rendio.anonKey, "x"])
		assertError(await remove(gus, { bearer }), 401, "unauthorized");
	for (const bearer of Object.values(badTokens(rendio, gus)))
		assertError(await remove(gus, { bearer }), 401, "unauthorized");
	assertError(await remove(gus, { bearer: expiredToken(rendio, gus) }),
	    401, "token_expired");
	for (const bearer of Object.values(lostTokens(rendio, gus, hal)))
		assertError(await remove(gus, { bearer }), 401, "unauthorized");
	assertError(await remove(gus, { apikey: null }), 401, "invalid_api_key");
	for (const body of ["", "{", "[]", '{"a":1,"a":2}'])
		assertError(await remove(gus, { body, headers: {
			"content-type": "application/json" } }), 400,
		    "invalid_json");
	assertError(await remove(gus, { body: "a", headers: {
		"content-type": "text/plain" } }), 415,
	    "unsupported_media_type");
	assertError(await remove(gus, { body: " ".repeat((64 << 10) + 1) }), 413,
	    "payload_too_large");
	for (const method of ["GET", "PUT", "PATCH", "DELETE"]) {
		const res = await rendio.request(method, TARGET,
		    { bearer: gus.access_token });
		assertError(res, 405, "method_not_allowed");
		assert.equal(res.headers.allow, "POST");
	}
	for (const who of [gus, hal])
		assert.equal(await creditsOf(rendio, who), 10);
	// As the released app sends it.
	assert.equal((await remove(gus, { body: {
		user_id: gus.user_id.toUpperCase() } })).status, 200);
});

test("deleting while all else goes on leaves no half", async () => {
	const people = await Promise.all(Array.from({ length: 8 }, comer));

	await Promise.all(people.map(async (who) => {
		const calls = [];
		for (let i = 0; i < 20; i++)
			calls.push(i % 3 === 0 ? remove(who) :
			    i % 3 === 1 ? order(rendio, who,
				{ settings: { duration: 4 } }) : refresh(who));
		for (const res of await Promise.all(calls)) {
			assert.ok([200, 400, 401, 402].includes(res.status),
			    res.text);
			if (res.status === 400)
				assert.equal(res.json().code,
				    "refresh_token_not_found");
		}
		assertError(await remove(who), 401, "unauthorized");
	}));
	await assertAuditClean(rendio);
	for (const who of people) {
		assert.ok(await finished(who));
		assert.equal((await rowsOf(who, "objects")).length, 0);
		assert.equal((await rowsOf(who, "jobs",
		    "due_at_ms IS NOT NULL")).length, 0);
	}
	await assertAuditClean(rendio);
});

test("steps wait for the worker, and the operator sees it", async () => {
	const ida = await comer();
	await stopWorker(rendio);
	await remove(ida);
	await sql(rendio, "UPDATE deletion_steps SET created_at_ms =" +
	    ` created_at_ms - 90000000 WHERE user_id = ${id(ida.user_id)}`);
	const { stdout } = await rendio.cli("doctor", "--offline", "--json");
	const { level, fix } = JSON.parse(stdout).checks
	    .find(({ check }) => check === "deletions");
	assert.equal(level, "error");
	assert.match(fix, /worker/);
	await startWorker(rendio);
	assert.ok(await finished(ida));
});

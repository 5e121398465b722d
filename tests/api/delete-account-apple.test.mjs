// SPDX-License-Identifier: MIT
// Deleting the account of an Apple ID: what Apple gave us is taken back at
// Apple, whatever is down meanwhile; and accounts that took others over.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { promisify } from "node:util";
import { AppleId } from "../fakes/appleid.mjs";
import { id, sql } from "./support/database.mjs";
import { assertAuditClean, assertNotLogged, assertPersonal }
    from "./support/expect.mjs";
import { assertDead, merge, signIn } from "./support/identity.mjs";
import { start, until } from "./support/instance.mjs";
import { endOf, orderJob, startWorker, stopWorker } from "./support/jobs.mjs";

const run = promisify(execFile);
const DONE_MS_MAX = 30_000;

let dir, apple, rendio, number = 0;

before(async () => {
	dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	apple = await AppleId.start({ dir });
	rendio = await start({ env: apple.env });
});
after(async () => {
	await rendio.stop();
	await apple.stop();
	fs.rmSync(dir, { recursive: true });
});
beforeEach(() => {
	apple.fault = null;
	apple.delay_ms = 0;
});

const subOf = () => `001.person-${++number}`;

/** Somebody who signed in with Apple and whose consent we keep. */
async function signedIn(sub = subOf(), claims = {}) {
	const res = await signIn(rendio, {
		id_token: apple.token({ sub, ...claims }),
		authorization_code: apple.code(sub) });
	assert.equal(res.status, 200, res.text);
	const [token] = [...apple.consents].findLast(([, who]) => who === sub);
	return { ...res.json(), user_id: res.json().user.id, sub, token };
}

async function remove(who) {
	const began = Date.now();
	assert.deepEqual(assertPersonal(await rendio.request("POST",
	    "/functions/v1/delete-account",
	    { bearer: who.access_token, body: {} })), { success: true });
	// Nobody waits for Apple.
	assert.ok(Date.now() - began < 4000);
}

async function stepOf(who) {
	return (await sql(rendio, "SELECT state, tries_count AS tries," +
	    " next_try_at_ms AS next_ms FROM deletion_steps" +
	    ` WHERE user_id = ${id(who.user_id)} AND step = 'apple'`))[0];
}

/** Makes the next try due at once. */
async function hurry() {
	await sql(rendio, "UPDATE deletion_steps SET next_try_at_ms = 0" +
	    " WHERE state = 'open'");
}

async function revoked(who) {
	assert.ok(await until(async () =>
	    (await stepOf(who))?.state === "done", DONE_MS_MAX), "it is done");
	assert.ok(apple.revoked.includes(who.token));
	assert.ok(!apple.consents.has(who.token));
	assert.deepEqual(await sql(rendio, "SELECT 1 FROM apple_tokens" +
	    ` WHERE user_id = ${id(who.user_id)}`), []);
	assert.equal(apple.consents.size, 0);
}

test("the consent is revoked at Apple, and what we kept is forgotten",
    async () => {
	const ada = await signedIn();
	await remove(ada);
	await assertDead(rendio, ada);
	await revoked(ada);
	const [user] = await sql(rendio, "SELECT apple_sub, email FROM users" +
	    ` WHERE id = ${id(ada.user_id)}`);
	assert.deepEqual(user, { apple_sub: null, email: null });
	await assertNotLogged(rendio, { "refresh token": ada.token,
		sub: ada.sub });
	await assertAuditClean(rendio);
	// The same person is a new one, without a gift.
	const again = await signedIn(ada.sub);
	assert.notEqual(again.user_id, ada.user_id);
	await remove(again);
	await revoked(again);
});

test("who never sent a code has nothing to be revoked", async () => {
	const res = await signIn(rendio, { id_token: apple.token(
	    { sub: subOf() }) });
	const bob = { ...res.json(), user_id: res.json().user.id };
	await remove(bob);
	assert.equal(await stepOf(bob), undefined);
	await assertAuditClean(rendio);
});

test("whatever Apple answers, it is asked until it is done", async () => {
	const people = new Map();
	const all = (isSo) => Promise.all([...people.values()].map(async (who) =>
	    assert.ok(await until(async () => isSo(await stepOf(who)),
		DONE_MS_MAX), who.fault)));

	for (const fault of ["500", "503", "429", "401", "403", "405", "reset",
		"hang", "late", "invalid_client", "invalid_request",
		"invalid_grant", "unauthorized_client",
		"unsupported_grant_type", "invalid_scope"]) {
		const who = await signedIn();
		people.set(fault, { ...who, fault });
		apple.faultsOf.set(who.token, fault);
		await remove(who);
	}
	for (let tries = 1; tries <= 2; tries++) {
		await all((step) => step.tries >= tries);
		for (const who of people.values()) {
			const step = await stepOf(who);
			assert.deepEqual([step.state, step.tries],
			    ["open", tries], who.fault);
			// 20 s, 40 s: as if it had failed already.
			assert.ok(step.next_ms > Date.now() +
			    (tries * 20 - 15) * 1000);
			assert.ok(step.next_ms < Date.now() + tries * 21 * 1000);
		}
		await assertAuditClean(rendio);
		if (tries === 2)
			apple.faultsOf.clear();
		await hurry();
	}
	await all((step) => step.state === "done");
	for (const who of people.values())
		assert.ok(apple.revoked.includes(who.token), who.fault);
	assert.equal(apple.consents.size, 0);
	assert.deepEqual(await sql(rendio, "SELECT 1 FROM apple_tokens"), []);
	await assertAuditClean(rendio);
});

test("the wait grows to ten minutes, and never ends by itself", async () => {
	const who = await signedIn();
	apple.fault = "503";
	await remove(who);
	assert.ok(await until(async () => (await stepOf(who)).tries === 1,
	    DONE_MS_MAX));
	await sql(rendio, "UPDATE deletion_steps SET tries_count = 100000," +
	    " created_at_ms = created_at_ms - 90000000, next_try_at_ms = 0" +
	    ` WHERE user_id = ${id(who.user_id)}`);
	assert.ok(await until(async () => (await stepOf(who)).tries === 100001,
	    DONE_MS_MAX));
	const wait_ms = (await stepOf(who)).next_ms - Date.now();
	assert.ok(wait_ms > 590_000 && wait_ms <= 600_000, String(wait_ms));
	const { checks } = JSON.parse((await rendio.cli("doctor", "--offline", "--json"))
	    .stdout);
	const row = checks.find(({ check }) => check === "deletions");
	assert.equal(row.level, "error");
	assert.ok(rendio.log().some((line) => line.includes('"deletion"') &&
	    line.includes('"apple"')));
	apple.fault = null;
	await hurry();
	await revoked(who);
});

test("a worker that dies while it asks is followed by one that asks again",
    async () => {
	const who = await signedIn();
	apple.fault = "hang";
	const asked = apple.calls["/auth/revoke"];
	await remove(who);
	assert.ok(await until(() => apple.calls["/auth/revoke"] > asked,
	    DONE_MS_MAX));
	for (const pid of rendio.pids("worker"))
		process.kill(pid, "SIGKILL");
	apple.fault = null;
	await assertAuditClean(rendio);
	await hurry();
	await revoked(who);
});

test("a worker that was not there does it later", async () => {
	const who = await signedIn();
	await stopWorker(rendio);
	await remove(who);
	assert.equal((await stepOf(who)).tries, 0);
	await startWorker(rendio);
	await revoked(who);
});

test("while Apple is silent the worker does everything else", async () => {
	const all = [];
	for (let i = 0; i < 10; i++)
		all.push(await signedIn());
	const guest = await rendio.guest("patient");
	apple.fault = "hang";
	await Promise.all(all.map(remove));
	const began = Date.now();
	await endOf(rendio, guest, await orderJob(rendio, guest));
	assert.ok(Date.now() - began < 12_000);
	apple.fault = null;
	await hurry();
	for (const who of all)
		assert.ok(await until(async () => {
			await hurry();
			return (await stepOf(who)).state === "done";
		}, DONE_MS_MAX));
	assert.equal(apple.consents.size, 0);
});

test("whoever deletes while a code is redeemed is revoked, too", async () => {
	const sub = subOf();
	const first = (await signIn(rendio,
	    { id_token: apple.token({ sub }) })).json();
	const who = { ...first, user_id: first.user.id };

	apple.delay_ms = 1500;
	const asked = apple.calls["/auth/token"];
	const late = signIn(rendio, { id_token: apple.token({ sub }),
		authorization_code: apple.code(sub) });
	assert.ok(await until(() => apple.calls["/auth/token"] > asked));
	await remove(who);
	await late;
	apple.delay_ms = 0;
	assert.ok(await until(async () =>
	    (await stepOf(who))?.state === "done", DONE_MS_MAX));
	assert.equal(apple.consents.size, 0);
	await assertAuditClean(rendio);
});

test("a consent that cannot be unsealed is kept until the key is back",
    async () => {
	const who = await signedIn();
	const file = rendio.file("keys", "apple");
	const key = fs.readFileSync(file);
	const restart = async () => {
		await stopWorker(rendio);
		await startWorker(rendio);
	};

	fs.writeFileSync(file, key.toString().replace(/[0-9a-f]{8}/, "00000000"));
	await restart();
	await remove(who);
	assert.ok(await until(() => rendio.log().some((line) =>
	    line.includes("keys/apple does not open")), DONE_MS_MAX));
	assert.equal((await stepOf(who)).state, "open");
	fs.writeFileSync(file, key);
	await restart();
	await hurry();
	await revoked(who);
});

test("an account that took others over is deleted with all of them",
    async () => {
	const mark = `canary-${randomUUID()}`;
	const heir = await signedIn(`001.${mark}`, { email: `${mark}@x.test`,
		email_verified: true });
	const guests = [];
	let session = heir;

	for (let i = 0; i < 2; i++) {
		const guest = await rendio.guest(`merged-${i}`);
		guests.push(guest);
		await rendio.request("PUT", "/auth/v1/user", {
			bearer: guest.access_token, body: { data: { mark } } });
		await rendio.request("POST",
		    "/functions/v1/update-user-settings", {
			bearer: guest.access_token,
			body: { language: "tr", theme_preference: "dark" } });
		const job = await orderJob(rendio, guest, { prompt: mark,
			settings: { duration: 4 } });
		await endOf(rendio, guest, job);
		const res = await merge(rendio, guest,
		    { identity_token: apple.token({ sub: heir.sub }) });
		assert.equal(res.status, 200, res.text);
		session = { ...heir, ...res.json() };
		await assertAuditClean(rendio);
	}
	await remove(session);
	await revoked(heir);
	assert.ok(await until(async () => (await sql(rendio,
	    "SELECT COUNT(*) AS n FROM deletion_steps WHERE state = 'open'"))
	    [0].n === 0, DONE_MS_MAX));

	const { stdout } = await run("sqlite3", [rendio.file("rendio.db"),
		".dump"], { maxBuffer: 1 << 28 });
	for (const secret of [mark, heir.sub, heir.token,
		...guests.map((guest) => guest.device_id)])
		assert.ok(!stdout.includes(secret), secret);
	for (const guest of [heir, ...guests]) {
		const [left] = await sql(rendio, "SELECT status, language," +
		    " theme_preference AS theme, user_metadata AS data," +
		    " (SELECT COUNT(*) FROM sessions WHERE user_id = u.id) +" +
		    " (SELECT COUNT(*) FROM devices WHERE user_id = u.id) +" +
		    " (SELECT COUNT(*) FROM objects WHERE user_id = u.id)" +
		    ` AS n FROM users u WHERE id = ${id(guest.user_id)}`);
		assert.deepEqual(left, { status: "deleted", language: "en",
			theme: "system", data: "{}", n: 0 });
	}
	// The gifts were given: neither phone has another.
	for (const [i, guest] of guests.entries())
		assert.equal((await rendio.guest(`merged-${i}`,
		    guest.device_id)).credits_remaining, 0);
	await assertAuditClean(rendio);
});

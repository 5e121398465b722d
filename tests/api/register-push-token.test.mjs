// SPDX-License-Identifier: MIT
// POST /functions/v1/register-push-token, and what becomes of the phones: they
// are told of the end of a video by Apple, played by tests/fakes/apns.mjs.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Apns } from "../fakes/apns.mjs";
import { id, sql } from "./support/database.mjs";
import { assertError, assertStatements } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { endOf, orderJob, remove } from "./support/jobs.mjs";

const PATH = "/functions/v1/register-push-token";
const WAIT_MS_MAX = 30_000;

let apns, rendio, ada;

before(async () => {
	apns = await Apns.start();
	rendio = await start({ env: apns.env });
	ada = await person("ada");
});
after(async () => {
	await rendio.stop();
	await apns.stop();
});

/** Somebody with credits. */
async function person(name) {
	const guest = await rendio.guest(name);
	await rendio.cli("user", "grant", guest.user_id, "1000", "--reason",
	    "test");
	return guest;
}

const newToken = () => randomBytes(32).toString("hex");

async function post(who, body) {
	return await rendio.request("POST", PATH, { bearer: who?.access_token,
		body });
}

/** Registers a phone of that person: its token. */
async function register(who, token = newToken(), environment = "production") {
	const res = await post(who, { token, environment });
	assert.equal(res.status, 200, res.text);
	return token;
}

/** Makes a video, or fails to: its id. */
async function make(who, prompt = "A sea") {
	const job = await orderJob(rendio, who, { prompt,
		settings: { duration: 4 } });
	await endOf(rendio, who, job);
	return job;
}

async function sentTo(token, count = 1) {
	const sent = await until(() => {
		const got = apns.sent.filter((one) => one.token === token);
		return got.length >= count && got;
	}, WAIT_MS_MAX);
	assert.ok(sent, JSON.stringify(apns.calls));
	assert.equal(sent.length, count);
	return sent;
}

/** Nothing waits to be sent any more. */
async function settled() {
	assert.ok(await until(async () => (await sql(rendio,
	    "SELECT 1 FROM pushes")).length === 0, WAIT_MS_MAX));
}

test("200: a phone is registered, and the same again is the same", async () => {
	const bob = await rendio.guest("bob");
	const token = newToken();
	const res = await post(bob, { token: token.toUpperCase(),
		environment: "production", user_id: bob.user_id });
	assert.equal(res.status, 200, res.text);
	assert.deepEqual(res.json(), { success: true });
	await assertStatements(rendio, res, 10);
	await register(bob, token);
	assert.deepEqual(await sql(rendio, "SELECT token, environment" +
	    ` FROM push_tokens WHERE token = '${token}'`),
	    [{ token, environment: "production" }]);
});

test("400: what is no token or no environment is refused", async () => {
	const token = newToken();
	for (const body of [{}, { token }, { environment: "production" },
		{ token, environment: "development" },
		{ token, environment: "production", extra: 1 },
		{ token: token.slice(1), environment: "production" },
		{ token: `${token.slice(1)}g`, environment: "production" },
		{ token: "a".repeat(201), environment: "production" },
		{ token: 5, environment: "production" },
		{ token: `${token}'`, environment: "sandbox" }])
		await assertError(await post(ada, body), 400, "invalid_request");
	for (const length of [64, 200])
		await register(ada, "c".repeat(length));
});

test("401 without a user, 403 for another's id", async () => {
	const body = { token: newToken(), environment: "production" };
	await assertError(await post(null, body), 401, "unauthorized");
	const eve = await rendio.guest("eve");
	await assertError(await post(ada, { ...body, user_id: eve.user_id }),
	    403, "forbidden");
});

test("a video that is ready is told to the phone, in its user's language",
    async () => {
	const texts = { en: "Your video is ready", tr: "Videonuz hazır",
		es: "Tu vídeo está listo" };
	for (const [language, title] of Object.entries(texts)) {
		const who = await person(`speaks-${language}`);
		const res = await rendio.request("POST",
		    "/functions/v1/update-user-settings",
		    { bearer: who.access_token, body: { language } });
		assert.equal(res.status, 200, res.text);
		const token = await register(who);
		const job = await make(who);
		const [{ headers, payload }] = await sentTo(token);
		assert.equal(payload.aps.alert.title, title);
		assert.equal(payload.job_id, job);
		assert.equal(payload.status, "completed");
		assert.equal(headers["apns-collapse-id"], job);
		assert.equal(headers["apns-priority"], "10");
		assert.ok(!JSON.stringify(payload).includes("A sea"));
	}
});

test("a failed one, too; a cancelled or deleted one is known already",
    async () => {
	const who = await person("failing");
	const token = await register(who);
	await make(who, "x [fail:provider]");
	const [{ payload }] = await sentTo(token);
	assert.equal(payload.status, "failed");
	assert.equal(payload.aps.alert.body, "Your credits were given back.");

	const job = await orderJob(rendio, who, { prompt: "y [slow:2]",
		settings: { duration: 4 } });
	assert.equal((await remove(rendio, who, job)).status, 200);
	await make(who);
	await sentTo(token, 2);
	assert.ok(!apns.sent.some((one) => one.payload.job_id === job));
	// What happens to a job after its end is no news.
	const [last] = apns.sent.slice(-1);
	assert.equal((await remove(rendio, who, last.payload.job_id)).status, 200);
	await settled();
	await sentTo(token, 2);
});

test("all of a person's phones are told; the eleventh takes the first's place",
    async () => {
	const who = await person("many");
	const tokens = [];
	for (let i = 0; i < 11; i++)
		tokens.push(await register(who));
	await make(who);
	for (const token of tokens.slice(1))
		await sentTo(token);
	assert.ok(!apns.sent.some(({ token }) => token === tokens[0]));
});

test("a phone belongs to who registered it last", async () => {
	const [first, second] = [await person("first"), await person("second")];
	const token = await register(first);
	await register(second, token);
	await make(first);
	const job = await make(second);
	const [{ payload }] = await sentTo(token);
	assert.equal(payload.job_id, job);
});

test("who has signed out is told nothing", async () => {
	const who = await person("gone");
	const token = await register(who);
	const job = await orderJob(rendio, who, { prompt: "z [slow:2]",
		settings: { duration: 4 } });
	const res = await rendio.request("POST", "/auth/v1/logout?scope=local",
	    { bearer: who.access_token });
	assert.equal(res.status, 204, res.text);
	assert.ok(await until(async () => (await sql(rendio, "SELECT 1 FROM" +
	    ` push_tokens WHERE token = '${token}'`)).length === 0,
	    WAIT_MS_MAX), "the phone is forgotten");
	assert.ok(await until(async () => (await sql(rendio, "SELECT 1 FROM jobs" +
	    ` WHERE id = ${id(job)} AND state = 'completed'`)).length === 1,
	    WAIT_MS_MAX));
	const other = await person("witness");
	const witness = await register(other);
	await make(other);
	await sentTo(witness);
	assert.ok(!apns.sent.some((one) => one.token === token));
});

test("phones that are gone are forgotten, one registered again is not",
    async () => {
	const who = await person("dead");
	const dead = await register(who);
	const bad = await register(who);
	const back = await register(who);
	apns.answers.set(dead, { status: 410, reason: "Unregistered",
		timestamp: Date.now() + 1000 });
	apns.answers.set(bad, { status: 400, reason: "BadDeviceToken" });
	// It was gone before it was registered: news from yesterday.
	apns.answers.set(back, { status: 410, reason: "Unregistered",
		timestamp: Date.now() - 86400_000 });
	await make(who);
	assert.ok(await until(() => [dead, bad, back].every((token) =>
	    apns.calls.some((call) => call.token === token)), WAIT_MS_MAX));
	await settled();
	assert.deepEqual((await sql(rendio, "SELECT token FROM push_tokens t" +
	    " JOIN sessions s ON s.id = t.session_id" +
	    ` WHERE s.user_id = ${id(who.user_id)}`)), [{ token: back }]);
	const calls = apns.calls.length;
	apns.answers.clear();
	await make(who);
	await sentTo(back);
	assert.deepEqual(apns.calls.slice(calls).map(({ token }) => token),
	    [back]);
});

test("what Apple does not take now it takes later, once", async () => {
	const who = await person("later");
	const token = await register(who);
	for (const answer of [{ status: 503, reason: "ServiceUnavailable" },
		{ status: 429, reason: "TooManyRequests" }, { reset: true }]) {
		const before = apns.sent.filter((one) => one.token === token)
		    .length;
		apns.answers.set(token, { ...answer, times: 1 });
		await make(who);
		assert.ok(await until(async () => {
			await sql(rendio, "UPDATE pushes SET next_try_at_ms = 1" +
			    " WHERE tries_count > 0 AND next_try_at_ms <" +
			    " 1000 * (CAST(strftime('%s', 'now') AS INTEGER) + 25)");
			await sleep(50);
			return apns.sent.filter((one) => one.token === token)
			    .length > before;
		}, WAIT_MS_MAX));
		await settled();
		assert.equal(apns.sent.filter((one) => one.token === token)
		    .length, before + 1);
	}
});

test("a worker that is killed while it sends is followed by another",
    async () => {
	const who = await person("killed");
	const token = await register(who);
	apns.answers.set(token, { hold: true });
	await make(who);
	assert.ok(await until(() => apns.calls.some((call) =>
	    call.token === token), WAIT_MS_MAX));
	for (const pid of rendio.pids("worker"))
		process.kill(pid, "SIGKILL");
	apns.answers.clear();
	await sql(rendio, "UPDATE pushes SET next_try_at_ms = 1");
	await sentTo(token);
	await settled();
});

test("one provider token serves for all of that",
    async () => {
	const bearers = new Set(apns.calls.map(({ bearer }) => bearer));
	assert.equal(bearers.size, 1);
	const [bearer] = bearers;
	const file = rendio.file("run", "apns-token");
	assert.equal(fs.statSync(file).mode & 0o077, 0, "for us alone");
	// After the time that Apple sets there is another.
	const [key_id, made_at, token] = fs.readFileSync(file, "utf8").split(" ");
	fs.writeFileSync(file,
	    `${key_id} ${Number(made_at) - 51 * 60_000} ${token}`);
	const who = await person("new-token");
	const phone = await register(who);
	await make(who);
	await sentTo(phone);
	assert.notEqual(apns.calls.at(-1).bearer, bearer);
	assert.ok(!rendio.log().join("\n").includes(
	    bearer.slice("bearer ".length)), "and is in no log");
});

test("a refused key is an error and a pause, and nothing is lost", async () => {
	const who = await person("refused");
	const token = await register(who);
	apns.answer = { status: 403, reason: "InvalidProviderToken" };
	await make(who);
	assert.ok(await until(() => rendio.log().some((line) =>
	    line.includes('"reason":"InvalidProviderToken"')), WAIT_MS_MAX));
	apns.answer = null;
	await sql(rendio, "UPDATE watches SET at_ms = 0 WHERE name = 'apns';" +
	    " UPDATE pushes SET next_try_at_ms = 1");
	await sentTo(token);
});

test("an export names the phones, the end of an account forgets them",
    async () => {
	const who = await person("leaving");
	const token = await register(who, newToken(), "sandbox");
	const res = await rendio.request("GET", "/functions/v1/export-account",
	    { bearer: who.access_token });
	assert.equal(res.status, 200);
	const [phone, ...more] = res.json().push_tokens;
	assert.deepEqual(more, []);
	assert.equal(phone.phone, token);
	assert.equal(phone.environment, "sandbox");
	const gone = await rendio.request("POST", "/functions/v1/delete-account",
	    { bearer: who.access_token, body: {} });
	assert.equal(gone.status, 200, gone.text);
	assert.deepEqual(await sql(rendio, "SELECT 1 FROM push_tokens" +
	    ` WHERE token = '${token}'`), []);
});

test("without a key nothing is written down", async () => {
	const quiet = await start();
	try {
		const guest = await quiet.guest("ada");
		const res = await quiet.request("POST", PATH, {
			bearer: guest.access_token,
			body: { token: newToken(), environment: "production" },
		});
		assert.equal(res.status, 200, res.text);
		await endOf(quiet, guest, await orderJob(quiet, guest,
		    { settings: { duration: 4 } }));
		assert.deepEqual(await sql(quiet, "SELECT 1 FROM pushes"), []);
	} finally {
		await quiet.stop();
	}
});

// SPDX-License-Identifier: MIT
// POST /functions/v1/fal-webhook/ATTEMPT.MAC: fal tells that a request ended.

import assert from "node:assert/strict";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { Fal } from "../fakes/fal.mjs";
import { id, sql, whileGone, whileLocked } from "./support/database.mjs";
import { assertAuditClean, assertBudget, assertError, assertPersonal,
    assertTellsNothing, stopClean } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, orderJob, remove, startWorker, statusOf, stopWorker }
    from "./support/jobs.mjs";

const PATH = "/functions/v1/fal-webhook/";

let fal, rendio, ada;

before(async () => {
	fal = await Fal.start();
	// Nothing is learnt by asking within the time of these tests.
	rendio = await start({ env: { ...fal.env,
		RENDIO_PROVIDER_POLL_FIRST_MS: "600000",
		RENDIO_PROVIDER_POLL_MAX_MS: "600000" } });
	fal.fetch = rendio.fetch;
	ada = await rendio.guest("ada");
	await rendio.cli("user", "grant", ada.user_id, "1000", "--reason", "tests");
});
after(() => stopClean(rendio, fal));

/** A request at fal that nobody tells us about: its job and itself. */
async function silent(script = {}) {
	const prompt = fal.script({ hook: "off", tag: randomUUID(), ...script });
	const job_id = await orderJob(rendio, ada, { prompt });
	const request = await until(() => [...fal.requests.values()]
	    .find((request) => request.input.prompt === prompt &&
		request.state === "COMPLETED"));
	assert.ok(request);
	return { job_id, request };
}

function pathOf(request) {
	return new URL(request.webhook).pathname;
}

async function post(target, headers, body) {
	return await rendio.request("POST", target,
	    { headers, body, apikey: null });
}

test("a signed webhook completes its job, and again it changes nothing",
    async () => {
	const { job_id, request } = await silent();
	const before = await creditsOf(rendio, ada);
	const body = fal.hookBody(request);
	const headers = fal.sign(request.request_id, body);

	for (let i = 0; i < 3; i++)
		assert.deepEqual(assertPersonal(
		    await post(pathOf(request), headers, body)), { success: true });
	assert.equal((await endOf(rendio, ada, job_id)).status, "completed");
	assert.equal(await creditsOf(rendio, ada), before);
	const [{ n }] = await sql(rendio, "SELECT COUNT(*) AS n FROM" +
	    ` provider_reports WHERE request_id = '${request.request_id}'`);
	assert.equal(n, 1, "the same bytes are one report");
});

test("a failure that is told gives the credits back and says why", async () => {
	const before = await creditsOf(rendio, ada);
	const { job_id, request } = await silent({ result: "content" });
	const body = fal.hookBody(request);

	assertPersonal(await post(pathOf(request),
	    fal.sign(request.request_id, body), body));
	const end = await endOf(rendio, ada, job_id);
	assert.equal(end.status, "failed");
	assert.equal(end.error_code, "content_policy");
	assert.equal(end.credits_refunded, end.credits_used);
	assert.equal(end.credits_remaining, before);
	assert.equal(await creditsOf(rendio, ada), before);
	assert.ok(!rendio.log().some((line) => line.includes("secret")),
	    "what fal echoes is not logged");
});

for (const hook of ["null", "nullError"]) {
	test(`a webhook without a payload (${hook}) lets the result be asked for`,
	    async () => {
		const { job_id, request } = await silent();
		request.script.hook = hook;
		const body = fal.hookBody(request);

		assertPersonal(await post(pathOf(request),
		    fal.sign(request.request_id, body), body));
		assert.equal((await endOf(rendio, ada, job_id)).status,
		    "completed");
	});
}

test("a webhook comes before the answer to its submission", async () => {
	const id = await orderJob(rendio, ada,
	    { prompt: fal.script({ hook: "early" }) });

	assert.equal((await endOf(rendio, ada, id)).status, "completed");
});

test("a webhook tells the fate of a submission that got no answer", async () => {
	const id = await orderJob(rendio, ada,
	    { prompt: fal.script({ submit: "reset", history: "off" }) });

	assert.equal((await endOf(rendio, ada, id)).status, "completed");
});

test("a report is kept while the database is busy", async () => {
	// Nobody else can tell what became of it.
	const { job_id, request } = await silent({ submit: "reset",
		history: "off" });
	assert.ok(await until(async () => (await sql(rendio, "SELECT 1 FROM" +
	    ` attempts WHERE state = 'unknown' AND job_id = ${id(job_id)}`))
	    .length === 1, 30_000));
	await stopWorker(rendio);
	const body = fal.hookBody(request);
	assertPersonal(await post(pathOf(request),
	    fal.sign(request.request_id, body), body));
	const lines = (...parts) => rendio.log().filter((line) =>
	    parts.every((part) => line.includes(part))).length;
	const failed = () => lines('"program":"worker"', '"event":"database"');
	const before = failed();
	const refused = () => lines("report_refused");
	const refusedBefore = refused();
	// The second or the third of its transactions is that of the report.
	await whileLocked(rendio, async () => {
		await startWorker(rendio);
		assert.ok(await until(() => failed() >= before + 3 ||
		    refused() > refusedBefore, 60_000));
	});
	assert.equal((await endOf(rendio, ada, job_id)).status, "completed");
	assert.equal(refused(), refusedBefore);
});

test("what fal has not signed for our account changes nothing", async (t) => {
	const { job_id, request } = await silent();
	const body = fal.hookBody(request);
	const id = request.request_id;
	const good = fal.sign(id, body);
	const { privateKey } = generateKeyPairSync("ed25519");
	const now = Math.floor(Date.now() / 1000);
	const without = (name) => Object.fromEntries(Object.entries(good)
	    .filter(([key]) => key !== `x-fal-webhook-${name}`));
	const forged = {
		"no signature": [without("signature"), body],
		"no request id": [without("request-id"), body],
		"no user id": [without("user-id"), body],
		"no timestamp": [without("timestamp"), body],
		"no header at all": [{}, body],
		"a strange key": [fal.sign(id, body, { key: privateKey }), body],
		"another account": [fal.sign(id, body,
		    { user_id: "github|1" }), body],
		"too old": [fal.sign(id, body, { timestamp: now - 310 }), body],
		"too new": [fal.sign(id, body, { timestamp: now + 310 }), body],
		"another body": [good, body.replace("OK", "OKAY")],
		"a blank more": [good, `${body} `],
		"an empty body": [good, ""],
		"another id": [{ ...good,
			"x-fal-webhook-request-id": randomUUID() }, body],
	};

	for (const [name, [headers, bytes]] of Object.entries(forged))
		assertError(await post(pathOf(request), headers, bytes), 401,
		    "unauthorized", "functions", name);
	assertError(await post(`${PATH}${randomUUID()}.${"0".repeat(32)}`, good,
	    body), 404, "not_found");
	assertError(await post(PATH, good, body), 404, "not_found");
	assertError(await post(pathOf(request).slice(0, -1), good, body), 404,
	    "not_found");
	for (const bytes of ["", "[]", "{}", '{"request_id":"x","status":"OK"}'])
		assertError(await post(pathOf(request), fal.sign(id, bytes), bytes),
		    400, "invalid_request");
	assertError(await post(pathOf(request), good, "x".repeat(1024 * 1024 + 1)),
	    413, "payload_too_large");
	assertError(await rendio.request("GET", pathOf(request), {}), 405,
	    "method_not_allowed");
	assert.equal((await statusOf(rendio, ada, job_id)).json().completed_at,
	    null);
	// Signed, but about a request that is not this attempt's.
	const other = fal.hookBody({ ...request, request_id: randomUUID() });
	const { request_id } = JSON.parse(other);
	assertPersonal(await post(pathOf(request), fal.sign(request_id, other),
	    other));
	assert.ok(await until(() => rendio.log().some((line) =>
	    line.includes("report_of_other_request"))));
	assert.equal((await statusOf(rendio, ada, job_id)).json().completed_at,
	    null);
	assertPersonal(await post(pathOf(request), good, body));
	assert.equal((await endOf(rendio, ada, job_id)).status, "completed");
});

for (const [what, script, hook] of [
	["its request", {}, "on"],
	["nothing", { submit: "reset", history: "off" }, "on"],
	["its request, and the webhook tells no result", {}, "null"],
])
	test("what comes after it was lost is given for nothing, once" +
	    ` (we knew ${what})`, async () => {
		const before = await creditsOf(rendio, ada);
		const { job_id, request } = await silent(script);
		await sql(rendio, "UPDATE jobs SET deadline_at_ms = 1," +
		    ` due_at_ms = 1 WHERE id = ${id(job_id)}`);
		const lost = await endOf(rendio, ada, job_id);
		assert.equal(lost.error_code, "timeout");
		assert.equal(await creditsOf(rendio, ada), before);

		request.script.hook = hook;
		const body = fal.hookBody(request);
		for (let i = 0; i < 2; i++)
			assertPersonal(await post(pathOf(request),
			    fal.sign(request.request_id, body), body));
		const end = await until(async () => {
			const now = (await statusOf(rendio, ada, job_id)).json();
			return now.status === "completed" && now;
		}, 30_000);
		assert.ok(end);
		assert.equal(end.credits_refunded, end.credits_used);
		assert.equal(await creditsOf(rendio, ada), before);
		assert.equal((await rendio.fetch(end.video_url)).status, 200);
		await assertAuditClean(rendio);
	});

test("what comes after its job failed or was deleted is an alarm", async () => {
	const failed = await silent({ submit: "reset", history: "off" });
	await sql(rendio, "UPDATE attempts SET state = 'failed'," +
	    ` ended_at_ms = 1 WHERE job_id = ${id(failed.job_id)}`);
	const lost = await silent();
	await sql(rendio, "UPDATE jobs SET deadline_at_ms = 1," +
	    ` due_at_ms = 1 WHERE id = ${id(lost.job_id)}`);
	await endOf(rendio, ada, lost.job_id);
	assert.equal((await remove(rendio, ada, lost.job_id)).status, 200);
	const alarms = () => rendio.log().filter((line) =>
	    line.includes("unwanted_result") && line.includes('"error"')).length;
	for (const [i, { request }] of [lost, failed].entries()) {
		const body = fal.hookBody(request);
		assertPersonal(await post(pathOf(request),
		    fal.sign(request.request_id, body), body));
		assert.ok(await until(() => alarms() === i + 1, 20_000));
	}
	await sql(rendio, "UPDATE attempts SET state = 'unknown'," +
	    ` ended_at_ms = NULL WHERE job_id = ${id(failed.job_id)}`);
	const { checks } = JSON.parse((await rendio.cli("doctor", "--offline", "--json"))
	    .stdout);
	const check = checks.find(({ check }) => check === "submissions");
	assert.equal(check.level, "warning");
	assert.match(check.text, /^1 of unknown fate .* 3 others came late$/);
});

test("an error of ours tells nothing of us", async () => {
	const { request } = await silent();
	const body = fal.hookBody(request);

	await whileGone(rendio, ["provider_reports"], async () =>
	    assertTellsNothing(await post(pathOf(request),
		fal.sign(request.request_id, body), body)));
});

test("nobody's API key and no session is asked for", async () => {
	const res = await rendio.request("POST", `${PATH}x.y`, { apikey: "wrong" });
	assertError(res, 404, "not_found");
});

/** Lets time pass since fal was asked for its keys, or answered. */
function age(name, seconds) {
	const then = Date.now() / 1000 - seconds;
	fs.utimesSync(rendio.file("run", `fal-jwks.${name}`), then, then);
}

test("a new key is found at once, and without keys fal comes again",
    async () => {
	const { job_id, request } = await silent();
	const body = fal.hookBody(request);
	const say = async (...how) => await post(pathOf(request),
	    fal.sign(request.request_id, body, ...how), body);
	const [old] = fal.keys;
	const kept = fs.readFileSync(rendio.file("run", "fal-jwks.json"));

	fal.rotate();
	// What is no answer, and what has no keys, leaves those that we have.
	for (const trouble of ["isJwksDown", "isJwksEmpty"]) {
		const calls = fal.jwksCalls;

		fal[trouble] = true;
		age("json", 120);
		age("lock", 120);
		for (let i = 0; i < 5; i++)
			assertError(await say(), 503, "service_unavailable");
		assert.equal(fal.jwksCalls, calls + 1);
		fal[trouble] = false;
		assert.ok(fs.readFileSync(rendio.file("run", "fal-jwks.json"))
		    .equals(kept));
		assertPersonal(await say({ key: old.privateKey }));
	}
	age("lock", 59);
	const calls = fal.jwksCalls;
	assertError(await say(), 503, "service_unavailable");
	assert.equal(fal.jwksCalls, calls);
	age("lock", 61);
	for (const res of await Promise.all(Array.from({ length: 10 }, () =>
	    say())))
		assertPersonal(res);
	assert.equal(fal.jwksCalls, calls + 1);
	// Who forges does not make us ask.
	const { privateKey } = generateKeyPairSync("ed25519");
	for (let i = 0; i < 10; i++)
		assertError(await say({ key: privateKey }), 401, "unauthorized");
	assert.equal(fal.jwksCalls, calls + 1);
	assert.equal((await endOf(rendio, ada, job_id)).status, "completed");
});

test("without any keys fal comes again", async () => {
	const { job_id, request } = await silent();
	const body = fal.hookBody(request);
	const say = async () => await post(pathOf(request),
	    fal.sign(request.request_id, body), body);

	fs.rmSync(rendio.file("run", "fal-jwks.json"));
	fal.isJwksEmpty = true;
	age("lock", 61);
	const calls = fal.jwksCalls;
	assertError(await say(), 503, "service_unavailable");
	assert.equal(fal.jwksCalls, calls + 1);
	fal.isJwksEmpty = false;
	age("lock", 61);
	assertPersonal(await say());
	assert.equal((await endOf(rendio, ada, job_id)).status, "completed");
});

test("no request costs more statements than its budget", () => {
	assertBudget(rendio, "fal-webhook", 1);
});

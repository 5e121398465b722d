// SPDX-License-Identifier: MIT
// The operator's rules for a company that is paid: breakers, spending caps,
// whose turn it is, who keeps the credits, and second attempts.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Fal } from "../fakes/fal.mjs";
import { id, sql } from "./support/database.mjs";
import { assertAuditClean, assertError } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, order, orderJob, startWorker, statusOf, stopWorker }
    from "./support/jobs.mjs";

const TEXT_MODEL = "977be462-dfb8-511a-a3cd-011fb96a11c6";
const KLING = "0617a9a5-8eef-51ae-aed1-bf170d3f1d1f";

let fal, rendio;

async function setUp(env) {
	fal = await Fal.start();
	rendio = await start({ env: { ...fal.env, ...env } });
	fal.fetch = rendio.fetch;
}

async function tearDown() {
	await assertAuditClean(rendio);
	assert.ok(fal.mostPaid <= 1);
	await rendio.stop();
	await fal.stop();
}

async function rich(name, credits = 1000) {
	const guest = await rendio.guest(name);
	await rendio.cli("user", "grant", guest.user_id, String(credits),
	    "--reason", "tests");
	return guest;
}

async function breakers() {
	const { stdout } = await rendio.cli("provider", "list", "--json");
	return JSON.parse(stdout);
}

async function must(...args) {
	const { code, stdout, stderr } = await rendio.cli(...args);
	assert.equal(code, 0, stdout + stderr);
	return { stdout, stderr };
}

describe("a company that turns us away", () => {
	before(() => setUp({}));
	after(tearDown);

	for (const [fault, reason, endpoint] of [
		["401", "provider_auth", ""],
		["locked", "provider_locked", ""],
		["404", "model_gone", "fal-ai/veo3.1/fast"],
	]) {
		test(`(${fault}) is left alone, and nobody is charged meanwhile`,
		    async () => {
			const ada = await rich(`ada-${fault}`);
			const before = await creditsOf(rendio, ada);
			const job = await orderJob(rendio, ada, { prompt:
			    fal.script({ submit: fault, tag: fault }) });
			const end = await endOf(rendio, ada, job);

			assert.equal(end.error_code, reason);
			assert.equal(end.credits_remaining, before);
			assert.ok(await until(async () =>
			    (await breakers()).length === 1));
			const [breaker] = await breakers();
			assert.equal(breaker.company, "fal");
			assert.equal(breaker.endpoint, endpoint);
			assert.equal(breaker.reason, reason);
			assert.ok(rendio.log().some((line) =>
			    line.includes('"level":"error"') &&
			    line.includes("breaker_open") &&
			    line.includes(reason)), "an alert");

			assertError(await order(rendio, ada), 502,
			    "provider_unavailable");
			assert.equal(await creditsOf(rendio, ada), before);
			const other = await order(rendio, ada,
			    { model_id: KLING, prompt: "A sea" });
			assert.equal(other.status, endpoint === "" ? 502 : 200);

			// Later one may try; it is accepted, and all is well.
			await sql(rendio, "UPDATE breakers SET probe_at_ms = 1");
			const next = await orderJob(rendio, ada);
			assert.equal((await endOf(rendio, ada, next)).status,
			    "completed");
			assert.deepEqual(await breakers(), []);
		});
	}

	test("one attempt tries, the others wait for what comes of it", async () => {
		const ada = await rich("ada-probe");
		await stopWorker(rendio);
		const jobs = [];
		for (let i = 0; i < 5; i++)
			jobs.push(await orderJob(rendio, ada,
			    { prompt: fal.script({ tag: `probe ${i}` }) }));
		await sql(rendio, "INSERT INTO breakers VALUES ('fal', ''," +
		    " 'provider_locked', 3, 1, 1)");
		fal.account = "locked";
		const paid = fal.paid.size;
		await startWorker(rendio);
		assert.equal((await endOf(rendio, ada, jobs[0])).error_code,
		    "provider_locked");
		await sleep(500);
		fal.account = null;
		for (const job of jobs.slice(1))
			assert.equal((await statusOf(rendio, ada, job)).json()
			    .status, "pending");
		assert.equal(fal.paid.size, paid);
		await must("provider", "start", "fal");
		for (const job of jobs.slice(1))
			assert.equal((await endOf(rendio, ada, job)).status,
			    "completed");
	});

	test("an operator stops all, a company or a model by hand", async () => {
		const ada = await rich("ada-stop");
		for (const what of [["all"], ["fal"],
			["fal", "fal-ai/veo3.1/fast"]]) {
			await must("provider", "stop", ...what);
			assertError(await order(rendio, ada), 502,
			    "provider_unavailable");
			await sql(rendio, "SELECT 1");
			assert.equal((await breakers())[0].next_try_at, null);
			await must("provider", "start", ...what);
			assert.equal((await order(rendio, ada)).status, 200);
		}
		assert.equal((await rendio.cli("provider", "start", "fal")).code, 1);
		assert.equal((await rendio.cli("provider", "stop", "all",
		    "x")).code, 2);
		const { stdout } = await must("provider", "list");
		assert.equal(stdout, "");
	});
});

describe("what may be spent", () => {
	before(() => setUp({ RENDIO_PROVIDER_SPEND_CAP_USD_PER_DAY: "3" }));
	after(tearDown);

	test("reserves the most that it can cost and stops at the cap", async () => {
		// 4 s at 0.15 USD: five of them are 3 USD.
		const ada = await rich("ada");
		for (let i = 0; i < 4; i++) {
			const job = await orderJob(rendio, ada);
			assert.equal((await endOf(rendio, ada, job)).status,
			    "completed");
		}
		const spent = async () => JSON.parse((await must("spend", "--json"))
		    .stdout).reduce((sum, row) => sum + row.micro_usd, 0);
		assert.equal(await spent(), 4 * 600_000);

		// What was certainly not billed is given back.
		for (const script of [{ submit: "422" }, { result: "provider" }]) {
			const job = await orderJob(rendio, ada,
			    { prompt: fal.script(script) });
			assert.equal((await endOf(rendio, ada, job)).status,
			    "failed");
			assert.equal(await spent(), 4 * 600_000);
		}
		const last = await orderJob(rendio, ada);
		assert.equal((await endOf(rendio, ada, last)).status, "completed");
		assert.equal(await spent(), 3_000_000);
		const before = await creditsOf(rendio, ada);
		assertError(await order(rendio, ada), 502, "provider_unavailable");
		assert.equal(await creditsOf(rendio, ada), before);
	});

	test("a model has a cap of its own, and what slips by it waits",
	    async () => {
		const ada = await rich("eve");
		await sql(rendio, "UPDATE attempts SET cost_micro_usd = 0");
		await sql(rendio, "DELETE FROM provider_spend");
		await must("model", "set", TEXT_MODEL,
		    "spend_cap_micro_usd_per_day=599999");
		assertError(await order(rendio, ada), 502, "provider_unavailable");
		await must("model", "set", TEXT_MODEL,
		    "spend_cap_micro_usd_per_day=600000");
		await stopWorker(rendio);
		const jobs = [await orderJob(rendio, ada),
			await orderJob(rendio, ada)];
		await startWorker(rendio);
		assert.equal((await endOf(rendio, ada, jobs[0])).status,
		    "completed");
		await sleep(500);
		const waiting = (await statusOf(rendio, ada, jobs[1])).json();
		assert.equal(waiting.status, "pending");
		assert.equal(waiting.queue_position, 0);
		await must("model", "set", TEXT_MODEL,
		    "spend_cap_micro_usd_per_day=");
		await sql(rendio, "UPDATE jobs SET due_at_ms = 1 WHERE" +
		    " state = 'queued'");
		assert.equal((await endOf(rendio, ada, jobs[1])).status,
		    "completed");
	});

	test("a price below its cost is warned of", async () => {
		assert.equal((await must("model", "list")).stderr, "");
		const { stderr } = await must("model", "set", TEXT_MODEL,
		    "cost.720p.audio=150001");
		assert.match(stderr, /fal-ai\/veo3\.1\/fast, 720p with sound/);
		await must("model", "set", TEXT_MODEL, "cost.720p.audio=150000");
		for (const bad of ["cost.720p=1", "cost.9p.audio=1",
			"cost.720p.audio=-1", "cost.720p.audio=x",
			"fallback_id=x", "spend_cap_micro_usd_per_day=-1"])
			assert.equal((await rendio.cli("model", "set", TEXT_MODEL,
			    bad)).code, 2, bad);
	});
});

describe("what fails", () => {
	before(() => setUp({
		RENDIO_PROVIDER_ATTEMPTS_MAX: "2",
		RENDIO_PROVIDER_KEEP_CHARGE_CODES: "content_policy, input_rejected",
	}));
	after(tearDown);

	test("keeps its charge where the operator says so", async () => {
		const ada = await rich("ada");
		const before = await creditsOf(rendio, ada);
		const kept = await orderJob(rendio, ada,
		    { prompt: fal.script({ result: "content" }) });
		const end = await endOf(rendio, ada, kept);

		assert.equal(end.status, "failed");
		assert.equal(end.error_code, "content_policy");
		assert.equal(end.credits_refunded, 0);
		assert.equal(end.credits_remaining, before - end.credits_used);
		const given = await orderJob(rendio, ada,
		    { prompt: fal.script({ result: "image" }) });
		assert.equal((await endOf(rendio, ada, given)).credits_refunded,
		    end.credits_used);
	});

	for (const hook of ["on", "off"]) {
		test(`is tried a second time, as an attempt of its own (${hook})`,
		    async () => {
			const ada = await rich(`bob-${hook}`);
			const before = await creditsOf(rendio, ada);
			const job = await orderJob(rendio, ada, { prompt:
			    fal.script({ result: "provider", tag: hook, hook }) });
			const end = await endOf(rendio, ada, job);
			const attempts = await sql(rendio, "SELECT number, state" +
			    ` FROM attempts WHERE job_id = ${id(job)}` +
			    " ORDER BY number");

			assert.equal(end.status, "failed");
			assert.equal(end.credits_remaining, before);
			assert.deepEqual(attempts, [
				{ number: 1, state: "failed" },
				{ number: 2, state: "failed" }]);
			assert.equal([...fal.requests.values()].filter(({ input }) =>
			    input.prompt.includes(`"tag":"${hook}"`)).length, 2);
		});
	}

	test("at a user's own fault is not tried again", async () => {
		const ada = await rich("cid");
		const job = await orderJob(rendio, ada,
		    { prompt: fal.script({ result: "image", tag: "own" }) });
		await endOf(rendio, ada, job);
		assert.equal([...fal.requests.values()].filter(({ input }) =>
		    input.prompt.includes('"tag":"own"')).length, 1);
	});
});

describe("whose turn it is", () => {
	const USERS = 10;
	const EACH = 20;

	before(() => setUp({
		RENDIO_PROVIDER_CONCURRENCY: "4",
		RENDIO_JOBS_OPEN_MAX_FREE: "20",
		RENDIO_JOBS_OPEN_MAX_PREMIUM: "21",
	}));
	after(tearDown);

	test(`${USERS * EACH} jobs at once, where two run at a time: all end, in` +
	    " a fair order, and nobody's request waits", async (t) => {
		const users = [];
		const jobs = [];
		const waits = [];
		fal.limit = 2;
		fal.queue_ms = 1;
		fal.run_ms = 10;
		for (let i = 0; i < USERS; i++)
			users.push(await rich(`user-${i}`));
		await sql(rendio, "UPDATE users SET tier = 'premium' WHERE id =" +
		    id(users[USERS - 1].user_id));
		// The audit wants to see what that is paid with.
		await sql(rendio, "INSERT INTO subscriptions (environment," +
		    " original_transaction_id, user_id, product_id," +
		    " active_until_ms, is_active, created_at_ms) VALUES" +
		    " ('Sandbox', '1', " + id(users[USERS - 1].user_id) +
		    `, 'test', ${Date.now() + 86_400_000}, 1, ${Date.now()})`);
		await stopWorker(rendio);
		// The greedy come first, with all they have.
		for (const [i, user] of users.entries())
			for (let n = 0; n < EACH; n++) {
				const began = performance.now();
				const job = await orderJob(rendio, user, { prompt:
				    fal.script({ user: i, n }) });
				waits.push(performance.now() - began);
				jobs.push({ user, job });
			}
		assertError(await order(rendio, users[0]), 429, "too_many_jobs");
		assert.equal((await order(rendio, users[USERS - 1])).status, 200,
		    "a paying user may have one more");
		const { queue_position, poll_after_ms } = (await statusOf(rendio,
		    users[0], jobs[EACH - 1].job)).json();
		assert.ok(queue_position > 100, String(queue_position));
		assert.equal(poll_after_ms, 30_000);

		await startWorker(rendio);
		const busy = [];
		for (const { user, job } of jobs) {
			const began = performance.now();
			assert.equal((await endOf(rendio, user, job)).status,
			    "completed");
			busy.push(performance.now() - began);
		}
		assert.ok(fal.maxRunning <= 2);
		assert.equal(fal.mostPaid, 1);

		const order_ = fal.started.map(({ script }) => script)
		    .filter(({ user }) => user !== undefined);
		const place = (user, n) => order_.findIndex((one) =>
		    one.user === user && one.n === n);
		// Four are under way at once, so neighbours may change places.
		for (let i = 0; i + 1 < USERS; i++)
			for (let j = 0; j + 1 < USERS; j++)
				assert.ok(place(i, 0) < place(j, 2) + 4,
				    `the first of ${i} before the third of ${j}`);
		assert.ok(place(USERS - 1, 3) < place(0, 1) + 4,
		    "who pays comes first");
		assert.ok(place(0, 5) < place(USERS - 1, EACH - 1),
		    "but lets others have their turn");
		t.diagnostic(`slowest order ${Math.round(Math.max(...waits))} ms`);
	});
});

// SPDX-License-Identifier: MIT
// POST /functions/v1/replicate-webhook/ATTEMPT.MAC, and the second company
// behind it: the same jobs, another shape, and failing over to it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Fal } from "../fakes/fal.mjs";
import { Replicate } from "../fakes/replicate.mjs";
import { id, sql, whileGone } from "./support/database.mjs";
import { assertAuditClean, assertBudget, assertError, assertPersonal,
    assertTellsNothing } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, orderJob } from "./support/jobs.mjs";

const PATH = "/functions/v1/replicate-webhook/";
const TEXT_MODEL = "977be462-dfb8-511a-a3cd-011fb96a11c6";
const MODEL = "11111111-1111-4111-8111-111111111111";
const FALLBACK = "22222222-2222-4222-8222-222222222222";

let fal, replicate, rendio, ada;
let count = 0;

before(async () => {
	fal = await Fal.start();
	replicate = await Replicate.start();
	rendio = await start({ env: { ...fal.env, ...replicate.env,
		RENDIO_MEDIA_HOSTS: `127.0.0.1:${fal.port}, 127.0.0.1:${
		    replicate.port}`,
		RENDIO_PROVIDER_ATTEMPTS_MAX: "2",
	} });
	fal.fetch = replicate.fetch = rendio.fetch;
	ada = await rendio.guest("ada");
	await rendio.cli("user", "grant", ada.user_id, "1000", "--reason", "tests");
	// Rows, as an operator adds them: one to order, one to fall back to.
	for (const [model, endpoint, state] of [
		[MODEL, "google/veo-3.1-fast", "available"],
		[FALLBACK, "google/veo-3.1-fast-spare", "disabled"]]) {
		await sql(rendio, "INSERT INTO models (id, company, endpoint, name," +
		    " category, state, cost_per_generation, has_audio," +
		    ` duration_format, image_field) VALUES (${id(model)},` +
		    ` 'replicate', '${endpoint}', 'Veo', 'text-to-video',` +
		    ` '${state}', 4, 1, '', 'image')`);
		await sql(rendio, "INSERT INTO model_options SELECT" +
		    ` ${id(model)}, setting, position, value, is_default FROM` +
		    ` model_options WHERE model_id = ${id(TEXT_MODEL)}`);
		await sql(rendio, "INSERT INTO model_prices SELECT" +
		    ` ${id(model)}, resolution, has_audio,` +
		    " millicredits_per_second, provider_micro_usd_per_second" +
		    ` FROM model_prices WHERE model_id = ${id(TEXT_MODEL)}`);
	}
});
after(async () => {
	await rendio.stop();
	await fal.stop();
	await replicate.stop();
});

/** Orders one of Replicate's; its end, and the predictions that it made. */
async function make(script, model_id = MODEL) {
	const prompt = fal.script({ ...script, tag: ++count });
	const job = await orderJob(rendio, ada, { model_id, prompt });
	const end = await endOf(rendio, ada, job);
	const made = [...replicate.predictions.values()]
	    .filter(({ input }) => input.prompt === prompt);
	return { job, end, made };
}

for (const hook of ["on", "twice", "off", "forged"]) {
	test(`a video is made by Replicate (webhook ${hook})`, async () => {
		const { end, made } = await make({ hook });

		assert.equal(end.status, "completed", JSON.stringify(end));
		assert.equal(made.length, 1);
		const [{ input, webhook, headers }] = made;
		assert.equal(input.duration, 4);
		assert.equal(input.generate_audio, true);
		assert.ok(webhook.startsWith(rendio.url + PATH));
		assert.equal(headers["cancel-after"], "2700s");
	});
}

for (const hook of ["on", "off"]) {
	test(`a lost submission is found again (webhook ${hook})`, async () => {
		const { end, made } = await make({ submit: "reset", hook });

		assert.equal(end.status, "completed");
		assert.equal(made.length, 1);
	});
}

for (const [result, code, attempts] of [["failed", "provider_error", 2],
	["nsfw", "content_policy", 1], ["aborted", "generation_timeout", 2]]) {
	test(`a prediction that ends ${result} gives the credits back`,
	    async () => {
		const before = await creditsOf(rendio, ada);
		const { end, made } = await make({ result });

		assert.equal(end.error_code, code);
		assert.equal(end.credits_remaining, before);
		assert.equal(made.length, attempts);
	});
}

test("what is not signed with our secret changes nothing", async () => {
	const { made: [one] } = await make({ hook: "off" });
	const target = new URL(one.webhook).pathname;
	const body = JSON.stringify(replicate.view(one));
	const good = replicate.sign(body);
	const now = Math.floor(Date.now() / 1000);
	const post = async (url, headers, bytes) => await rendio.request("POST",
	    url, { headers, body: bytes, apikey: null });

	for (const [headers, bytes] of [
		[{}, body],
		[{ ...good, "webhook-id": "other" }, body],
		[{ ...good, "webhook-signature": "v1,AAAA" }, body],
		[{ ...good, "webhook-signature":
		    good["webhook-signature"].replaceAll("v1,", "v2,") }, body],
		[good, `${body} `],
		[replicate.sign(body, { timestamp: now - 310 }), body],
		[replicate.sign(body, { timestamp: now + 310 }), body],
	])
		assertError(await post(target, headers, bytes), 401, "unauthorized");
	for (const bytes of ["", "[]", "{}",
		'{"id":"x","status":"processing"}'])
		assertError(await post(target, replicate.sign(bytes), bytes), 400,
		    "invalid_request");
	assertError(await post(`${PATH}x`, good, body), 404, "not_found");
	assertError(await post(target.replace("replicate", "fal"), good, body),
	    404, "not_found");
	await whileGone(rendio, ["provider_reports"], async () =>
	    assertTellsNothing(await post(target, good, body)));
	assert.deepEqual(assertPersonal(await post(target, good, body)),
	    { success: true });
});

test("a job that was never sent fails over to another company", async () => {
	assert.equal((await rendio.cli("model", "set", TEXT_MODEL,
	    `fallback_id=${FALLBACK}`)).code, 0);
	await rendio.cli("provider", "stop", "fal");
	const { job, end, made } = await make({}, TEXT_MODEL);

	assert.equal(end.status, "completed");
	assert.equal(made[0].model, "google/veo-3.1-fast-spare");
	const attempts = await sql(rendio, "SELECT number, provider FROM" +
	    ` attempts WHERE job_id = ${id(job)}`);
	assert.deepEqual(attempts, [{ number: 1, provider: "replicate" }]);
	await rendio.cli("provider", "start", "fal");
});

test("so does one that certainly failed", async () => {
	const prompt = `A sea [[${JSON.stringify({ result: "provider",
		tag: "over" })}]]`;
	const job = await orderJob(rendio, ada,
	    { model_id: TEXT_MODEL, prompt });

	assert.equal((await endOf(rendio, ada, job)).status, "completed");
	const attempts = await sql(rendio, "SELECT number, provider, state FROM" +
	    ` attempts WHERE job_id = ${id(job)} ORDER BY number`);
	assert.deepEqual(attempts, [
		{ number: 1, provider: "fal", state: "failed" },
		{ number: 2, provider: "replicate", state: "succeeded" }]);
});

test("but not one whose fate is unknown", async () => {
	const job = await orderJob(rendio, ada, { model_id: TEXT_MODEL, prompt:
	    fal.script({ submit: "reset", history: "off", hook: "off" }) });

	assert.ok(await until(async () => (await sql(rendio, "SELECT 1 FROM" +
	    ` attempts WHERE state = 'unknown' AND job_id = ${id(job)}`))
	    .length === 1));
	await rendio.cli("provider", "stop", "fal");
	const attempts = await sql(rendio, "SELECT number, provider, state FROM" +
	    ` attempts WHERE job_id = ${id(job)}`);
	assert.deepEqual(attempts,
	    [{ number: 1, provider: "fal", state: "unknown" }]);
});

test("nobody was paid twice and the books are right", async () => {
	assert.equal(replicate.mostPaid, 1);
	assert.ok(fal.mostPaid <= 1);
	await assertAuditClean(rendio);
});

test("no request costs more statements than its budget", () => {
	assertBudget(rendio, "replicate-webhook", 1);
});

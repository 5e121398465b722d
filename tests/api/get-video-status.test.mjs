// SPDX-License-Identifier: MIT
// GET /functions/v1/get-video-status: how a generation stands.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { assertError, assertPersonal, assertStatements, DATE, stopClean }
    from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, order, orderJob, startWorker, statusOf, stopWorker }
    from "./support/jobs.mjs";

const PATH = "/functions/v1/get-video-status";
const MEMBERS = ["job_id", "status", "prompt", "model_name", "credits_used",
	"credits_refunded", "video_url", "thumbnail_url", "error_code",
	"error_message", "queue_position", "poll_after_ms", "created_at",
	"completed_at", "credits_remaining"];

let rendio, ada, bob;

before(async () => {
	rendio = await start();
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	assert.equal((await rendio.cli("user", "grant", ada.user_id, "100",
	    "--reason", "tests")).code, 0);
});
after(() => stopClean(rendio));

test("a job that nobody has begun is pending", async (t) => {
	await stopWorker(rendio);
	t.after(() => startWorker(rendio));
	const jobId = await orderJob(rendio, ada, { prompt: "Ünlü \"deniz\" 🌊" });
	const res = await statusOf(rendio, ada, jobId.toUpperCase());
	const body = assertPersonal(res);

	assert.deepEqual(Object.keys(body), MEMBERS);
	assert.equal(body.job_id, jobId);
	assert.equal(body.status, "pending");
	assert.equal(body.prompt, "Ünlü \"deniz\" 🌊");
	assert.equal(body.model_name, "Veo 3.1 Fast Text");
	assert.equal(body.credits_used, 4);
	assert.equal(body.credits_refunded, 0);
	assert.match(body.created_at, DATE);
	assert.equal(body.poll_after_ms, 2000);
	for (const member of ["video_url", "thumbnail_url", "error_code",
		"error_message", "completed_at", "credits_remaining"])
		assert.equal(body[member], null, member);
	assert.equal(body.queue_position, 0);
	await assertStatements(rendio, res, 3);
});

test("a job under way is processing, and says when to ask again", async () => {
	const jobId = await orderJob(rendio, ada, { prompt: "[slow:60]" });
	const body = await until(async () => {
		const status = (await statusOf(rendio, ada, jobId)).json();
		return status.status === "processing" && status;
	}, 10_000);

	assert.ok(body);
	assert.ok(body.poll_after_ms >= 2000 && body.poll_after_ms <= 30_000);
	assert.equal(body.completed_at, null);
	assert.equal(body.video_url, null);
});

test("a completed job has a link on our host and nothing to ask for", async () => {
	const jobId = await orderJob(rendio, ada);
	const body = await endOf(rendio, ada, jobId);

	assert.deepEqual(Object.keys(body), MEMBERS);
	assert.equal(body.status, "completed");
	assert.equal(body.credits_refunded, 0);
	assert.ok(body.video_url.startsWith(
	    `${rendio.url}/storage/v1/object/sign/videos/${ada.user_id}/${jobId}.mp4?token=`));
	assert.equal(body.poll_after_ms, null);
	assert.equal(body.credits_remaining, await creditsOf(rendio, ada));
	assert.match(body.completed_at, DATE);
	assert.equal(body.error_code, null);
});

test("the error message is in the language of the user", async () => {
	const tokens = {};
	for (const lang of ["en", "tr", "es"]) {
		const { stdout } = await rendio.cli("sandbox", "device", lang);
		const res = await rendio.request("POST",
		    "/functions/v1/device-check", {
			headers: { "accept-language": lang },
			body: { device_id: randomUUID(),
				device_token: stdout.trim() },
		});
		tokens[lang] = res.json();
	}
	const messages = await Promise.all(Object.values(tokens)
	    .map(async (guest) => {
		const jobId = await orderJob(rendio, guest,
		    { prompt: "[fail:content]" });
		const end = await endOf(rendio, guest, jobId);
		assert.equal(end.status, "failed");
		assert.equal(end.error_code, "content_policy");
		return end.error_message;
	}));

	assert.match(messages[0], /refused/);
	assert.match(messages[1], /kurallarına/);
	assert.match(messages[2], /rechazaron/);
});

test("asking often asks nobody else and moves nothing", async () => {
	const res = await order(rendio, ada, { prompt: "[slow:60]" });
	const { job_id } = assertPersonal(res);
	const answers = await Promise.all(Array.from({ length: 50 }, () =>
	    statusOf(rendio, ada, job_id)));

	for (const answer of answers)
		assert.equal(answer.status, 200);
	await assertStatements(rendio, answers[49], 2);
});

test("a job_id that is missing or none is 400 invalid_request", async () => {
	for (const query of ["", "?job_id=", "?job_id=7", "?job_id=%00",
		`?job=${randomUUID()}`, `?job_id=${randomUUID()}x`,
		`?job_id=${randomUUID()}&job_id=${randomUUID()}`])
		assertError(await rendio.request("GET", `${PATH}${query}`,
		    { bearer: ada.access_token }), 400, "invalid_request");
});

test("without a user it is 401", async () => {
	assertError(await statusOf(rendio, {}, randomUUID()), 401,
	    "unauthorized");
});

test("a job that is unknown or somebody else's is 404, all the same",
    async () => {
	const jobId = await orderJob(rendio, bob);

	assertPersonal(await statusOf(rendio, bob, jobId));
	const foreign = await statusOf(rendio, ada, jobId);
	const unknown = await statusOf(rendio, ada, randomUUID());
	for (const res of [foreign, unknown])
		assertError(res, 404, "job_not_found");
	assert.equal(foreign.json().error, unknown.json().error);
});

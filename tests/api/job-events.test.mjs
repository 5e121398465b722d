// SPDX-License-Identifier: MIT
// GET /functions/v1/job-events: one job until its end.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { start } from "./support/instance.mjs";
import { endOf, orderJob, remove, startWorker, statusOf, stopWorker }
    from "./support/jobs.mjs";
import { jobEvents, Stream } from "./support/streams.mjs";

let rendio, ada, bob;

before(async () => {
	rendio = await start();
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	await rendio.cli("user", "grant", ada.user_id, "200", "--reason", "x");
});
after(() => rendio.stop());

function assertRefused(stream, status, code) {
	assert.equal(stream.status, status, stream.text);
	assert.equal(stream.json().code, code);
}

test("a job is followed from its present state to its end", async () => {
	await stopWorker(rendio);
	const jobId = await orderJob(rendio, ada);
	const other = await orderJob(rendio, ada);
	const stream = await jobEvents(rendio, ada, jobId.toUpperCase());
	const first = await stream.wait(() => true);
	assert.equal(first.event, "snapshot");
	assert.equal(first.data.status, "pending");
	assert.equal(first.data.poll_after_ms, 2000);
	await startWorker(rendio);

	const last = await stream.end(30_000);
	assert.equal(last.event, "end");
	assert.deepEqual(last.data, { reason: "job_over" });
	const done = stream.messages.at(-2);
	assert.equal(done.event, "job");
	assert.equal(done.data.status, "completed");
	assert.equal(done.data.poll_after_ms, null);
	assert.deepEqual(Object.keys(done.data).sort(), Object.keys(
	    (await statusOf(rendio, ada, jobId)).json()).sort());
	assert.ok(!stream.messages.some((m) => m.data.job_id === other));
	assert.ok(stream.retry_ms >= 2000);
	await endOf(rendio, ada, other);

	// Who comes later is told of the end at once …
	const late = await jobEvents(rendio, ada, jobId);
	await late.end();
	assert.deepEqual(late.messages.map((m) => m.event),
	    ["snapshot", "end"]);
	// … and who knows of it that it is no use to come again.
	const again = await jobEvents(rendio, ada, jobId,
	    { headers: { "last-event-id": done.id } });
	assert.equal(again.status, 204);
	assert.equal(again.text, "");
});

test("who was away at the end is told of it by Last-Event-ID", async () => {
	await stopWorker(rendio);
	const jobId = await orderJob(rendio, ada);
	const stream = await jobEvents(rendio, ada, jobId);
	await stream.wait(() => true);
	stream.close();
	await startWorker(rendio);
	await endOf(rendio, ada, jobId);

	const back = await jobEvents(rendio, ada, jobId,
	    { headers: { "last-event-id": stream.last_id } });
	await back.end();
	assert.deepEqual(back.messages.map((m) => [m.event, m.data.status]),
	    [["job", "completed"], ["end", undefined]]);
});

test("a failure comes with its reason and the credits", async () => {
	const jobId = await orderJob(rendio, ada,
	    { prompt: "[fail:content]" });
	const stream = await jobEvents(rendio, ada, jobId);

	await stream.end(30_000);
	const status = (await statusOf(rendio, ada, jobId)).json();
	const told = stream.messages.at(-2).data;
	assert.equal(told.status, "failed");
	assert.equal(status.status, "failed");
	assert.equal(told.error_code, status.error_code);
	assert.equal(told.credits_refunded, status.credits_refunded);
});

test("a deleted job ends its stream, and then there is none", async () => {
	await stopWorker(rendio);
	const jobId = await orderJob(rendio, ada);
	const stream = await jobEvents(rendio, ada, jobId);
	await stream.wait(() => true);

	await remove(rendio, ada, jobId);
	await stream.end();
	assert.deepEqual(stream.messages.map((m) => m.event),
	    ["snapshot", "deleted", "end"]);
	assertRefused(await jobEvents(rendio, ada, jobId), 404,
	    "job_not_found");
	await startWorker(rendio);
});

test("another's job is as absent as one that never was", async () => {
	const jobId = await orderJob(rendio, ada);

	for (const id of [jobId, randomUUID()])
		assertRefused(await jobEvents(rendio, bob, id), 404,
		    "job_not_found");
	const stream = await jobEvents(rendio, bob, jobId,
	    { headers: { "last-event-id": "1" } });
	assertRefused(stream, 404, "job_not_found");
});

test("without a job, or with two, it is no request", async () => {
	for (const query of ["", "?job_id=x", "?job_id=",
		`?job_id=${randomUUID()}&job_id=${randomUUID()}`])
		assertRefused(await Stream.open(rendio,
		    `/functions/v1/job-events${query}`,
		    { bearer: ada.access_token }), 400, "invalid_request");
});

test("a stream that is idle says so, so that nobody hangs up", async () => {
	await stopWorker(rendio);
	const stream = await jobEvents(rendio, ada, await orderJob(rendio, ada));

	await sleep(21_500);
	assert.equal(stream.comments, 1);
	assert.equal(stream.ended, false);
	stream.close();
	await startWorker(rendio);
});

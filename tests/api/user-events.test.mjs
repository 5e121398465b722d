// SPDX-License-Identifier: MIT

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { id, sql } from "./support/database.mjs";
import { assertNotLogged, assertPersonal } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, order, orderJob, remove, startWorker, statusOf,
    stopWorker } from "./support/jobs.mjs";
import { Stream, userEvents } from "./support/streams.mjs";
import { flipBit } from "./support/tokens.mjs";

let rendio;

before(async () => {
	rendio = await start({ env: { RENDIO_STREAMS_PER_ADDRESS_MAX: "3" } });
});
after(() => rendio.stop());

function grant(guest, credits) {
	return rendio.cli("user", "grant", guest.user_id, String(credits),
	    "--reason", "test");
}

async function ticketOf(guest) {
	return assertPersonal(await rendio.request("POST",
	    "/functions/v1/stream-ticket",
	    { bearer: guest.access_token, body: {} })).ticket;
}

/** What a stream that is refused says. */
function assertRefused(stream, status, code) {
	assert.equal(stream.status, status, stream.text);
	assert.equal(stream.headers["content-type"], "application/json");
	assert.equal(stream.headers["cache-control"], "no-store");
	assert.equal(stream.json().code, code);
	assert.equal(stream.json().request_id,
	    stream.headers["x-request-id"]);
}

test("the first message is the present state, the next ones the changes",
    async () => {
	const ada = await rendio.guest("ada");
	const stream = await userEvents(rendio, ada);

	assert.equal(stream.status, 200);
	assert.equal(stream.headers["content-type"], "text/event-stream");
	assert.equal(stream.headers["cache-control"], "no-store");
	assert.equal(stream.headers["content-encoding"], undefined);
	const first = await stream.wait(() => true);
	assert.equal(first.event, "snapshot");
	assert.match(first.id, /^\d+$/);
	assert.deepEqual(first.data, { credits_remaining: 10, jobs: [],
		next_before: null, poll_after_ms: 30000 });
	assert.ok(stream.retry_ms >= 2000 && stream.retry_ms < 5000);

	const began = performance.now();
	const jobId = await orderJob(rendio, ada);
	const told = await stream.wait((m) => m.data.job_id === jobId);
	assert.equal(told.event, "job");
	assert.equal(told.data.credits_remaining, 6);
	if (process.env.RENDIO_BUILD === "build")
		assert.ok(told.at - began < 3000);

	const last = await stream.wait((m) => m.data.status === "completed",
	    30_000);
	const { credits_remaining, ...job } = last.data;
	const status = (await statusOf(rendio, ada, jobId)).json();
	// A link is made anew each time.
	assert.match(job.video_url, /\/object\/sign\/videos\//);
	job.video_url = status.video_url;
	assert.deepEqual(job, status);
	assert.equal(credits_remaining, await creditsOf(rendio, ada));
	const ids = stream.messages.map((m) => Number(m.id));
	assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => a - b));
	stream.close();
});

// SPDX-License-Identifier: MIT
// The fake of fal against fal's own client: what we test with behaves as what
// it stands for.

import assert from "node:assert/strict";
import { createFalClient } from "@fal-ai/client";
import { after, before, test } from "node:test";
import { Fal, VIDEO } from "../fakes/fal.mjs";

const ENDPOINT = "fal-ai/veo3.1/fast/image-to-video";

let fal, client;

before(async () => {
	fal = await Fal.start({ queue_ms: 300 });
	client = createFalClient({
		credentials: fal.env.RENDIO_FAL_KEY,
		requestMiddleware: async (request) => ({ ...request, url:
		    request.url.replace("https://queue.fal.run", fal.url) }),
	});
});
after(() => fal.stop());

test("it subscribes, follows and gets its video", async () => {
	const seen = [];
	const { data, requestId } = await client.subscribe(ENDPOINT, {
		input: { prompt: "A sea", seed: 7 },
		pollInterval: 50,
		onQueueUpdate: ({ status }) => seen.push(status),
	});

	assert.equal(data.video.url, `${fal.url}/files/${requestId}.mp4`);
	assert.equal(data.video.file_size, VIDEO.length);
	// Who polls slowly may miss that it ran.
	assert.deepEqual([...new Set(seen)]
	    .filter((status) => status !== "IN_PROGRESS"),
	    ["IN_QUEUE", "COMPLETED"]);
	assert.equal(fal.requests.get(requestId).endpoint, ENDPOINT);
});

test("it submits with a webhook, asks and fetches step by step", async () => {
	const webhookUrl = "https://a.example/hook?x=1";
	const { request_id: requestId, status } = await client.queue.submit(
	    ENDPOINT, { input: { prompt: "A sea" }, webhookUrl });

	assert.equal(status, "IN_QUEUE");
	assert.equal(fal.requests.get(requestId).webhook, webhookUrl);
	assert.equal((await client.queue.status(ENDPOINT, { requestId })).status,
	    "IN_QUEUE");
	await fal.requests.get(requestId).done;
	assert.equal((await client.queue.status(ENDPOINT, { requestId })).status,
	    "COMPLETED");
	assert.ok((await client.queue.result(ENDPOINT, { requestId }))
	    .data.video.url);
});

test("a failure hides behind COMPLETED and shows in the result", async () => {
	const { request_id: requestId } = await client.queue.submit(ENDPOINT,
	    { input: { prompt: fal.script({ result: "content" }) } });

	await fal.requests.get(requestId).done;
	assert.equal((await client.queue.status(ENDPOINT, { requestId })).status,
	    "COMPLETED");
	await assert.rejects(client.queue.result(ENDPOINT, { requestId }),
	    (error) => error.status === 422 && error.name === "ValidationError" &&
		error.body.detail[0].type === "content_policy_violation");
});

test("it cancels what waits", async () => {
	const { request_id: requestId } = await client.queue.submit(ENDPOINT,
	    { input: { prompt: "A sea" } });

	await client.queue.cancel(ENDPOINT, { requestId });
	assert.equal(fal.requests.get(requestId).state, "CANCELLED");
});

test("a locked account is a 403, a bad key a 401", async () => {
	for (const [account, status] of [["locked", 403], ["401", 401]]) {
		fal.account = account;
		await assert.rejects(client.queue.submit(ENDPOINT,
		    { input: { prompt: "A sea" } }),
		(error) => error.status === status);
	}
	fal.account = null;
});

test("it pays again for an answer that was lost; we do not", async () => {
	const prompt = fal.script({ submit: "503", times: 1 });

	await client.queue.submit(ENDPOINT, { input: { prompt },
		webhookUrl: "https://a.example/once" });
	assert.equal([...fal.requests.values()].filter(({ input }) =>
	    input.prompt === prompt).length, 2);
});

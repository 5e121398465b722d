// SPDX-License-Identifier: MIT
// A video made by fal, played by tests/fakes/fal.mjs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Fal, VIDEO } from "../fakes/fal.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, orderJob } from "./support/jobs.mjs";

let fal, rendio, ada;

before(async () => {
	fal = await Fal.start();
	rendio = await start({ env: fal.env });
	ada = await rendio.guest("ada");
	await rendio.cli("user", "grant", ada.user_id, "1000", "--reason", "tests");
});
after(async () => {
	await rendio.stop();
	await fal.stop();
});

/** Orders one with a script; its end, and the requests that it made. */
async function make(script, body = {}) {
	const prompt = fal.script({ hook: "off", ...script });
	const id = await orderJob(rendio, ada, { ...body, prompt });
	const end = await endOf(rendio, ada, id);
	const requests = [...fal.requests.values()]
	    .filter((request) => request.input.prompt === prompt);
	return { end, requests };
}

test("a video is made, polled for, fetched and paid for once", async () => {
	const before = await creditsOf(rendio, ada);
	const { end, requests: [request, ...others] } = await make({ tag: 1 });

	assert.equal(end.status, "completed", JSON.stringify(end));
	assert.deepEqual(others, []);
	assert.equal(request.endpoint, "fal-ai/veo3.1/fast");
	assert.deepEqual(Object.keys(request.input).sort(), ["aspect_ratio",
		"duration", "generate_audio", "prompt", "resolution", "seed"]);
	assert.equal(request.input.duration, "4s");
	assert.match(request.webhook, new RegExp(`^${rendio.url}/functions/v1/` +
	    "fal-webhook/[0-9a-f-]{36}\\.[0-9a-f]{32}$"));
	assert.equal(request.headers["x-fal-request-timeout"], "900");
	assert.equal(request.headers["x-fal-object-lifecycle-preference"],
	    '{"expiration_duration_seconds":604800}');
	assert.equal(await creditsOf(rendio, ada), before - end.credits_used);
	const video = await rendio.fetch(end.video_url);
	assert.deepEqual(Buffer.from(await video.arrayBuffer()), VIDEO);
});

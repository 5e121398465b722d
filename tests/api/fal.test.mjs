// SPDX-License-Identifier: MIT
// A video made by fal, played by tests/fakes/fal.mjs.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { AppleId } from "../fakes/appleid.mjs";
import { DeviceCheck } from "../fakes/devicecheck.mjs";
import { Fal, VIDEO } from "../fakes/fal.mjs";
import { stopClean } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, orderJob } from "./support/jobs.mjs";
import { Phone } from "./support/phone.mjs";

let fal, rendio, ada;

before(async () => {
	fal = await Fal.start();
	rendio = await start({ env: fal.env });
	ada = await rendio.guest("ada");
	await rendio.cli("user", "grant", ada.user_id, "1000", "--reason", "tests");
});
after(() => stopClean(rendio, fal));

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

test("a failure hides behind COMPLETED and is found in the result", async () => {
	const { end } = await make({ result: "content" });

	assert.equal(end.error_code, "content_policy");
	assert.equal(end.credits_refunded, end.credits_used);
});

test("what has left its place is taken from the platform's history",
    async () => {
	const { end } = await make({ result: "404", tag: 2 });

	assert.equal(end.status, "completed");
});

test("a submission that got no answer is found in the history, by its seed",
    async () => {
	const { end, requests } = await make({ submit: "reset", tag: 3 });

	assert.equal(end.status, "completed");
	assert.equal(requests.length, 1, "it was not sent again");
});

test("a submission is found though a hundred came after it", async () => {
	const prompt = fal.script({ hook: "off", submit: "reset",
		history: "off", tag: 4 });
	const id = await orderJob(rendio, ada, { prompt });
	const request = await until(() => [...fal.requests.values()].find(
	    ({ input, state }) => input.prompt === prompt &&
		state === "COMPLETED"), 20_000);

	for (let i = 0; i < 100; i++) {
		const request_id = randomUUID();
		fal.ended.push({ ...request, request_id, line: undefined,
			input: { ...request.input, seed: i }, script: {} });
	}
	delete request.script.history;
	assert.equal((await endOf(rendio, ada, id)).status, "completed");
});

test("in live mode it is the same", async () => {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	const [apple, appleId] = [await DeviceCheck.start(),
		await AppleId.start({ dir })];
	const live = await start({ env: { ...apple.env, ...appleId.env,
		...fal.env, RENDIO_MODE: "live" } });

	try {
		const eve = await new Phone(live, apple, "eve").enter();
		await live.cli("user", "grant", eve.user_id, "10", "--reason",
		    "tests");
		const before = await creditsOf(live, eve);
		fal.fetch = live.fetch;
		const id = await orderJob(live, eve, { prompt: fal.script() });
		const end = await endOf(live, eve, id);
		assert.equal(end.status, "completed");
		assert.equal(end.credits_remaining, before - end.credits_used);
		assert.equal(fal.mostPaid, 1);
	} finally {
		await stopClean(live, apple, appleId);
		fs.rmSync(dir, { recursive: true });
	}
});

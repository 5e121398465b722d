// SPDX-License-Identifier: MIT
// A guest's first video, end to end, and what happens when it goes wrong.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { assertAuditClean, assertNotLogged, assertPersonal }
    from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, historyOf, order, orderJob, remove, statusOf }
    from "./support/jobs.mjs";

const run = promisify(execFile);

let rendio;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

/** Every file below the media directory. */
function mediaFiles() {
	return fs.readdirSync(rendio.file("media"), { recursive: true })
	    .filter((name) => fs.statSync(rendio.file("media", name),
	    { throwIfNoEntry: false })?.isFile());
}

test("device, themes, generate, status, video, history, delete", async () => {
	const device_id = randomUUID();
	const ada = await rendio.guest("ada", device_id);
	assert.equal(ada.credits_remaining, 10);

	const { themes: [theme] } = (await rendio.request("GET",
	    "/functions/v1/get-themes")).json();
	const key = randomUUID();
	const { job_id, credits_used } = assertPersonal(await order(rendio, ada,
	    { theme_id: theme.id, prompt: theme.prompt,
	    settings: theme.default_settings, user_id: ada.user_id }, key));
	const status = await endOf(rendio, ada, job_id);
	assert.equal(status.status, "completed");
	assert.equal(status.credits_used, credits_used);
	assert.equal(await creditsOf(rendio, ada), 10 - credits_used);

	const link = status.video_url.slice(rendio.url.length);
	const video = await download(link);
	await assertPlays(video, theme.default_settings.duration);
	await assertRanges(link, video);
	// The video, and its frame once that was taken.
	assert.ok([1, 2].includes(mediaFiles().length));

	const { jobs } = assertPersonal(await rendio.request("GET",
	    `/functions/v1/get-video-jobs?user_id=${ada.user_id}&limit=20&offset=0`,
	    { bearer: ada.access_token }));
	assert.deepEqual(jobs.map((job) => [job.job_id, job.status]),
	    [[job_id, "completed"]]);
	assert.deepEqual((await historyOf(rendio, ada)).entries
	    .map((entry) => entry.reason), ["hold", "grant"]);

	assertPersonal(await remove(rendio, ada, job_id));
	assert.equal((await statusOf(rendio, ada, job_id)).status, 404);
	assert.equal((await rendio.request("GET", link)).status, 404);
	assert.ok(await until(() => mediaFiles().length === 0), "file stays");
	await assertNotLogged(rendio, {
		"device id": device_id,
		"access token": ada.access_token.split(".")[2],
		"refresh token": ada.refresh_token,
		"prompt": theme.prompt,
		"link's token": new URL(status.video_url).searchParams
		    .get("token"),
		"Idempotency-Key": key,
	});
});

async function download(link) {
	const res = await rendio.request("GET", link, { apikey: null });

	assert.equal(res.status, 200);
	assert.equal(res.headers["content-type"], "video/mp4");
	assert.equal(Number(res.headers["content-length"]), res.bytes.length);
	assert.equal(res.headers["accept-ranges"], "bytes");
	return res.bytes;
}

async function assertPlays(video, seconds) {
	const file = rendio.file("tmp", "downloaded.mp4");

	fs.writeFileSync(file, video);
	const { stdout, stderr } = await run("ffprobe", ["-v", "error",
		"-show_streams", "-show_format", "-of", "json", file]);
	assert.equal(stderr, "");
	const { streams, format } = JSON.parse(stdout);
	assert.equal(streams[0].codec_type, "video");
	assert.equal(Math.round(Number(format.duration)), seconds);
	fs.rmSync(file);
}

async function assertRanges(link, video) {
	const part = async (range) => await rendio.request("GET", link,
	    { apikey: null, headers: { range: `bytes=${range}` } });
	const sha256 = (bytes) => createHash("sha256").update(bytes)
	    .digest("hex");
	const half = video.length >> 1;

	const first = await part("0-99");
	assert.equal(first.status, 206);
	assert.equal(first.headers["content-range"],
	    `bytes 0-99/${video.length}`);
	assert.deepEqual(first.bytes, video.subarray(0, 100));
	// What was broken off is taken up again.
	const halves = [await part(`0-${half - 1}`), await part(`${half}-`)];
	assert.equal(sha256(Buffer.concat(halves.map((res) => res.bytes))),
	    sha256(video));
	assert.equal((await part(`${video.length}-`)).status, 416);
}

for (const [prompt, code] of [["[fail:provider]", "provider_error"],
	["[fail:content]", "content_policy"]]) {
	test(`a job with ${prompt} ends failed with exactly one release`,
	    async () => {
		const bob = await rendio.guest(`bob${code}`);
		const jobId = await orderJob(rendio, bob,
		    { prompt: `A calm sea ${prompt}` });
		const status = await endOf(rendio, bob, jobId);

		assert.equal(status.status, "failed");
		assert.equal(status.error_code, code);
		assert.notEqual(status.error_message, null);
		assert.equal(status.credits_used, 4);
		assert.equal(status.credits_refunded, 4);
		assert.equal(status.video_url, null);
		assert.equal(await creditsOf(rendio, bob), 10);
		const { entries } = await historyOf(rendio, bob);
		assert.deepEqual(entries.map((entry) =>
		    [entry.reason, entry.change, entry.job_id]), [
			["release", 4, jobId],
			["hold", -4, jobId],
			["grant", 10, null],
		]);
	});
}

test("the official client goes the same way", async () => {
	const carol = await rendio.guest("carol");
	const client = await rendio.supabase(carol);
	const call = async (name, options) => {
		const { data, error } = await client.functions.invoke(name,
		    options);
		assert.equal(error, null);
		return data;
	};

	const { themes } = await call("get-themes", { method: "GET" });
	const { job_id } = await call("generate-video", {
		headers: { "Idempotency-Key": randomUUID() },
		body: { theme_id: themes[0].id, prompt: "[fail:provider]" },
	});
	const end = await until(async () => {
		const status = await call(`get-video-status?job_id=${job_id}`,
		    { method: "GET" });
		return status.completed_at !== null && status;
	}, 20_000);
	assert.equal(end.status, "failed");
	assert.deepEqual(await call("delete-video-job", { body: { job_id } }),
	    { success: true });
	assert.deepEqual(await call("get-user-credits", { method: "GET" }),
	    { credits_remaining: 10 });
});

test("the audit finds nothing", async () => {
	await assertAuditClean(rendio);
});

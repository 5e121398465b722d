// SPDX-License-Identifier: MIT
// Ordering videos and seeing what became of them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import { until } from "./instance.mjs";

const run = promisify(execFile);

const END_MS_MAX = 120_000;

/** POST generate-video; `key` null sends none. */
export async function order(rendio, guest, body = {}, key = randomUUID()) {
	return await rendio.request("POST", "/functions/v1/generate-video", {
		bearer: guest.access_token,
		headers: key === null ? {} : { "idempotency-key": key },
		body: { prompt: "A calm sea", ...body },
	});
}

/** The same, for a video that must be taken on: its id. */
export async function orderJob(rendio, guest, body) {
	const res = await order(rendio, guest, body);
	assert.equal(res.status, 200, res.text);
	return res.json().job_id;
}

export async function statusOf(rendio, guest, jobId) {
	return await rendio.request("GET",
	    `/functions/v1/get-video-status?job_id=${jobId}`,
	    { bearer: guest.access_token });
}

/** Waits for the end of a job and gives its last status. */
export async function endOf(rendio, guest, jobId) {
	const status = await until(async () => {
		const body = (await statusOf(rendio, guest, jobId)).json();
		return body.completed_at !== null && body;
	}, END_MS_MAX);
	assert.ok(status, `job ${jobId} did not end`);
	return status;
}

export async function creditsOf(rendio, guest) {
	const res = await rendio.request("GET",
	    "/functions/v1/get-user-credits", { bearer: guest.access_token });
	assert.equal(res.status, 200, res.text);
	return res.json().credits_remaining;
}

export async function historyOf(rendio, guest, query = "") {
	const res = await rendio.request("GET",
	    `/functions/v1/get-credit-history${query}`,
	    { bearer: guest.access_token });
	assert.equal(res.status, 200, res.text);
	return res.json();
}

export async function remove(rendio, guest, jobId) {
	return await rendio.request("POST", "/functions/v1/delete-video-job",
	    { bearer: guest.access_token, body: { job_id: jobId } });
}

/** Without the worker a job stays as it was committed. */
export async function stopWorker(rendio) {
	await run("sv", ["-w", "20", "down", rendio.file("sv", "worker")]);
}

export async function startWorker(rendio) {
	await run("sv", ["up", rendio.file("sv", "worker")]);
}

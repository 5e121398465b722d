// SPDX-License-Identifier: MIT
//
// The disk is full: reads go on, writes are answered 503 and have not happened,
// nothing is lost, and when there is room again everything goes on by itself.
// The state lies on a file system of its own in memory, which root (or sudo)
// mounts; the provider is another machine, which has room.

import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { Fal } from "../fakes/fal.mjs";
import { start, until } from "../api/support/instance.mjs";
import { creditsOf, endOf, order, statusOf } from "../api/support/jobs.mjs";
import { Disk } from "./disks.mjs";

const ENOUGH_MIB = 48;
const CREDITS = 1000;

const mount = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-full-"));
let disk, fal, rendio, ada, job_id;
let orders = 0;
/** Of the orders that were answered 200: the job by the order's number. */
const accepted = new Map();
/** The numbers of the orders that reached the provider, each time. */
const submitted = [];

before(async () => {
	disk = new Disk(mount, ENOUGH_MIB);
	fal = await Fal.start();
	fal.onStep = async (step, { script }) => {
		if (step === "submit")
			submitted.push(script.tag);
	};
	rendio = await start({ stateDir: path.join(mount, "state"), env: {
		...fal.env,
		RENDIO_MEDIA_FREE_MIB_MIN: "0",
		RENDIO_JOBS_OPEN_MAX_FREE: "1000",
		RENDIO_FFMPEG: "",
	} });
	fal.fetch = rendio.fetch;
	ada = await rendio.guest("ada");
	await rendio.cli("user", "grant", ada.user_id, String(CREDITS - 10),
	    "--reason", "tests");
	job_id = (await orderOne()).json().job_id;
	await endOf(rendio, ada, job_id);
});
after(async () => {
	await rendio?.stop();
	await fal?.stop();
	disk.unmount();
	fs.rmdirSync(mount);
});

/** Each order has a number of its own, which the provider is shown. */
async function orderOne() {
	const tag = ++orders;
	const res = await order(rendio, ada, { prompt: fal.script({ tag }),
		settings: { duration: 4 } });
	assert.ok([200, 503].includes(res.status), res.text);
	if (res.status === 200)
		accepted.set(tag, res.json().job_id);
	return res;
}

const get = (name) => rendio.request("GET", `/functions/v1/${name}`,
    { bearer: ada.access_token });

/** What was answered 503 left no job and no hold, and reached no provider. */
async function assertOnlyAccepted() {
	const { jobs } = (await get("get-video-jobs?limit=100")).json();
	assert.deepEqual(jobs.map((job) => job.job_id).sort(),
	    [...accepted.values()].sort());
	const spent = jobs.reduce((sum, job) => sum + job.credits_used, 0);
	assert.equal(await creditsOf(rendio, ada), CREDITS - spent);
	for (const tag of submitted)
		assert.ok(accepted.has(tag), `order ${tag} was answered 503`);
}

test("while the disk is full reads go on, and writes are 503 and cost nothing",
    async () => {
	// What is in use already has room of its own in its last page.
	const refused = await until(async () => {
		disk.fill();
		const res = await orderOne();
		return res.status === 503 && res;
	}, 30_000);
	assert.ok(refused, "the disk was never full");
	assert.equal(refused.json().code, "service_unavailable");
	assert.ok(Number(refused.headers["retry-after"]) > 0);
	for (let i = 0; i < 20; i++) {
		const res = await orderOne();
		assert.equal(res.status, 503, res.text);
		for (const name of ["get-user-credits", "get-video-jobs?limit=10",
			"get-models", "get-themes", "get-user-profile",
			"get-credit-history",
			`get-video-status?job_id=${job_id}`]) {
			const read = await get(name);
			assert.equal(read.status, 200, `${name}: ${read.text}`);
		}
	}
	await assertOnlyAccepted();
	const video = new URL((await statusOf(rendio, ada, job_id)).json()
	    .video_url);
	const seen = await rendio.request("GET", video.pathname + video.search);
	assert.equal(seen.status, 200);
	assert.equal((await rendio.cli("audit")).code, 0);
});

test("with room again everything goes on by itself, and nothing was lost",
    async () => {
	disk.free();
	const made = await until(async () => {
		const res = await orderOne();
		return res.status === 200 && res.json();
	}, 30_000);
	assert.ok(made, "orders are still refused");
	for (const id of accepted.values())
		assert.equal((await endOf(rendio, ada, id)).status, "completed");
	await assertOnlyAccepted();
	assert.deepEqual(submitted.toSorted((a, b) => a - b),
	    [...accepted.keys()], "each was submitted once");
	const audit = await rendio.cli("audit", "--files");
	assert.equal(audit.code, 0, audit.stdout);
	assert.equal((await rendio.cli("doctor")).stdout
	    .match(/database +(\w+)/)[1], "whole");
});

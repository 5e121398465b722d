// SPDX-License-Identifier: MIT
//
// The disk is full: reads go on, writes are answered 503, nothing is lost, and
// when there is room again everything goes on by itself.  The state lies on a
// file system of its own in memory, which root (or sudo) mounts.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { start, until } from "../api/support/instance.mjs";
import { creditsOf, endOf, order, orderJob, statusOf }
    from "../api/support/jobs.mjs";

const MIB = 1024 * 1024;
const ENOUGH_MIB = 48;

const mount = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-full-"));
const uid = process.getuid();
let rendio, ada, job_id;

function asRoot(...words) {
	const all = uid === 0 ? words : ["sudo", "-n", ...words];

	execFileSync(all[0], all.slice(1));
}

before(async () => {
	asRoot("mount", "-t", "tmpfs", "-o",
	    `size=${ENOUGH_MIB}m,uid=${uid},mode=0700`, "rendio", mount);
	rendio = await start({ stateDir: path.join(mount, "state"), env: {
		RENDIO_MEDIA_FREE_MIB_MIN: "0",
		RENDIO_FFMPEG: "",
	} });
	ada = await rendio.guest("ada");
	job_id = await orderJob(rendio, ada, { settings: { duration: 4 } });
	await endOf(rendio, ada, job_id);
});
after(async () => {
	await rendio?.stop();
	asRoot("umount", mount);
	fs.rmdirSync(mount);
});

const ballast = path.join(mount, "ballast");

/** Takes all the room there is, to the last byte. */
function fill() {
	const fd = fs.openSync(ballast, "a");
	for (const size of [MIB, 4096, 1]) {
		const bytes = Buffer.alloc(size);
		try {
			for (;;)
				if (fs.writeSync(fd, bytes) < size)
					break;
		} catch (error) {
			assert.equal(error.code, "ENOSPC");
		}
	}
	fs.closeSync(fd);
}

const get = (name) => rendio.request("GET", `/functions/v1/${name}`,
    { bearer: ada.access_token });

test("while the disk is full reads go on, and writes are 503 and cost nothing",
    async () => {
	const credits = await creditsOf(rendio, ada);

	// What is in use already has room of its own in its last page.
	const refused = await until(async () => {
		fill();
		const res = await order(rendio, ada, { settings: { duration: 4 } });
		assert.ok([200, 503].includes(res.status), res.text);
		return res.status === 503 && res;
	}, 30_000);
	assert.ok(refused, "the disk was never full");
	assert.equal(refused.json().code, "service_unavailable");
	assert.ok(Number(refused.headers["retry-after"]) > 0);
	for (let i = 0; i < 20; i++) {
		const res = await order(rendio, ada, { settings: { duration: 4 } });
		assert.equal(res.status, 503, res.text);
		for (const name of ["get-user-credits", "get-video-jobs?limit=10",
			"get-models", "get-themes", "get-user-profile",
			"get-credit-history",
			`get-video-status?job_id=${job_id}`]) {
			const read = await get(name);
			assert.equal(read.status, 200, `${name}: ${read.text}`);
		}
	}
	assert.ok(await creditsOf(rendio, ada) <= credits);
	const video = new URL((await statusOf(rendio, ada, job_id)).json()
	    .video_url);
	const seen = await rendio.request("GET", video.pathname + video.search);
	assert.equal(seen.status, 200);
	assert.equal((await rendio.cli("audit")).code, 0);
});

test("with room again everything goes on by itself, and nothing was lost",
    async () => {
	fs.rmSync(ballast);
	const made = await until(async () => {
		const res = await order(rendio, ada, { settings: { duration: 4 } });
		return res.status === 200 && res.json();
	}, 30_000);
	assert.ok(made, "orders are still refused");
	assert.equal((await endOf(rendio, ada, made.job_id)).status, "completed");
	const { jobs } = (await get("get-video-jobs?limit=100")).json();
	for (const job of jobs)
		assert.equal((await endOf(rendio, ada, job.job_id)).status,
		    "completed");
	const audit = await rendio.cli("audit", "--files");
	assert.equal(audit.code, 0, audit.stdout);
	assert.equal((await rendio.cli("doctor")).stdout
	    .match(/database +(\w+)/)[1], "whole");
});

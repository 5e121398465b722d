// SPDX-License-Identifier: MIT
//
// Somebody helps: the -shm file of the database is removed while the programs run
// or after they have ended, or nobody may read the database any more.

import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { assertAuditClean } from "../api/support/expect.mjs";
import { start, until } from "../api/support/instance.mjs";
import { creditsOf, endOf, order } from "../api/support/jobs.mjs";

const CREDITS = 1000;
const ORDERS = 20;

let rendio, ada;
const accepted = [];

before(async () => {
	rendio = await start({ env: { RENDIO_FFMPEG: "",
		RENDIO_JOBS_OPEN_MAX_FREE: "1000" } });
	ada = await rendio.guest("ada");
	await rendio.cli("user", "grant", ada.user_id, String(CREDITS - 10),
	    "--reason", "tests");
});
after(() => rendio.stop());

async function orderOne() {
	const res = await order(rendio, ada, { settings: { duration: 4 } });
	if (res.status === 200)
		accepted.push(res.json().job_id);
	return res;
}

/** Every order that was answered is there and ends, and nothing else is. */
async function assertAllThere() {
	let spent = 0;
	for (const id of accepted) {
		const end = await endOf(rendio, ada, id);
		spent += end.credits_used - end.credits_refunded;
	}
	const { jobs } = (await rendio.request("GET",
	    "/functions/v1/get-video-jobs?limit=100",
	    { bearer: ada.access_token })).json();
	assert.deepEqual(jobs.map((job) => job.job_id).sort(), accepted.toSorted());
	assert.equal(await creditsOf(rendio, ada), CREDITS - spent);
	await assertAuditClean(rendio);
}

function killAll(name) {
	for (const pid of rendio.pids(name))
		try {
			process.kill(pid, "SIGKILL");
		} catch {
			/* It had just ended by itself. */
		}
}

test("the -shm file is removed while programs run: no order is lost", async () => {
	assert.equal((await orderOne()).status, 200);
	fs.rmSync(rendio.file("rendio.db-shm"));
	for (let i = 0; i < ORDERS; i++) {
		// Those that come find another file than those that stay.
		if (i % 7 === 3)
			killAll("generate-video");
		const res = await orderOne();
		assert.ok([200, 502, 503, 504].includes(res.status), res.text);
	}
	assert.ok(await until(async () => (await orderOne()).status === 200,
	    30_000), "orders are refused for good");
	await assertAllThere();
});

test("the database may not be read: errors, and all is well when it may again",
    { skip: process.getuid() === 0 && "root may read everything" }, async () => {
	assert.equal((await orderOne()).status, 200);
	fs.chmodSync(rendio.file("rendio.db"), 0);
	for (const name of ["generate-video", "get-user-credits"])
		killAll(name);
	// Nobody can start to answer, so it is the router that does.
	for (const { status, text, headers } of await Promise.all([orderOne(),
		rendio.request("GET", "/functions/v1/get-user-credits",
		    { bearer: ada.access_token })])) {
		assert.ok([503, 504].includes(status), text);
		assert.equal(JSON.parse(text).code, "service_unavailable");
		assert.ok(status === 504 || Number(headers["retry-after"]) > 0);
	}
	fs.chmodSync(rendio.file("rendio.db"), 0o600);
	assert.ok(await until(async () => (await orderOne()).status === 200,
	    60_000), "orders are refused for good");
	await assertAllThere();
});

test("the -shm file is removed after a stop: all is there", async () => {
	await rendio.halt();
	fs.rmSync(rendio.file("rendio.db-shm"), { force: true });
	rendio.how = undefined;
	rendio.output = "";
	await rendio.run();
	assert.equal((await orderOne()).status, 200);
	await assertAllThere();
});

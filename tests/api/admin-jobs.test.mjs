// SPDX-License-Identifier: MIT
// /functions/v1/admin-jobs: what is under way, what became of it, and giving
// back what it cost.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { enter } from "./support/admin.mjs";
import { sql } from "./support/database.mjs";
import { assertAuditClean, assertError, assertPersonal, assertStatements }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf, endOf, orderJob, startWorker, statusOf, stopWorker }
    from "./support/jobs.mjs";

const TARGET = "/functions/v1/admin-jobs".split("/").at(-1);

let rendio, admin, ada;

before(async () => {
	rendio = await start({ env: { RENDIO_ADMIN_CREDITS_PER_DAY: "20",
		RENDIO_GRANT_CREDITS: "200" } });
	admin = await enter(rendio);
	ada = await rendio.guest("ada");
});
after(() => rendio.stop());

async function refund(job_id, reason = "sorry") {
	return await admin.call("POST", TARGET,
	    { action: "refund", job_id, reason });
}

async function read(job_id) {
	return await admin.call("GET", `${TARGET}?job_id=${job_id}`);
}

test("a video that was paid for is given back once, whoever asks how often",
    async () => {
	const before = await creditsOf(rendio, ada);
	const job = await orderJob(rendio, ada, { settings: { duration: 4 } });
	const { credits_used } = await endOf(rendio, ada, job);
	const answers = await Promise.all(Array.from({ length: 3 }, () =>
	    refund(job)));

	assert.deepEqual(answers.map(({ status }) => status).sort(),
	    [200, 409, 409]);
	const good = answers.find(({ status }) => status === 200).json();
	assert.equal(good.credits_refunded, credits_used);
	assert.equal(good.state, "completed");
	assert.equal(await creditsOf(rendio, ada), before);
	// Its user sees that, and keeps the video.
	const status = (await statusOf(rendio, ada, job)).json();
	assert.equal(status.credits_refunded, credits_used);
	assert.notEqual(status.video_url, null);
	const shown = assertPersonal(await read(job));
	assert.deepEqual(shown.ledger.map(({ kind }) => kind),
	    ["hold", "capture", "adjustment"]);
	assert.equal(shown.job[0].is_refunded, true);
	await assertAuditClean(rendio);
});

test("a job that failed says why, and has nothing more to give back",
    async () => {
	const job = await orderJob(rendio, ada, { prompt: "[fail:content] x" });
	await endOf(rendio, ada, job);
	const res = await read(job);
	const shown = assertPersonal(res);
	await assertStatements(rendio, res, 8);

	assert.equal(shown.job[0].state, "failed");
	assert.equal(shown.job[0].error_code, "content_policy");
	assert.equal(shown.job[0].prompt, "[fail:content] x");
	assert.equal(shown.job[0].settlement, "release");
	assert.equal(shown.attempts.length, 1);
	assert.equal(shown.attempts[0].error_code, "content_policy");
	assert.deepEqual(shown.ledger.map(({ kind }) => kind),
	    ["hold", "release"]);
	assertError(await refund(job), 409, "conflict");
});

test("what was not sent yet is cancelled, and is first among the open ones",
    async () => {
	await stopWorker(rendio);
	const before = await creditsOf(rendio, ada);
	const job = await orderJob(rendio, ada);
	const { open } = assertPersonal(await admin.call("GET", TARGET));
	assert.deepEqual(open.map(({ id }) => id), [job]);
	assert.equal(open[0].state, "queued");
	const answer = assertPersonal(await refund(job));
	assert.equal(answer.state, "cancelled");
	assert.equal(answer.credits_remaining, before);
	await startWorker(rendio);
	const list = assertPersonal(await admin.call("GET",
	    `${TARGET}?limit=1`));
	assert.deepEqual(list.open, []);
	assert.deepEqual(list.ended.map(({ id }) => id), [job]);
	assert.equal(assertPersonal(await admin.call("GET",
	    `${TARGET}?limit=1&offset=1`)).ended.length, 1);
	await assertAuditClean(rendio);
});

test("refunds count as credits that an admin gives", async () => {
	const jobs = [];
	for (let i = 0; i < 4; i++)
		jobs.push(await orderJob(rendio, ada,
		    { settings: { duration: 8 } }));
	for (const job of jobs)
		await endOf(rendio, ada, job);
	let last;
	for (const job of jobs)
		last = await refund(job);
	assertError(last, 403, "credit_cap_reached");
	const [{ given }] = await sql(rendio,
	    "SELECT SUM(credits) AS given FROM admin_log WHERE credits > 0");
	assert.ok(given <= 20);
	await assertAuditClean(rendio);
});

test("what is not understood is 400, what is not there 404", async () => {
	const job_id = randomUUID();
	for (const body of [{}, { action: "refund", job_id },
		{ action: "refund", job_id, reason: "" },
		{ action: "cancel", job_id, reason: "x" },
		{ action: "refund", job_id: "x", reason: "x" },
		{ action: "refund", job_id, reason: "x", more: 1 }])
		assertError(await admin.call("POST", TARGET, body), 400,
		    "invalid_request");
	for (const query of ["job_id=x", "limit=0", "limit=201", "offset=x"])
		assertError(await admin.call("GET", `${TARGET}?${query}`), 400,
		    "invalid_request");
	assertError(await refund(job_id), 404, "job_not_found");
	assertError(await read(job_id), 404, "job_not_found");
	assertError(await rendio.request("GET", `/functions/v1/${TARGET}`,
	    { bearer: ada.access_token }), 401, "unauthorized");
});

// SPDX-License-Identifier: MIT
// POST /functions/v1/delete-video-job: a generation leaves its user's sight.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { id, sql } from "./support/database.mjs";
import { assertAuditClean, assertError, assertPersonal, assertStatements }
    from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, historyOf, orderJob, remove, startWorker, statusOf,
	stopWorker } from "./support/jobs.mjs";

const PATH = "/functions/v1/delete-video-job";

let rendio, ada, bob;

before(async () => {
	rendio = await start();
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	assert.equal((await rendio.cli("user", "grant", ada.user_id, "90",
	    "--reason", "tests")).code, 0);
});
after(() => rendio.stop());

async function post(body, guest = ada) {
	return await rendio.request("POST", PATH,
	    { bearer: guest.access_token, body });
}

test("a job that was not sent is cancelled, its credits go back once",
    async (t) => {
	await stopWorker(rendio);
	t.after(() => startWorker(rendio));
	const jobId = await orderJob(rendio, ada);
	assert.equal(await creditsOf(rendio, ada), 96);

	const res = await post({ job_id: jobId.toUpperCase(),
		user_id: ada.user_id });
	assert.deepEqual(assertPersonal(res), { success: true });
	await assertStatements(rendio, res, 15);
	assert.equal(await creditsOf(rendio, ada), 100);
	assertError(await statusOf(rendio, ada, jobId), 404, "job_not_found");
	const { entries } = await historyOf(rendio, ada);
	assert.deepEqual(entries.filter((entry) => entry.job_id === jobId)
	    .map((entry) => [entry.reason, entry.change]),
	    [["release", 4], ["hold", -4]]);
});

test("a job is deleted once", async () => {
	const jobId = await orderJob(rendio, ada);

	assertPersonal(await remove(rendio, ada, jobId));
	assertError(await remove(rendio, ada, jobId), 404, "job_not_found");
});

test("a completed job's video can no longer be downloaded, and is still paid",
    async () => {
	const jobId = await orderJob(rendio, ada);
	const { video_url, status } = await endOf(rendio, ada, jobId);
	const path = video_url.slice(rendio.url.length);
	assert.equal(status, "completed");
	assert.equal((await rendio.request("GET", path)).status, 200);
	const [{ object }] = await sql(rendio, "SELECT lower(hex(id)) AS object" +
	    ` FROM objects WHERE job_id = ${id(jobId)} AND bucket = 'videos'`);
	const files = () => fs.readdirSync(rendio.file("media"),
	    { recursive: true }).filter((name) =>
	    name.replaceAll("-", "").includes(object));
	const counter = () => sql(rendio, "SELECT * FROM rate_limits" +
	    ` WHERE subject = ${id(ada.user_id)} AND kind = 'generate'`);
	assert.ok(files().length > 0);
	const kept = [await creditsOf(rendio, ada),
		await historyOf(rendio, ada), await counter()];

	assertPersonal(await remove(rendio, ada, jobId));
	assertError(await rendio.request("GET", path), 404, "NoSuchKey",
	    "storage");
	assertError(await statusOf(rendio, ada, jobId), 404, "job_not_found");
	assert.ok(await until(async () => files().length === 0 &&
	    (await sql(rendio, `SELECT 1 FROM objects WHERE job_id =
	    ${id(jobId)}`)).length === 0, 60_000), "its files are gone");
	// It was made, so it is paid, and it counts.
	assert.equal(kept[2].length, 1);
	assert.deepEqual([await creditsOf(rendio, ada),
		await historyOf(rendio, ada), await counter()], kept);
});

test("a job under way is hidden and still settled", async () => {
	const before = await creditsOf(rendio, ada);
	const jobs = {
		completed: await orderJob(rendio, ada, { prompt: "[slow:1]" }),
		failed: await orderJob(rendio, ada,
		    { prompt: "[slow:1][fail:provider]" }),
	};
	for (const jobId of Object.values(jobs)) {
		assert.ok(await until(async () => (await statusOf(rendio, ada,
		    jobId)).json().status === "processing", 10_000));
		assertPersonal(await remove(rendio, ada, jobId));
		assertError(await statusOf(rendio, ada, jobId), 404,
		    "job_not_found");
	}
	for (const [end, jobId] of Object.entries(jobs))
		assert.ok(await until(async () => {
			const [job] = await sql(rendio,
			    `SELECT state FROM jobs WHERE id = ${id(jobId)}`);
			return job.state === end;
		}, 20_000), end);

	assert.equal(await creditsOf(rendio, ada), before - 4);
	// The file of the one that was made has no owner who could see it.
	assert.ok(await until(async () => (await sql(rendio, `SELECT 1 FROM
	    objects WHERE job_id = ${id(jobs.completed)}`)).length === 0, 5000));
});

test("a job_id that is missing or none is 400 invalid_request", async () => {
	for (const body of [{}, { job_id: null }, { job_id: 7 },
		{ job_id: "" }, { job_id: [randomUUID()] },
		{ jobId: randomUUID() }])
		assertError(await post(body), 400, "invalid_request");
});

test("a job that is unknown or somebody else's is 404 and stays", async () => {
	const jobId = await orderJob(rendio, bob);

	assertError(await remove(rendio, ada, randomUUID()), 404,
	    "job_not_found");
	assertError(await remove(rendio, ada, jobId), 404, "job_not_found");
	assert.equal((await endOf(rendio, bob, jobId)).status, "completed");
});

test("without a user it is 401, for another user 403", async () => {
	const job_id = randomUUID();

	assertError(await post({ job_id }, {}), 401, "unauthorized");
	assertError(await post({ job_id, user_id: bob.user_id }), 403,
	    "forbidden");
});

test("the audit finds nothing", async () => {
	await assertAuditClean(rendio);
});

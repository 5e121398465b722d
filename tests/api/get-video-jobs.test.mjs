// SPDX-License-Identifier: MIT
// GET /functions/v1/get-video-jobs: a user's generations, newest first.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { assertError, assertPersonal, assertStatements, DATE, UUID }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { orderJob, remove, stopWorker } from "./support/jobs.mjs";

const PATH = "/functions/v1/get-video-jobs";

let rendio, ada, bob;
let ids = [];	/* Ada's jobs, newest first */

before(async () => {
	rendio = await start();
	await stopWorker(rendio);
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	assert.equal((await rendio.cli("user", "grant", ada.user_id, "1000",
	    "--reason", "tests")).code, 0);
	for (let i = 0; i < 25; i++)
		ids.unshift(await orderJob(rendio, ada, { prompt: `No. ${i}` }));
	await orderJob(rendio, bob);
});
after(() => rendio.stop());

async function list(query = "", guest = ada) {
	return await rendio.request("GET", `${PATH}${query}`,
	    { bearer: guest.access_token });
}

/** The ids on a page, and where the next one begins. */
async function page(query) {
	const { jobs, next_before } = assertPersonal(await list(query));
	return [jobs.map((job) => job.job_id), next_before];
}

test("each job has what the app decodes", async () => {
	const res = await list();
	const { jobs } = assertPersonal(res);

	assert.equal(jobs.length, 20);
	for (const job of jobs) {
		assert.match(job.job_id, UUID);
		assert.ok(["pending", "processing", "completed", "failed"]
		    .includes(job.status));
		assert.equal(typeof job.prompt, "string");
		assert.equal(typeof job.model_name, "string");
		assert.equal(job.credits_used, 4);
		assert.equal(job.credits_refunded, 0);
		assert.match(job.created_at, DATE);
		for (const member of ["video_url", "thumbnail_url",
			"error_code", "error_message", "completed_at"])
			assert.equal(job[member], null, member);
	}
	await assertStatements(rendio, res, 2);
});

test("the newest come first, twenty unless more are asked for", async () => {
	assert.deepEqual(await page(""), [ids.slice(0, 20), ids[19]]);
	assert.deepEqual(await page("?limit=1"), [ids.slice(0, 1), ids[0]]);
	assert.deepEqual(await page("?limit=100"), [ids, null]);
});

test("before and offset lead through all of them, without gap or double",
    async () => {
	const walked = [];
	let query = "?limit=10";
	while (query !== null && walked.length <= ids.length) {
		const [some, next] = await page(query);
		walked.push(...some);
		query = next && `?limit=10&before=${next}`;
	}
	assert.deepEqual(walked, ids);

	for (const offset of [0, 10, 24, 25, 10_000, 10_001])
		assert.deepEqual((await page(`?limit=10&offset=${offset}`))[0],
		    ids.slice(offset, offset + 10));
	assert.deepEqual((await page(`?limit=2&offset=1&before=${ids[3]}`))[0],
	    ids.slice(5, 7));
});

test("a limit, offset or before that it cannot be is 400", async () => {
	for (const query of ["limit=0", "limit=101", "limit=-1", "limit=",
		"limit=ten", "limit=1.5", "limit=99999999999999999999",
		"offset=-1", "offset=x", "offset=9223372036854775808",
		"before=", "before=7", "limit=1&limit=2"])
		assertError(await list(`?${query}`), 400, "invalid_request");
	for (const query of ["limit=100", "offset=9223372036854775807"])
		assert.equal((await list(`?${query}`)).status, 200);
});

test("nobody sees the jobs of others", async () => {
	const { jobs } = assertPersonal(await list("", bob));
	assert.equal(jobs.length, 1);
	assert.ok(!ids.includes(jobs[0].job_id));

	const { jobs: none } = assertPersonal(
	    await list(`?before=${ids[0]}`, await rendio.guest("carol")));
	assert.deepEqual(none, []);
});

test("a deleted job is not shown", async () => {
	const gone = ids[2];

	assert.equal((await remove(rendio, ada, gone)).status, 200);
	ids = ids.filter((id) => id !== gone);
	assert.deepEqual(await page("?limit=100"), [ids, null]);
	// It still marks its place.
	assert.deepEqual((await page(`?limit=1&before=${gone}`))[0],
	    [ids[2]]);
});

test("without a user it is 401, for another user 403", async () => {
	assertError(await list("", {}), 401, "unauthorized");
	assertError(await list(`?user_id=${bob.user_id}`), 403, "forbidden");
	assertError(await list(`?user_id=${randomUUID()}`), 403, "forbidden");
	assert.equal((await list(`?user_id=${ada.user_id}&limit=20&offset=0`))
	    .status, 200);
});

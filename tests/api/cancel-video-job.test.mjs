// SPDX-License-Identifier: MIT
// POST /functions/v1/cancel-video-job: giving up what is not being made yet;
// and deleting it, which asks for the same.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Fal } from "../fakes/fal.mjs";
import { id, sql } from "./support/database.mjs";
import { assertAuditClean, assertError, assertPersonal, assertStatements }
    from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, historyOf, orderJob, remove, startWorker, statusOf,
	stopWorker } from "./support/jobs.mjs";

const PATH = "/functions/v1/cancel-video-job";

let fal, rendio, ada, bob;

before(async () => {
	fal = await Fal.start();
	rendio = await start({ env: fal.env });
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	assert.equal((await rendio.cli("user", "grant", ada.user_id, "190",
	    "--reason", "tests")).code, 0);
});
after(async () => {
	await rendio.stop();
	await fal.stop();
});

async function cancel(body, guest = ada) {
	return await rendio.request("POST", PATH,
	    { bearer: guest.access_token, body });
}

const order = async (script) => await orderJob(rendio, ada,
    { prompt: fal.script({ hook: "off", ...script }) });

/** Until its user sees that it has come so far. */
async function seen(jobId, status) {
	assert.ok(await until(async () => (await statusOf(rendio, ada, jobId))
	    .json().status === status, 10_000));
}

function requestOf(tag) {
	return [...fal.requests.values()]
	    .find((request) => request.script.tag === tag);
}

test("what was not sent is over at once, and its credits are back",
    async (t) => {
	await stopWorker(rendio);
	t.after(() => startWorker(rendio));
	const jobId = await order({ tag: 1 });

	const res = await cancel({ job_id: jobId.toUpperCase(),
		user_id: ada.user_id });
	assert.deepEqual(assertPersonal(res), { success: true, status: "failed",
		credits_refunded: 4 });
	await assertStatements(rendio, res, 13);
	assert.equal(await creditsOf(rendio, ada), 200);
	const status = (await statusOf(rendio, ada, jobId)).json();
	assert.equal(status.error_code, "canceled");
	assert.equal(status.credits_refunded, 4);
	// Twice is as once.
	assert.deepEqual(assertPersonal(await cancel({ job_id: jobId })),
	    { success: true, status: "failed", credits_refunded: 4 });
	const { entries } = await historyOf(rendio, ada);
	assert.equal(entries.filter((entry) => entry.job_id === jobId).length, 2);
	assert.equal(requestOf(1), undefined);
});

test("what waits at the provider is cancelled there", async () => {
	const before = await creditsOf(rendio, ada);
	const jobId = await order({ tag: 2, queue_ms: 20_000 });
	assert.ok(await until(() => requestOf(2)));
	assert.ok(await until(async () => {
		const body = assertPersonal(await cancel({ job_id: jobId }));
		assert.equal(body.success, true);
		return body.status === "failed";
	}, 10_000));
	const status = (await statusOf(rendio, ada, jobId)).json();
	assert.equal(status.error_code, "canceled");
	assert.equal(await creditsOf(rendio, ada), before);
});

test("what is being made is not cancelled", async () => {
	const jobId = await order({ run_ms: 1500 });
	await seen(jobId, "processing");
	assertError(await cancel({ job_id: jobId }), 409, "job_not_cancelable");
	assert.equal((await endOf(rendio, ada, jobId)).status, "completed");
	assertError(await cancel({ job_id: jobId }), 409, "job_not_cancelable");
});

test("what is deleted while it waits is cancelled there", async () => {
	const before = await creditsOf(rendio, ada);
	const jobId = await order({ tag: 3, queue_ms: 20_000 });
	assert.ok(await until(() => requestOf(3)));
	assertPersonal(await remove(rendio, ada, jobId));
	assertError(await statusOf(rendio, ada, jobId), 404, "job_not_found");
	assert.ok(await until(async () =>
	    await creditsOf(rendio, ada) === before, 10_000));
	assertError(await cancel({ job_id: jobId }), 404, "job_not_found");
});

test("what is deleted while it is made is paid, and leaves nothing",
    async () => {
	const before = await creditsOf(rendio, ada);
	const jobId = await order({ run_ms: 1000 });
	await seen(jobId, "processing");
	assertPersonal(await remove(rendio, ada, jobId));
	assert.ok(await until(async () => (await sql(rendio, `SELECT 1 FROM
	    jobs WHERE id = ${id(jobId)} AND state = 'completed'`)).length > 0,
	    10_000));
	assert.ok(await until(async () => (await sql(rendio, `SELECT 1 FROM
	    objects WHERE job_id = ${id(jobId)}`)).length === 0));
	assert.equal(await creditsOf(rendio, ada), before - 4);
	await assertAuditClean(rendio);
});

test("a request that is none is refused", async () => {
	for (const body of [{}, { job_id: "x" }, { job_id: null },
		{ job_id: ada.user_id, more: 1 }])
		assertError(await cancel(body), 400, "invalid_request");
	const jobId = await order({});
	for (const guest of [bob, { access_token: bob.access_token }])
		assertError(await cancel({ job_id: jobId }, guest), 404,
		    "job_not_found");
	assertError(await cancel({ job_id: ada.user_id }), 404, "job_not_found");
	assertError(await rendio.request("POST", PATH,
	    { body: { job_id: jobId } }), 401, "unauthorized");
	assertError(await cancel({ job_id: jobId, user_id: bob.user_id }), 403,
	    "forbidden");
	await endOf(rendio, ada, jobId);
	await assertAuditClean(rendio);
});

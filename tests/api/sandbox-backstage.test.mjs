// SPDX-License-Identifier: MIT

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { assertAuditClean, assertError, assertPersonal }
    from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, order, orderJob, startWorker, statusOf, stopWorker }
    from "./support/jobs.mjs";

const PATH = "/functions/v1/sandbox-backstage/";
const PRODUCT = "com.rendioai.credits.starter.25";

let rendio, ada, bob;

before(async () => {
	rendio = await start();
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	assert.equal((await rendio.cli("user", "grant", ada.user_id, "100",
	    "--reason", "tests")).code, 0);
});
after(() => rendio.stop());

function act(name, guest, body = {}, more = {}) {
	return rendio.request("POST", PATH + name,
	    { bearer: guest?.access_token, body, ...more });
}

async function post(path, guest, body) {
	return await rendio.request("POST", `/functions/v1/${path}`,
	    { bearer: guest?.access_token, body });
}

/** A job that is at the provider for a while. */
async function slowJob(guest) {
	const id = await orderJob(rendio, guest,
	    { prompt: "A calm sea [slow:60]" });
	assert.ok(await until(async () => (await statusOf(rendio, guest, id))
	    .json().status === "processing", 30_000));
	return id;
}

test("a pretended phone gets a device token that lets it in, with 200",
    async () => {
	const { device_token } = assertPersonal(await act("device", null,
	    { name: "carol.1" }));
	const device_id = randomUUID();
	const enter = async (token) => assertPersonal(await post("device-check",
	    null, { device_id, device_token: token }));

	assert.equal((await enter(device_token)).grant, "granted");
	const again = assertPersonal(await act("device", null,
	    { name: "carol.1" })).device_token;
	assert.notEqual(again, device_token);
	assert.equal((await enter(again)).grant, "already_claimed");
});

test("a purchase is credited once, and its refund takes it back once",
    async () => {
	const before = await creditsOf(rendio, ada);
	const sold = assertPersonal(await act("purchase", ada,
	    { product_id: PRODUCT }));
	const bought = assertPersonal(await post("update-credits", ada, sold));

	assert.equal(bought.credits_added, 25);
	assert.ok(assertPersonal(await post("update-credits", ada, sold))
	    .already_processed);
	assert.equal(await creditsOf(rendio, ada), before + 25);

	const { transaction_id } = bought;
	const notice = assertPersonal(await act("refund", ada,
	    { transaction_id }));
	for (let i = 0; i < 2; i++)
		assert.equal((await post("apple-server-notifications", null,
		    notice)).status, 200);
	assert.equal(await creditsOf(rendio, ada), before);
	await assertAuditClean(rendio);
});

test("nobody refunds somebody else's purchase, or one that is not there",
    async () => {
	const sold = assertPersonal(await act("purchase", ada,
	    { product_id: PRODUCT }));
	const { transaction_id } = assertPersonal(
	    await post("update-credits", ada, sold));

	assertError(await act("refund", bob, { transaction_id }), 404,
	    "not_found");
	for (const id of ["1", "", "../1", "x".repeat(300)])
		assertError(await act("refund", ada, { transaction_id: id }),
		    404, "not_found");
	// Sold to Ada: whoever posts it, it is hers.
	const other = assertPersonal(await act("purchase", ada,
	    { product_id: PRODUCT }));
	assertError(await post("update-credits", bob, other), 409,
	    "purchase_belongs_to_other_account");
});

test("a job that is failed gives its credits back, once", async () => {
	const before = await creditsOf(rendio, ada);
	const id = await slowJob(ada);

	assertError(await act("fail", bob, { job_id: id }), 404,
	    "job_not_found");
	assert.equal(assertPersonal(await act("fail", ada, { job_id: id }))
	    .success, true);
	const { status, credits_refunded, credits_used } =
	    await endOf(rendio, ada, id);
	assert.equal(status, "failed");
	assert.equal(credits_refunded, credits_used);
	assert.equal(await creditsOf(rendio, ada), before);
	assertError(await act("fail", ada, { job_id: id }), 409, "conflict");
	await assertAuditClean(rendio);
});

test("a job is not at the provider before it was sent", async (t) => {
	await stopWorker(rendio);
	t.after(() => startWorker(rendio));
	const { job_id } = (await order(rendio, ada)).json();

	for (const name of ["fail", "silence"])
		assertError(await act(name, ada, { job_id }), 409, "conflict");
});

test("what a lost webhook would have told is learnt all the same",
    async () => {
	const id = await orderJob(rendio, ada, { prompt: "A sea [slow:2]" });
	const answer = await until(async () => {
		const res = await act("silence", ada, { job_id: id });
		return res.status === 200 && res;
	}, 20_000);
	const silent_until = Date.now() +
	    assertPersonal(answer).silent_for_ms;

	const { status, credits_refunded } = await endOf(rendio, ada, id);
	assert.equal(status, "completed");
	assert.equal(credits_refunded, 0);
	// Its film was ready long before.
	assert.ok(Date.now() > silent_until - 1000);
	await assertAuditClean(rendio);
});

test("a killed worker is replaced, and what it had under way ends",
    async () => {
	const id = await orderJob(rendio, ada, { prompt: "A sea [slow:3]" });
	// Killed while it sends the order, it could not know what came of that.
	assert.ok(await until(async () => (await statusOf(rendio, ada, id))
	    .json().status === "processing", 20_000));
	const res = await until(async () => {
		const got = await act("kill-worker", ada);
		return got.status === 200 && got;
	}, 20_000);
	const { pid } = assertPersonal(res);

	assert.ok(await until(() => !rendio.pids("worker").includes(pid)));
	assert.equal((await endOf(rendio, ada, id)).status, "completed");
	await assertAuditClean(rendio);

	await stopWorker(rendio);
	assertError(await act("kill-worker", ada), 503, "service_unavailable");
	await startWorker(rendio);
});

test("all but a phone's token needs a user, and says what is wrong",
    async () => {
	for (const name of ["purchase", "refund", "fail", "silence",
		"kill-worker"])
		assertError(await act(name, null), 401, "unauthorized");
	assertError(await act("device", null, { name: "x" }, { apikey: null }),
	    401, "invalid_api_key");
	for (const [name, body] of [["device", {}], ["device", { name: "a b" }],
		["device", { name: "x".repeat(65) }], ["purchase", {}],
		["purchase", { product_id: "x".repeat(257) }], ["fail", {}],
		["fail", { job_id: "1" }], ["silence", { job: 1 }],
		["kill-worker", { pid: 1 }]])
		assertError(await act(name, ada, body), 400, "invalid_request");
	for (const name of ["", "x", "device/", "kill-worker/1"])
		assertError(await act(name, ada), 404, "not_found");
	assertError(await act("fail", ada, { job_id: randomUUID() }), 404,
	    "job_not_found");
});

test("who pushes too often is told to wait", async () => {
	const from = { localAddress: "127.0.0.2" };
	const answers = [];

	for (let i = 0; i < 7; i++)
		answers.push(await act("kill-worker", bob, {}, from));
	assertError(answers.pop(), 429, "rate_limited");
	for (const res of answers)
		assert.ok([200, 503].includes(res.status), res.text);
	// One user's limit is not another's.
	assert.equal((await act("purchase", bob, { product_id: PRODUCT }, from))
	    .status, 200);
});

test("where real videos are paid for, nothing is pretended", async (t) => {
	const paid = await start({ env: { RENDIO_FAL_KEY: "key:secret" } });
	t.after(() => paid.stop());

	for (const name of ["device", "purchase", "kill-worker"])
		assertError(await paid.request("POST", PATH + name,
		    { body: { name: "x" } }), 404, "not_found");
});

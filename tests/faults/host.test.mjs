// SPDX-License-Identifier: MIT
//
// The machine under the programs misbehaves: its clock jumps, cron starts ten
// workers at once, its disk turns read-only.  Nobody loses a session, a job or
// a credit, and when it is well again everything goes on by itself.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import path from "node:path";
import { after, before, test } from "node:test";
import { Fal } from "../fakes/fal.mjs";
import { assertAuditClean } from "../api/support/expect.mjs";
import { start, until } from "../api/support/instance.mjs";
import { creditsOf, endOf, order, orderJob } from "../api/support/jobs.mjs";
import { Plan } from "./plan.mjs";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WORKERS = 10;
const SETTINGS = { settings: { duration: 4 } };

const plan = new Plan();
let fal, rendio, ada;

// The provider is another machine, whose clock is right.
before(async () => {
	fal = await Fal.start();
	rendio = await start(plan.settings({ ...fal.env,
		RENDIO_FFMPEG: "",
	}));
	fal.fetch = rendio.fetch;
	ada = await rendio.guest("ada");
	await rendio.cli("user", "grant", ada.user_id, "1000", "--reason",
	    "tests");
});
after(async () => {
	await rendio.stop();
	await fal.stop();
});

/** As an app does: a new access token when the old one is not taken. */
async function stayIn() {
	const seen = await rendio.request("GET",
	    "/functions/v1/get-user-credits", { bearer: ada.access_token });
	if (seen.status === 200)
		return;
	assert.equal(seen.status, 401, seen.text);
	const res = await rendio.request("POST",
	    "/auth/v1/token?grant_type=refresh_token",
	    { body: { refresh_token: ada.refresh_token } });
	assert.equal(res.status, 200, `the session is lost: ${res.text}`);
	Object.assign(ada, res.json());
}

for (const [name, ahead_ms] of [["an hour ahead", HOUR_MS],
	["a day behind", -DAY_MS], ["a week ahead", 7 * DAY_MS]])
	test(`the clock jumps to ${name} and back: jobs end, sessions stay`,
	    async () => {
		await stayIn();
		let left = await creditsOf(rendio, ada);
		const before_jump = await orderJob(rendio, ada, SETTINGS);
		plan.shiftClock(ahead_ms);
		await stayIn();
		const during = await orderJob(rendio, ada, SETTINGS);
		await endOf(rendio, ada, before_jump);
		plan.shiftClock(0);
		await stayIn();
		for (const id of [before_jump, during,
			await orderJob(rendio, ada, SETTINGS)]) {
			const end = await endOf(rendio, ada, id);
			// What was made after its deadline is a present.
			if (end.status !== "completed" || end.credits_refunded > 0)
				assert.equal(end.credits_refunded,
				    end.credits_used);
			left -= end.credits_used - end.credits_refunded;
		}
		assert.equal(await creditsOf(rendio, ada), left);
		assert.equal(fal.mostPaid, 1);
	});

test("ten workers that cron starts at once do each thing once", async () => {
	const jobs = [];
	for (let i = 0; i < WORKERS; i++)
		jobs.push(await orderJob(rendio, ada, SETTINGS));
	const workers = Array.from({ length: WORKERS }, () =>
	    spawn(path.join(rendio.programs, "rendio-worker"), {
		env: rendio.env, stdio: "ignore" }));
	const ends = workers.map((worker) => new Promise((resolve) =>
	    worker.once("exit", (code) => resolve(code))));
	for (const id of jobs)
		assert.equal((await endOf(rendio, ada, id)).status, "completed");
	for (const worker of workers)
		worker.kill();
	for (const code of await Promise.all(ends))
		assert.equal(code, 0);
	assert.equal(fal.mostPaid, 1);
});

test("on a disk that is read-only reads go on and writes are 503", async () => {
	const credits = await creditsOf(rendio, ada);
	const key = randomUUID();
	plan.arm("", "readonly", 1);
	for (let i = 0; i < 10; i++) {
		const res = await order(rendio, ada, SETTINGS, key);
		assert.equal(res.status, 503, res.text);
		assert.ok(Number(res.headers["retry-after"]) > 0);
		assert.equal(await creditsOf(rendio, ada), credits);
	}
	plan.disarm();
	const made = await until(async () => {
		const res = await order(rendio, ada, SETTINGS, key);
		assert.ok([200, 503].includes(res.status), res.text);
		return res.status === 200 && res.json();
	}, 60_000);
	assert.ok(made, "orders are still refused");
	await endOf(rendio, ada, made.job_id);
	assert.equal(fal.mostPaid, 1);
});

test("afterwards the books are clean", () => assertAuditClean(rendio));

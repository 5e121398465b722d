// SPDX-License-Identifier: MIT
//
// The worker is stopped, asked to end and followed by another while jobs are
// under way: none of them is submitted twice, lost, or settled twice.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { start, until } from "../api/support/instance.mjs";

/** A successor waits for five minutes; then it waits no more. */
const HUNG_MS_MAX = 360_000;

let rendio;
let phone;

before(async () => {
	rendio = await start();
	phone = await rendio.guest("worker");
	await rendio.cli("user", "grant", phone.user_id, "1000", "--reason",
	    "test");
});

after(() => rendio.stop());

async function order(prompt) {
	const res = await rendio.request("POST", "/functions/v1/generate-video", {
		bearer: phone.access_token,
		headers: { "idempotency-key": randomUUID() },
		body: { prompt, settings: { duration: 4 } },
	});
	assert.equal(res.status, 200, res.text);
	return res.json().job_id;
}

async function statusOf(job_id) {
	const res = await rendio.request("GET",
	    `/functions/v1/get-video-status?job_id=${job_id}`,
	    { bearer: phone.access_token });
	return res.json().status;
}

async function assertAllCompleted(jobs) {
	for (const job of jobs)
		assert.equal(await until(async () => {
			const status = await statusOf(job);
			return ["completed", "failed"].includes(status) && status;
		}, 90_000), "completed");
	const paid = fs.readFileSync(rendio.file("sandbox", "submissions.log"),
	    "utf8").trim().split("\n").map((line) => line.split(/\s+/)[0]);
	assert.equal(new Set(paid).size, paid.length,
	    "no attempt was submitted twice");
	const audit = await rendio.cli("audit");
	assert.equal(audit.code, 0, audit.stdout + audit.stderr);
}

test("a worker that stood still past its leases goes on with what it had",
    async () => {
	const jobs = [];
	for (let i = 0; i < 6; i++)
		jobs.push(await order("stall"));
	const stopped = rendio.pids("worker");
	for (const pid of stopped)
		process.kill(pid, "SIGSTOP");
	await sleep(17_000);
	for (const pid of stopped)
		process.kill(pid, "SIGCONT");
	await assertAllCompleted(jobs);
});

if (process.env.RENDIO_LONG === "1")
	test("a worker that stands still for good is ended by the next one",
	    async () => {
		const leader = () => Number(fs.readFileSync(
		    rendio.file("run", "worker.lock"), "utf8"));
		// One that is just handing over stands in nobody's way.
		assert.ok(await until(async () => {
			const pid = leader();
			if (pid === 0 || !rendio.pids("worker").includes(pid))
				return false;
			process.kill(pid, "SIGSTOP");
			await sleep(3000);
			if (leader() === pid)
				return true;
			process.kill(pid, "SIGCONT");
			return false;
		}, 60_000));
		const jobs = [];
		for (let i = 0; i < 6; i++)
			jobs.push(await order("hang"));
		assert.ok(await until(() => rendio.log().some((line) =>
		    line.includes("worker_stood_still")), HUNG_MS_MAX));
		await assertAllCompleted(jobs);
	});

test("locks that are deleted while they are held cost nobody anything",
    async () => {
	const jobs = [];
	for (let i = 0; i < 20; i++) {
		jobs.push(await order("lock"));
		for (const name of ["worker.lock", "worker.next"])
			fs.rmSync(rendio.file("run", name), { force: true });
		await sleep(300);
	}
	await assertAllCompleted(jobs);
});

test("a worker that is asked to end finishes what it has under way",
    async () => {
	const jobs = [];
	for (let i = 0; i < 20; i++) {
		jobs.push(await order("term"));
		if (i % 3 === 0)
			for (const pid of rendio.pids("worker"))
				try {
					process.kill(pid, "SIGTERM");
				} catch {
					/* It had just ended by itself. */
				}
	}
	await assertAllCompleted(jobs);
	assert.ok(!rendio.log().some((line) =>
	    line.includes("submission_unknown") ||
	    line.includes("submission_lost")),
	    "no submission was cut off");
});

test("workers that follow one another every second leave no gap", async () => {
	const jobs = [];
	for (let i = 0; i < 40; i++) {
		jobs.push(await order("follow"));
		await sleep(100);
	}
	await assertAllCompleted(jobs);
});

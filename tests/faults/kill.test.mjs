// SPDX-License-Identifier: MIT
//
// Processes are killed (kill -9) at random moments while phones order videos.
// An oracle keeps what was answered; after the last kill everything must come
// to its end, and the answers must still be true.
//
// RENDIO_KILLS (default 50) says how often, RENDIO_SEED repeats a run.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { start, until } from "../api/support/instance.mjs";
import { chance, often } from "./chance.mjs";

const KILLS = Number(process.env.RENDIO_KILLS ?? often(200));
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
const PHONES = 8;
const CREDITS = 400;
const SETTLE_MS_MAX = 180_000;

let rendio;

before(async () => {
	rendio = await start({ env: { RENDIO_PROVIDER_CONCURRENCY: "64" } });
});

after(() => rendio.stop());

/**
 * Repeats a request under one key, as the app does, until it is answered.
 * What broke off may have happened: the key makes the repetition harmless.
 */
async function order(phone, body) {
	const key = randomUUID();
	for (;;) {
		try {
			const res = await rendio.request("POST",
			    "/functions/v1/generate-video", {
				bearer: phone.access_token,
				headers: { "idempotency-key": key },
				body,
			});
			if (res.status < 500)
				return res;
		} catch {
			/* The connection broke: ask again. */
		}
		await sleep(20);
	}
}

/** Repeats a request until it is answered, and wants it to succeed. */
async function insist(target, body) {
	for (;;) {
		try {
			const res = await rendio.request("POST", target, { body });
			if (res.status < 500) {
				assert.equal(res.status, 200, res.text);
				return res.json();
			}
		} catch (error) {
			if (error instanceof assert.AssertionError)
				throw error;
		}
		await sleep(20);
	}
}

function isOver(job) {
	return ["completed", "failed"].includes(job.status);
}

async function everyJob(phone) {
	const jobs = [];
	let before = "";
	for (;;) {
		const res = await rendio.request("GET",
		    `/functions/v1/get-video-jobs?limit=100${before}`,
		    { bearer: phone.access_token });
		if (res.status !== 200) {
			await sleep(50);
			continue;
		}
		const page = res.json();
		jobs.push(...page.jobs);
		if (page.next_before === null)
			return jobs;
		before = `&before=${page.next_before}`;
	}
}

test(`${KILLS} kills at random lose and win nobody a credit`, async (t) => {
	const random = chance(SEED);
	const services = ["generate-video", "generate-video", "worker", "worker",
		"worker", "sandbox-provider", "get-video-status", "device-check",
		"auth-token"];
	const phones = [];
	let over = false;

	t.diagnostic(`RENDIO_SEED=${SEED}`);
	for (let i = 0; i < PHONES; i++) {
		const phone = await rendio.guest(`kill-${i}`);
		await rendio.cli("user", "grant", phone.user_id,
		    String(CREDITS - 10), "--reason", "test");
		phones.push({ ...phone, accepted: [], refused: 0 });
	}

	const load = phones.map(async (phone) => {
		while (!over) {
			const fate = random();
			const res = await order(phone, {
				prompt: `kill ${fate < 0.2 ? "[fail:provider]" : ""}`,
				settings: { duration: 4 },
			});
			if (res.status === 200)
				phone.accepted.push(res.json());
			else
				phone.refused++;
			assert.ok([200, 402].includes(res.status),
			    `${res.status} ${res.text}`);
			await sleep(random() * 100);
		}
	});

	/* Phones come and refresh meanwhile; what breaks off is repeated. */
	const visits = (async () => {
		for (let i = 0; !over; i++) {
			const { stdout } = await rendio.cli("sandbox", "device",
			    `visit-${i}`);
			const body = { device_id: randomUUID(),
				device_token: stdout.trim() };
			const visit = await insist("/functions/v1/device-check",
			    body);
			assert.equal(visit.credits_remaining, 10,
			    "a visit that broke off neither burns nor doubles");
			await insist("/auth/v1/token?grant_type=refresh_token",
			    { refresh_token: visit.refresh_token });
		}
	})();

	let kills = 0;
	while (kills < KILLS) {
		const pids = rendio.pids(
		    services[Math.floor(random() * services.length)]);
		if (pids.length > 0) {
			try {
				process.kill(pids[Math.floor(
				    random() * pids.length)], "SIGKILL");
				kills++;
			} catch {
				/* It had just ended by itself. */
			}
		}
		await sleep(random() * 80);
	}
	over = true;
	await Promise.all([...load, visits]);

	for (const phone of phones) {
		let jobs;
		await until(async () => {
			jobs = await everyJob(phone);
			return jobs.every(isOver);
		}, SETTLE_MS_MAX);
		assert.ok(jobs.every(isOver), `every job comes to its end: ${
		    JSON.stringify(jobs.filter((job) => !isOver(job)), null, 1)}
		${rendio.log().filter((line) => !line.includes('"level":"info"'))
		    .slice(-40).join("\n")}`);

		const answered = phone.accepted.map((job) => job.job_id).sort();
		assert.deepEqual(jobs.map((job) => job.job_id).sort(), answered,
		    "the jobs that exist are those that were answered");
		const paid = jobs.filter((job) => job.status === "completed")
		    .reduce((sum, job) => sum + job.credits_used, 0);
		const credits = await rendio.request("GET",
		    "/functions/v1/get-user-credits",
		    { bearer: phone.access_token });
		assert.equal(credits.json().credits_remaining, CREDITS - paid,
		    "the balance is what was given less what was delivered");
		for (const job of jobs)
			assert.equal(job.credits_refunded, job.status === "failed" ?
			    job.credits_used : 0);
	}

	const audit = await rendio.cli("audit");
	assert.equal(audit.code, 0, audit.stdout + audit.stderr);

	const paid = fs.readFileSync(rendio.file("sandbox", "submissions.log"),
	    "utf8").trim().split("\n").map((line) => line.split(/\s+/)[0]);
	t.diagnostic(`${paid.length} submissions, ${kills} kills`);
	assert.equal(new Set(paid).size, paid.length,
	    "no attempt was submitted twice");
	assert.ok(paid.length > 0);
});

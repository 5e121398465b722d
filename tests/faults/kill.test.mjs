// SPDX-License-Identifier: MIT
//
// Processes are killed (kill -9) at random moments while phones order videos:
// one after the other, then all of them at once.  An oracle keeps what was
// answered; after the last kill everything must come to its end, and the answers
// must still be true.  Whenever somebody looks meanwhile, the books are clean.
//
// RENDIO_KILLS (default 50) says how often, RENDIO_DEATHS (default 2) how often
// all die; RENDIO_SEED repeats a run.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { assertAuditClean } from "../api/support/expect.mjs";
import { start, until } from "../api/support/instance.mjs";
import { chance, killOne, often } from "./chance.mjs";

const KILLS = Number(process.env.RENDIO_KILLS ?? often(200));
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
const DEATHS = Number(process.env.RENDIO_DEATHS ?? often(8));
const PHONES = 8;
const CREDITS = 400;
const SETTLE_MS_MAX = 180_000;

let rendio, is_over = false;

before(async () => {
	rendio = await start({ env: { RENDIO_PROVIDER_CONCURRENCY: "64" } });
});

after(() => {
	is_over = true;
	return rendio.stop();
});

/**
 * Repeats a request under one key, as the app does, until it is answered.
 * What broke off may have happened: the key makes the repetition harmless.
 */
async function order(phone, body) {
	const key = randomUUID();
	for (;;) {
		assert.ok(!is_over, "a test failed before this order was answered");
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

async function newPhones(name) {
	const phones = [];
	for (let i = 0; i < PHONES; i++) {
		const phone = await rendio.guest(`${name}-${i}`);
		await rendio.cli("user", "grant", phone.user_id,
		    String(CREDITS - 10), "--reason", "test");
		phones.push({ ...phone, accepted: [], refused: 0 });
	}
	return phones;
}

/** The phones order until `done.is`. */
function load(phones, random, done) {
	return phones.map(async (phone) => {
		while (!done.is) {
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
}

/** Looks at the books about each second until `done.is`: how often. */
async function lookAtBooks(done) {
	let times = 0;
	try {
		for (; !done.is; times++) {
			await assertAuditClean(rendio);
			await sleep(1000);
		}
	} finally {
		done.is = true;
	}
	return times;
}

/** Every job that was answered is there, comes to its end, and is paid or not. */
async function settle(phones) {
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
	await assertAuditClean(rendio);

	const paid = fs.readFileSync(rendio.file("sandbox", "submissions.log"),
	    "utf8").trim().split("\n").map((line) => line.split(/\s+/)[0]);
	assert.equal(new Set(paid).size, paid.length,
	    "no attempt was submitted twice");
	assert.ok(paid.length > 0);
	return paid.length;
}

test(`${KILLS} kills at random lose and win nobody a credit`, async (t) => {
	const random = chance(SEED);
	const services = ["generate-video", "generate-video", "worker", "worker",
		"worker", "sandbox-provider", "get-video-status", "device-check",
		"auth-token"];
	const phones = await newPhones("kill");
	const done = { is: false };

	t.diagnostic(`RENDIO_SEED=${SEED}`);
	const books = lookAtBooks(done);
	const orders = load(phones, random, done);

	/* Phones come and refresh meanwhile; what breaks off is repeated. */
	const visits = (async () => {
		for (let i = 0; !done.is; i++) {
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

	const kill = async () => {
		for (let kills = 0; kills < KILLS;) {
			kills += killOne(rendio.pids(services[Math.floor(
			    random() * services.length)]), random);
			await sleep(random() * 80);
		}
		done.is = true;
	};
	await Promise.all([...orders, visits, books, kill()]);
	const submissions = await settle(phones);
	t.diagnostic(`${submissions} submissions, ${KILLS} kills, the books ` +
	    `looked at ${await books} times`);
});

test(`all processes die at once, ${DEATHS} times, and lose nothing`,
    async (t) => {
	const random = chance(SEED + 1);
	const phones = await newPhones("death");
	const done = { is: false };

	t.diagnostic(`RENDIO_SEED=${SEED}`);
	const orders = load(phones, random, done);
	for (let i = 0; i < DEATHS; i++) {
		const before = phones.flatMap((phone) => phone.accepted).length;
		assert.ok(await until(() => phones.flatMap((phone) =>
		    phone.accepted).length >= before + PHONES, SETTLE_MS_MAX));
		await sleep(random() * 300);
		rendio.child.kill("SIGKILL");
		process.kill(-rendio.group, "SIGKILL");
		const answered = phones.map((phone) => [...phone.accepted]);
		await rendio.ended;
		assert.ok(await until(() => rendio.members().length === 0));
		rendio.how = undefined;
		rendio.output = "";
		await rendio.run();
		await assertAuditClean(rendio);
		for (const [n, phone] of phones.entries()) {
			const there = (await everyJob(phone))
			    .map((job) => job.job_id);
			for (const { job_id } of answered[n])
				assert.ok(there.includes(job_id),
				    `${job_id} was answered`);
		}
	}
	done.is = true;
	await Promise.all(orders);
	await settle(phones);
});

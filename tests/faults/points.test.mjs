// SPDX-License-Identifier: MIT
//
// The real programs, broken at each of their calls to the system in turn: the
// n-th call of a program is its last (kill -9), or fails with EIO or ENOSPC,
// for n = 1, 2, 3 ... until a request ends before its n-th call (calls.h).  Some
// also get no memory when they ask for the n-th piece: then they say 503, or end
// themselves and are started again.  What phones were answered must be true, and
// the rest be done when they ask again, as apps do.
//
// RENDIO_POINTS_EVERY (default 100) takes every so many-th n, another part of
// them each time by RENDIO_SEED; 1 takes all.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AppStore, post } from "../api/support/appstore.mjs";
import { assertAuditClean } from "../api/support/expect.mjs";
import { start, until } from "../api/support/instance.mjs";
import { statusOf } from "../api/support/jobs.mjs";
import { JPEG, upload } from "../api/support/pictures.mjs";
import { Plan } from "./plan.mjs";

const EVERY = Number(process.env.RENDIO_POINTS_EVERY ?? 100);
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
const GRANTS = 5;
const CREDITS = GRANTS * 10_000 + 10;
const COST = 4;
const ANSWER_MS_MAX = 60_000;
const END_MS_MAX = 180_000;
/** No request makes more calls, or asks for more memory; nor does a job. */
const POINTS_MAX = { io: 600, full: 600, kill: 600, memory: 1200 };

let rendio, ada, store;
const plan = new Plan();
const done = { io: 0, full: 0, kill: 0, memory: 0 };
/** Those whose memory is refused: who takes money, credits, and does the work. */
const hungry = ["update-credits", "generate-video", "rendio-worker"];
const jobs = [];

before(async () => {
	rendio = await start(plan.settings({
		RENDIO_JOBS_OPEN_MAX_FREE: "1000",
		RENDIO_UPLOADS_MAX: "1000",
	}));
	ada = await rendio.guest("ada");
	for (let i = 0; i < GRANTS; i++)
		await rendio.cli("user", "grant", ada.user_id, "10000",
		    "--reason", "tests");
	store = new AppStore(rendio);
});
after(() => rendio.stop());

/** Asks until there is an answer that is not "later". */
async function insist(ask) {
	const end = Date.now() + ANSWER_MS_MAX;
	for (;;) {
		try {
			const res = await ask();
			if (res.status < 500)
				return res;
			assert.ok(Date.now() < end, res.text);
		} catch (error) {
			if (error instanceof assert.AssertionError)
				throw error;
			assert.ok(Date.now() < end, error.message);
		}
		await sleep(10);
	}
}

const call = (name, body, bearer = ada.access_token, headers = {}) =>
    rendio.request("POST", `/functions/v1/${name}`,
	{ bearer, body, headers });

async function ordered(prompt = "point") {
	const key = randomUUID();
	const res = await insist(() => call("generate-video",
	    { prompt, settings: { duration: 4 } }, ada.access_token,
	    { "idempotency-key": key }));
	assert.equal(res.status, 200, res.text);
	jobs.push(res.json().job_id);
	return res.json();
}

let names = 0;

/** program: what is asked of it, prepared before the fault is there. */
const programs = {
	"device-check": async () => {
		const { stdout } = await rendio.cli("sandbox", "device",
		    `point-${names++}`);
		const body = { device_id: randomUUID(),
			device_token: stdout.trim() };
		const visit = () => insist(() =>
		    call("device-check", body, undefined));
		return async () => {
			let res = await visit();
			// What stood between us and Apple is gone at the next.
			if (res.status === 200 && res.json().grant === "pending")
				res = await visit();
			assert.equal(res.status, 200, res.text);
			assert.equal(res.json().credits_remaining, 10,
			    "the gift is given, and once");
		};
	},
	"auth-token": async () => {
		const guest = await rendio.guest(`point-${names++}`);
		return async () => {
			const res = await insist(() => rendio.request("POST",
			    "/auth/v1/token?grant_type=refresh_token",
			    { body: { refresh_token: guest.refresh_token } }));
			assert.equal(res.status, 200, res.text);
		};
	},
	"update-credits": async () => {
		const guest = await rendio.guest(`point-${names++}`);
		const signed_transaction = store.sign(store.transaction());
		return async () => {
			const res = await insist(() =>
			    post(rendio, guest, { signed_transaction }));
			assert.equal(res.status, 200, res.text);
			const left = await insist(() => rendio.request("GET",
			    "/functions/v1/get-user-credits",
			    { bearer: guest.access_token }));
			assert.equal(left.json().credits_remaining, 35,
			    "what was bought is there, once");
		};
	},
	"generate-video": async () => async () => {
		const { job_id } = await ordered();
		const res = await insist(() => statusOf(rendio, ada, job_id));
		assert.equal(res.status, 200, "what was answered is there");
	},
	"cancel-video-job": async () => {
		const { job_id } = await ordered("[slow:5]");
		return async () => {
			const res = await insist(() =>
			    call("cancel-video-job", { job_id }));
			assert.ok([200, 202, 409].includes(res.status),
			    `${res.status} ${res.text}`);
		};
	},
	"object-upload": async () => {
		const name = `${ada.user_id}/${randomUUID()}.jpg`;
		return async () => {
			const res = await insist(() =>
			    upload(rendio, ada, name, JPEG));
			// The answer to the first may have been lost.
			assert.ok([200, 409].includes(res.status) ||
			    res.json().statusCode === "409", res.text);
			const got = await insist(() => rendio.request("GET",
			    `/storage/v1/object/thumbnails/${name}`,
			    { bearer: ada.access_token }));
			assert.equal(got.status, 200, got.text);
		};
	},
	"delete-account": async () => {
		const guest = await rendio.guest(`point-${names++}`);
		return async () => {
			const res = await insist(() =>
			    call("delete-account", {}, guest.access_token));
			assert.ok([200, 204, 401, 404].includes(res.status),
			    `${res.status} ${res.text}`);
			const dead = await insist(() => rendio.request("GET",
			    "/functions/v1/get-user-credits",
			    { bearer: guest.access_token }));
			assert.equal(dead.status, 401);
		};
	},
	"rendio-worker": async () => async () => {
		const { job_id } = await ordered();
		await until(async () => plan.hits() > 0 ||
		    (await insist(() => statusOf(rendio, ada, job_id)))
			.json().completed_at !== null, END_MS_MAX);
	},
};

for (const [program, prepare] of Object.entries(programs))
	for (const fault of Object.keys(done)
	    .filter((fault) => fault !== "memory" || hungry.includes(program)))
		test(`${program}, ${fault} at each call`, async (t) => {
			let points = 0;
			for (let n = 1 + SEED % EVERY; n < POINTS_MAX[fault];
			    n += EVERY) {
				const ask = await prepare();
				plan.arm(program, fault, n);
				try {
					await ask();
				} finally {
					if (plan.hits() === 0)
						n = POINTS_MAX[fault];
					else
						points++;
					plan.disarm();
				}
			}
			done[fault] += points;
			t.diagnostic(`${points} points, RENDIO_SEED=${SEED}`);
		});

test("everything comes to its end and is accounted for", async (t) => {
	let spent = 0;
	for (const id of jobs) {
		const job = await until(async () => {
			const body = (await insist(() =>
			    statusOf(rendio, ada, id))).json();
			return body.completed_at !== null && body;
		}, END_MS_MAX);
		assert.ok(job, `job ${id} comes to its end`);
		spent += job.status === "completed" ? COST : 0;
	}
	const left = await rendio.request("GET",
	    "/functions/v1/get-user-credits", { bearer: ada.access_token });
	assert.equal(left.json().credits_remaining, CREDITS - spent,
	    "the balance is what was given less what was delivered");
	const paid = fs.readFileSync(rendio.file("sandbox", "submissions.log"),
	    "utf8").trim().split("\n").map((line) => line.split(/\s+/)[0]);
	assert.equal(new Set(paid).size, paid.length,
	    "no attempt was submitted twice");
	await assertAuditClean(rendio);
	t.diagnostic(`survived: ${JSON.stringify(done)}`);
	assert.ok(Object.values(done).some((points) => points > 0));
});

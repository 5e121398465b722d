// SPDX-License-Identifier: MIT
//
// The machine under the programs misbehaves: its clock jumps, cron starts ten
// workers at once, its disk turns read-only, somebody reads without an end; and
// its provider is dead for hours.  Nobody loses a session, a job or a credit, and
// when it is well again everything goes on by itself.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Fal } from "../fakes/fal.mjs";
import { id, sql, whileRead } from "../api/support/database.mjs";
import { assertAuditClean } from "../api/support/expect.mjs";
import { start, until } from "../api/support/instance.mjs";
import { creditsOf, endOf, order, orderJob } from "../api/support/jobs.mjs";
import { IS_LONG, chance } from "./chance.mjs";
import { Plan } from "./plan.mjs";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WORKERS = 10;
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
/** The worker empties a log of more bytes (cron/checkpoint.c). */
const LOG_TO_EMPTY = 8 * 1024 * 1024;
/** With so many it is told that it is not. */
const LOG_MIB_MAX = 16;
const JUMPS = 5;
const OUTAGE_STEPS = 12;
/** How long somebody reads while orders go on, at least so many. */
const READ_MS = IS_LONG ? 600_000 : 0;
const READ_PAUSE_MS = IS_LONG ? 1000 : 0;
const READ_ORDERS_MIN = 10;
const SETTINGS = { settings: { duration: 4 } };

const plan = new Plan();
let fal, rendio, ada;

// The provider is another machine, whose clock is right.
before(async () => {
	fal = await Fal.start();
	rendio = await start(plan.settings({ ...fal.env,
		RENDIO_FFMPEG: "",
		RENDIO_ALARM_LOG_MIB: String(LOG_MIB_MAX),
		RENDIO_ALARM_HOLD_S: "1",
	}));
	fal.fetch = rendio.fetch;
	ada = await rendio.guest("ada");
	await rendio.cli("user", "grant", ada.user_id, "10000", "--reason",
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
		for (const job_id of [before_jump, during,
			await orderJob(rendio, ada, SETTINGS)]) {
			const end = await endOf(rendio, ada, job_id);
			// What was made after its deadline is a present.
			if (end.status !== "completed" || end.credits_refunded > 0)
				assert.equal(end.credits_refunded,
				    end.credits_used);
			left -= end.credits_used - end.credits_refunded;
		}
		assert.equal(await creditsOf(rendio, ada), left);
		assert.equal(fal.mostPaid, 1);
	});

/**
 * The jobs end; what was not delivered was given back, and nothing else.  Gives
 * their ends.
 */
async function assertAccounted(jobs, credits) {
	const ends = [];
	let left = credits;
	for (const id of jobs) {
		await stayIn();
		const end = await endOf(rendio, ada, id);
		assert.ok([0, end.credits_used].includes(end.credits_refunded));
		if (end.status !== "completed")
			assert.equal(end.credits_refunded, end.credits_used);
		left -= end.credits_used - end.credits_refunded;
		ends.push(end.status);
	}
	assert.equal(await creditsOf(rendio, ada), left);
	assert.equal(fal.mostPaid, 1);
	return ends;
}

test("the clock jumps each second, there and back: all is accounted for",
    async (t) => {
	const random = chance(SEED);
	const jobs = [];
	t.diagnostic(`RENDIO_SEED=${SEED}`);
	await stayIn();
	const credits = await creditsOf(rendio, ada);

	for (let i = 0; i < JUMPS; i++) {
		plan.shiftClock(Math.round((random() * 2 - 1) * DAY_MS));
		for (const end = Date.now() + 1000; Date.now() < end;) {
			const res = await order(rendio, ada, SETTINGS);
			// A token of another time is none; then the app asks again.
			assert.ok([200, 401].includes(res.status), res.text);
			if (res.status === 200)
				jobs.push(res.json().job_id);
			else
				await stayIn();
			await sleep(200);
		}
	}
	plan.shiftClock(0);
	assert.ok(jobs.length > 0);
	await assertAccounted(jobs, credits);
	await assertAuditClean(rendio);
});

const outages = {
	"breaks connections": {
		begin() { fal.account = "dead"; },
		end() { fal.account = null; },
		// What may have been sent, and is unknown, is lost in three.
		settled_h: 10,
		assertEnds() {},
	},
	"refuses connections": {
		begin: () => fal.hangUp(),
		end: () => fal.listen(),
		// Whoever waits to try again does so within five minutes.
		settled_h: 6.2,
		// Nothing was sent, so all that is not too late is sent now.
		assertEnds(ends) {
			assert.equal(ends.length, 1 + OUTAGE_STEPS);
			for (const end of ends.slice(2))
				assert.equal(end, "completed");
		},
	},
};

for (const [name, outage] of Object.entries(outages))
	test(`fal ${name} for six hours: what waited ends by the rules, once`,
	    async () => {
		const jobs = [];
		const orderOne = async (script) => {
			await stayIn();
			const res = await order(rendio, ada, {
				prompt: fal.script(script), ...SETTINGS });
			// Who cannot be asked for long may be refused before it
			// costs.
			assert.ok([200, 503].includes(res.status), res.text);
			if (res.status === 200)
				jobs.push(res.json().job_id);
		};
		const accepted = fal.requests.size;
		await stayIn();
		const credits = await creditsOf(rendio, ada);

		// One is under way when it dies.
		await orderOne({ run_ms: 1000 });
		assert.ok(await until(() => fal.requests.size > accepted));
		await outage.begin();
		for (let i = 1; i <= OUTAGE_STEPS; i++) {
			await orderOne({ hook: "off" });
			await sleep(300);
			plan.shiftClock(i * 6 * HOUR_MS / OUTAGE_STEPS);
		}
		assert.ok(jobs.length > 1);
		await outage.end();
		plan.shiftClock(outage.settled_h * HOUR_MS);
		outage.assertEnds(await assertAccounted(jobs, credits));
		assert.equal(Math.max(...fal.seen.values()), 1,
		    "something was sent twice");
		const made = await until(async () => {
			await stayIn();
			const res = await order(rendio, ada, SETTINGS);
			return res.status === 200 && res.json();
		}, 60_000);
		assert.ok(made, "orders are still refused");
		assert.equal((await endOf(rendio, ada, made.job_id)).status,
		    "completed");
		plan.shiftClock(0);
		await stayIn();
		await assertAuditClean(rendio);
	});

test("ten workers that cron starts at once do each thing once", async () => {
	const jobs = [];
	// Of what a limit allows one use is left at first to who used it while the
	// clock was ahead.
	while (jobs.length < WORKERS) {
		const res = await order(rendio, ada, SETTINGS);
		assert.ok([200, 429].includes(res.status), res.text);
		if (res.status === 200)
			jobs.push(res.json().job_id);
		else
			await sleep(100);
	}
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

test("a reader without an end stops nobody, and is told of; then the log is" +
    " emptied", async (t) => {
	const bytes = () => fs.statSync(rendio.file("rendio.db-wal")).size;
	const isRaised = async () => (await sql(rendio, "SELECT 1 FROM alarms" +
	    " WHERE name = 'log_grows' AND is_raised = 1")).length > 0;
	const jobs = [];
	let slowest_ms = 0;
	await stayIn();
	const credits = await creditsOf(rendio, ada);

	assert.equal(await isRaised(), false);
	await whileRead(rendio, async () => {
		const end = Date.now() + READ_MS;
		await sql(rendio, `CREATE TABLE filler (bytes BLOB);
		    INSERT INTO filler VALUES (zeroblob(${LOG_MIB_MAX * 2 ** 20}));
		    DROP TABLE filler`);
		while (jobs.length < READ_ORDERS_MIN || Date.now() < end) {
			const began = Date.now();
			jobs.push(await orderJob(rendio, ada, SETTINGS));
			slowest_ms = Math.max(slowest_ms, Date.now() - began);
			await endOf(rendio, ada, jobs.at(-1));
			await sleep(READ_PAUSE_MS);
		}
		assert.ok(bytes() > LOG_MIB_MAX * 2 ** 20, "the reader needs the log");
		assert.ok(await until(isRaised, 30_000), "nobody is told");
		await assertAuditClean(rendio);
		t.diagnostic(`${jobs.length} orders, the slowest answered in ${
		    slowest_ms} ms; ${bytes() >> 20} MiB of log`);
	});
	assert.ok(await until(async () => {
		// A worker looks at the log when it has something to do.
		jobs.push(await orderJob(rendio, ada, SETTINGS));
		await sleep(500);
		return bytes() < LOG_TO_EMPTY;
	}, 60_000), "the log is not emptied");
	assert.ok(await until(async () => !await isRaised(), 30_000),
	    "the alarm is not over");
	await assertAccounted(jobs, credits);
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

// In a year in which nobody comes, sessions end; jobs and credits do not.
test("the clock jumps to a year ahead and back: jobs and credits stay",
    async () => {
	const eve = await rendio.guest("eve");
	const state = async () => (await sql(rendio, `SELECT credits_remaining AS
	    credits, COUNT(j.id) AS jobs, SUM(j.due_at_ms IS NULL) AS ended,
	    SUM(j.cost_credits * (j.state = 'completed' AND NOT j.is_free)) AS paid
	    FROM users AS u JOIN jobs AS j ON j.user_id = u.id
	    WHERE u.id = ${id(eve.user_id)}`))[0];
	await endOf(rendio, eve, await orderJob(rendio, eve, SETTINGS));
	await orderJob(rendio, eve, SETTINGS);
	plan.shiftClock(365 * DAY_MS);
	assert.ok(await until(async () => (await state()).ended === 2, 60_000));
	// What is done once an hour or a day is done now.
	await sleep(2000);
	await assertAuditClean(rendio);
	plan.shiftClock(0);
	const { credits, jobs, paid } = await state();
	assert.equal(jobs, 2);
	assert.ok(paid >= 4, "what was delivered before stays paid");
	assert.equal(credits, 10 - paid);
	const zoe = await rendio.guest("zoe");
	assert.equal((await endOf(rendio, zoe, await orderJob(rendio, zoe,
	    SETTINGS))).status, "completed");
	assert.equal(fal.mostPaid, 1);
});

test("afterwards the books are clean", () => assertAuditClean(rendio));

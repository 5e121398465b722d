// SPDX-License-Identifier: MIT
//
// The worker dies at each write and sync of a checkpoint in turn, within a
// write, or the power goes (calls.h); with nobody else at work, and beside
// others, who go on.  Whoever comes next empties the log, the books are clean,
// and every order that was answered is there.
//
// In `make test` some of the calls, with RENDIO_LONG=1 all; RENDIO_SEED takes
// others.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { sql } from "../api/support/database.mjs";
import { assertAuditClean } from "../api/support/expect.mjs";
import { start, until } from "../api/support/instance.mjs";
import { creditsOf, endOf, orderJob, stopWorker }
    from "../api/support/jobs.mjs";
import { IS_LONG, often } from "./chance.mjs";
import { Plan } from "./plan.mjs";

const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
/** So many calls of each kind of death, and the last ones besides. */
const POINTS = often(8);
/** The file is cut and forced to the disk, then its log is cut, and begun. */
const LAST_CALLS = 4;
const LUCKS = 4;
/** The filler alone is more pages. */
const LIVE_PAGES = 8;
/** The worker empties a log of more bytes (cron/checkpoint.c). */
const LOG_TO_EMPTY = 8 * 1024 * 1024;
const WAIT_MS_MAX = 60_000;
const CREDITS = 1000;
const SETTINGS = { settings: { duration: 4 } };

const plan = new Plan();
const jobs = [];
let rendio, ada, whole;

const logBytes = () => fs.statSync(rendio.file("rendio.db-wal")).size;

/** Few pages, often, so that each is one of few writes of a checkpoint. */
async function fillLog() {
	await sql(rendio, `CREATE TABLE filler (bytes BLOB);
	    INSERT INTO filler VALUES (NULL);
	    ${"UPDATE filler SET bytes = randomblob(40000);".repeat(250)}
	    DROP TABLE filler`);
}

before(async () => {
	rendio = await start(plan.settings({ RENDIO_FFMPEG: "" }));
	ada = await rendio.guest("ada");
	await rendio.cli("user", "grant", ada.user_id, String(CREDITS - 10),
	    "--reason", "tests");
	jobs.push(await orderJob(rendio, ada, SETTINGS));
	await endOf(rendio, ada, jobs[0]);
	await stopWorker(rendio);
	// In the log alone, and nobody has begun it.
	jobs.push(await orderJob(rendio, ada, SETTINGS));
	await fillLog();
	await rendio.halt();
	assert.ok(logBytes() > LOG_TO_EMPTY);
	whole = ["rendio.db", "rendio.db-wal"].map((name) =>
	    [name, fs.readFileSync(rendio.file(name))]);
});
after(() => rendio.stop());

function put() {
	fs.rmSync(rendio.file("rendio.db-shm"), { force: true });
	for (const [name, bytes] of whole)
		fs.writeFileSync(rendio.file(name), bytes);
}

/** Lets one work, as cron starts it, until `isDone`: the signal it died of. */
async function work(isDone) {
	const child = spawn(path.join(rendio.programs, "rendio-worker"),
	    { env: rendio.env, stdio: "ignore" });
	const ended = once(child, "exit");

	await until(() => (child.exitCode ?? child.signalCode) !== null ||
	    isDone(), WAIT_MS_MAX);
	child.kill();
	await ended;
	return child.signalCode;
}

/** Emptied, and begun again. */
const isEmptied = () => logBytes() > 0 && logBytes() < LOG_TO_EMPTY;

async function assertAllThere() {
	assert.ok(logBytes() < LOG_TO_EMPTY);
	await assertAuditClean(rendio);
	assert.deepEqual((await sql(rendio, "SELECT lower(hex(id)) AS id" +
	    " FROM jobs")).map((job) => job.id).sort(),
	jobs.map((job_id) => job_id.replaceAll("-", "")).sort());
}

for (const fault of ["kill", "torn", "power"])
	test(`${fault} at each call of a checkpoint loses nothing`,
	    async (t) => {
		put();
		// How many there are: none is the last of so many.
		plan.arm("rendio-worker", fault, 2 ** 40,
		    { ofCheckpoints: true });
		await work(isEmptied);
		const calls = plan.calls();
		assert.ok(calls > LIVE_PAGES, `${calls}`);
		await assertAllThere();

		const step = IS_LONG ? 1 : Math.ceil(calls / POINTS);
		const points = [];
		for (let n = 1 + SEED % step; n <= calls - LAST_CALLS; n += step)
			points.push(n);
		// What a power cut leaves is chance.
		for (let i = 0; i < (fault === "power" ? LUCKS : 1); i++)
			for (let n = calls - LAST_CALLS + 1; n <= calls; n++)
				points.push(n);
		for (const [i, n] of points.entries()) {
			put();
			plan.arm("rendio-worker", fault, n,
			    { seed: SEED + i, ofCheckpoints: true });
			assert.equal(await work(() => false), "SIGKILL");
			assert.equal(plan.hits(), 1);
			plan.disarm();
			await work(isEmptied);
			await assertAllThere();
		}
		t.diagnostic(`${points.length} of ${calls} calls, RENDIO_SEED=${
		    SEED}`);
	});

test("beside others, who go on, a worker's death at a checkpoint loses nothing",
    async (t) => {
	// A job that a worker was sending when it died waits for a while.
	put();
	rendio.how = undefined;
	rendio.output = "";
	await rendio.run();
	const points = often(4, LIVE_PAGES);
	for (let i = 0; i < points; i++) {
		const n = 1 + (SEED + i) % LIVE_PAGES;
		await endOf(rendio, ada, jobs.at(-1));
		plan.arm("rendio-worker", "kill", n, { ofCheckpoints: true });
		await fillLog();
		assert.ok(await until(() => plan.hits() === 1, WAIT_MS_MAX));
		jobs.push(await orderJob(rendio, ada, SETTINGS));
		plan.disarm();
		assert.ok(await until(() => logBytes() < LOG_TO_EMPTY,
		    WAIT_MS_MAX), "the log is not emptied");
		await assertAllThere();
	}
	let left = CREDITS;
	for (const job_id of jobs) {
		const end = await endOf(rendio, ada, job_id);
		left -= end.credits_used - end.credits_refunded;
	}
	assert.equal(await creditsOf(rendio, ada), left);
	await assertAuditClean(rendio);
	t.diagnostic(`${points} points, RENDIO_SEED=${SEED}`);
});

// SPDX-License-Identifier: MIT
//
// Backups are made one after the other while phones order videos and delete
// them, and most are killed (kill -9) at a random moment.  Every file that has
// its name is good: it restores to a clean database that knows each answer
// which was given before that backup began.
//
// RENDIO_BACKUPS (default 6) says how many, RENDIO_SEED repeats a run.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "../api/support/database.mjs";
import { build, root, start } from "../api/support/instance.mjs";
import { order, remove } from "../api/support/jobs.mjs";
import { chance, often } from "./chance.mjs";

const BACKUPS = Number(process.env.RENDIO_BACKUPS ?? often(24));
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
const PHONES = 6;
const KILLED = 0.7;
const KILL_MS_MAX = 1500;

// Each third one is let to its end: a run where none is good says nothing.
const LET_GO = 3;

// Of a phone: with all of them each backup would be larger than the last one.
const VIDEOS_MAX = 10;

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-backups-"));
const passphrase = { RENDIO_BACKUP_PASSPHRASE: "a long passphrase" };
let rendio;

before(async () => {
	rendio = await start({ env: { ...passphrase,
		RENDIO_GRANT_CREDITS: "10000" } });
});
after(async () => {
	await rendio?.stop();
	fs.rmSync(scratch, { recursive: true, force: true });
});

/** Runs one backup; kills it after kill_ms unless that is undefined. */
async function backUp(file, kill_ms) {
	const child = spawn(path.join(build, "rendio"), ["backup", file], {
		cwd: root, env: rendio.env, stdio: ["ignore", "ignore", "pipe"] });
	let problem = "";
	child.stderr.setEncoding("utf8").on("data", (text) => {
		problem += text;
	});
	const ended = new Promise((resolve) => child.once("close", resolve));
	const timer = kill_ms !== undefined &&
	    setTimeout(() => child.kill("SIGKILL"), kill_ms);
	const code = await ended;
	clearTimeout(timer);
	if (code !== null)
		assert.equal(code, 0, problem);
}

test(`of ${BACKUPS} backups under load each that is there is good`,
    async (t) => {
	const random = chance(SEED);
	const answers = [];
	let over = false;

	t.diagnostic(`RENDIO_SEED=${SEED}`);
	const load = Array.from({ length: PHONES }, async (_, n) => {
		const phone = await rendio.guest(`backup-${n}`);
		const videos = [];
		while (!over) {
			const res = await order(rendio, phone,
			    { settings: { duration: 4 } });
			// Too many at once is an answer, too.
			if (res.status !== 200) {
				await sleep(200);
				continue;
			}
			const { job_id } = res.json();
			answers.push({ job_id, at: performance.now() });
			videos.push(job_id);
			if (random() < 0.3)
				await remove(rendio, phone, videos.pop());
			else if (videos.length > VIDEOS_MAX)
				await remove(rendio, phone, videos.shift());
		}
	});

	const good = [];
	for (let i = 0; i < BACKUPS; i++) {
		const file = path.join(scratch, `${i}.tar`);
		const began = performance.now();
		const killed = i % LET_GO !== LET_GO - 1 && random() < KILLED;
		await backUp(file, killed ? random() * KILL_MS_MAX : undefined);
		if (fs.existsSync(file))
			good.push({ file, began });
	}
	over = true;
	await Promise.all(load);
	t.diagnostic(`${good.length} good of ${BACKUPS}, ` +
	    `${answers.length} answers`);
	assert.ok(good.length > 0, "each third was let to its end");
	for (const { file, began } of good) {
		const stateDir = `${file}.state`;
		const restored = await rendio.cliWith({ env: {
			RENDIO_STATE_DIR: stateDir } }, "restore", file);
		assert.equal(restored.code, 0, restored.stderr);
		const rows = await sql({ file: (name) =>
			path.join(stateDir, name) }, "SELECT hex(id) id FROM jobs");
		const known = new Set(rows.map((row) => row.id.toLowerCase()));
		for (const { job_id, at } of answers)
			assert.ok(at > began || known.has(job_id.replaceAll("-", "")),
			    `${path.basename(file)} does not know ${job_id}`);
		fs.rmSync(stateDir, { recursive: true });
		fs.rmSync(file);
	}
	assert.equal((await rendio.cli("audit")).code, 0);
});

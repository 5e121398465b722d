// SPDX-License-Identifier: MIT
//
// growth.mjs BUILD [make] [JOBS...] -- what the reads cost as the tables grow: backends
// with 10^4 and 10^6 jobs (or so many), side by side and asked in turn, and in
// the largest users with 20 to 100,000 jobs.  Prints markdown.
//
// A million jobs are about a gigabyte in $TMPDIR; what has no room is left out by
// name.  With STATES=DIRECTORY they are made there and stay, to be asked again;
// "make" makes them and asks nothing.

import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { get, load, machine, PROMPT, ratio, run, say, spread, Table, together,
	whole, work } from "./load.mjs";

const SIZES = [10_000, 1_000_000];
const BYTES_A_JOB = 1000;
const JOBS_A_USER = 20;
// A page has 20: less would be less to write.
const HISTORIES = [20, 1000, 100_000];
const ASKERS = 256;
const ROUNDS = 5;
const ROUND_S = 2;
const FLAT = 1.15;

const programs = path.resolve(process.argv[2] ?? "build");
const makesOnly = process.argv[3] === "make";
const sizes = process.argv.slice(makesOnly ? 4 : 3).map(Number);
process.env.RENDIO_BUILD = programs;
const { plainEnv, start } = await import("../api/support/instance.mjs");
const { sql } = await import("../api/support/database.mjs");
const { stopWorker } = await import("../api/support/jobs.mjs");
const { forge } = await import("../api/support/tokens.mjs");
const table = new Table();

// Ids in decimal sort, and are known again.
const numbered = (expression) => `CAST(printf('%016d', ${expression}) AS BLOB)`;
const ownerOf = (count) => `CAST(printf('history%09d', ${count}) AS BLOB)`;

/**
 * Finished jobs whose users come up again and again, as in life: what is
 * together in a user's history is scattered over the table.  One user each has
 * as many as `histories` says.
 */
const fill = (jobs, histories, now) => `
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -1000000;
CREATE TEMP TABLE people (number INTEGER PRIMARY KEY, id BLOB);
${histories.map((count) => `INSERT INTO people (id) VALUES (${ownerOf(count)});`)
	.join("\n")}
INSERT INTO people (id) SELECT randomblob(16)
    FROM generate_series(1, ${Math.ceil(jobs / JOBS_A_USER)});
CREATE TEMP TABLE later AS SELECT sql FROM main.sqlite_master
    WHERE type = 'index' AND tbl_name IN ('jobs', 'objects') AND sql IS NOT NULL;
BEGIN;
INSERT INTO users (id, app_account_token, grant_state, created_at_ms, updated_at_ms)
    SELECT id, randomblob(16), 'already_claimed', ${now}, ${now} FROM people;
INSERT INTO sessions (id, user_id, refresh_salt, method, created_at_ms,
    refreshed_at_ms) SELECT id, id, randomblob(16), 'anonymous', ${now}, ${now}
    FROM people;
.once ${work}/drop.sql
SELECT 'DROP INDEX ' || name || ';' FROM sqlite_master WHERE type = 'index'
    AND tbl_name IN ('jobs', 'objects') AND sql IS NOT NULL;
.read ${work}/drop.sql
INSERT INTO jobs (id, user_id, model_id, model_name, company, prompt, duration_s,
    resolution, aspect_ratio, has_audio, cost_credits, state, deadline_at_ms,
    created_at_ms, completed_at_ms)
    SELECT ${numbered("value")}, p.id, m.id, m.name, m.company,
	'${PROMPT}', 4, '720p', '9:16', 1, 4, 'completed', ${now}, ${now} + value,
	${now} + value
    FROM generate_series(1, ${jobs}) JOIN people p
	ON p.number = ${histories.length} + 1 +
	    (value * 7919) % ${Math.ceil(jobs / JOBS_A_USER)}
    CROSS JOIN (SELECT * FROM models WHERE is_active = 1) m;
${histories.map((count, i) => `UPDATE jobs SET user_id = ${ownerOf(count)}
    WHERE id IN (SELECT ${numbered(`${i + 1} + value * ${Math.floor(jobs / count)}`)}
	FROM generate_series(0, ${count - 1}));`).join("\n")}
INSERT INTO objects (id, bucket, name, user_id, job_id, state, content_type,
    size_bytes, sha256, created_at_ms)
    SELECT id, 'videos', printf('%s/%s.mp4', hex(user_id), id), user_id, id,
	'stored', 'video/mp4', 5000000, zeroblob(32), created_at_ms FROM jobs;
.once ${work}/create.sql
SELECT sql || ';' FROM later;
.read ${work}/create.sql
COMMIT;
PRAGMA journal_mode = WAL;
`;

async function makeState(dir, jobs, histories) {
	const env = { ...plainEnv(), RENDIO_STATE_DIR: dir };
	await run(path.join(programs, "rendio"), ["init"], { env });
	await new Promise((resolve, reject) => {
		const child = spawn("sqlite3", ["-batch", "-bail",
			path.join(dir, "rendio.db")],
		    { stdio: ["pipe", "ignore", "inherit"] });
		child.once("error", reject);
		child.once("close", (code) => code === 0 ? resolve() :
		    reject(new Error(`the tables could not be filled: ${code}`)));
		child.stdin.end(fill(jobs, histories, Date.now() - 86_400_000));
	});
}

/** Requests of users like the real one whose token is given. */
async function requestsOf(rendio, guest, target, where) {
	const rows = await sql(rendio, `SELECT lower(hex(user_id)) AS user,
	    lower(hex(id)) AS job FROM jobs WHERE ${where}`);
	const uuid = (hex) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/,
	    "$1-$2-$3-$4-$5");
	return rows.map(({ user, job }) => get(target.replace("JOB", uuid(job)), {
		apikey: rendio.anonKey, Authorization: `Bearer ${forge(rendio, guest,
		    { sub: uuid(user), session_id: uuid(user) })}` }));
}

const READS = {
	"get-user-credits": "/functions/v1/get-user-credits",
	"get-video-status": "/functions/v1/get-video-status?job_id=JOB",
	"get-video-jobs": "/functions/v1/get-video-jobs",
};

/** Rounds of each in turn; how the last compares with the first. */
async function compare(name, all) {
	const rows = all.map(() => []);
	for (let i = 0; i < ROUNDS; i++)
		for (const [n, { what, rendio, requests }] of all.entries()) {
			say(`${name}, ${what}, round ${i + 1} of ${ROUNDS}`);
			rows[n].push(await load(rendio.url, requests, ROUND_S));
		}
	for (const [n, { what }] of all.entries())
		table.info(`${name}, ${what}`, `${whole(together(rows[n]).rate)}/s, ` +
		    spread(together(rows[n])));
	const grown = ratio(rows[0], rows.at(-1));
	table.goal(`${name}: ${all[0].what} / ${all.at(-1).what}`, `≤ ${FLAT}`,
	    grown.toFixed(2), grown <= FLAT);
}

const where = await machine(programs);
const started = [];

async function startOne(jobs) {
	const what = `${whole(jobs)} jobs`;
	const dir = path.join(process.env.STATES ?? work, `jobs-${jobs}`);
	const histories = HISTORIES.filter((count) => count * 10 <= jobs);
	if (!fs.existsSync(dir)) {
		const free = fs.statfsSync(path.dirname(dir));
		// Twice: filling needs room of its own.
		if (2 * jobs * BYTES_A_JOB > free.bavail * free.bsize) {
			table.info(what, "left out, the disk has no room");
			return;
		}
		say(`making ${what}`);
		const began = Date.now();
		fs.mkdirSync(`${dir}.new`, { mode: 0o700 });
		await makeState(`${dir}.new`, jobs, histories);
		fs.renameSync(`${dir}.new`, dir);
		say(`made in ${whole((Date.now() - began) / 1000)} s`);
	}
	if (makesOnly)
		return;
	const rendio = await start({ stateDir: dir });
	const guest = await rendio.guest("model");
	await stopWorker(rendio);
	started.push({ what, rendio, guest, jobs, histories });
}

try {
	for (const jobs of sizes.length > 0 ? sizes : SIZES)
		await startOne(jobs);
	if (makesOnly)
		process.exit();
	for (const [name, target] of Object.entries(READS)) {
		for (const one of started)
			one.requests = await requestsOf(one.rendio, one.guest, target,
			    `id IN (SELECT ${numbered("value")} FROM generate_series(1,
			    ${one.jobs}, ${Math.floor(one.jobs / ASKERS)}))`);
		await compare(name, started);
	}
	const { rendio, guest, histories } = started.at(-1);
	const owners = [];
	for (const count of histories)
		owners.push({ what: `a user with ${whole(count)} jobs`, rendio,
			requests: await requestsOf(rendio, guest,
			    READS["get-video-jobs"],
			    `user_id = ${ownerOf(count)} LIMIT 1`) });
	await compare("get-video-jobs", owners);
} finally {
	table.print(where);
	for (const { rendio } of started)
		await (process.env.STATES ? rendio.halt() : rendio.stop());
}

// SPDX-License-Identifier: MIT
//
// streams.mjs BUILD [STREAMS] -- what idle streams cost, how fast a change is
// with its phone, and what the API notices of both.  Prints markdown.
//
// Each stream is a phone of its own: one user, one TLS connection.  (A browser
// has many streams in one; that costs less.)

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import https from "node:https";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { machine, say, Table, whole, work } from "./load.mjs";

process.env.RENDIO_BUILD = path.resolve(process.argv[2] ?? "build");
const { build, start } = await import("../api/support/instance.mjs");
const { id, sql } = await import("../api/support/database.mjs");
const { orderJob, stopWorker } = await import("../api/support/jobs.mjs");
const { forge } = await import("../api/support/tokens.mjs");

const STREAMS = Number(process.argv[3] ?? 10_000);
const RATE = 500;
const SECONDS = 20;
const OPEN_AT_ONCE = 50;
const REQUESTS = 1500;

const at = (sorted, share) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const ms = (number) => number.toFixed(1);

/** Users with a session and a job each, as device-check would make them. */
async function makeUsers(rendio, model) {
	const now = Date.now();
	const users = Array.from({ length: STREAMS }, () => ({
		user_id: randomUUID(), session_id: randomUUID(),
		job_id: randomUUID() }));
	const rows = (values) => users.map(values).join(",");
	await fs.promises.writeFile(rendio.file("users.sql"), `BEGIN IMMEDIATE;
	    INSERT INTO users (id, app_account_token, created_at_ms,
		updated_at_ms) VALUES ${rows((u) => `(${id(u.user_id)},
		${id(randomUUID())}, ${now}, ${now})`)};
	    INSERT INTO sessions (id, user_id, refresh_salt, method,
		created_at_ms, refreshed_at_ms) VALUES ${rows((u) =>
		`(${id(u.session_id)}, ${id(u.user_id)}, ${id(randomUUID())},
		'anonymous', ${now}, ${now})`)};
	    INSERT INTO jobs (id, user_id, model_id, model_name, company, prompt,
		duration_s, resolution, aspect_ratio, has_audio, cost_credits,
		state, error_code, deadline_at_ms, created_at_ms,
		completed_at_ms) SELECT column1, column2, model_id, model_name,
		company, prompt, duration_s, resolution, aspect_ratio,
		has_audio, cost_credits, 'failed', 'provider', ${now}, ${now},
		${now} FROM jobs, (VALUES ${rows((u) =>
		`(${id(u.job_id)}, ${id(u.user_id)})`)})
		WHERE jobs.id = ${id(model)};
	    COMMIT;`);
	await sql(rendio, `.read ${rendio.file("users.sql")}`);
	return users;
}

/** One phone's stream; its latest message is what counts. */
function open(rendio, user, token) {
	return new Promise((resolve, reject) => {
		const req = https.request({ host: "127.0.0.1",
			port: rendio.port, ca: rendio.ca, agent: false,
			path: "/functions/v1/user-events",
			headers: { apikey: rendio.anonKey,
				authorization: `Bearer ${token}` },
		}, (res) => {
			if (res.statusCode !== 200)
				reject(new Error(`stream: ${res.statusCode}`));
			res.on("data", (bytes) => {
				const now = Number(process.hrtime.bigint() /
				    1000n);
				const n = bytes.toString("latin1")
				    .split("event: job").length - 1;
				for (let i = 0; i < n; i++)
					user.heard.push(now);
				resolve(req);
			});
			res.on("error", () => {});
			res.on("close", () => { user.is_cut = true; });
		});
		req.on("error", reject);
		req.end();
	});
}

/** Proportional set size of processes, in megabytes. */
function megabytes(pids) {
	return pids.reduce((sum, pid) => sum + Number(fs.readFileSync(
	    `/proc/${pid}/smaps_rollup`, "utf8").match(/^Pss:\s*(\d+)/m)[1]),
	    0) / 1024;
}

function memory(rendio) {
	return {
		nginx: megabytes([rendio.supervised("nginx"),
			...rendio.pids("nginx")]),
		engine: megabytes([rendio.supervised("realtime")]),
	};
}

/** How long requests take, one after the other, in milliseconds. */
async function latencies(rendio, guest) {
	const took = [];
	for (let i = 0; i < REQUESTS; i++) {
		const began = performance.now();
		const res = await rendio.request("GET",
		    "/functions/v1/get-user-credits",
		    { bearer: guest.access_token });
		if (res.status !== 200)
			throw new Error(`get-user-credits: ${res.status}`);
		took.push(performance.now() - began);
		await sleep(8);
	}
	return took.sort((a, b) => a - b);
}

/** Publishes for SECONDS; gives how long each change was on its way. */
async function publish(rendio, users) {
	const byId = new Map(users.map((user) => [user.user_id, user]));
	const child = spawn(path.join(build, "tests/bench/publish"),
	    [rendio.stateDir, String(RATE), String(SECONDS)],
	    { stdio: ["pipe", "pipe", "inherit"], env: rendio.env });
	const told = [];
	createInterface(child.stdout).on("line", (line) => told.push(line));
	child.stdin.end(users.map((user) =>
	    `${user.user_id} ${user.job_id}\n`).join(""));
	const code = await new Promise((resolve) =>
	    child.once("close", resolve));
	if (code !== 0)
		throw new Error(`publish: ${code}`);
	await sleep(2000);

	const next = new Map();
	const took = [];
	let lost = 0;
	for (const line of told) {
		const [user_id, at_us] = line.split(" ");
		const i = next.get(user_id) ?? 0;
		const heard_us = byId.get(user_id).heard[i];
		next.set(user_id, i + 1);
		if (heard_us === undefined)
			lost++;
		else
			took.push((heard_us - Number(at_us)) / 1000);
	}
	return { took: took.sort((a, b) => a - b), lost, told: told.length };
}

const where = await machine(build);
const rendio = await start({ directory: work });
let failed = false;
try {
	const guest = await rendio.guest("bench");
	await stopWorker(rendio);
	const model = await orderJob(rendio, guest);
	say(`Making ${whole(STREAMS)} users.`);
	const users = await makeUsers(rendio, model);
	for (const user of users)
		user.heard = [];

	say("The API without streams.");
	await latencies(rendio, guest);
	const alone = await latencies(rendio, guest);
	const before = memory(rendio);

	say("Opening.");
	const began = performance.now();
	const waiting = [...users];
	await Promise.all(Array.from({ length: OPEN_AT_ONCE }, async () => {
		for (let user; (user = waiting.pop());)
			user.req = await open(rendio, user, forge(rendio, guest,
			    { sub: user.user_id,
				session_id: user.session_id }));
	}));
	const opening_s = (performance.now() - began) / 1000;
	await sleep(3000);
	const idle = memory(rendio);

	say(`Publishing ${RATE} changes a second.`);
	const [{ took, lost, told }, beside] = await Promise.all([
		publish(rendio, users), latencies(rendio, guest)]);
	const busy = memory(rendio);
	const cut = users.filter((user) => user.is_cut).length;
	const total = idle.nginx + idle.engine;
	const table = new Table();
	table.goal(`memory (PSS) of nginx and the engine, ${whole(STREAMS)} idle ` +
	    "streams, each its own TLS connection", "≤ 100 MB",
	    `${ms(total)} MB: nginx ${ms(idle.nginx)}, engine ` +
	    `${ms(idle.engine)}; before ${ms(before.nginx)} and ` +
	    `${ms(before.engine)}, after the load ${ms(busy.nginx)} and ` +
	    `${ms(busy.engine)}`, total <= 100);
	table.info("opening them", `${ms(opening_s)} s`);
	table.goal(`from the commit to the phone at ${RATE} changes/s, p99`,
	    "≤ 50 ms", `${ms(at(took, 0.99))} ms (p50 ${ms(at(took, 0.5))}, ` +
	    `max ${ms(took.at(-1))}; ${whole(took.length)} of ` +
	    `${whole(told)} told)`, at(took, 0.99) <= 50);
	table.goal("get-user-credits beside it, one client, p50", "≤ 1.2×",
	    `${(at(beside, 0.5) / at(alone, 0.5)).toFixed(2)}× ` +
	    `(${ms(at(alone, 0.5))} → ${ms(at(beside, 0.5))} ms; p99 ` +
	    `${ms(at(alone, 0.99))} → ${ms(at(beside, 0.99))} ms)`,
	    at(beside, 0.5) <= 1.2 * at(alone, 0.5));
	table.print(where);
	failed = lost > 0 || cut > 0;
	if (failed)
		say(`${lost} changes were not told, ${cut} streams were cut`);
	for (const user of users)
		user.req.destroy();
} finally {
	await rendio.stop();
}
process.exit(failed ? 1 : 0);

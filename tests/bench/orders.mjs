// SPDX-License-Identifier: MIT
//
// orders.mjs BUILD [generate] [disk] -- generate-video at 1 to 256 clients beside
// raw SQLite that commits each order by itself, in turn; on this disk, and on one
// whose sync takes 3 ms.  Prints markdown.

import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cost, load, machine, makeUsers, measure, orders, ratio, run, say, spread,
	Table, together, whole, work } from "./load.mjs";

const USERS = 512;
const ROUNDS = 3;
const ROUND_S = 3;
const CLIENTS = [1, 16, 64, 256];
// What the goals are about.
const MANY = 64;
const HALF_S = 10;
const ENDPOINT = "generate-video";

const programs = path.resolve(process.argv[2] ?? "build");
const sections = process.argv.slice(3);
const wanted = (name) => sections.length === 0 || sections.includes(name);
const SLOW = { LD_PRELOAD: path.join(programs, "tests/bench/slow-sync.so") };

process.env.RENDIO_BUILD = programs;
const { start } = await import("../api/support/instance.mjs");
const { stopWorker } = await import("../api/support/jobs.mjs");
const table = new Table();

/** Runs `body` beside a worker that has this many slots at the provider. */
async function withWorker(rendio, slots, body) {
	const child = spawn(path.join(programs, "rendio-worker"), {
		env: { ...rendio.env, RENDIO_PROVIDER_CONCURRENCY: String(slots) },
		stdio: "ignore",
	});
	const ended = new Promise((resolve) => child.once("exit", resolve));
	try {
		return await body();
	} finally {
		child.kill("SIGTERM");
		// Twice: what is under way at the provider need not be waited for.
		await sleep(100);
		child.kill("SIGTERM");
		await ended;
	}
}

async function raw(dir, writers, env = {}) {
	const { stdout } = await run(
	    path.join(programs, "tests/bench/raw-sqlite"),
	    [dir, String(writers), String(ROUND_S)],
	    { env: { ...process.env, ...env } });
	const [rate, p50_us, p99_us, max_us] = stdout.split(" ").map(Number);
	return { rate, p50_us, p99_us, max_us };
}

/** Rounds of ours, of one writer, and of as many writers as clients. */
async function rounds(rendio, requests, clients, env) {
	const dir = fs.mkdtempSync(path.join(work, "raw-"));
	const ours = [], one = [], many = [];
	for (let i = 0; i < ROUNDS; i++) {
		say(`${ENDPOINT}, ${clients} clients, round ${i + 1} of ${ROUNDS}`);
		ours.push(await withWorker(rendio, 32, () =>
		    measure(rendio, ENDPOINT, requests, ROUND_S, { clients })));
		one.push(await raw(dir, 1, env));
		many.push(await raw(dir, clients, env));
	}
	fs.rmSync(dir, { recursive: true });
	return { ours, one, many };
}

const perSecond = (rows) => whole(together(rows).rate);
const said = (rows) => `${perSecond(rows)}/s, ${spread(together(rows))}`;

async function benchGenerate(rendio, users) {
	const requests = orders(`/functions/v1/${ENDPOINT}`, users);
	let full;
	for (const clients of CLIENTS) {
		const { ours, one, many } = await rounds(rendio, requests, clients);
		const all = together(ours);
		const what = `${ENDPOINT}, ${clients} clients`;
		table.info(what, `${said(ours)}; ${cost(ours)}`);
		if (clients > 1)
			table.info(`raw SQLite, ${clients} writers, each order its` +
			    " own commit", said(many));
		table.info("raw SQLite, one writer and nobody who waits", said(one));
		table.info(`${what} / raw SQLite, one writer`,
		    ratio(ours, one).toFixed(2));
		if (clients !== MANY)
			continue;
		full = all.rate;
		table.goal(`${what} / raw SQLite at the same concurrency`, "≥ 0.8",
		    ratio(ours, many).toFixed(2), ratio(ours, many) >= 0.8);
		table.goal(`${what}, longest wait / median`, "≤ 20",
		    (all.max_us / all.p50_us).toFixed(1),
		    all.max_us <= 20 * all.p50_us);
	}
	const pause_ms = Math.round(MANY * 1000 / (full / 2));
	say(`${ENDPOINT}, half of what it can`);
	const half = await withWorker(rendio, 32, () => load(rendio.url, requests,
	    HALF_S, { clients: MANY, pause_ms }));
	table.goal(`${ENDPOINT}, longest wait of ${MANY} clients at half of that`,
	    "≤ 250 ms", `${spread(half)} at ${whole(half.rate)} a second`,
	    half.max_us <= 250_000);
}

async function benchDisk(rendio, users) {
	const { ours, one, many } = await rounds(rendio,
	    orders(`/functions/v1/${ENDPOINT}`, users), MANY, SLOW);
	const what = `a sync takes 3 ms: ${ENDPOINT}, ${MANY} clients`;
	table.info(what, said(ours));
	table.info(`a sync takes 3 ms: raw SQLite, one writer`, said(one));
	table.info(`a sync takes 3 ms: raw SQLite, ${MANY} writers`, said(many));
	// The better of the two is what one commit an order allows.
	const best = Math.max(together(one).rate, together(many).rate);
	const times = together(ours).rate / best;
	table.goal(`${what} / what one commit an order allows`, "≥ 3",
	    times.toFixed(1), times >= 3);
}

async function withInstance(env, bench) {
	const rendio = await start({ directory: work, env: {
		RENDIO_GRANT_CREDITS: "10000",
		RENDIO_JOBS_OPEN_MAX_FREE: "10000", ...env } });
	try {
		const users = await makeUsers(rendio, USERS);
		await stopWorker(rendio);
		await bench(rendio, users);
		await table.audit(rendio);
	} finally {
		await rendio.stop();
	}
}

const where = await machine(programs);
if (wanted("generate"))
	await table.attempt("generate", () => withInstance({}, benchGenerate));
if (wanted("disk"))
	await table.attempt("disk", () => withInstance(SLOW, benchDisk));
table.print(where);

// SPDX-License-Identifier: MIT
//
// bench.mjs BUILD [SECTION...] -- measures a backend of its own against the
// limits of the machine, in one run, the compared things in turn, and prints
// markdown.  SECTION: submission, credits, others, generate; without one, all.
//
// It never fails because something was slow: it says whether a goal was met.
// A load that was refused or broken makes the numbers worthless, and does fail.

import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

const CLIENTS = 16;
const USERS = 1024;
// Of each comparison; a pause of another tenant of the machine hits one.
const ROUNDS = 5;
const ROUND_S = 5;
// The longest wait is rare: it needs more requests than a median.
const LONG_S = 20;
const INFO_ROUNDS = 3;
const INFO_S = 2;

// Each takes a slot at the provider for some seconds; there must be free ones.
const SUBMISSIONS = 120;
const SUBMISSION_PAUSE_MS = 200;

// One for all, so that the pretended provider makes one film: with ffmpeg it
// would take the processors from what is measured.
const PROMPT = "A lighthouse in a storm, waves breaking over the rocks";

const programs = path.resolve(process.argv[2] ?? "build");
const sections = process.argv.slice(3);
const work = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-bench-"));
process.once("exit", () => fs.rmSync(work, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"])
	process.once(signal, () => process.exit(1));

function say(text) {
	process.stderr.write(`${text}\n`);
}

function median(numbers) {
	const sorted = [...numbers].sort((a, b) => a - b);
	return sorted[Math.floor(sorted.length / 2)];
}

const column = (rows, name) => rows.map((row) => row[name]);
const whole = (number) => Math.round(number).toLocaleString("en");
const ms = (us) => (us / 1000).toFixed(us < 100_000 ? 1 : 0);

// --- the table -----------------------------------------------------------------

const lines = [];

function goal(what, wanted, measured, met) {
	lines.push(`| ${what} | ${wanted} | ${measured} | ` +
	    `${met ? "met" : "NOT met"} |`);
}

function info(what, measured) {
	lines.push(`| ${what} | | ${measured} | |`);
}

// --- the programs ----------------------------------------------------------------

/** What an endpoint says of itself. */
async function describe(name) {
	const { stdout } = await run(path.join(programs, "cgi-bin", name),
	    ["--describe"]);
	const fields = stdout.trim().split("\t");
	return { fields, processes: Number(fields[5]) };
}

/**
 * A directory with our programs and one more endpoint, the constant, which
 * has as many processes as the one that it is compared with.
 */
async function addConstant(body) {
	const { fields } = await describe("get-user-credits");
	fields[0] = "constant";
	fields[1] = "/functions/v1/constant";
	const build = path.join(work, "build");
	fs.mkdirSync(path.join(build, "cgi-bin"), { recursive: true });
	for (const name of ["rendio", "rendio-worker",
	    "rendio-realtime"])
		fs.symlinkSync(path.join(programs, name), path.join(build, name));
	for (const name of fs.readdirSync(path.join(programs, "cgi-bin")))
		fs.symlinkSync(path.join(programs, "cgi-bin", name),
		    path.join(build, "cgi-bin", name));
	fs.writeFileSync(path.join(build, "cgi-bin", "constant"),
	    "#!/bin/sh\n" +
	    `[ "$*" != --describe ] || exec printf '%s\\n' '${fields.join("\t")}'\n` +
	    `exec '${programs}/tests/bench/constant' '${body}'\n`,
	    { mode: 0o755 });
	return build;
}

// --- load ------------------------------------------------------------------------

function get(target, headers = {}) {
	return `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n` +
	    Object.entries(headers).map(([name, value]) =>
		`${name}: ${value}\r\n`).join("") + "\r\n";
}

function post(target, headers, body, length = Buffer.byteLength(body)) {
	return get(target, { ...headers, "Content-Type": "application/json",
		"Content-Length": length }).replace("GET", "POST") + body;
}

let loads = 0;

/** Sends these requests from CLIENTS clients; what wrk measured. */
async function load(rendio, requests, seconds, { pause_ms = 0, tokens } = {}) {
	const file = path.join(work, `requests-${++loads}`);
	fs.writeFileSync(file, requests.join("\0"));
	const args = [file, randomUUID().slice(0, 23), String(pause_ms)];
	if (tokens) {
		fs.writeFileSync(`${file}-tokens`, tokens.join("\n"));
		args.push(`${file}-tokens`);
	}
	const { stdout } = await run("wrk", ["-t1", `-c${CLIENTS}`,
		`-d${seconds}s`, "-s", fileURLToPath(new URL("load.lua", import.meta.url)),
		rendio.url, "--", ...args]);
	const got = JSON.parse(stdout.trim().split("\n").at(-1));
	if (got.refused > 0 || got.broken > 0 || got.requests === 0)
		throw new Error(`of ${got.requests} requests ${got.refused} were ` +
		    `refused, ${got.broken} broken; the first: ${requests[0]}`);
	return { ...got, rate: got.requests / got.seconds };
}

const spread = (got) =>
    `p50 ${ms(got.p50_us)} ms, p99 ${ms(got.p99_us)} ms, max ${ms(got.max_us)} ms`;

// --- 1. get-user-credits ---------------------------------------------------------

async function benchCredits(rendio, users) {
	const ours = [], constant = [];
	for (let i = 0; i < ROUNDS; i++) {
		say(`get-user-credits, round ${i + 1} of ${ROUNDS}`);
		for (const [target, rows] of [["get-user-credits", ours],
			["constant", constant]])
			rows.push(await load(rendio, users.map((user) =>
			    get(`/functions/v1/${target}`, user.headers)),
			ROUND_S));
	}
	const ratio = median(ours.map((row, i) => row.rate / constant[i].rate));
	goal("get-user-credits / constant answer, both through nginx", "≥ 0.70",
	    `${ratio.toFixed(2)} (${whole(median(column(ours, "rate")))} / ` +
	    `${whole(median(column(constant, "rate")))} requests/s)`,
	    ratio >= 0.7);
	info("get-user-credits, latency", spread({
		p50_us: median(column(ours, "p50_us")),
		p99_us: median(column(ours, "p99_us")),
		max_us: Math.max(...column(ours, "max_us")) }));
}

// --- 2. generate-video -----------------------------------------------------------

/** Stops the instance's own worker; a second SIGTERM makes it hurry. */
async function stopWorker(rendio) {
	const isWorker = (pid) => {
		try {
			return fs.readFileSync(`/proc/${pid}/comm`, "utf8") ===
			    "rendio-worker\n";
		} catch {
			return false;
		}
	};
	await run("sv", ["down", rendio.file("sv", "worker")]);
	for (let n = 0; n < 100; n++) {
		const workers = rendio.members().filter(isWorker);
		if (workers.length === 0)
			return;
		workers.forEach((pid) => process.kill(pid, "SIGTERM"));
		await sleep(200);
	}
	throw new Error("the worker does not end");
}

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

async function raw(dir, writers) {
	const { stdout } = await run(
	    path.join(programs, "tests/bench/raw-sqlite"),
	    [dir, String(writers), String(ROUND_S)]);
	const [rate, p50_us, p99_us, max_us] = stdout.split(" ").map(Number);
	return { rate, p50_us, p99_us, max_us };
}

const orders = (users) => users.map((user) =>
    post("/functions/v1/generate-video",
	{ ...user.headers, "Idempotency-Key": "@KEY@" },
	JSON.stringify({ prompt: PROMPT })));

async function benchGenerate(rendio, users) {
	const { processes } = await describe("generate-video");
	const requests = orders(users);
	const ours = [], quiet = [], limit = [];
	const rawDir = path.join(work, "raw");
	fs.mkdirSync(rawDir);
	await stopWorker(rendio);
	for (let i = 0; i < ROUNDS; i++) {
		say(`generate-video, round ${i + 1} of ${ROUNDS}`);
		ours.push(await withWorker(rendio, 32,
		    () => load(rendio, requests, ROUND_S)));
		limit.push(await raw(rawDir, processes));
		quiet.push(await withWorker(rendio, 1,
		    () => load(rendio, requests, ROUND_S)));
	}
	const rate = median(column(ours, "rate"));
	const ratio = median(ours.map((row, i) => row.rate / limit[i].rate));
	goal(`generate-video / raw SQLite, ${processes} writers each`, "≥ 0.60",
	    `${ratio.toFixed(2)} (${whole(rate)} / ` +
	    `${whole(median(column(limit, "rate")))} a second)`, ratio >= 0.6);
	info("the same with a worker that has 1 slot at the provider, not 32",
	    `${median(quiet.map((row, i) => row.rate / limit[i].rate))
		.toFixed(2)} (${whole(median(column(quiet, "rate")))} a second)`);
	info("raw SQLite, latency", spread({
		p50_us: median(column(limit, "p50_us")),
		p99_us: median(column(limit, "p99_us")),
		max_us: Math.max(...column(limit, "max_us")) }));

	say(`generate-video, ${LONG_S} seconds of all that ${CLIENTS} clients can`);
	const full = await withWorker(rendio, 32,
	    () => load(rendio, requests, LONG_S));
	say(`generate-video, ${LONG_S} seconds of half of that`);
	const half = await withWorker(rendio, 32, () => load(rendio, requests,
	    LONG_S, { pause_ms: Math.round(CLIENTS * 1000 / (full.rate / 2)) }));
	const waits = (got) => `${spread(got)} at ${whole(got.rate)} a second`;
	goal(`generate-video, longest wait of ${CLIENTS} clients at full speed`,
	    "≤ 250 ms", waits(full), full.max_us <= 250_000);
	goal(`generate-video, longest wait of ${CLIENTS} clients at half of it`,
	    "≤ 250 ms", waits(half), half.max_us <= 250_000);
	await run("sv", ["up", rendio.file("sv", "worker")]);
}

// --- 3. from the 200 to the provider ---------------------------------------------

async function benchSubmission(rendio, users) {
	const log = rendio.file("sandbox", "submissions.log");
	const submissions = () => fs.existsSync(log) ?
	    fs.readFileSync(log, "utf8").split("\n").slice(0, -1) : [];
	const waits_ms = [];

	say(`from the answer to the provider, ${SUBMISSIONS} times`);
	// The first one makes the film.
	for (let i = -1; i < SUBMISSIONS; i++) {
		const before = submissions().length;
		const res = await rendio.request("POST",
		    "/functions/v1/generate-video", {
			bearer: users[(i + USERS) % 4].access_token,
			headers: { "Idempotency-Key": randomUUID() },
			body: { prompt: PROMPT },
		});
		const answered_ms = performance.timeOrigin + performance.now();
		if (res.status !== 200)
			throw new Error(`generate-video: ${res.text}`);
		await sleep(i < 0 ? 5000 : SUBMISSION_PAUSE_MS);
		for (let n = 0; submissions().length === before; n++) {
			if (n > 500)
				throw new Error("the worker submits nothing");
			await sleep(20);
		}
		const line = submissions().at(-1);
		if (i >= 0)
			waits_ms.push(Number(line.split(" ")[1]) - answered_ms);
	}
	waits_ms.sort((a, b) => a - b);
	const at = (part) => waits_ms[Math.floor(SUBMISSIONS * part)].toFixed(1);
	goal("from the 200 of generate-video to the provider, median",
	    "< 20 ms", `${at(0.5)} ms (p99 ${at(0.99)} ms, max ` +
	    `${waits_ms.at(-1).toFixed(1)} ms)`, median(waits_ms) < 20);
}

// --- 4. memory -------------------------------------------------------------------

const GROUPS = {
	nginx: "nginx",
	"rendio-worker": "worker",
	runsv: "supervisors",
	sh: "supervisors",
	sed: "log",
	svlogd: "log",
};

/** Kilobytes of each group, shared pages divided among who shares them. */
function memory(rendio) {
	const kb = { endpoints: 0, nginx: 0, worker: 0, supervisors: 0, log: 0 };
	const count = { ...kb };
	const ofConstant = new Set(rendio.pids("constant"));
	for (const pid of rendio.members()) {
		const name = fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim();
		const rollup = fs.readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
		const group = GROUPS[name] ?? "endpoints";
		if (ofConstant.has(pid))
			continue;
		kb[group] += Number(/^Pss: +(\d+) kB/m.exec(rollup)[1]);
		count[group]++;
	}
	return { kb, count, total_kb: Object.values(kb).reduce((a, b) => a + b) };
}

const mb = (kb) => (kb / 1024).toFixed(1);

function benchMemory(rendio, when, isGoal) {
	let got;
	try {
		got = memory(rendio);
	} catch (error) {
		// The programs forbid looking into them; root may all the same.
		info(`memory, ${when}`, `not readable (${error.code}), run as root`);
		return;
	}
	const { kb, count, total_kb } = got;
	const text = `${mb(total_kb)} MB: ` + Object.keys(kb).map((group) =>
	    `${group} ${mb(kb[group])} (${count[group]})`).join(", ");
	if (isGoal)
		goal(`memory (PSS), ${when}`, "< 120 MB", text,
		    total_kb < 120 * 1024);
	else
		info(`memory (PSS), ${when}`, text);
}

// --- for information -------------------------------------------------------------

async function benchOthers(rendio, users) {
	const first = users[0];
	const apikey = { apikey: rendio.anonKey };
	const models = await rendio.request("GET", "/functions/v1/get-models");
	const list = (await rendio.request("GET",
	    "/functions/v1/get-video-jobs", { bearer: first.access_token })).json();
	const others = {
		"get-models": [[get("/functions/v1/get-models", apikey)]],
		"get-models with its ETag (304)": [[get("/functions/v1/get-models",
		    { ...apikey, "If-None-Match": models.headers.etag })]],
		"get-video-status": [list.jobs.map((job) =>
		    get(`/functions/v1/get-video-status?job_id=${job.job_id}`,
			first.headers))],
		[`get-video-jobs, a page of ${list.jobs.length}`]: [[
			get("/functions/v1/get-video-jobs", first.headers)]],
		"token refresh": [[post("/auth/v1/token?grant_type=refresh_token",
		    apikey, '{"refresh_token":"@TOKEN@"}', "@LENGTH@")], true],
	};
	const rows = {};
	for (let i = 0; i < INFO_ROUNDS; i++) {
		say(`the others, round ${i + 1} of ${INFO_ROUNDS}`);
		for (const [name, [requests, refreshes]] of Object.entries(others)) {
			// Each round has users of its own: a session whose newest
			// answer was lost is not refreshed again.
			const tokens = refreshes && users.slice(
			    i * 64, i * 64 + 64).map((user) => user.refresh_token);
			(rows[name] ??= []).push(await load(rendio, requests, INFO_S,
			    { tokens }));
		}
	}
	for (const [name, got] of Object.entries(rows))
		info(name, `${whole(median(column(got, "rate")))} requests/s, ` +
		    spread({ p50_us: median(column(got, "p50_us")),
			p99_us: median(column(got, "p99_us")),
			max_us: Math.max(...column(got, "max_us")) }));
}

// --- everything ------------------------------------------------------------------

async function makeUsers(rendio) {
	const users = [];
	say(`${USERS} users`);
	for (let i = 0; i < USERS; i += CLIENTS)
		users.push(...await Promise.all(
		    Array.from({ length: CLIENTS }, (_, n) =>
			rendio.guest(`bench${i + n}`))));
	for (const user of users)
		user.headers = { apikey: rendio.anonKey,
			Authorization: `Bearer ${user.access_token}` };
	return users;
}

async function machine(build) {
	const [df] = (await run("df", ["--output=fstype", work])).stdout
	    .trim().split("\n").slice(-1);
	const { stdout: sqlite } = await run(path.join(build, "rendio"),
	    ["doctor", "--offline"]).catch((error) => error);
	const version = /SQLite [0-9.]+/.exec(sqlite ?? "")?.[0] ?? "SQLite";
	return `${os.cpus().length} × ${os.cpus()[0].model.trim()}, ` +
	    `${Math.round(os.totalmem() / 2 ** 30)} GB, ${df} on ` +
	    `${path.dirname(work)}, Linux ${os.release()}, ${version}, ` +
	    `load ${os.loadavg()[0].toFixed(2)} before the start`;
}

const where = await machine(programs);
process.env.RENDIO_BUILD = await addConstant('{"credits_remaining":10000}');
const { start } = await import("../api/support/instance.mjs");
const rendio = await start({ env: { RENDIO_GRANT_CREDITS: "10000" } });
try {
	await sleep(2000);
	benchMemory(rendio, "idle after the start", true);
	const users = await makeUsers(rendio);
	for (const [name, bench] of Object.entries({
		submission: benchSubmission,
		credits: benchCredits,
		others: benchOthers,
		generate: benchGenerate,
	}))
		if (sections.length === 0 || sections.includes(name))
			await bench(rendio, users);
	await sleep(5000);
	benchMemory(rendio, "after all of this", false);
	const audit = await rendio.cli("audit");
	info("`rendio audit` afterwards", audit.code === 0 ? "clean" :
	    `NOT clean: ${audit.stdout.trim().split("\n").at(-1)}`);
} finally {
	await rendio.stop();
}

process.stdout.write(`${where}\n\n| what | goal | measured | |\n` +
    `| --- | --- | --- | --- |\n${lines.join("\n")}\n`);

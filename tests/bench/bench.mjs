// SPDX-License-Identifier: MIT
//
// bench.mjs BUILD [SECTION...] -- measures a backend of its own against the
// limits of the machine, in one run, the compared things in turn, and prints
// markdown.  SECTION: memory, submission, credits, others, generate; without
// one, all.
//
// It never fails because something was slow: it says whether a goal was met.
// A load that was refused or broken makes the numbers worthless, and does fail.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CLIENTS, column, get, load, machine, makeUsers, median, orders, post,
	PROMPT, run, say, spread, Table, whole, work } from "./load.mjs";

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

const programs = path.resolve(process.argv[2] ?? "build");
const sections = process.argv.slice(3);
const wanted = (name) => sections.length === 0 || sections.includes(name);

const table = new Table();

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
	const { fields, processes } = await describe("get-user-credits");
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
	    `exec '${programs}/tests/bench/constant' '${body}' ${processes}\n`,
	    { mode: 0o755 });
	return build;
}

// --- 1. get-user-credits ---------------------------------------------------------

async function benchCredits(rendio, users) {
	const ours = [], constant = [];
	for (let i = 0; i < ROUNDS; i++) {
		say(`get-user-credits, round ${i + 1} of ${ROUNDS}`);
		for (const [target, rows] of [["get-user-credits", ours],
			["constant", constant]])
			rows.push(await load(rendio.url, users.map((user) =>
			    get(`/functions/v1/${target}`, user.headers)),
			ROUND_S));
	}
	const ratio = median(ours.map((row, i) => row.rate / constant[i].rate));
	table.goal("get-user-credits / constant answer, both through nginx", "≥ 0.70",
	    `${ratio.toFixed(2)} (${whole(median(column(ours, "rate")))} / ` +
	    `${whole(median(column(constant, "rate")))} requests/s)`,
	    ratio >= 0.7);
	table.info("get-user-credits, latency", spread({
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

async function benchGenerate(rendio, users) {
	const { processes } = await describe("generate-video");
	const requests = orders("/functions/v1/generate-video", users);
	const ours = [], quiet = [], limit = [];
	const rawDir = path.join(work, "raw");
	fs.mkdirSync(rawDir);
	await stopWorker(rendio);
	for (let i = 0; i < ROUNDS; i++) {
		say(`generate-video, round ${i + 1} of ${ROUNDS}`);
		ours.push(await withWorker(rendio, 32,
		    () => load(rendio.url, requests, ROUND_S)));
		limit.push(await raw(rawDir, processes));
		quiet.push(await withWorker(rendio, 1,
		    () => load(rendio.url, requests, ROUND_S)));
	}
	const rate = median(column(ours, "rate"));
	const ratio = median(ours.map((row, i) => row.rate / limit[i].rate));
	table.goal(`generate-video / raw SQLite, ${processes} writers each`, "≥ 0.60",
	    `${ratio.toFixed(2)} (${whole(rate)} / ` +
	    `${whole(median(column(limit, "rate")))} a second)`, ratio >= 0.6);
	table.info("the same with a worker that has 1 slot at the provider, not 32",
	    `${median(quiet.map((row, i) => row.rate / limit[i].rate))
		.toFixed(2)} (${whole(median(column(quiet, "rate")))} a second)`);
	table.info("raw SQLite, latency", spread({
		p50_us: median(column(limit, "p50_us")),
		p99_us: median(column(limit, "p99_us")),
		max_us: Math.max(...column(limit, "max_us")) }));

	say(`generate-video, ${LONG_S} seconds of all that ${CLIENTS} clients can`);
	const full = await withWorker(rendio, 32,
	    () => load(rendio.url, requests, LONG_S));
	say(`generate-video, ${LONG_S} seconds of half of that`);
	const half = await withWorker(rendio, 32, () => load(rendio.url, requests,
	    LONG_S, { pause_ms: Math.round(CLIENTS * 1000 / (full.rate / 2)) }));
	const waits = (got) => `${spread(got)} at ${whole(got.rate)} a second`;
	table.goal(`generate-video, longest wait of ${CLIENTS} clients at full speed`,
	    "≤ 250 ms", waits(full), full.max_us <= 250_000);
	table.goal(`generate-video, longest wait of ${CLIENTS} clients at half of it`,
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
	table.goal("from the 200 of generate-video to the provider, median",
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

function benchMemory(rendio, when, mb_max) {
	const { kb, count, total_kb } = memory(rendio);
	table.goal(`memory (PSS), ${when}`, `≤ ${mb_max} MB`,
	    `${mb(total_kb)} MB: ` + Object.keys(kb).map((group) =>
		`${group} ${mb(kb[group])} (${count[group]})`).join(", "),
	    total_kb <= mb_max * 1024);
}

const services = (rendio) => fs.readdirSync(rendio.file("sv"))
    .filter((name) => name !== "constant" && name !== "realtime" &&
	fs.existsSync(rendio.file("sv", name, "socket")));

/** Waits until no endpoint has a process but its first. */
async function untilIdle(rendio) {
	say("waiting until all endpoints are idle");
	for (let n = 0; n < 120; n++) {
		if (services(rendio).every((name) =>
		    rendio.pids(name).length === 0))
			return;
		await sleep(1000);
	}
	throw new Error("some endpoint is never idle");
}

/** All endpoints start at once, each for a first request. */
async function benchColdStart(rendio) {
	const began = performance.now();
	const answers = await Promise.all(endpoints()
	    .filter((one) => !one.path.startsWith("/_"))
	    .map(({ path: target, methods }) =>
		rendio.request(methods[0], target)));
	const took_ms = performance.now() - began;
	const broken = answers.filter(({ status }) => status >= 502);
	if (broken.length > 0)
		throw new Error(`not answered: ${broken[0].text}`);
	table.goal(`all ${answers.length} endpoints, idle before, to their first` +
	    " answers (each over a connection of its own)", "≤ 1,000 ms",
	    `${whole(took_ms)} ms`, took_ms <= 1000);
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
			(rows[name] ??= []).push(await load(rendio.url, requests, INFO_S,
			    { tokens }));
		}
	}
	for (const [name, got] of Object.entries(rows))
		table.info(name, `${whole(median(column(got, "rate")))} requests/s, ` +
		    spread({ p50_us: median(column(got, "p50_us")),
			p99_us: median(column(got, "p99_us")),
			max_us: Math.max(...column(got, "max_us")) }));
}

// --- everything ------------------------------------------------------------------

const where = await machine(programs);
process.env.RENDIO_BUILD = await addConstant('{"credits_remaining":10000}');
const { start } = await import("../api/support/instance.mjs");
const { endpoints } = await import("../api/support/endpoints.mjs");
const rendio = await start({ env: { RENDIO_GRANT_CREDITS: "10000" } });
try {
	if (wanted("memory")) {
		await untilIdle(rendio);
		benchMemory(rendio, "idle", 60);
		await benchColdStart(rendio);
	}
	const users = await makeUsers(rendio, USERS);
	for (const [name, bench] of Object.entries({
		submission: benchSubmission,
		credits: benchCredits,
		others: benchOthers,
		generate: benchGenerate,
	}))
		if (wanted(name))
			await bench(rendio, users);
	benchMemory(rendio, "after all of this, before anything is idle", 200);
	const audit = await rendio.cli("audit");
	table.info("`rendio audit` afterwards", audit.code === 0 ? "clean" :
	    `NOT clean: ${audit.stdout.trim().split("\n").at(-1)}`);
} finally {
	await rendio.stop();
}

table.print(where);

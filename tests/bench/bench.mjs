// SPDX-License-Identifier: MIT
//
// bench.mjs BUILD [SECTION...] -- measures a backend of its own against the
// limits of the machine, in one run, the compared things in turn, and prints
// markdown.  SECTION: memory, submission, reads, work; without one, all.
//
// It never fails because something was slow: it says whether a goal was met.
// A load that was refused or broken makes the numbers worthless, and does fail.

import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cost, describe, get, giveJobs, load, machine, makeUsers, measure, median,
	orders, post, PROMPT, ratio, run, say, spread, statements, Table, together, whole,
	work } from "./load.mjs";

const USERS = 1024;
// Of each comparison; a pause of another tenant of the machine hits one.
const ROUNDS = 5;
const ROUND_S = 3;
const INFO_ROUNDS = 3;
const INFO_S = 2;

// A full page of the history for these users.
const OWNERS = 8;
const JOBS = 20;

// Each takes a slot at the provider for some seconds; there must be free ones.
const SUBMISSIONS = 120;
const SUBMISSION_PAUSE_MS = 200;

const VIDEO_BYTES = 5_000_000;
const VIDEO_CLIENTS = 8;
const JWS_S = 5;
const LOAD_S = 10;
const LOAD_CLIENTS = 64;

const programs = path.resolve(process.argv[2] ?? "build");
const sections = process.argv.slice(3);
const wanted = (name) => sections.length === 0 || sections.includes(name);

const table = new Table();

// --- the programs ----------------------------------------------------------------

const READS = ["get-user-credits", "get-video-status", "get-video-jobs"];
const constantOf = (name) => `constant-${name}`;
const bodyFile = (name) => path.join(work, `${name}.json`);

/**
 * A directory with our programs and a constant for each read, which has as
 * many processes and gives the answer in a file.
 */
async function addConstants() {
	const build = path.join(work, "build");
	fs.mkdirSync(path.join(build, "cgi-bin"), { recursive: true });
	for (const name of ["rendio", "rendio-worker",
	    "rendio-realtime"])
		fs.symlinkSync(path.join(programs, name), path.join(build, name));
	for (const name of fs.readdirSync(path.join(programs, "cgi-bin")))
		fs.symlinkSync(path.join(programs, "cgi-bin", name),
		    path.join(build, "cgi-bin", name));
	let list = fs.readFileSync(path.join(programs, "endpoints"), "utf8");
	for (const name of READS) {
		const { fields, processes } = await describe(programs, name);
		fields[0] = constantOf(name);
		fields[1] = `/functions/v1/${constantOf(name)}`;
		list += `${fields.join("\t")}\n`;
		fs.writeFileSync(path.join(build, "cgi-bin", constantOf(name)),
		    "#!/bin/sh\n" +
		    `exec '${programs}/tests/bench/constant' '${bodyFile(name)}' ` +
		    `${processes}\n`, { mode: 0o755 });
	}
	fs.writeFileSync(path.join(build, "endpoints"), list);
	return build;
}

// --- 1. reads --------------------------------------------------------------------

async function benchReads(rendio, users) {
	const owners = users.slice(0, OWNERS);
	await giveJobs(rendio, owners, JOBS);
	const targets = {
		"get-user-credits": users.map((user) => [user, ""]),
		"get-video-status": owners.flatMap((user) =>
		    user.jobs.map((job) => [user, `?job_id=${job}`])),
		"get-video-jobs": owners.map((user) => [user, ""]),
	};
	for (const name of READS) {
		const requests = (target) => targets[name].map(([user, query]) =>
		    get(`/functions/v1/${target}${query}`, user.headers));
		const [[user, query]] = targets[name];
		const asked = ["GET", `/functions/v1/${name}${query}`,
			{ bearer: user.access_token }];
		fs.writeFileSync(bodyFile(name),
		    (await rendio.request(...asked)).text);
		const ours = [], constant = [];
		for (let i = 0; i < ROUNDS; i++) {
			say(`${name}, round ${i + 1} of ${ROUNDS}`);
			for (const [target, rows] of [[name, ours],
				[constantOf(name), constant]])
				rows.push(await measure(rendio, target,
				    requests(target), ROUND_S));
		}
		const met = ratio(ours, constant);
		table.goal(`${name} / constant answer, both through nginx`,
		    "≥ 0.85", `${met.toFixed(2)} (` +
		    `${whole(together(ours).rate)} / ` +
		    `${whole(together(constant).rate)} requests/s)`, met >= 0.85);
		table.info(name, `${spread(together(ours))}; ${cost(ours)}, ` +
		    `${await statements(rendio, ...asked)} statements`);
		table.info(`${name}, the constant`,
		    `${spread(together(constant))}; ${cost(constant)}`);
	}
}

// --- 2. other work ---------------------------------------------------------------

/** A finished video of a user: its link, its file, and how large that is. */
async function finishedVideo(rendio, user) {
	await giveJobs(rendio, [user], 1);
	const job = (await rendio.request("GET", "/functions/v1/get-video-jobs",
	    { bearer: user.access_token })).json().jobs[0];
	const [{ hex }] = await sql(rendio, "SELECT lower(hex(id)) AS hex FROM" +
	    ` objects WHERE bucket = 'videos' AND job_id = ${id(job.job_id)}`);
	const dir = rendio.file("media", "videos");
	const file = fs.readdirSync(dir, { recursive: true })
	    .find((name) => path.basename(name).replaceAll("-", "") === hex);
	const { pathname, search } = new URL(job.video_url);
	return { target: pathname + search, file: path.join(dir, file),
		bytes: fs.statSync(path.join(dir, file)).size };
}

async function benchWork(rendio, users) {
	const anon = { apikey: rendio.anonKey };
	const models = "/functions/v1/get-models";
	const { etag } = (await rendio.request("GET", models)).headers;
	const refresh = "/auth/v1/token?grant_type=refresh_token";
	const video = await finishedVideo(rendio, users.at(-1));
	fs.truncateSync(video.file, VIDEO_BYTES);
	const tasks = [
		["nginx alone, a preflight", "get-models", [get(models)
		    .replace("GET", "OPTIONS")]],
		["TLS handshakes: the same, each over a connection of its own",
		    "get-models", [get(models, { Connection: "close" })
			.replace("GET", "OPTIONS")]],
		["get-models", "get-models", [get(models, anon)]],
		["get-models with its ETag (304)", "get-models",
		    [get(models, { ...anon, "If-None-Match": etag })]],
		["token refresh", "auth-token", [post(refresh, anon,
		    '{"refresh_token":"@TOKEN@"}', "@LENGTH@")]],
		[`a signed download of 5 MB, ${VIDEO_CLIENTS} clients`,
		    "object-sign", [get(video.target)]],
	];
	const rows = new Map(tasks.map(([name]) => [name, []]));
	for (let i = 0; i < INFO_ROUNDS; i++) {
		say(`other work, round ${i + 1} of ${INFO_ROUNDS}`);
		for (const [name, endpoint, requests] of tasks) {
			// Each round has users of its own: a session whose newest
			// answer was lost is not refreshed again.
			const options = endpoint === "auth-token" ? { tokens: users
			    .slice(i * 64, i * 64 + 64)
			    .map((user) => user.refresh_token) } :
			    endpoint === "object-sign" ?
				{ clients: VIDEO_CLIENTS } : {};
			rows.get(name).push(await measure(rendio, endpoint,
			    requests, INFO_S, options));
		}
	}
	// The audit compares sizes.
	fs.truncateSync(video.file, video.bytes);
	for (const [name, got] of rows)
		table.info(name, `${whole(together(got).rate)}/s, ` +
		    `${spread(together(got))}; ${cost(got)}`);
	await benchJws(rendio, users[0]);
}

/** One processor that does nothing else. */
async function benchJws(rendio, user) {
	const { stdout: jws } = await rendio.cli("sandbox", "purchase", "--user",
	    user.user_id, "--product", "com.rendioai.credits.best.150");
	const file = path.join(work, "jws");
	const rates = [];
	fs.writeFileSync(file, jws);
	for (let i = 0; i < INFO_ROUNDS; i++) {
		say(`Apple's signatures, round ${i + 1} of ${INFO_ROUNDS}`);
		const { stdout } = await run("sh", ["-c", 'exec "$0" "$1" < "$2"',
			path.join(programs, "tests/bench/verify-jws"),
			String(JWS_S), file], { env: rendio.env });
		rates.push(Number(stdout));
	}
	table.goal("Apple's JWS verified, one processor, its chain seen before",
	    "≥ 3,000/s", `${whole(median(rates))}/s`, median(rates) >= 3000);
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
	const ofConstants = new Set(READS.flatMap((name) =>
	    rendio.pids(constantOf(name))));
	for (const pid of rendio.members()) {
		if (ofConstants.has(pid))
			continue;
		let name, rollup;
		try {
			name = fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim();
			rollup = fs.readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
		} catch {
			continue;	/* it has just ended */
		}
		const group = GROUPS[name] ?? "endpoints";
		kb[group] += Number(/^Pss: +(\d+) kB/m.exec(rollup)?.[1] ?? 0);
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
    .filter((name) => !name.startsWith("constant-") && name !== "realtime" &&
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

/** Everybody works: each endpoint that a phone calls, by several clients. */
async function benchLoad(rendio, users) {
	const paths = ["get-user-credits", "get-user-profile", "get-video-jobs",
		"get-models", "get-themes", "get-credit-history"]
	    .map((name) => `/functions/v1/${name}`);
	const requests = users.flatMap((user) => [
		...paths.map((target) => get(target, user.headers)),
		...orders("/functions/v1/generate-video", [user])]);
	say("memory under load");
	await Promise.all([
		load(rendio.url, requests, LOAD_S, { clients: LOAD_CLIENTS }),
		sleep(LOAD_S * 900).then(() => benchMemory(rendio,
		    `${LOAD_CLIENTS} clients at work`, 200)),
	]);
}

// --- everything ------------------------------------------------------------------

const where = await machine(programs);
process.env.RENDIO_BUILD = await addConstants();
const { start } = await import("../api/support/instance.mjs");
const { endpoints } = await import("../api/support/endpoints.mjs");
const { id, sql } = await import("../api/support/database.mjs");
const rendio = await start({ directory: work, env: {
	RENDIO_GRANT_CREDITS: "10000", RENDIO_JOBS_OPEN_MAX_FREE: "10000",
	RENDIO_PROVIDER_CONCURRENCY: "32" } });
try {
	if (wanted("memory"))
		await table.attempt("memory, idle", async () => {
			await untilIdle(rendio);
			benchMemory(rendio, "idle", 60);
			await benchColdStart(rendio);
		});
	const users = await makeUsers(rendio, USERS);
	for (const [name, bench] of Object.entries({
		submission: benchSubmission,
		reads: benchReads,
		work: benchWork,
		memory: benchLoad,
	}))
		if (wanted(name))
			await table.attempt(name, () => bench(rendio, users));
	await table.audit(rendio);
} finally {
	table.print(where);
	await rendio.stop();
}

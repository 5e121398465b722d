// SPDX-License-Identifier: MIT
//
// soak.mjs [MINUTES [PHONES]] -- a mixed load for that long (30 minutes, 16
// phones), from the machine itself, which the router does not limit: nine of ten
// requests read, the tenth orders, buys or renews a session.  Meanwhile it looks
// every five seconds at the memory of every program and at the write-ahead log,
// and before and after it at the descriptors, of which there are more while more
// is under way.  Fails when an answer was a 5xx, when a program grew or kept
// descriptors, when the log was not emptied, or when the audit is not clean;
// prints what it saw.

import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AppStore, post } from "../api/support/appstore.mjs";
import { start, until } from "../api/support/instance.mjs";

const MINUTES = Number(process.argv[2] ?? 30);
const PHONES = Number(process.argv[3] ?? 16);
const LOOK_MS = 5000;
/** As much log as a minute of full load leaves, several times over. */
const LOG_MIB_MAX = 64;
/** Of a program, from the first quarter's highest to the last quarter's. */
const GROWTH_MIB_MAX = 4;
const GROWTH_DESCRIPTORS_MAX = 16;
/** Jobs end, and connections that nobody uses are closed. */
const SETTLE_MS_MAX = 300_000;

const rendio = await start({ env: { RENDIO_JOBS_OPEN_MAX_FREE: "50" } });
const store = new AppStore(rendio);
const end = Date.now() + MINUTES * 60_000;
const statuses = {}, samples = [], took_ms = [];
let bought = 0;

const get = (target, bearer) => rendio.request("GET", target, { bearer });
const call = (name, bearer, body, headers = {}) => rendio.request("POST",
    `/functions/v1/${name}`, { bearer, body, headers });

async function timed(request) {
	const began = performance.now();
	const res = await request;
	took_ms.push(performance.now() - began);
	statuses[res.status] = (statuses[res.status] ?? 0) + 1;
	return res;
}

const reads = ["/functions/v1/get-user-credits", "/functions/v1/get-user-profile",
	"/functions/v1/get-video-jobs?limit=20", "/functions/v1/get-models",
	"/functions/v1/get-themes", "/functions/v1/get-credit-history?limit=20"];

async function use(i) {
	let phone = await rendio.guest(`soak-${i}`);
	const jobs = [];
	for (let n = 0; Date.now() < end; n++) {
		const bearer = phone.access_token;
		if (n % 10 < 7)
			await timed(get(reads[n % reads.length], bearer));
		else if (n % 10 < 9)
			await timed(get(jobs.length > 0 ?
			    `/functions/v1/get-video-status?job_id=${jobs.at(-1)}` :
			    reads[0], bearer));
		else if (n % 100 === 49) {
			const res = await timed(post(rendio, phone,
			    { signed_transaction: store.sign(
				store.transaction()) }));
			bought += res.status === 200;
		} else if (n % 500 === 99) {
			const res = await timed(rendio.request("POST",
			    "/auth/v1/token?grant_type=refresh_token", { body:
				{ refresh_token: phone.refresh_token } }));
			if (res.status === 200)
				phone = { ...phone, ...res.json() };
		} else {
			const res = await timed(call("generate-video", bearer,
			    { prompt: "soak", settings: { duration: 4 } },
			    { "idempotency-key": randomUUID() }));
			if (res.status === 200)
				jobs.push(res.json().job_id);
		}
	}
}

/** The highest of each kind of program, and the log's size. */
function look() {
	const programs = {};
	for (const pid of rendio.members()) {
		try {
			const name = fs.readFileSync(`/proc/${pid}/comm`, "utf8")
			    .trim();
			const pages = Number(fs.readFileSync(
			    `/proc/${pid}/statm`, "utf8").split(" ")[1]);
			const fds = fs.readdirSync(`/proc/${pid}/fd`).length;
			const at = programs[name] ??= { mib: 0, fds: 0 };
			at.mib = Math.max(at.mib, pages / 256);
			at.fds = Math.max(at.fds, fds);
		} catch {
			/* It has just ended. */
		}
	}
	let log = 0;
	try {
		log = fs.statSync(rendio.file("rendio.db-wal")).size / 2 ** 20;
	} catch {
		/* Emptied. */
	}
	return { programs, log };
}

const before = look().programs;
const looking = (async () => {
	while (Date.now() < end) {
		samples.push(look());
		await sleep(LOOK_MS);
	}
})();
await Promise.all([looking,
	...Array.from({ length: PHONES }, (_, i) => use(i))]);

const quarter = Math.max(1, Math.floor(samples.length / 4));
const highest = (some, name) => Math.max(0,
    ...some.map(({ programs }) => programs[name]?.mib ?? 0));
const problems = [];
// Commands that come and go are not looked at.
const names = Object.keys(before).filter((one) => !["sh", "sleep",
	"curl", "ffmpeg", "logrotate", "run"].includes(one));
let after;
await until(() => {
	after = look().programs;
	return names.every((name) => (after[name]?.fds ?? 0) <=
	    before[name].fds + GROWTH_DESCRIPTORS_MAX);
}, SETTLE_MS_MAX);
for (const name of names) {
	const mib = [samples.slice(0, quarter), samples.slice(-quarter)]
	    .map((some) => highest(some, name));
	const fds = [before, after].map((some) => some[name]?.fds ?? 0);
	console.log(`${name}: ${mib.map((n) => n.toFixed(1)).join(" -> ")} MiB, ${
	    fds.join(" -> ")} descriptors`);
	if (mib[1] - mib[0] > GROWTH_MIB_MAX)
		problems.push(`${name} grew`);
	if (fds[1] - fds[0] > GROWTH_DESCRIPTORS_MAX)
		problems.push(`${name} keeps descriptors`);
}
const log = Math.max(...samples.map((one) => one.log));
if (log > LOG_MIB_MAX)
	problems.push("the write-ahead log was not emptied");
for (const status of Object.keys(statuses))
	if (status >= 500)
		problems.push(`${statuses[status]} answers ${status}`);
const audit = await rendio.cli("audit");
if (audit.code !== 0)
	problems.push(audit.stdout);
took_ms.sort((a, b) => a - b);
console.log(`${took_ms.length} requests in ${MINUTES} minutes: ${
    JSON.stringify(statuses)}, ${bought} purchases`);
console.log(`p50 ${took_ms[took_ms.length >> 1].toFixed(1)} ms, p99 ${
    took_ms[Math.floor(took_ms.length * 0.99)].toFixed(1)} ms, log at most ${
    log.toFixed(1)} MiB, audit ${audit.code === 0 ? "clean" : "not clean"}`);
await rendio.stop();
for (const problem of problems)
	console.log(`PROBLEM: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);

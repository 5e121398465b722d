// SPDX-License-Identifier: MIT
//
// What the benchmarks have in common: load by wrk, and rows of a table.

import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const run = promisify(execFile);

// One for all, so that the pretended provider makes one film: with ffmpeg it
// would take the processors from what is measured.
export const PROMPT = "A lighthouse in a storm, waves breaking over the rocks";

const JOBS_MS_MAX = 300_000;

// Unless a comparison says otherwise.
export const CLIENTS = 16;

/** A directory of this run alone. */
export const work = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-bench-"));
process.once("exit", () => fs.rmSync(work, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"])
	process.once(signal, () => process.exit(1));

export function say(text) {
	process.stderr.write(`${text}\n`);
}

export function median(numbers) {
	const sorted = [...numbers].sort((a, b) => a - b);
	return sorted[Math.floor(sorted.length / 2)];
}

export const column = (rows, name) => rows.map((row) => row[name]);
export const whole = (number) => Math.round(number).toLocaleString("en");
const ms = (us) => (us / 1000).toFixed(us < 100_000 ? 1 : 0);
export const spread = (got) => `p50 ${ms(got.p50_us)} ms, ` +
    `p99 ${ms(got.p99_us)} ms, max ${ms(got.max_us)} ms`;

export function get(target, headers = {}) {
	return `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n` +
	    Object.entries(headers).map(([name, value]) =>
		`${name}: ${value}\r\n`).join("") + "\r\n";
}

export function post(target, headers, body, length = Buffer.byteLength(body)) {
	return get(target, { ...headers, "Content-Type": "application/json",
		"Content-Length": length }).replace("GET", "POST") + body;
}

/** Orders of these users, each with a key of its own; see load.lua. */
export const orders = (target, users) => users.map((user) => post(target,
    { ...user.headers, "Idempotency-Key": "@KEY@" },
    JSON.stringify({ prompt: PROMPT })));

let loads = 0;

/** Sends these requests from so many clients; what wrk measured. */
export async function load(url, requests, seconds,
    { clients = CLIENTS, pause_ms = 0, tokens } = {}) {
	const file = path.join(work, `requests-${++loads}`);
	fs.writeFileSync(file, requests.join("\0"));
	const args = [file, randomUUID().slice(0, 23), String(pause_ms)];
	if (tokens) {
		fs.writeFileSync(`${file}-tokens`, tokens.join("\n"));
		args.push(`${file}-tokens`);
	}
	// A peer's unluckiest order waits for seconds: that is a number, no error.
	const { stdout } = await run("wrk", ["-t1", `-c${clients}`,
		`-d${seconds}s`, "--timeout", "30s", "-s",
		fileURLToPath(new URL("load.lua", import.meta.url)),
		url, "--", ...args]);
	const got = JSON.parse(stdout.trim().split("\n").at(-1));
	if (got.refused > 0 || got.broken > 0 || got.requests === 0)
		throw new Error(`of ${got.requests} requests ${got.refused} were ` +
		    `refused, ${got.broken} broken; the first: ${requests[0]}`);
	return { ...got, rate: got.requests / got.seconds };
}

/** What rounds of the same say together: medians, and the longest wait. */
export function together(rows) {
	const got = { max_us: Math.max(...column(rows, "max_us")) };
	for (const name of ["rate", "p50_us", "p99_us"])
		got[name] = median(column(rows, name));
	return got;
}

/** The median of the rounds' ratios. */
export const ratio = (ours, theirs) =>
    median(ours.map((row, i) => row.rate / theirs[i].rate));

/**
 * Processor time so far of a program and all that it has started, in ms; of
 * ours, of the endpoint alone.
 */
export function cpu_ms(root) {
	const stats = fs.readdirSync("/proc").filter((pid) => /^\d+$/.test(pid))
	    .flatMap((pid) => {
		try {
			const [, rest] = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
			    .split(/\) (?=\S \d)/);
			const fields = rest.split(" ");
			return [{ pid: Number(pid), parent: Number(fields[1]),
				// Its own, and of those that it has seen end.
				ticks: fields.slice(11, 15).map(Number)
				    .reduce((a, b) => a + b) }];
		} catch {
			return [];	/* it has just ended */
		}
	});
	const tree = (pid) => (stats.find((one) => one.pid === pid)?.ticks ?? 0) +
	    stats.filter((one) => one.parent === pid)
		.reduce((sum, one) => sum + tree(one.pid), 0);
	return tree(root) * 10;
}

/**
 * The same as load(), with what a request cost: processor time in nginx and in
 * the endpoint, bytes on the wire.
 */
export async function measure(rendio, endpoint, requests, seconds, options) {
	const spent_ms = (service) => cpu_ms(rendio.supervised(service));
	const nginx_ms = spent_ms("nginx"), endpoint_ms = spent_ms(endpoint);
	const row = await load(rendio.url, requests, seconds, options);
	const each_us = (ms) => ms * 1000 / row.requests;
	return { ...row, nginx_us: each_us(spent_ms("nginx") - nginx_ms),
		endpoint_us: each_us(spent_ms(endpoint) - endpoint_ms),
		each_bytes: row.bytes / row.requests };
}

/** What measure() says of several rounds. */
export const cost = (rows) => {
	const of = (name) => whole(median(column(rows, name)));
	return `processor ${of("nginx_us")} µs in nginx, ` +
	    `${of("endpoint_us")} µs behind it; ${of("each_bytes")} bytes`;
};

/** Statements of one request; the endpoint's log says how many. */
export async function statements(rendio, method, target, options) {
	const res = await rendio.request(method, target, options);
	if (res.status >= 400)
		throw new Error(`${target}: ${res.text}`);
	const lines = await rendio.logOf(res.headers["x-request-id"]);
	return lines.map((line) => JSON.parse(line))
	    .find((line) => line.sql !== undefined).sql;
}

/** Orders for the first users, and waits until all are done. */
export async function giveJobs(rendio, users, each) {
	for (let i = 0; i < each; i++)
		for (const user of users) {
			const res = await rendio.request("POST",
			    "/functions/v1/generate-video", {
				bearer: user.access_token,
				headers: { "Idempotency-Key": randomUUID() },
				body: { prompt: PROMPT } });
			if (res.status !== 200)
				throw new Error(res.text);
			(user.jobs ??= []).push(res.json().job_id);
		}
	// The worker is busy with them, and would be measured.
	say("waiting until their jobs are done");
	const end = Date.now() + JOBS_MS_MAX;
	for (const user of users)
		for (const job of user.jobs)
			while ((await rendio.request("GET",
			    `/functions/v1/get-video-status?job_id=${job}`,
			    { bearer: user.access_token })).json().status !==
			    "completed") {
				if (Date.now() > end)
					throw new Error(`${job} is not completed`);
				await sleep(50);
			}
}

/** Rows of the table: a goal says whether it was met. */
export class Table {
	lines = [];

	goal(what, wanted, measured, met) {
		this.lines.push(`| ${what} | ${wanted} | ${measured} | ` +
		    `${met ? "met" : "NOT met"} |`);
	}

	info(what, measured) {
		this.lines.push(`| ${what} | | ${measured} | |`);
	}

	/** What fails is named, ends the run with 1, and keeps nothing else away. */
	async attempt(what, body) {
		try {
			await body();
		} catch (error) {
			process.exitCode = 1;
			this.info(what, `NOT measured: ${error.message.split("\n")[0]}`);
		}
	}

	async audit(rendio) {
		const { code, stdout } = await rendio.cli("audit");
		this.info("`rendio audit` afterwards", code === 0 ? "clean" :
		    `NOT clean: ${stdout.trim().split("\n").at(-1)}`);
	}

	print(title) {
		process.stdout.write(`${title}\n\n| what | goal | measured | |\n` +
		    `| --- | --- | --- | --- |\n${this.lines.join("\n")}\n\n`);
	}
}

/** What an endpoint says of itself. */
export async function describe(programs, name) {
	const { stdout } = await run(path.join(programs, "cgi-bin", name),
	    ["--describe"]);
	const fields = stdout.trim().split("\t");
	return { fields, processes: Number(fields[5]) };
}

/** Makes users with credits, so many at a time. */
export async function makeUsers(rendio, count) {
	const users = [];
	say(`${count} users`);
	for (let i = 0; i < count; i += CLIENTS)
		users.push(...await Promise.all(
		    Array.from({ length: CLIENTS }, (_, n) =>
			rendio.guest(`bench${i + n}`))));
	for (const user of users)
		user.headers = { apikey: rendio.anonKey,
			Authorization: `Bearer ${user.access_token}` };
	return users;
}

/** One line that says what this machine is. */
export async function machine(build) {
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

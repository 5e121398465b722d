// SPDX-License-Identifier: MIT
//
// What the benchmarks have in common: load by wrk, and rows of a table.

import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const run = promisify(execFile);

// One for all, so that the pretended provider makes one film: with ffmpeg it
// would take the processors from what is measured.
export const PROMPT = "A lighthouse in a storm, waves breaking over the rocks";

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

	print(title) {
		process.stdout.write(`${title}\n\n| what | goal | measured | |\n` +
		    `| --- | --- | --- | --- |\n${this.lines.join("\n")}\n\n`);
	}
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

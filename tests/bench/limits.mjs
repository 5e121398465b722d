// SPDX-License-Identifier: MIT
//
// limits.mjs BUILD -- one user sends ten thousand orders at once, far over the
// limit: how many pass, and how long does another user's order take meanwhile?
// The same clients are measured alone and under the flood in turn.  Prints
// markdown; it never fails because something was slow.
//
// limits.mjs --flood PORT CA KEY TOKEN -- the flood, a process of its own, so
// that its work is not counted as the server's.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import https from "node:https";
import os from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const FLOOD = 10_000;
const FLOOD_CONNECTIONS = 90;	// what nginx lets one address have is 100
const ORDERS = 300;
const PACE_MS = 20;
const ROUNDS = 2;

/** A client of its own address: nginx limits all but this machine's own. */
function client(port, ca, apikey, token, localAddress, maxSockets) {
	const agent = new https.Agent({ keepAlive: true, localAddress, ca,
		maxSockets });
	const body = JSON.stringify({ prompt: "A calm sea" });
	return () => new Promise((resolve, reject) => {
		const req = https.request({ host: "127.0.0.1", port, agent,
			method: "POST", path: "/functions/v1/generate-video",
			headers: { apikey, authorization: `Bearer ${token}`,
				"content-type": "application/json",
				"content-length": body.length,
				"idempotency-key": randomUUID() } }, (res) => {
			res.resume();
			res.on("end", () => resolve(res.statusCode));
		});
		req.on("error", reject);
		req.end(body);
	});
}

async function flood(port, caFile, apikey, token) {
	const send = client(port, fs.readFileSync(caFile), apikey, token,
	    "127.0.0.2", FLOOD_CONNECTIONS);
	const answers = {};
	let left = FLOOD;

	await Promise.all(Array.from({ length: FLOOD_CONNECTIONS }, async () => {
		while (left-- > 0) {
			const status = await send().catch(() => "broken");
			answers[status] = (answers[status] ?? 0) + 1;
		}
	}));
	process.stdout.write(JSON.stringify(answers));
}

async function measure(send, isOver) {
	const took = [];
	for (let i = 0; isOver ? !isOver() : i < ORDERS; i++) {
		const began = performance.now();
		const status = await send();
		if (status !== 200)
			throw new Error(`the other user's order: ${status}`);
		const ms = performance.now() - began;
		took.push(ms);
		await sleep(Math.max(0, PACE_MS - ms));
	}
	took.sort((a, b) => a - b);
	const at = (q) => took[Math.min(took.length - 1,
	    Math.floor(took.length * q))];
	return { n: took.length, p50: at(0.5), p99: at(0.99) };
}

async function main() {
	process.env.RENDIO_BUILD = process.argv[2] ?? "build";
	const { start } = await import("../api/support/instance.mjs");
	const { id, sql } = await import("../api/support/database.mjs");
	const rendio = await start({ directory: os.tmpdir(), env: {
		RENDIO_GRANT_CREDITS: "10000",
		RENDIO_LIMIT_GENERATE_GUEST_PER_H: "5",
		RENDIO_JOBS_OPEN_MAX_PREMIUM: "10000" } });
	const rows = [];
	try {
		const other = await rendio.guest("other");
		await sql(rendio, "UPDATE users SET tier = 'premium'" +
		    ` WHERE id = ${id(other.user_id)}`);
		// Its own token is not what nginx limits here.
		const send = client(rendio.port, rendio.ca, rendio.anonKey,
		    other.access_token, "127.0.0.1", 1);
		await measure(send);
		for (let round = 1; round <= ROUNDS; round++) {
			const eager = await rendio.guest(`eager-${round}`);
			const alone = await measure(send);
			const child = spawn(process.execPath,
			    [fileURLToPath(import.meta.url), "--flood",
				rendio.port, rendio.file("tls", "cert.pem"),
				rendio.anonKey, eager.access_token],
			    { stdio: ["ignore", "pipe", "inherit"] });
			let text = "", over = false;
			child.stdout.on("data", (part) => { text += part; });
			child.on("close", () => { over = true; });
			const under = await measure(send, () => over);
			rows.push([round, alone, under, JSON.parse(text)]);
		}
	} finally {
		await rendio.stop();
	}
	console.log(`${os.cpus().length} processors, load ` +
	    `${os.loadavg()[0].toFixed(1)}\n\n| round | alone p50, p99 ms |` +
	    " under the flood p50, p99 ms | ratio of p99 | answers |\n" +
	    "| --- | --- | --- | --- | --- |");
	for (const [round, alone, under, answers] of rows)
		console.log(`| ${round} | ${alone.p50.toFixed(1)}, ` +
		    `${alone.p99.toFixed(1)} (${alone.n}) | ` +
		    `${under.p50.toFixed(1)}, ${under.p99.toFixed(1)} ` +
		    `(${under.n}) | ${(under.p99 / alone.p99).toFixed(2)} | ` +
		    `${Object.entries(answers).map(([status, n]) =>
			`${n} × ${status}`).join(", ")} |`);
}

if (process.argv[2] === "--flood")
	await flood(...process.argv.slice(3));
else
	await main();

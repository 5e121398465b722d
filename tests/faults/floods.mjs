// SPDX-License-Identifier: MIT
//
// Floods: somebody does one thing as often as his line lets him, from addresses
// of his own, while a phone goes on as always.  The phone's requests are answered, 99 in
// 100 of them within twice the usual time, no program grows beyond its cap, no
// line of a log is forged, and when the flood is over everything is as before,
// by itself.
//
// Not one of the tests that `make test` runs: it is about time, on a machine
// that does nothing else, and what attacks has no machine of its own either.
// `make floods` runs it and prints the table of docs/reliability.md.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { start, until } from "../api/support/instance.mjs";
import { endOf, orderJob } from "../api/support/jobs.mjs";

/** Of each flood. */
const SECONDS = Number(process.env.RENDIO_FLOOD_S ?? 15);
/** One program, resident: an arena and a cache are 10 MB. */
const PROGRAM_MIB_MAX = 64;
/** A worker of nginx's, which keeps what two thousand TLS connections took. */
const NGINX_MIB_MAX = 96;
const TIMES_USUAL_MAX = 2;
const attacker = fileURLToPath(new URL("flood.mjs", import.meta.url));
const START_MS_MAX = 30_000;
const rows = [];

let rendio, phone, stranger, video, usual;

before(async () => {
	rendio = await start();
	phone = await rendio.guest("phone");
	stranger = await rendio.guest("stranger");
	const { video_url } = await endOf(rendio, stranger,
	    await orderJob(rendio, stranger));
	video = video_url.slice(new URL(video_url).origin.length);
	usual = await measure(Math.max(SECONDS, 2));
});
after(() => rendio.stop());

const ask = () => rendio.request("GET", "/functions/v1/get-user-credits",
    { bearer: phone.access_token });

/** The phone's requests for that long: how long each took. */
async function measure(seconds) {
	const took_ms = [];
	for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
		const began = performance.now();
		const res = await ask();
		took_ms.push(performance.now() - began);
		assert.equal(res.status, 200, res.text);
		await sleep(5);
	}
	took_ms.sort((a, b) => a - b);
	const at = (part) => took_ms[Math.floor(took_ms.length * part)];
	return { count: took_ms.length, p50: at(0.5), p99: at(0.99) };
}

/** Each program and its size, the largest first. */
function sizes() {
	const all = rendio.members().flatMap((pid) => {
		try {
			const text = fs.readFileSync(`/proc/${pid}/status`, "utf8");
			return [{ name: text.match(/^Name:\s*(.*)/)[1],
				mib: Number(text.match(/^VmRSS:\s*(\d+)/m)?.[1] ??
				    0) / 1024 }];
		} catch {
			return [];	// It has just ended.
		}
	});
	return all.sort((a, b) => b.mib - a.mib);
}

async function flood(kind) {
	const child = spawn("nice", ["-n", "19", process.execPath, attacker, kind,
		String(rendio.port), String(SECONDS + 2), stranger.access_token,
		rendio.anonKey, video], { stdio: ["ignore", "pipe", "inherit"] });
	let text = "";
	child.stdout.setEncoding("utf8").on("data", (more) => { text += more; });
	const ended = new Promise((resolve) => child.once("exit", resolve));

	// It says when it begins, and ends by itself.
	await until(() => text.includes("\n"), START_MS_MAX);
	const during = await measure(SECONDS);
	const programs = sizes();
	await ended;
	return { during, programs, got: JSON.parse(text.split("\n")[1]) };
}

const KINDS = ["slowloris", "connections", "header bomb", "body bomb", "gzip bomb",
	"one token", "device ids", "huge upload", "websockets", "joins", "streams",
	"slow bodies", "slow readers", "many addresses", "webhooks", "log lines"];

for (const kind of KINDS)
	test(`${kind}: the phone is served, and all is well afterwards`,
	    async () => {
		const { during, programs, got } = await flood(kind);
		assert.ok(got.sent > 0, "there was a flood");
		assert.equal(got.replies > 0, kind === "joins");
		for (const { name, mib } of programs)
			assert.ok(mib < (name === "nginx" ? NGINX_MIB_MAX :
			    PROGRAM_MIB_MAX), `${name} has ${mib} MiB`);
		for (const status of Object.keys(got.answers))
			assert.ok(status < 500 || status === "503",
			    `${status} for a stranger`);
		assert.ok(await until(async () => (await ask()).status === 200));
		rows.push({ kind, ...during, ...programs[0], ...got });
	});

test("every line of the logs is one that we wrote", async () => {
	const lines = rendio.log();
	assert.ok(lines.length > 0);
	for (const line of lines) {
		// nginx's own errors are sentences; ours are objects.
		assert.doesNotMatch(line, /^\{"event":"forged"/);
		assert.ok(!line.includes("\x1b"), line);
		if (line.startsWith("{"))
			assert.notEqual(JSON.parse(line).event, "forged");
	}
	for (const line of rendio.accessLog())
		assert.notEqual(line.event, "forged");
});

test("what it came to", async (t) => {
	const one = (ms) => ms.toFixed(1);
	const lines = [
		"| flood | sent | answers | phone p50 ms | p99 ms | times usual | largest |",
		"| --- | --- | --- | --- | --- | --- | --- |",
		`| none | | | ${one(usual.p50)} | ${one(usual.p99)} | 1 | |`,
		...rows.map((row) => `| ${row.kind} | ${row.sent} | ${
		    Object.entries(row.answers).map(([status, n]) =>
			`${n} × ${status}`).join(", ") || "none"} | ${
		    one(row.p50)} | ${one(row.p99)} | ${
		    (row.p99 / usual.p99).toFixed(1)} | ${row.name} ${
		    Math.round(row.mib)} MiB |`),
	];
	for (const line of lines)
		t.diagnostic(line);
	assert.equal(rows.length, KINDS.length);
	for (const { kind, p99 } of rows)
		assert.ok(p99 <= usual.p99 * TIMES_USUAL_MAX,
		    `${kind}: p99 ${one(p99)} ms`);
});

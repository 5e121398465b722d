// SPDX-License-Identifier: MIT
//
// queue.mjs BUILD -- what generate-video costs its caller while jobs wait at a
// provider that runs two at a time, beside the same with an idle provider: two
// backends, asked in turn by one client.  Prints markdown; asserts that every
// job ends, nothing about time.

import { randomUUID } from "node:crypto";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fal } from "../fakes/fal.mjs";

const WAITING = 200;
const USERS = 20;
const ROUNDS = 5;
const ORDERS = 200;
/** Two at a time: none of those that wait comes to its turn meanwhile. */
const RUN_MS = 5000;
const DRAIN_MS_MAX = 600_000;

process.env.RENDIO_BUILD = path.resolve(process.argv[2] ?? "build");
const { start, until } = await import("../api/support/instance.mjs");

async function backend(options) {
	const fal = await Fal.start({ queue_ms: 1, ...options });
	const rendio = await start({ directory: os.tmpdir(), env: { ...fal.env,
		RENDIO_GRANT_CREDITS: "10000", RENDIO_FFMPEG: "",
		RENDIO_PROVIDER_CONCURRENCY: "4",
		RENDIO_JOBS_OPEN_MAX_FREE: "10000" } });
	fal.fetch = rendio.fetch;
	const users = [];
	for (let i = 0; i < USERS; i++)
		users.push(await rendio.guest(`queue-${i}`));
	return { fal, rendio, users, waits: [], orders: 0 };
}

async function order({ rendio, users, orders }) {
	const began = performance.now();
	const res = await rendio.request("POST", "/functions/v1/generate-video", {
		bearer: users[orders % USERS].access_token,
		headers: { "Idempotency-Key": randomUUID() },
		body: { prompt: "A lighthouse in a storm" },
	});
	if (res.status !== 200)
		throw new Error(`generate-video: ${res.text}`);
	return performance.now() - began;
}

async function open({ rendio }) {
	const { stdout } = await rendio.cli("audit", "--json");
	const { invariants } = JSON.parse(stdout);
	return invariants.find(({ invariant }) => invariant === 3).checked;
}

const idle = await backend({ run_ms: 10 });
const busy = await backend({ run_ms: RUN_MS, limit: 2 });
try {
	for (; busy.orders < WAITING; busy.orders++)
		await order(busy);
	for (let round = 0; round < ROUNDS; round++)
		for (const one of [idle, busy])
			for (let i = 0; i < ORDERS; i++, one.orders++)
				one.waits.push(await order(one));
	const waiting = await open(busy);
	busy.fal.run_ms = 1;
	const ended = await until(async () => {
		await sleep(1000);
		return await open(busy) === 0;
	}, DRAIN_MS_MAX);
	const audit = await busy.rendio.cli("audit");
	const at = ({ waits }, part) => [...waits].sort((a, b) => a - b)
	    .at(Math.floor(waits.length * part)).toFixed(1);
	const row = (what, one) => `| ${what} | ${at(one, 0.5)} ms | ` +
	    `${at(one, 0.99)} ms | ${at(one, 0.999)} ms |`;

	process.stdout.write(`load ${os.loadavg()[0].toFixed(1)}; at most ` +
	    `${busy.fal.maxRunning} ran at once, ${waiting} waited at the end of ` +
	    `the orders; ${ended ? "all" : "NOT all"} ended, audit ` +
	    `${audit.code === 0 ? "clean" : "NOT clean"}, paid at most ` +
	    `${busy.fal.mostPaid} time for each\n\n` +
	    `| ${ROUNDS * ORDERS} orders each, one after the other | p50 | p99 | ` +
	    "p99.9 |\n| --- | --- | --- | --- |\n" +
	    `${row("the provider is idle", idle)}\n` +
	    `${row(`${WAITING} and more jobs wait at it`, busy)}\n`);
	if (!ended || audit.code !== 0)
		process.exitCode = 1;
} finally {
	for (const { rendio, fal } of [idle, busy]) {
		await rendio.stop();
		await fal.stop();
	}
}

// SPDX-License-Identifier: MIT
//
// What the backend costs while nobody calls.

import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { start, until } from "./support/instance.mjs";

// An endpoint's process ends after half a minute; a loaded machine is slower.
const IDLE_MS = 120_000;
const TOTAL_KB_MAX = 80 * 1024;

/** Of a process; the worker's come and go while we look. */
function kilobytes(pid) {
	try {
		return Number(/^Pss: +(\d+) kB/m.exec(fs.readFileSync(
		    `/proc/${pid}/smaps_rollup`, "utf8"))[1]);
	} catch (error) {
		if (error.code !== "ENOENT" && error.code !== "ESRCH")
			throw error;
		return 0;
	}
}

let rendio;
before(async () => {
	rendio = await start();
});
after(() => rendio.stop());

const services = () => fs.readdirSync(rendio.file("sv"))
    .filter((name) => fs.existsSync(rendio.file("sv", name, "socket")) &&
	name !== "realtime");

test("an endpoint that nobody calls keeps one process, which serves nobody",
    async () => {
	const names = services();
	assert.ok(names.length > 30);
	assert.ok(await until(() => names.every((name) =>
	    rendio.pids(name).length === 0), IDLE_MS),
	    `still there: ${names.filter((name) =>
		rendio.pids(name).length > 0)}`);
});

test("idle, all that make run starts needs less than 80 MB", () => {
	const total = rendio.members().map(kilobytes)
	    .reduce((a, b) => a + b);
	assert.ok(total < TOTAL_KB_MAX, `${total} kB`);
});

// A library that nobody asked for is half a megabyte of each.
test("OpenSSL is loaded by who verifies signatures or calls others", () => {
	const loads = services().filter((name) => fs.readFileSync(
	    `/proc/${rendio.supervised(name)}/maps`, "utf8").includes("libcrypto"));
	assert.deepEqual(loads.sort(), ["admin-session", "apple-id-notifications",
		"apple-server-notifications", "auth-token", "device-check",
		"fal-webhook", "generate-video", "merge-guest-user",
		"sandbox-backstage", "update-credits"]);
});

test("the next caller is served as if nothing had been", async () => {
	const res = await rendio.request("GET", "/functions/v1/get-models");
	assert.equal(res.status, 200);
	assert.ok(rendio.pids("get-models").length > 0);
});

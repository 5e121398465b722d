// SPDX-License-Identifier: MIT
// GET /metrics: what is counted, as Prometheus reads it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { AppStore, buy } from "./support/appstore.mjs";
import { sql } from "./support/database.mjs";
import { assertError, assertStatements, stopClean }
    from "./support/expect.mjs";
import { root, start, until } from "./support/instance.mjs";
import { endOf, order, orderJob } from "./support/jobs.mjs";

let rendio;

before(async () => {
	rendio = await start({ env: { RENDIO_LIMIT_UPLOAD_PER_H: "1" } });
});
after(() => stopClean(rendio));

const get = (options = {}) => rendio.request("GET", "/metrics",
    { apikey: null, ...options });

/** All samples, by what stands before their value. */
async function samples() {
	return Object.fromEntries((await get()).text.split("\n")
	    .filter((line) => line !== "" && !line.startsWith("#"))
	    .map((line) => {
		const at = line.lastIndexOf(" ");
		return [line.slice(0, at), Number(line.slice(at + 1))];
	}));
}

/** Runs promtool with a text on its standard input. */
async function promtool(args, input) {
	return await new Promise((resolve, reject) => {
		const child = execFile("promtool", args,
		    (error, stdout, stderr) => resolve({
			code: error ? error.code : 0, text: stdout + stderr }));
		child.on("error", reject);
		child.stdin.end(input);
	});
}

test("what happens is counted once, when it is committed", async () => {
	const ada = await rendio.guest("ada");
	const before = await samples();
	const job = await orderJob(rendio, ada);
	await endOf(rendio, ada, job);
	const late = await order(rendio, ada,
	    { settings: { duration: 8, resolution: "4k" } });
	assert.equal(late.status, 402);
	const rose = async (name) => (await samples())[name] -
	    (before[name] ?? 0);

	assert.equal(await rose('rendio_credits_total{kind="hold"}'), 4);
	assert.equal(await rose('rendio_credits_total{kind="capture"}'), 4);
	for (const state of ["queued", "submitting", "storing", "completed"])
		assert.equal(await rose(
		    `rendio_job_transitions_total{state="${state}"}`), 1, state);
	assert.equal(await rose(
	    'rendio_requests_total{endpoint="generate-video",status="200"}'), 1);
	assert.equal(await rose(
	    'rendio_requests_total{endpoint="generate-video",status="402"}'), 1);
	assert.equal(await rose("rendio_request_duration_seconds_count" +
	    '{endpoint="generate-video"}'), 2);
	assert.ok(await rose("rendio_provider_calls_total" +
	    '{company="sandbox",status="200"}') > 0 ||
	    Object.keys(await samples()).some((name) =>
		name.startsWith("rendio_provider_calls_total")));
	assert.ok(await rose("rendio_db_write_wait_seconds_count") > 0);
});

test("one line a transition stands in the log", async () => {
	const ada = await rendio.guest("logged");
	const job = await orderJob(rendio, ada);
	await endOf(rendio, ada, job);
	const states = await until(() => {
		const lines = rendio.log().filter((line) => line.includes(job))
		    .map((line) => JSON.parse(line))
		    .filter(({ event }) => event === "job");
		return lines.length > 0 && lines.at(-1).state === "completed" &&
		    lines.map(({ state }) => state);
	}, 10_000);
	assert.equal(states[0], "queued");
	assert.equal(new Set(states).size, states.length, String(states));
});

test("what Prometheus' own checker reads, it accepts", async () => {
	const res = await get();

	assert.equal(res.status, 200);
	assert.equal(res.headers["content-type"],
	    "text/plain; version=0.0.4; charset=utf-8");
	const { code, text } = await promtool(["check", "metrics"], res.text);
	assert.equal(code, 0, text);
	await assertStatements(rendio, res, 3);
});

test("alert rules are valid and use series that there are", async () => {
	const rules = path.join(root, "deploy/alerts.yml");
	const { code, text } = await promtool(["check", "rules", rules], "");
	assert.equal(code, 0, text);
	const dashboard = fs.readFileSync(
	    path.join(root, "deploy/grafana-dashboard.json"), "utf8");
	JSON.parse(dashboard);

	const known = (await get()).text;
	const used = new Set([fs.readFileSync(rules, "utf8"), dashboard].join()
	    .match(/\brendio_\w+/g));
	assert.ok(used.size > 10);
	for (const name of used)
		assert.match(known, new RegExp("^# TYPE " +
		    name.replace(/_(bucket|sum|count)$/, "") + " ", "m"), name);
});

test("a worker that is silent is told of within five minutes", async () => {
	// Every 15 seconds for ten minutes each: it beats, it is gone, it beats.
	const rules = path.join(root, "deploy/alerts.yml");
	const alarm = { exp_labels: { severity: "page", program: "worker" },
		exp_annotations: { summary: "No worker runs" } };
	const file = rendio.file("worker.yml");
	fs.writeFileSync(file, JSON.stringify({ rule_files: [rules], tests: [{
		interval: "15s",
		input_series: [{
			series: 'rendio_heartbeat_seconds{program="worker"}',
			values: "0+15x40 600x39 1200+15x40" }],
		alert_rule_test: [["2m", []], ["10m", []], ["12m", []],
			["15m", [alarm]], ["20m", [alarm]], ["21m", []]]
		    .map(([eval_time, exp_alerts]) => ({ eval_time, exp_alerts,
			alertname: "RendioWorkerMissing" })),
	}] }));

	assert.match((await get()).text,
	    /^rendio_heartbeat_seconds\{program="worker"\} \d+$/m);
	const { code, text } = await promtool(["test", "rules", file], "");
	assert.equal(code, 0, text);
});

test("nobody but this machine is shown them", async () => {
	for (const options of [{ localAddress: "127.0.0.2" },
		{ localAddress: "127.0.0.2",
			headers: { "x-forwarded-for": "127.0.0.1" } }])
		assertError(await get(options), 404, "not_found");
});

test("no counter falls when programs are killed", async () => {
	const counters = async () => Object.entries(await samples())
	    .filter(([name]) => /_(total|count|bucket)(\{|$)/.test(name));
	const before = await counters();

	for (const pid of ["generate-video", "metrics", "worker"]
	    .flatMap((name) => rendio.pids(name))) {
		try {
			process.kill(pid, "SIGKILL");
		} catch (error) {
			// It died with its parent.
			assert.equal(error.code, "ESRCH");
		}
	}
	const now = await until(async () => {
		try {
			return Object.fromEntries(await counters());
		} catch {
			return null;
		}
	}, 20_000);
	for (const [name, value] of before)
		assert.ok(now[name] >= value, `${name} ${value} ${now[name]}`);
});

test("sales, refusals and what retention takes are counted", async () => {
	const bob = await rendio.guest("bob");
	const store = new AppStore(rendio);
	await buy(rendio, bob, store, store.transaction());
	assert.ok((await samples())['rendio_credits_total{kind="purchase"}'] >=
	    25);
	// Apple's sandbox brings no money.
	assert.equal(Object.keys(await samples()).filter((name) =>
	    name.startsWith("rendio_revenue")).length, 0);

	await sql(rendio, "INSERT INTO limit_violations VALUES" +
	    " (1, 'generate', randomblob(16), 1, 1)");
	assert.ok(await until(async () => (await samples())[
	    'rendio_purged_rows_total{what="limit_violations"}'] === 1,
	    30_000));
	assert.ok(rendio.log().some((line) => line.includes('"purged"') &&
	    line.includes("limit_violations")));
});

test("a database that cannot be asked is 503", async () => {
	await sql(rendio, "ALTER TABLE breakers RENAME TO elsewhere");
	try {
		assertError(await get(), 503, "service_unavailable");
	} finally {
		await sql(rendio, "ALTER TABLE elsewhere RENAME TO breakers");
	}
});

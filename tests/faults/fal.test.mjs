// SPDX-License-Identifier: MIT
//
// fal goes wrong in every way that its fake knows, over the fast path (a
// webhook) and the slow one (polling), while the worker is killed (kill -9) at
// each step.  Nothing may be paid for twice, hang, or cost its user a credit.
//
// The jobs of one step are made together: each waits at that step until all
// are there, then the worker dies under all of them at once.  In `make test` a
// fault meets every other step, with RENDIO_LONG=1 each.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Fal } from "../fakes/fal.mjs";
import { build, start, until } from "../api/support/instance.mjs";
import { orderJob, startWorker, statusOf, stopWorker }
    from "../api/support/jobs.mjs";
import { IS_LONG } from "./chance.mjs";

// Sanitised programs prove their memory on a part of it.
const IS_WHOLE = build.endsWith("/build");
const CREDITS = 1000;
const HOLD_MS_MAX = 1200;
const END_MS_MAX = 240_000;

const faults = [
	{},
	...["before", "hangBefore", "reset", "hang", "drip", "slow", "cut",
		"garbage", "noId", "500", "503", "408", "429", "422", "foreign",
		"redirect"]
	    .map((submit) => ({ submit })),
	{ submit: "reset", history: "off" },
	...["500", "garbage", "unknown", "404", "reset", "drip"]
	    .map((status) => ({ status })),
	...["content", "provider", "flaky", "404", "noVideo", "wrapper",
		"timeout", "retryable", "drip"].map((result) => ({ result })),
	{ result: "404", history: "off" },
	...["html", "cut", "404", "500", "foreign", "drip", "huge", "expired"]
	    .map((file) => ({ file })),
];
const hooks = ["twice", "early", "forged", "null", "nullError", "late",
	"wrongUser"].map((hook) => ({ hook }));
// Undisturbed ones come last: nobody is killed any more.
const steps = ["submit", "accepted", "answered", "status", "result", "file",
	"hook", "none"];

/** What fails when nothing is killed: member and value of the script. */
const failing = ["submit before", "submit hangBefore", "submit 422",
	"submit redirect", "result content", "result provider", "result noVideo",
	"result timeout", "result retryable", "file html", "file 404",
	"file foreign", "file huge", "file expired"];

/** How it must end; undefined where either end is right. */
function expected({ submit, result, file, hook, path }) {
	// The webhook of a success says so, whatever the result would say.
	if (path === "hook" && ["noVideo", "timeout", "retryable"].includes(result))
		return undefined;
	if (path === "poll" && result === "404")
		return undefined;
	if (submit === "reset" || hook === "forged" || hook === "wrongUser")
		return undefined;
	return [`submit ${submit}`, `result ${result}`, `file ${file}`]
	    .some((one) => failing.includes(one)) ? "failed" : "completed";
}

let fal, rendio;
let count = 0;

before(async () => {
	fal = await Fal.start();
	rendio = await start({ env: {
		...fal.env,
		RENDIO_PROVIDER_CONCURRENCY: "256",
		RENDIO_PROVIDER_START_TIMEOUT_S: "5",
		// A busy machine is slow, too: ninety at once take their time.
		RENDIO_PROVIDER_RUN_TIMEOUT_S: "25",
		RENDIO_PROVIDER_TOLD_WITHIN_S: "60",
		RENDIO_PROVIDER_CALL_TIMEOUT_MS: "10000",
		RENDIO_RESULT_STALL_S: "5",
		RENDIO_JOBS_OPEN_MAX_FREE: "200",
	} });
	fal.fetch = rendio.fetch;
});
after(async () => {
	await rendio.stop();
	await fal.stop();
});

function killWorker() {
	for (const pid of rendio.pids("worker"))
		try {
			process.kill(pid, "SIGKILL");
		} catch {
			/* It had just ended by itself. */
		}
}

/** Holds the jobs of a step together and kills the worker under them. */
function killer(step) {
	let release, first;
	const gate = new Promise((resolve) => { release = resolve; });
	const held = new Set();

	fal.onStep = async (at, { script }) => {
		if (at !== step || script.kill !== step || held.has(script.tag))
			return;
		held.add(script.tag);
		first ??= sleep(HOLD_MS_MAX).then(async () => {
			// A report is to be written down, and perhaps taken in.
			if (step === "hook") {
				release();
				await sleep(Math.random() * 60);
			}
			killWorker();
			release();
		});
		await gate;
	};
}

async function wave(step) {
	const guest = await rendio.guest(`wave-${step}`);
	const scripts = [
		...faults.map((fault) => ({ ...fault, path: "hook" })),
		...faults.map((fault) => ({ ...fault, path: "poll", hook: "off" })),
		...hooks.map((fault) => ({ ...fault, path: "hook" })),
	].filter((_, i) => IS_LONG || i % 2 === steps.indexOf(step) % 2)
	    .map((script) => ({ ...script, kill: step, tag: ++count }));
	const jobs = [];

	await rendio.cli("user", "grant", guest.user_id, String(CREDITS - 10),
	    "--reason", "tests");
	killer(step);
	await stopWorker(rendio);
	for (const script of scripts)
		jobs.push({ script, id: await orderJob(rendio, guest,
		    { prompt: fal.script(script) }) });
	await startWorker(rendio);
	// The next wave begins when this one's worker has died.
	await sleep(step === "none" ? 100 : HOLD_MS_MAX + 3000);
	return { step, guest, jobs };
}

async function endsOf({ guest, jobs }) {
	for (const job of jobs)
		job.end = await until(async () => {
			const res = await statusOf(rendio, guest, job.id);
			const body = res.status === 200 && res.json();
			return body && body.completed_at !== null && body;
		}, END_MS_MAX);
}

test("whatever fal does, and whenever the worker dies", async (t) => {
	const waves = [];
	for (const step of IS_WHOLE ? steps : ["accepted"])
		waves.push(await wave(step));
	for (const one of waves)
		await endsOf(one);
	t.diagnostic(`${count} combinations`);
	assert.ok(!IS_WHOLE || count >= 300);

	for (const { step, guest, jobs } of waves)
		await t.test(`killed at ${step}`, async () => {
			let spent = 0;

			for (const { script, end } of jobs) {
				const what = `${JSON.stringify(script)} ${
				    JSON.stringify(end)}`;
				assert.ok(end, `it comes to an end: ${what}`);
				if (end.status === "completed")
					spent += end.credits_used;
				assert.equal(end.credits_refunded,
				    end.status === "completed" ? 0 :
					end.credits_used, what);
				if (step === "none" && expected(script))
					assert.equal(end.status, expected(script), what);
			}
			const { credits_remaining } = (await rendio.request("GET",
			    "/functions/v1/get-user-credits",
			    { bearer: guest.access_token })).json();
			assert.equal(credits_remaining, CREDITS - spent,
			    "the balance is what was given less what was delivered");
		});

	await t.test("no attempt was paid for twice", () => {
		assert.equal(fal.mostPaid, 1);
	});
	await t.test("the books are right", async () => {
		const audit = await rendio.cli("audit");
		assert.equal(audit.code, 0, audit.stdout + audit.stderr);
	});
});

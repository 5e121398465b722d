// SPDX-License-Identifier: MIT
//
// Somebody who knows the URL of a job's webhook, or makes some up, sends reports
// that fal has not signed, as fast as he can.  All are refused, none is kept, fal
// is not asked for its keys each time, no program grows, a phone is served
// beside it, and what fal says itself is taken afterwards.
//
// RENDIO_FORGED (default 1500) says how many.

import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { Fal } from "../fakes/fal.mjs";
import { sql } from "../api/support/database.mjs";
import { assertAuditClean } from "../api/support/expect.mjs";
import { build, start, until } from "../api/support/instance.mjs";
import { creditsOf, endOf, orderJob } from "../api/support/jobs.mjs";
import { often } from "./chance.mjs";

const FORGED = Number(process.env.RENDIO_FORGED ?? often(6000));
const AT_ONCE = 32;
const PATH = "/functions/v1/fal-webhook/";
/** One program, resident, as tests/faults/floods.mjs has it. */
const PROGRAM_MIB_MAX = 64;
/** For a key that is not known fal is asked again, but seldom. */
const KEY_CALLS_MAX = 10;

const { privateKey } = generateKeyPairSync("ed25519");
let fal, rendio, ada, job_id, request;

before(async () => {
	fal = await Fal.start();
	rendio = await start({ env: { ...fal.env, RENDIO_FFMPEG: "",
		RENDIO_PROVIDER_POLL_FIRST_MS: "600000",
		RENDIO_PROVIDER_POLL_MAX_MS: "600000" } });
	fal.fetch = rendio.fetch;
	ada = await rendio.guest("ada");
	job_id = await orderJob(rendio, ada, {
		prompt: fal.script({ hook: "off" }) });
	request = await until(() => [...fal.requests.values()]
	    .find(({ state }) => state === "COMPLETED"));
	assert.ok(request);
});
after(async () => {
	await rendio.stop();
	await fal.stop();
});

const reports = async () => (await sql(rendio,
    "SELECT COUNT(*) AS n FROM provider_reports"))[0].n;

function sizeOf(pid) {
	try {
		return Number(fs.readFileSync(`/proc/${pid}/status`, "utf8")
		    .match(/^VmRSS:\s*(\d+)/m)?.[1] ?? 0) / 1024;
	} catch {
		return 0;	// It has just ended.
	}
}

/** What a stranger sends; the body is one that would end the job. */
function forge(i) {
	const body = fal.hookBody(request);
	const known = new URL(request.webhook).pathname;
	const made = `${PATH}${randomUUID()}.${randomBytes(16).toString("hex")}`;
	const signed = fal.sign(request.request_id, body, { key: privateKey });

	return [
		[known, signed, body],
		[known, { ...signed, "x-fal-webhook-signature": "" }, body],
		[known, { ...fal.sign(request.request_id, body) }, `${body} `],
		[known, fal.sign(request.request_id, body, { timestamp: 1 }), body],
		[made, signed, body],
	][i % 5];
}

test(`${FORGED} reports that fal has not signed change nothing`, async (t) => {
	const before = { reports: await reports(),
		spool: fs.readdirSync(rendio.file("spool")),
		credits: await creditsOf(rendio, ada) };
	const answers = {};
	let sent = 0, served = 0;

	const strangers = Array.from({ length: AT_ONCE }, async (_, n) => {
		while (sent < FORGED) {
			const [target, headers, body] = forge(sent++);
			// One of us, whom the router does not limit, and a stranger.
			const { status } = await rendio.request("POST", target, {
				headers, body, apikey: null,
				localAddress: n % 2 ? "127.0.0.1" : "127.0.0.9" });
			answers[status] = (answers[status] ?? 0) + 1;
		}
	});
	const phone = (async () => {
		for (; sent < FORGED; served++)
			assert.equal(await creditsOf(rendio, ada), before.credits);
	})();
	await Promise.all([...strangers, phone]);

	t.diagnostic(`${JSON.stringify(answers)}, ${served} answers beside them`);
	assert.ok(served > 0);
	for (const status of Object.keys(answers))
		assert.ok(["401", "404", "429"].includes(status), status);
	assert.ok(answers[401] > 0 && answers[404] > 0);
	assert.ok(fal.jwksCalls <= KEY_CALLS_MAX, `${fal.jwksCalls} calls`);
	assert.equal(await reports(), before.reports);
	assert.deepEqual(fs.readdirSync(rendio.file("spool")), before.spool);
	// A sanitiser has its own memory.
	for (const pid of build.endsWith("/build") ? rendio.members() : [])
		assert.ok(sizeOf(pid) < PROGRAM_MIB_MAX);
});

test("what fal says itself is taken afterwards", async () => {
	const body = fal.hookBody(request);
	const res = await rendio.request("POST",
	    new URL(request.webhook).pathname, { apikey: null, body,
		headers: fal.sign(request.request_id, body) });
	assert.equal(res.status, 200, res.text);
	assert.equal((await endOf(rendio, ada, job_id)).status, "completed");
	await assertAuditClean(rendio);
});

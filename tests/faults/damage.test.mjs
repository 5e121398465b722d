// SPDX-License-Identifier: MIT
//
// Bits of the database flip while nothing runs, or another file is put in its
// place.  Nobody crashes over it; an endpoint that still answers says what is
// true, or the audit says that something is wrong.
//
// RENDIO_FLIPS (default 15, with RENDIO_LONG=1 600) says how many; RENDIO_SEED
// repeats a run.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AppStore, post } from "../api/support/appstore.mjs";
import { sql } from "../api/support/database.mjs";
import { fastcgi } from "../api/support/fastcgi.mjs";
import { start } from "../api/support/instance.mjs";
import { creditsOf, endOf, historyOf, orderJob } from "../api/support/jobs.mjs";
import { chance, often } from "./chance.mjs";

const FLIPS = Number(process.env.RENDIO_FLIPS ?? often(60, 600));
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
/** The tables that say what somebody has; half of the bits are of them. */
const MONEY = ["users", "credit_lots", "hold_lots", "ledger_entries", "jobs",
	"purchases", "attempts"];
const ORDER = '{"prompt":"A sea","settings":{"duration":4}}';
const CLEAN_ENDS = ["SIGTERM", null];

let rendio, ada, whole, moneyPages, truth;
/** By a page's number, the table or index that has it. */
let tableOf;

before(async () => {
	rendio = await start({ env: { RENDIO_FFMPEG: "" } });
	ada = await rendio.guest("ada");
	const store = new AppStore(rendio);
	assert.equal((await post(rendio, ada, { signed_transaction:
	    store.sign(store.transaction()) })).status, 200);
	for (const prompt of ["A sea", "[fail:provider]"])
		await endOf(rendio, ada, await orderJob(rendio, ada,
		    { prompt, settings: { duration: 4 } }));
	truth = { credits: await creditsOf(rendio, ada),
		history: (await historyOf(rendio, ada)).entries };
	assert.ok(truth.history.length > 0);
	await rendio.halt();
	await sql(rendio, "PRAGMA wal_checkpoint(TRUNCATE)");
	tableOf = new Map((await sql(rendio, "SELECT pageno, name FROM dbstat"))
	    .map(({ pageno, name }) => [pageno, name]));
	moneyPages = [...tableOf.keys()]
	    .filter((pageno) => MONEY.includes(tableOf.get(pageno)));
	whole = fs.readFileSync(rendio.file("rendio.db"));
});
after(() => rendio.stop());

function put(bytes) {
	for (const end of ["", "-wal", "-shm"])
		fs.rmSync(rendio.file(`rendio.db${end}`), { force: true });
	fs.writeFileSync(rendio.file("rendio.db"), bytes, { mode: 0o600 });
}

/**
 * Asks one process of an endpoint, without a router; null when it would not
 * start.  It never dies by a signal of its own.
 */
async function ask(name, method, body = "") {
	const socket = rendio.file("run", `damage-${name}.sock`);
	fs.rmSync(socket, { force: true });
	const child = spawn("spawn-fcgi", ["-n", "-s", socket, "--",
		path.join(rendio.programs, "cgi-bin", name)],
	    { env: rendio.env, stdio: "ignore" });
	let how = null;
	const ended = new Promise((resolve) => child.once("exit",
	    (code, signal) => resolve(how = { code, signal })));
	const send = () => fastcgi(socket, {
		REQUEST_METHOD: method,
		REQUEST_URI: `/functions/v1/${name}`,
		QUERY_STRING: "",
		CONTENT_TYPE: "application/json",
		CONTENT_LENGTH: Buffer.byteLength(body),
		HTTP_APIKEY: rendio.anonKey,
		HTTP_AUTHORIZATION: `Bearer ${ada.access_token}`,
		HTTP_IDEMPOTENCY_KEY: randomUUID(),
		REQUEST_ID: "damage",
	}, body).catch(() => null);
	try {
		let res = null;
		while (how === null && res === null)
			res = await Promise.race([ended.then(() => null), send()]) ??
			    await sleep(5, null);
		return res;
	} finally {
		child.kill();
		const { signal } = await ended;
		assert.ok(CLEAN_ENDS.includes(signal), `${name}: ${signal}`);
	}
}

/** The operator's programs say what they find; true: they find nothing. */
async function isClean() {
	const audit = await rendio.cli("audit");
	// What a signal ended has no code.
	assert.ok([0, 1].includes(audit.code), JSON.stringify(audit));
	return audit.code === 0;
}

test(`${FLIPS} bits that flip crash nobody and invent no credits`, async (t) => {
	const random = chance(SEED);
	const below = (n) => Math.floor(random() * n);
	const page_bytes = whole.readUInt16BE(16);
	const seen = { audit: 0, endpoint: 0, nobody: 0 };

	t.diagnostic(`RENDIO_SEED=${SEED}`);
	for (let i = 0; i < FLIPS; i++) {
		let at;
		// What is not used is zero.
		do
			at = i % 2 ? below(whole.length) :
			    (moneyPages[below(moneyPages.length)] - 1) *
				page_bytes + below(page_bytes);
		while (whole[at] === 0);
		const bit = below(8);
		const bytes = Buffer.from(whole);
		bytes[at] ^= 1 << bit;
		const where = `bit ${bit} of byte ${at}, ${
		    tableOf.get(Math.floor(at / page_bytes) + 1)}`;

		put(bytes);
		const isGood = await isClean();
		const [credits, history] = await Promise.all([
			ask("get-user-credits", "GET"),
			ask("get-credit-history", "GET")]);
		const isServed = credits?.status === 200 &&
		    history?.status === 200;
		seen.audit += !isGood;
		seen.endpoint += !isServed;
		seen.nobody += isGood && isServed;
		if (isGood && credits?.status === 200)
			assert.equal(JSON.parse(credits.text).credits_remaining,
			    truth.credits, where);
		if (isGood && history?.status === 200)
			assert.deepEqual(JSON.parse(history.text).entries,
			    truth.history, where);
		// In a session or in the catalogue they are errors, no credits.
		if (i % 4 === 0)
			await ask("generate-video", "POST", ORDER);
	}
	t.diagnostic(`of ${FLIPS} the audit noticed ${seen.audit}, endpoints ${
	    seen.endpoint}; ${seen.nobody} changed no answer`);
});

for (const [what, make] of Object.entries({
	"half of it": () => whole.subarray(0, whole.length / 2),
	"nothing": () => Buffer.alloc(0),
	"a text": () => Buffer.from("It was here yesterday.\n".repeat(1000)),
	"its first page": () => whole.subarray(0, 4096),
}))
	test(`${what} in its place is said, and nobody is served from it`,
	    async () => {
		put(make());
		assert.equal(await isClean(), false);
		const doctor = await rendio.cli("doctor", "--offline");
		assert.equal(doctor.code, 1, doctor.stdout);
		for (const res of await Promise.all([
			ask("get-user-credits", "GET"),
			ask("generate-video", "POST", ORDER)]))
			assert.notEqual(res?.status, 200);
	});

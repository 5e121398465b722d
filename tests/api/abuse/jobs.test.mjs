// SPDX-License-Identifier: MIT
//
// What is tried against ordering videos (G), against jobs (J), and by whoever
// pretends to be the provider (W).  docs/abuse.md says where the rest of these
// rows is tested.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { Fal } from "../../fakes/fal.mjs";
import { AppStore, buy, notify, refunded } from "../support/appstore.mjs";
import { id, sql, whileLocked } from "../support/database.mjs";
import { assertAuditClean, assertError, assertPersonal }
    from "../support/expect.mjs";
import { start, until } from "../support/instance.mjs";
import { creditsOf, endOf, historyOf, order, orderJob, remove, startWorker,
	statusOf, stopWorker } from "../support/jobs.mjs";
import { upload } from "../support/pictures.mjs";

const F = "/functions/v1";
const FAST = "977be462-dfb8-511a-a3cd-011fb96a11c6";
const MICRO = "UPDATE jobs SET deadline_at_ms = 1, due_at_ms = 1 WHERE id = ";

let fal, rendio, ada, bob;

before(async () => {
	fal = await Fal.start();
	// Only what is told is learnt within the time of these tests.
	rendio = await start({ env: { ...fal.env,
		RENDIO_JOBS_OPEN_MAX_FREE: "20",
		RENDIO_PROVIDER_POLL_FIRST_MS: "600000",
		RENDIO_PROVIDER_POLL_MAX_MS: "600000" } });
	fal.fetch = rendio.fetch;
	[ada, bob] = [await rich("ada"), await rich("bob")];
});
after(async () => {
	await rendio.stop();
	await fal.stop();
});

async function rich(name, credits = 990) {
	const guest = await rendio.guest(name);
	await rendio.cli("user", "grant", guest.user_id, String(credits),
	    "--reason", "tests");
	return guest;
}

/** A job whose request has ended, which nobody has told us. */
async function silent(script = {}, guest = ada) {
	const prompt = fal.script({ hook: "off", tag: randomUUID(), ...script });
	const job_id = await orderJob(rendio, guest, { prompt });
	const request = await until(() => [...fal.requests.values()]
	    .find((request) => request.input.prompt === prompt &&
		request.state === "COMPLETED"), 20_000);
	assert.ok(request);
	return { job_id, request };
}

async function tell(request, body = fal.hookBody(request),
    headers = fal.sign(request.request_id, body), method = "POST") {
	return await rendio.request(method, new URL(request.webhook).pathname,
	    { headers, body, apikey: null });
}

async function jobsOf(guest, query = "") {
	return await rendio.request("GET", `${F}/get-video-jobs${query}`,
	    { bearer: guest.access_token });
}

const isOpen = async (job_id, guest = ada) =>
    (await statusOf(rendio, guest, job_id)).json().completed_at === null;

// --- ordering -----------------------------------------------------------------

test("G06 a key is good for as long as its job", async () => {
	const key = randomUUID();
	const first = await order(rendio, ada, {}, key);
	const { job_id } = assertPersonal(first);
	await endOf(rendio, ada, job_id);
	await sql(rendio, "UPDATE idempotency_records SET created_at_ms =" +
	    " created_at_ms - 30 * 86400000");
	// The worker has cleaned up, if it ever does.
	await orderJob(rendio, ada);
	await new Promise((resolve) => setTimeout(resolve, 3000));
	const before = await creditsOf(rendio, ada);
	const again = await order(rendio, ada, {}, key);
	assert.equal(again.text, first.text);
	assert.equal(await creditsOf(rendio, ada), before);
});

test("G07 a replay of what failed is not another order", async () => {
	const key = randomUUID();
	const body = { prompt: fal.script({ submit: "422", tag: "g07" }) };
	const first = await order(rendio, ada, body, key);
	const { job_id } = assertPersonal(first);
	assert.equal((await endOf(rendio, ada, job_id)).status, "failed");
	const before = await creditsOf(rendio, ada);
	const again = await order(rendio, ada, body, key);
	assert.equal(again.text, first.text);
	assert.equal(again.headers["x-idempotent-replay"], "true");
	assert.equal(await creditsOf(rendio, ada), before);
});

test("G08 a balance is a number that is not below zero", async () => {
	for (const value of ["NULL", "-1", "'x'", "1.5"])
		await assert.rejects(sql(rendio, "UPDATE users SET" +
		    ` credits_remaining = ${value}` +
		    ` WHERE id = ${id(ada.user_id)}`), value);
});

test("G10 charged, answered, listed and released is one number", async () => {
	for (const settings of [{ duration: 4 }, { duration: 8 },
		{ duration: 12 }, { duration: 8, resolution: "4k" }]) {
		const before = await creditsOf(rendio, ada);
		const { job_id, credits_used, credits_remaining } =
		    assertPersonal(await order(rendio, ada, { settings, prompt:
			fal.script({ submit: "422", tag: randomUUID() }) }));
		assert.equal(credits_remaining, before - credits_used);
		const end = await endOf(rendio, ada, job_id);
		assert.equal(end.credits_used, credits_used);
		assert.equal(end.credits_refunded, credits_used);
		assert.equal((await jobsOf(ada)).json().jobs.find((job) =>
		    job.job_id === job_id).credits_used, credits_used);
		assert.deepEqual((await historyOf(rendio, ada)).entries
		    .filter((entry) => entry.job_id === job_id)
		    .map(({ change }) => change), [credits_used, -credits_used]);
		assert.equal(await creditsOf(rendio, ada), before);
	}
});

test("G11 nobody names his own price", async () => {
	for (const more of [{ cost: 0, credits_used: 0, provider: "sandbox" },
		{ cost_credits: -100, model: { price: 0 } },
		{ settings: { cost: 0, price: 0, credits: 0 } }])
		assert.equal(assertPersonal(await order(rendio, ada, more))
		    .credits_used, 4);
});

test("G13 a new price is for new orders", async () => {
	await stopWorker(rendio);
	const before = await creditsOf(rendio, ada);
	const { job_id } = assertPersonal(await order(rendio, ada, { prompt:
	    fal.script({ submit: "422", tag: "g13" }) }));
	const [{ credits }] = await sql(rendio, "SELECT cost_credits AS credits" +
	    ` FROM jobs WHERE id = ${id(job_id)}`);
	assert.equal((await rendio.cli("model", "set", FAST,
	    "price.720p.audio=9000")).code, 0);
	await startWorker(rendio);
	const end = await endOf(rendio, ada, job_id);
	assert.equal(end.credits_refunded, credits);
	assert.equal(await creditsOf(rendio, ada), before);
	assert.equal((await rendio.cli("model", "set", FAST,
	    "price.720p.audio=1000")).code, 0);
});

test("G14 G15 a picture is one's own, and there", async () => {
	const name = `${bob.user_id}/${randomUUID()}.jpg`;
	assert.equal((await upload(rendio, bob, name)).status, 200);
	const ours = `${rendio.url}/storage/v1/object/public/thumbnails`;
	const tail = `storage/v1/object/public/thumbnails/${ada.user_id}/a.jpg`;
	const { port } = rendio;
	const answers = new Set();

	for (const image_url of [`http://127.0.0.1:${port}/${tail}`,
		"file:///etc/passwd", "http://169.254.169.254/latest/meta-data",
		`https://localhost:${port}/${tail}`,
		`https://2130706433:${port}/${tail}`,
		`https://0x7f000001:${port}/${tail}`,
		`https://127.1:${port}/${tail}`,
		`https://[::ffff:7f00:1]:${port}/${tail}`,
		`${rendio.url}@evil.example/${tail}`,
		`${rendio.url}.evil.example/${tail}`,
		`https://127.0.0.1.:${port}/${tail}`,
		`https://127.0.0.1:1/${tail}`,
		`https://x@127.0.0.1:${port}/${tail}`,
		`https://127.0.0.1:${port}\\@evil.example/${tail}`,
		"https://rendıo.example/a.jpg", `//127.0.0.1:${port}/${tail}`,
		"gopher://127.0.0.1/", "data:image/png;base64,AAAA",
		`${ours}/${ada.user_id}/%2e%2e/${bob.user_id}/a.jpg`,
		`${ours}/${name}`, `${ours}/${name}?x=1`, `${ours}/${name}#x`,
		`${ours}/${ada.user_id}/never.jpg`,
		`${rendio.url}/storage/v1/object/sign/videos/${ada.user_id}/a.mp4`,
		"x".repeat(10_000)]) {
		const res = await order(rendio, ada, { image_url });
		assertError(res, 400, "invalid_image_url");
		answers.add(res.json().error);
	}
	// Another's and none at all are told apart by nothing.
	assert.equal(answers.size, 1);
});

test("G16 what a prompt may be", async () => {
	for (const prompt of ["a\0b", "\u200b\n\t ".trim() && " \n\t ", "",
		"x".repeat(5001)])
		assert.equal((await order(rendio, ada, { prompt })).status, 400);
});

test("G18 G19 as many open jobs as are allowed, not one more, in parallel",
    async () => {
	const eve = await rich("eve");
	await stopWorker(rendio);
	const answers = await Promise.all(Array.from({ length: 30 }, () =>
	    order(rendio, eve)));
	assert.deepEqual(answers.map(({ status }) => status).sort(),
	    [...Array(20).fill(200), ...Array(10).fill(429)]);
	assertError(answers.find(({ status }) => status === 429), 429,
	    "too_many_jobs");
	// Deleting one frees its place, and gives its credits back once.
	const [{ job_id }] = (await jobsOf(eve)).json().jobs;
	assert.equal((await remove(rendio, eve, job_id)).status, 200);
	assertPersonal(await order(rendio, eve));
	assertError(await order(rendio, eve), 429, "too_many_jobs");
	assert.equal(await creditsOf(rendio, eve), 1000 - 20 * 4);
	for (const job of (await jobsOf(eve, "?limit=100")).json().jobs)
		await remove(rendio, eve, job.job_id);
	await startWorker(rendio);
	assert.equal(await creditsOf(rendio, eve), 1000);
});

test("G24 five megabytes for an answer", async () => {
	const prompt = fal.script({ tag: "g24", history: "off", hook: "off" });
	const calls = [];
	fal.onStep = async (at, request) => {
		if (at === "accepted" && request.input.prompt === prompt)
			calls.push(request);
	};
	const send = fal.answer;
	fal.answer = (request) => ({ ...send.call(fal, request),
		...request.input.prompt === prompt ?
		    { filler: "x".repeat(5 << 20) } : {} });
	const job_id = await orderJob(rendio, ada, { prompt });
	try {
		assert.ok(await until(async () => (await sql(rendio, "SELECT" +
		    ` state FROM attempts WHERE job_id = ${id(job_id)}`))[0]
		    .state === "unknown", 20_000));
	} finally {
		fal.answer = send;
		fal.onStep = async () => {};
	}
	assert.equal(calls.length, 1);
	// Its fate is told by the webhook all the same.
	assertPersonal(await tell(calls[0]));
	assert.equal((await endOf(rendio, ada, job_id)).status, "completed");
	assert.equal(fal.mostPaid, 1);
});

test("G28 who leaves when all is sent has ordered once", async () => {
	const eve = await rich("leaver");
	const left = () => rendio.accessLog().filter(({ path, status }) =>
	    path === `${F}/generate-video` && status === 499);
	const holds = {
		queued: async (during) => {
			const pids = rendio.pids("generate-video");
			pids.forEach((pid) => process.kill(pid, "SIGSTOP"));
			try {
				await during();
			} finally {
				pids.forEach((pid) => process.kill(pid, "SIGCONT"));
			}
		},
		"in flight": (during) => whileLocked(rendio, during),
	};

	for (const [how, hold] of Object.entries(holds)) {
		const key = randomUUID();
		const body = { prompt: `Seen by nobody, ${how}` };
		const before = await creditsOf(rendio, eve);
		const leftBefore = left().length;
		await hold(async () => {
			const text = JSON.stringify(body);
			assert.equal(await rendio.raw(
			    `POST ${F}/generate-video HTTP/1.1\r\nHost: a\r\n` +
			    `apikey: ${rendio.anonKey}\r\n` +
			    `Authorization: Bearer ${eve.access_token}\r\n` +
			    `Idempotency-Key: ${key}\r\n` +
			    "Content-Type: application/json\r\n" +
			    `Content-Length: ${text.length}\r\n\r\n${text}`, 1500),
			    "");
			assert.ok(await until(() => left().length > leftBefore), how);
		});
		const made = () => sql(rendio, "SELECT lower(hex(id)) AS id" +
		    ` FROM jobs WHERE user_id = ${id(eve.user_id)}` +
		    ` AND prompt = '${body.prompt}'`);
		assert.ok(await until(async () => (await made()).length > 0, 30_000),
		    how);
		const again = await order(rendio, eve, body, key);
		const { job_id } = assertPersonal(again);
		assert.equal(again.headers["x-idempotent-replay"], "true");
		assert.deepEqual(await made(), [{ id: job_id.replaceAll("-", "") }]);
		assert.equal((await endOf(rendio, eve, job_id)).status, "completed");
		assert.equal(await creditsOf(rendio, eve), before - 4);
		assert.equal((await historyOf(rendio, eve)).entries.filter((entry) =>
		    entry.reason === "hold" && entry.job_id === job_id).length, 1);
	}
});

test("G30 who is banned, owes or is gone orders nothing", async () => {
	const banned = await rich("banned");
	await rendio.cli("user", "ban", banned.user_id);
	assertError(await order(rendio, banned), 403, "user_banned");

	const gone = await rich("gone");
	await rendio.request("POST", `${F}/delete-account`,
	    { bearer: gone.access_token, body: {} });
	assertError(await order(rendio, gone), 401, "unauthorized");

	const store = new AppStore(rendio);
	const debtor = await rendio.guest("debtor");
	const transaction = store.transaction();
	await buy(rendio, debtor, store, transaction);
	for (let i = 0; i < 8; i++)
		await orderJob(rendio, debtor);
	assert.equal((await notify(rendio, store.notification("REFUND",
	    refunded(transaction, 1000)))).status, 200);
	assertError(await order(rendio, debtor), 402, "insufficient_credits");
});

test("G31 a prompt says nothing but itself", async () => {
	const { request: victim } = await silent();
	const prompt = `${victim.webhook}%0a&fal_webhook=http://evil.example/` +
	    '","webhook":"x","seed":1,"image_url":"http://evil.example';
	const job_id = await orderJob(rendio, ada, { prompt });
	const request = await until(() => [...fal.requests.values()]
	    .find(({ input }) => input.prompt === prompt), 20_000);

	assert.ok(request);
	assert.equal(request.input.image_url, undefined);
	assert.equal(request.input.webhook, undefined);
	assert.ok(request.webhook.startsWith(`${rendio.url}${F}/fal-webhook/`));
	assert.notEqual(request.webhook, victim.webhook);
	assert.equal((await endOf(rendio, ada, job_id)).status, "completed");
	assertPersonal(await tell(victim));
});

// --- jobs ---------------------------------------------------------------------

test("J01 J04 another's job is one that never was", async () => {
	const { job_id, request } = await silent();
	const calls = [
		(job) => statusOf(rendio, bob, job),
		(job) => remove(rendio, bob, job),
		(job) => rendio.request("POST", `${F}/cancel-video-job`,
		    { bearer: bob.access_token, body: { job_id: job } }),
		(job) => rendio.request("GET", `${F}/job-events?job_id=${job}`,
		    { bearer: bob.access_token }),
	];
	for (const call of calls) {
		const [theirs, nobodys] = [await call(job_id),
			await call(randomUUID())];
		assert.equal(theirs.status, 404, theirs.text);
		assert.equal(nobodys.status, 404, nobodys.text);
		assert.deepEqual({ ...theirs.json(), request_id: 0 },
		    { ...nobodys.json(), request_id: 0 });
	}
	assert.ok(await isOpen(job_id));
	assertPersonal(await tell(request));
	await endOf(rendio, ada, job_id);
});

test("J05 deleting what runs hides it, and the hold is settled once",
    async () => {
	const before = await creditsOf(rendio, ada);
	const { job_id, request } = await silent();
	assert.equal((await remove(rendio, ada, job_id)).status, 200);
	assertError(await statusOf(rendio, ada, job_id), 404, "job_not_found");
	assert.equal(await creditsOf(rendio, ada), before - 4);
	assertPersonal(await tell(request));
	assert.ok(await until(async () => (await sql(rendio, "SELECT" +
	    ` completed_at_ms AS t FROM jobs WHERE id = ${id(job_id)}`))[0].t,
	    20_000));
	assert.ok(await until(async () => (await sql(rendio, "SELECT 1 FROM" +
	    ` objects WHERE job_id = ${id(job_id)}`)).length === 0, 20_000),
	    "no file is kept");
});

test("J08 what is no id is no job", async () => {
	for (const job_id of ["", "x", "' OR 1=1", "../../x", "null",
		"00000000-0000-0000-0000-00000000000",
		"00000000-0000-0000-0000-0000000000000"]) {
		assertError(await statusOf(rendio, ada,
		    encodeURIComponent(job_id)), 400, "invalid_request");
		assertError(await remove(rendio, ada, job_id), 400,
		    "invalid_request");
	}
	assertError(await remove(rendio, ada, "x".repeat(1 << 20)), 413,
	    "payload_too_large");
	assert.ok([400, 414].includes((await statusOf(rendio, ada,
	    "x".repeat(10_000))).status));
});

test("J09 what is done stays done", async () => {
	const { job_id, request } = await silent();
	assertPersonal(await tell(request));
	const end = await endOf(rendio, ada, job_id);
	assert.equal(end.status, "completed");
	const before = await creditsOf(rendio, ada);
	request.script.result = "content";
	assertPersonal(await tell(request));
	await new Promise((resolve) => setTimeout(resolve, 500));
	assert.equal((await statusOf(rendio, ada, job_id)).json().status,
	    "completed");
	assert.equal(await creditsOf(rendio, ada), before);
});

test("J11 a cursor leads through one's own jobs only", async () => {
	const { jobs } = (await jobsOf(ada)).json();
	const theirs = (await jobsOf(bob, `?before=${jobs[0].job_id}`));
	for (const job of theirs.json().jobs ?? [])
		assert.ok(!jobs.some(({ job_id }) => job_id === job.job_id));
	for (const before of ["x", "", `${jobs[0].job_id}0`, "%00"])
		assertError(await jobsOf(ada, `?before=${before}`), 400,
		    "invalid_request");
});

test("J03 J12 who asks without pause is limited, others are not", async () => {
	const { job_id, request } = await silent();
	const seen = fal.requests.get(request.request_id).polls;
	const statuses = await Promise.all(Array.from({ length: 600 }, () =>
	    rendio.request("GET", `${F}/get-video-status?job_id=${job_id}`, {
		bearer: ada.access_token, localAddress: "127.0.0.2" })));
	const limited = statuses.filter(({ status }) => status === 429);
	assert.ok(limited.length > 0);
	assert.ok(Number(limited[0].headers["retry-after"]) >= 1);
	assert.ok(statuses.every(({ status }) => [200, 429].includes(status)));
	assert.equal((await rendio.request("GET",
	    `${F}/get-video-status?job_id=${job_id}`, {
		bearer: ada.access_token, localAddress: "127.0.0.3" })).status,
	    200);
	assert.equal(fal.requests.get(request.request_id).polls, seen);
	assertPersonal(await tell(request));
	await endOf(rendio, ada, job_id);
});

// --- who pretends to be the provider ------------------------------------------

test("W02 W03 W04 signatures that are none", async () => {
	const { job_id, request } = await silent();
	const body = fal.hookBody(request);
	const good = fal.sign(request.request_id, body);
	const signature = good["x-fal-webhook-signature"];
	const now = Math.floor(Date.now() / 1000);
	const s = Buffer.from(signature, "hex");
	const order = (1n << 252n) + 27742317777372353535851937790883648493n;
	let plus = order + [...s.subarray(32)].reverse()
	    .reduce((sum, byte) => sum << 8n | BigInt(byte), 0n);
	const more = Buffer.from(s);
	for (let i = 32; i < 64; i++, plus >>= 8n)
		more[i] = Number(plus & 255n);
	const bad = { "odd": signature.slice(1), "127 digits":
	    signature.slice(0, 127), "blanks": ` ${signature.slice(1)}`,
		"S + L": more.toString("hex"), "zero": "0".repeat(128),
		"base64": s.toString("base64"), "0x":
		    `0x${signature.slice(2)}` };
	for (const [what, text] of Object.entries(bad)) {
		const res = await tell(request, body, { ...good,
			"x-fal-webhook-signature": text });
		assert.equal(res.status, 401, what);
	}
	for (const timestamp of [now + 310, now - 310, `+${now}`, "1e9", "",
		`${now}.0`, ` ${now}`, "0x7fffffff", "-1", "9".repeat(30)])
		assert.ok([400, 401].includes((await tell(request, body,
		    { ...fal.sign(request.request_id, body,
			{ timestamp }) })).status), String(timestamp));
	for (const other of [body.replace(": ", ":"), body + "\n",
		JSON.stringify(JSON.parse(body))])
		assertError(await tell(request, other, good), 401,
		    "unauthorized");
	assert.ok(await isOpen(job_id));
	assertPersonal(await tell(request, body, good));
	await endOf(rendio, ada, job_id);
});

test("W02 a key of small order signs nothing", async () => {
	const { job_id, request } = await silent();
	const body = fal.hookBody(request);
	const keys = fal.keys;
	// With the neutral element as key, S = 0 and R = A would be good.
	const x = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]);
	const weak = { export: () => ({ kty: "OKP", crv: "Ed25519",
		x: x.toString("base64url") }) };
	fal.keys = [...keys, { publicKey: weak, isPublished: true }];
	try {
		const res = await tell(request, body, {
			...fal.sign(request.request_id, body),
			"x-fal-webhook-signature": Buffer.concat([x,
				Buffer.alloc(32)]).toString("hex") });
		assert.ok([401, 503].includes(res.status), res.text);
	} finally {
		fal.keys = keys;
	}
	assert.ok(await isOpen(job_id));
	assertPersonal(await tell(request));
	await endOf(rendio, ada, job_id);
});

test("W06 W11 the same word fifty times at once, and another beside it",
    async () => {
	const before = await creditsOf(rendio, ada);
	const { job_id, request } = await silent();
	const body = fal.hookBody(request);
	for (const res of await Promise.all(Array.from({ length: 50 }, () =>
	    tell(request, body))))
		assertPersonal(res);
	assert.equal((await endOf(rendio, ada, job_id)).status, "completed");
	assert.equal(await creditsOf(rendio, ada), before - 4);

	const failing = await silent({ result: "provider" });
	const word = fal.hookBody(failing.request);
	// Its deadline is now, it is asked about now, and it is told now; what
	// was told first may have ended it already.
	await Promise.all([sql(rendio, MICRO + id(failing.job_id) +
	    " AND due_at_ms IS NOT NULL"),
		...Array.from({ length: 10 }, () =>
		    tell(failing.request, word))]);
	const end = await endOf(rendio, ada, failing.job_id);
	assert.equal(end.status, "failed");
	assert.equal(await creditsOf(rendio, ada), before - 4);
	assert.equal((await historyOf(rendio, ada)).entries.filter((entry) =>
	    entry.job_id === failing.job_id && entry.change > 0).length, 1);
});

test("W07 W08 signed words about requests that are not this one", async () => {
	const [one, other] = [await silent(), await silent({}, bob)];
	const body = fal.hookBody(other.request);
	assertPersonal(await tell(one.request, body,
	    fal.sign(other.request.request_id, body)));
	const strange = fal.hookBody({ ...one.request,
		request_id: randomUUID() });
	assertPersonal(await tell(one.request, strange,
	    fal.sign(JSON.parse(strange).request_id, strange)));
	assert.ok(await until(() => rendio.log().filter((line) =>
	    line.includes("report_of_other_request") &&
	    line.includes('"error"')).length >= 2, 20_000), "an alarm");
	assert.ok(await isOpen(one.job_id));
	assert.ok(await isOpen(other.job_id, bob));
	for (const [guest, { job_id, request }] of [[ada, one], [bob, other]]) {
		assertPersonal(await tell(request));
		assert.equal((await endOf(rendio, guest, job_id)).status,
		    "completed");
	}
});

test("W12 a result that is to be had inside is not fetched", async () => {
	for (const url of ["http://127.0.0.1:1/x.mp4", "file:///etc/passwd",
		"http://169.254.169.254/latest/meta-data",
		"https://evil.example/x.mp4", `${fal.url}@evil.example/x.mp4`,
		"http://[::1]/x.mp4"]) {
		const { job_id, request } = await silent();
		const output = fal.output;
		fal.output = () => ({ video: { url } });
		const body = fal.hookBody(request);
		fal.output = output;
		assertPersonal(await tell(request, body));
		const end = await endOf(rendio, ada, job_id);
		assert.equal(end.status, "failed", url);
		assert.equal(end.error_code, "provider_protocol", url);
		assert.equal(end.credits_refunded, end.credits_used);
	}
});

test("W13 a word that is too long, too deep or full of large numbers",
    async () => {
	const { job_id, request } = await silent();
	const sign = (body) => fal.sign(request.request_id, body);
	const big = "x".repeat((1 << 20) + 1);
	assertError(await tell(request, big, sign(big)), 413,
	    "payload_too_large");
	const deep = `{"request_id":"${request.request_id}","status":"OK",` +
	    `"payload":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
	assertError(await tell(request, deep, sign(deep)), 400,
	    "invalid_request");
	const body = fal.hookBody(request);
	assert.ok(body.includes("17454220438242315174"));
	assertPersonal(await tell(request, body));
	assert.equal((await endOf(rendio, ada, job_id)).status, "completed");
});

test("W15 a word that says two things says nothing", async () => {
	const { job_id, request } = await silent();
	const body = fal.hookBody(request).replace('"status": "OK"',
	    '"status": "OK", "status": "ERROR"');
	const res = await tell(request, body,
	    fal.sign(request.request_id, body));
	assert.ok([200, 400].includes(res.status), res.text);
	assert.ok(res.status === 200 || await isOpen(job_id));
	if (res.status === 400)
		assertPersonal(await tell(request));
	assert.equal((await endOf(rendio, ada, job_id)).status, "completed");
});

test("W16 other ways of knocking", async () => {
	const { job_id, request } = await silent();
	for (const method of ["GET", "PUT", "DELETE"])
		assertError(await tell(request, undefined, {}, method), 405,
		    "method_not_allowed");
	assert.equal((await tell(request, undefined, {}, "HEAD")).status, 405);
	const { pathname } = new URL(request.webhook);
	const body = fal.hookBody(request);
	const res = await rendio.request("POST",
	    `${pathname}?${"a".repeat(9000)}`, { body, apikey: null,
		headers: fal.sign(request.request_id, body) });
	assert.ok([400, 414].includes(res.status));
	assert.ok(await isOpen(job_id));
	assertPersonal(await tell(request));
	await endOf(rendio, ada, job_id);
});

test("after all this the books are in order, and nothing was paid twice",
    async () => {
	assert.equal(fal.mostPaid, 1);
	await assertAuditClean(rendio);
});

// SPDX-License-Identifier: MIT

import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { id, sql } from "./support/database.mjs";
import { assertNotLogged, assertPersonal, stopClean }
    from "./support/expect.mjs";
import { identityToken } from "./support/identity.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, order, orderJob, remove, startWorker, statusOf,
    stopWorker } from "./support/jobs.mjs";
import { Stream, userEvents } from "./support/streams.mjs";
import { badTokens, expiredToken, flipBit, forge } from "./support/tokens.mjs";

let rendio;

before(async () => {
	rendio = await start({ env: { RENDIO_STREAMS_PER_ADDRESS_MAX: "3" } });
});
after(() => stopClean(rendio));

function grant(guest, credits) {
	return rendio.cli("user", "grant", guest.user_id, String(credits),
	    "--reason", "test");
}

async function ticketOf(guest) {
	return assertPersonal(await rendio.request("POST",
	    "/functions/v1/stream-ticket",
	    { bearer: guest.access_token, body: {} })).ticket;
}

/** A stream past the router, of a client that has stopped reading. */
async function rawStream(guest) {
	const socket = net.connect({ path: rendio.file("run", "realtime.sock"),
		readableHighWaterMark: 1 });
	const state = { text: "", closed: false };
	socket.setEncoding("utf8");
	socket.on("error", () => {});
	socket.on("close", () => { state.closed = true; });
	socket.write("GET /user-events HTTP/1.1\r\nHost: rendio\r\n" +
	    `X-Rendio-Apikey: ${rendio.anonKey}\r\n` +
	    `X-Rendio-Authorization: Bearer ${guest.access_token}\r\n\r\n`);
	await new Promise((resolve) => socket.once("readable", resolve));
	socket.pause();
	socket.on("data", (part) => { state.text += part; });
	return { socket, state };
}

/** What a stream that is refused says. */
function assertRefused(stream, status, code) {
	assert.equal(stream.status, status, stream.text);
	assert.equal(stream.headers["content-type"], "application/json");
	assert.equal(stream.headers["cache-control"], "no-store");
	assert.equal(stream.json().code, code);
	assert.equal(stream.json().request_id,
	    stream.headers["x-request-id"]);
}

test("the first message is the present state, the next ones the changes",
    async () => {
	const ada = await rendio.guest("ada");
	const stream = await userEvents(rendio, ada);

	assert.equal(stream.status, 200);
	assert.equal(stream.headers["content-type"], "text/event-stream");
	assert.equal(stream.headers["cache-control"], "no-store");
	assert.equal(stream.headers["content-encoding"], undefined);
	const first = await stream.wait(() => true);
	assert.equal(first.event, "snapshot");
	assert.match(first.id, /^\d+$/);
	assert.deepEqual(first.data, { credits_remaining: 10, jobs: [],
		next_before: null, poll_after_ms: 30000 });
	assert.ok(stream.retry_ms >= 2000 && stream.retry_ms < 5000);

	const began = performance.now();
	const jobId = await orderJob(rendio, ada);
	const told = await stream.wait((m) => m.data.job_id === jobId);
	assert.equal(told.event, "job");
	assert.equal(told.data.credits_remaining, 6);
	if (process.env.RENDIO_BUILD === "build")
		assert.ok(told.at - began < 3000);

	const last = await stream.wait((m) => m.data.status === "completed",
	    30_000);
	const { credits_remaining, ...job } = last.data;
	const status = (await statusOf(rendio, ada, jobId)).json();
	delete status.credits_remaining;
	// Links are made anew each time, and the frame comes a little later.
	job.thumbnail_url = status.thumbnail_url;
	assert.match(job.video_url, /\/object\/sign\/videos\//);
	job.video_url = status.video_url;
	assert.deepEqual(job, status);
	assert.equal(credits_remaining, await creditsOf(rendio, ada));
	const ids = stream.messages.map((m) => Number(m.id));
	assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => a - b));
	stream.close();
});

test("a change of the balance alone is told as such", async () => {
	const guest = await rendio.guest("rich");
	const stream = await userEvents(rendio, guest);
	await stream.wait((m) => m.event === "snapshot");

	assert.equal((await grant(guest, 7)).code, 0);
	const told = await stream.wait((m) => m.event === "balance");
	assert.deepEqual(told.data, { credits_remaining: 17 });
	stream.close();
});

test("a deleted job is told as gone", async () => {
	const guest = await rendio.guest("tidy");
	const jobId = await orderJob(rendio, guest);
	const stream = await userEvents(rendio, guest);
	const first = await stream.wait((m) => m.event === "snapshot");
	assert.equal(first.data.jobs[0].job_id, jobId);

	assert.equal((await remove(rendio, guest, jobId)).status, 200);
	const told = await stream.wait((m) => m.event === "deleted");
	assert.deepEqual(told.data, { job_id: jobId });
	stream.close();
});

test("nobody is told of another's jobs", async () => {
	const [guest, other] = await Promise.all(["mine", "other"].map((name) =>
	    rendio.guest(name)));
	const stream = await userEvents(rendio, guest);
	await stream.wait((m) => m.event === "snapshot");

	const jobId = await orderJob(rendio, other);
	await endOf(rendio, other, jobId);
	await grant(guest, 1);
	await stream.wait((m) => m.event === "balance");
	assert.equal(stream.messages.length, 2);
	assert.ok(!JSON.stringify(stream.messages).includes(jobId));
	stream.close();
});

/** A guest with credits, and the stream that he has lost. */
async function loseConnection(name) {
	const guest = await rendio.guest(name);
	await grant(guest, 100);
	const before = await userEvents(rendio, guest);
	await before.wait((m) => m.event === "snapshot");
	before.close();
	return { guest, before };
}

test("Last-Event-ID brings what was missed, in order, and no snapshot",
    async () => {
	const { guest, before } = await loseConnection("tunnel");

	await stopWorker(rendio);
	const jobs = [];
	for (let i = 0; i < 3; i++)
		jobs.push(await orderJob(rendio, guest));
	await grant(guest, 1);
	await remove(rendio, guest, jobs[0]);
	for (const options of [
		{ headers: { "last-event-id": before.last_id } },
		{ query: `?last_event_id=${before.last_id}` },
	]) {
		const after = await userEvents(rendio, guest, options);
		await after.wait((m) => m.event === "deleted");
		assert.deepEqual(after.messages.map((m) =>
		    [m.event, m.data.job_id]), [["job", jobs[1]],
			["job", jobs[2]], ["balance", undefined],
			["deleted", jobs[0]]]);
		const ids = after.messages.map((m) => Number(m.id));
		assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
		assert.ok(ids[0] > Number(before.last_id));
		after.close();
	}
	await startWorker(rendio);
});

/** Five of the longest prompts: more than waits for a slow client. */
const LONG = { prompt: "🌊".repeat(5000) };
const LONG_COUNT = 5;

test("who missed more than we keep for a client is told all of it, too",
    async () => {
	const { guest, before } = await loseConnection("mountains");
	await stopWorker(rendio);
	const jobs = [];
	for (let i = 0; i < LONG_COUNT; i++)
		jobs.unshift(await orderJob(rendio, guest, LONG));

	const stream = await userEvents(rendio, guest,
	    { headers: { "last-event-id": before.last_id } });
	const { event, data } = await stream.wait(() => true);
	assert.equal(event, "snapshot");
	assert.ok(stream.retry_ms >= 2000);
	const told = data.jobs.map((job) => job.job_id);
	if (data.next_before !== null) {
		const rest = await rendio.request("GET",
		    `/functions/v1/get-video-jobs?before=${data.next_before}`,
		    { bearer: guest.access_token });
		told.push(...rest.json().jobs.map((job) => job.job_id));
	}
	assert.deepEqual(told, jobs);
	await grant(guest, 1);
	await stream.wait((m) => m.event === "balance");
	assert.equal(stream.messages.length, 2);
	stream.close();
	await startWorker(rendio);
});

test("a long snapshot is no fault of a client that reads slowly", async () => {
	const guest = await rendio.guest("slow-link");
	await grant(guest, 100);
	await stopWorker(rendio);
	for (let i = 0; i < LONG_COUNT; i++)
		await orderJob(rendio, guest, LONG);
	const { socket, state } = await rawStream(guest);

	for (let i = 0; i < 3; i++)
		await orderJob(rendio, guest, LONG);
	await grant(guest, 1);
	await sleep(1500); // The engine has told it by now, or dropped it.
	socket.resume();
	assert.ok(await until(() => state.text.includes("event: balance")));
	assert.equal(state.closed, false);
	assert.equal(state.text.match(/^event: job$/gm).length, 3);
	socket.destroy();
	await startWorker(rendio);
});

test("an id that we did not give out, or long ago, brings a snapshot",
    async () => {
	const [guest, other] = await Promise.all(["forger", "victim"].map(
	    (name) => rendio.guest(name)));
	const theirs = await userEvents(rendio, other);
	await theirs.wait((m) => m.event === "snapshot");
	theirs.close();
	const mine = await userEvents(rendio, guest);
	await mine.wait((m) => m.event === "snapshot");
	mine.close();

	for (const forged of ["-1", "0", "x", "1 OR 1", "1e3", " 1",
		"9223372036854775807", "9223372036854775808",
		"9".repeat(4000), theirs.last_id]) {
		const stream = await userEvents(rendio, guest,
		    { headers: { "last-event-id": forged } });
		const first = await stream.wait(() => true);
		assert.equal(first.event, "snapshot", forged);
		assert.equal(first.id, mine.last_id);
		stream.close();
	}
	await sql(rendio, `UPDATE events SET created_at_ms = created_at_ms
	    - 6 * 86400000 WHERE user_id = ${id(guest.user_id)}`);
	const stream = await userEvents(rendio, guest,
	    { headers: { "last-event-id": mine.last_id } });
	assert.equal((await stream.wait(() => true)).event, "snapshot");
	stream.close();
});

test("a ticket opens one stream, and nothing else", async () => {
	const guest = await rendio.guest("browser");
	const ticket = await ticketOf(guest);
	const query = `?ticket=${ticket}&apikey=${rendio.anonKey}`;

	const stream = await userEvents(rendio, null, { query, apikey: null });
	assert.equal(stream.status, 200);
	await stream.wait((m) => m.event === "snapshot");
	assertRefused(await userEvents(rendio, null, { query, apikey: null }),
	    401, "unauthorized");
	const res = await rendio.request("GET", "/functions/v1/get-user-credits",
	    { bearer: await ticketOf(guest) });
	assert.equal(res.status, 401);
	for (const bad of [guest.access_token, "", "x",
		flipBit(await ticketOf(guest), 1)])
		assertRefused(await userEvents(rendio, null,
		    { query: `?ticket=${bad}` }), 401, "unauthorized");
	// A ticket is a right of the session that bought it.
	const late = await ticketOf(guest);
	await rendio.request("POST", "/auth/v1/logout?scope=global",
	    { bearer: guest.access_token });
	await stream.end();
	assertRefused(await userEvents(rendio, null,
	    { query: `?ticket=${late}` }), 401, "unauthorized");
	await assertNotLogged(rendio, { ticket, "access token":
	    guest.access_token });
});

test("without the app's key, a user or a good token there is no stream",
    async () => {
	const guest = await rendio.guest("door");
	const open = (options) => userEvents(rendio, guest, options);

	assertRefused(await open({ apikey: null }), 401, "invalid_api_key");
	assertRefused(await open({ apikey: "x" }), 401, "invalid_api_key");
	assertRefused(await open({ bearer: null }), 401, "unauthorized");
	assertRefused(await open({ bearer: rendio.anonKey }), 401,
	    "unauthorized");
	assertRefused(await open({ headers: { authorization: "Basic x" },
		bearer: null }), 401, "unauthorized");
	for (const bad of Object.values(badTokens(rendio, guest)))
		assertRefused(await open({ bearer: bad }), 401, "unauthorized");
	assertRefused(await open({ bearer: expiredToken(rendio, guest) }), 401,
	    "token_expired");
	assertRefused(await open({ query: "?a=%zz" }), 400, "invalid_request");
	const post = await open({ method: "POST" });
	assertRefused(post, 405, "method_not_allowed");
	assert.equal(post.headers.allow, "GET");
	const other = await Stream.open(rendio, "/functions/v1/user-event%73",
	    { bearer: guest.access_token });
	assertRefused(other, 404, "not_found");
	await rendio.cli("user", "ban", guest.user_id);
	assertRefused(await open(), 403, "user_banned");
});

test("the end of a session, a ban and a deletion end the stream", async () => {
	const ends = {
		"logout": (guest) => rendio.request("POST",
		    "/auth/v1/logout?scope=global",
		    { bearer: guest.access_token }),
		"ban": (guest) => rendio.cli("user", "ban", guest.user_id),
		"delete": (guest) => rendio.request("POST",
		    "/functions/v1/delete-account",
		    { bearer: guest.access_token, body: {} }),
	};

	await Promise.all(Object.entries(ends).map(async ([name, end]) => {
		const guest = await rendio.guest(`end-${name}`);
		const stream = await userEvents(rendio, guest);
		await stream.wait((m) => m.event === "snapshot");
		await end(guest);
		const last = await stream.end();
		assert.equal(last.event, "end", name);
		assert.deepEqual(last.data, { reason: "signed_out" });
	}));
});

test("the eleventh session pushes the oldest one's stream out", async () => {
	const guest = await rendio.guest("many");
	const stream = await userEvents(rendio, guest);
	await stream.wait((m) => m.event === "snapshot");

	// Another phone's worth of sign-ins, without the limit on those.
	for (let i = 0; i < 10; i++)
		assert.equal((await rendio.cli("token", guest.user_id)).code, 0);
	assert.deepEqual((await stream.end()).data, { reason: "signed_out" });
});

test("a stream ends with its token, and one of the others does not",
    async () => {
	const guest = await rendio.guest("short");
	const brief = forge(rendio, guest,
	    { exp: Math.floor(Date.now() / 1000) + 2 });
	const [stream, other] = await Promise.all([
		userEvents(rendio, guest, { bearer: brief }),
		userEvents(rendio, guest)]);

	assert.deepEqual((await stream.end()).data,
	    { reason: "token_expired" });
	await grant(guest, 1);
	await other.wait((m) => m.event === "balance");
	other.close();
});

test("of nine streams of a user the oldest makes room", async () => {
	const guest = await rendio.guest("nine");
	const streams = [];
	for (let i = 0; i < 9; i++) {
		streams.push(await userEvents(rendio, guest));
		await streams[i].wait((m) => m.event === "snapshot");
		await sleep(2);
	}

	assert.deepEqual((await streams[0].end()).data, { reason: "replaced" });
	await grant(guest, 1);
	for (const stream of streams.slice(1)) {
		await stream.wait((m) => m.event === "balance");
		assert.equal(stream.ended, false);
		stream.close();
	}
});

test("an address has as many streams as it may, and no more", async () => {
	const guest = await rendio.guest("mast");
	const from = { localAddress: "127.0.0.3" };
	const streams = [];
	for (let i = 0; i < 3; i++) {
		streams.push(await userEvents(rendio, guest, from));
		assert.equal(streams[i].status, 200);
	}
	const fourth = await userEvents(rendio, guest, from);

	assertRefused(fourth, 429, "rate_limited");
	assert.match(fourth.headers["retry-after"], /^\d+$/);
	assert.equal((await userEvents(rendio, guest)).status, 200);
	streams.pop().close();
	assert.ok(await until(async () => {
		const stream = await userEvents(rendio, guest, from);
		stream.close();
		return stream.status === 200;
	}));
	streams.forEach((stream) => stream.close());
});

test("the heir of a guest is told of the jobs that came", async () => {
	const heir = await rendio.guest("heir");
	const guest = await rendio.guest("merged");
	const jobId = await orderJob(rendio, guest);
	const sign = async (bearer) => {
		const token = await identityToken(rendio, "heir-of-guest");
		return assertPersonal(await rendio.request("POST",
		    "/functions/v1/merge-guest-user",
		    { bearer, body: { identity_token: token } }));
	};
	const { access_token } = await sign(heir.access_token);
	const stream = await userEvents(rendio, { access_token });
	await stream.wait((m) => m.event === "snapshot");

	await sign(guest.access_token);
	await stream.wait((m) => m.data.job_id === jobId);
	stream.close();
});

test("who does not read is dropped, and the engine stays small", async () => {
	const guest = await rendio.guest("slow");
	await grant(guest, 1000);
	const { socket, state } = await rawStream(guest);

	const began = Date.now();
	for (let i = 0; i < 24; i++)
		await orderJob(rendio, guest, LONG);
	// The kill is seen by who reads on.
	socket.resume();
	assert.ok(await until(() => state.closed, 10_000));
	assert.ok(Date.now() - began < 60_000);
	const status = fs.readFileSync(
	    `/proc/${rendio.supervised("realtime")}/status`, "utf8");
	if (process.env.RENDIO_BUILD === "build")
		assert.ok(Number(status.match(/VmRSS:\s*(\d+)/)[1]) < 40_000);
});

test("the engine's death breaks streams and nothing else", async () => {
	const guest = await rendio.guest("dead");
	const stream = await userEvents(rendio, guest);
	await stream.wait((m) => m.event === "snapshot");
	const old = await ticketOf(guest);

	const pid = rendio.supervised("realtime");
	process.kill(pid, "SIGKILL");
	const res = await order(rendio, guest);
	assert.equal(res.status, 200);
	await stream.end();
	assert.ok(await until(() => rendio.supervised("realtime") !== pid));
	const back = await until(async () => {
		const next = await userEvents(rendio, guest,
		    { headers: { "last-event-id": stream.last_id } });
		return next.status === 200 && next;
	});
	const told = await back.wait(() => true);
	assert.equal(told.data.job_id, res.json().job_id);
	assert.equal(told.event, "job");
	// Nobody knows any more whether this one was used.
	assertRefused(await userEvents(rendio, null, { query: `?ticket=${old}` }),
	    401, "unauthorized");
	back.close();
});

test("the engine has no powers and no secrets that it does not need",
    async () => {
	const status = fs.readFileSync(
	    `/proc/${rendio.supervised("realtime")}/status`, "utf8");

	assert.match(status, /^CapEff:\s*0+$/m);
	assert.match(status, /^CapPrm:\s*0+$/m);
	assert.match(status, /^NoNewPrivs:\s*1$/m);
	const socket = fs.statSync(rendio.file("run", "realtime.sock"));
	assert.equal(socket.mode & 0o777, 0o660);
});

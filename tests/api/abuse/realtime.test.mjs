// SPDX-License-Identifier: MIT
//
// What is tried with connections that stay open (R).  docs/abuse.md says where
// the rest of these rows is tested.

import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { id, sql } from "../support/database.mjs";
import { assertError, stopClean } from "../support/expect.mjs";
import { start, until } from "../support/instance.mjs";
import { endOf, orderJob, startWorker, stopWorker }
    from "../support/jobs.mjs";
import { Phoenix } from "../support/phoenix.mjs";
import { Stream } from "../support/streams.mjs";

const EVENTS = "/functions/v1/user-events";

let rendio, ada, bob, engine;

before(async () => {
	rendio = await start();
	[ada, bob] = [await rendio.guest("ada"), await rendio.guest("bob")];
	engine = rendio.supervised("realtime");
	assert.ok(engine > 1);
});
after(() => stopClean(rendio));

/** A websocket of our own making: what a test wants is written as it is. */
async function raw() {
	const socket = tls.connect({ host: "127.0.0.1", port: rendio.port,
		ca: rendio.ca });
	let got = Buffer.alloc(0);
	socket.on("data", (part) => { got = Buffer.concat([got, part]); });
	socket.on("error", () => {});
	const closed = new Promise((resolve) => socket.on("close", resolve));
	await new Promise((resolve) => socket.on("secureConnect", resolve));
	socket.write("GET /realtime/v1/websocket?vsn=2.0.0&apikey=" +
	    `${rendio.anonKey} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n` +
	    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`);
	assert.ok(await until(() => got.includes("\r\n\r\n"), 10_000));
	assert.match(got.toString("latin1"), /^HTTP\/1\.1 101/);
	return { socket, closed };
}

/** A frame: first byte, payload; masked unless it is not to be. */
function frame(first, payload, { masked = true, length } = {}) {
	const bytes = Buffer.from(payload);
	const n = length ?? bytes.length;
	const head = n < 126 ? Buffer.from([first, n]) :
	    Buffer.alloc(n < 65536 ? 4 : 10);
	if (n >= 126) {
		head[0] = first;
		head[1] = n < 65536 ? 126 : 127;
		if (n < 65536)
			head.writeUInt16BE(n, 2);
		else
			head.writeBigUInt64BE(BigInt(n), 2);
	}
	if (masked)
		head[1] |= 0x80;
	return Buffer.concat([head, masked ? Buffer.alloc(4) : Buffer.alloc(0),
		bytes]);
}

async function isWell() {
	const client = await Phoenix.open(rendio);
	assert.equal((await client.ask("phoenix", "heartbeat")).payload.status,
	    "ok");
	client.close();
	assert.equal(rendio.supervised("realtime"), engine);
}

test("R01 R02 nobody hears of another's jobs", async () => {
	const thief = await Phoenix.open(rendio);
	for (const [topic, token, filter] of [
		["realtime:a", undefined, `user_id=eq.${bob.user_id}`],
		["realtime:b", rendio.anonKey, `user_id=eq.${bob.user_id}`],
		["realtime:c", "x", undefined],
		["realtime:d", ada.access_token, `user_id=eq.${bob.user_id}`],
		["realtime:e", ada.access_token, "user_id=neq.x"],
		["realtime:f", ada.access_token, `id=in.(${randomUUID()})`],
		["realtime:*", ada.access_token, undefined],
		[`realtime:${bob.user_id}`, ada.access_token, undefined]])
		await thief.join(topic, token, { filter, event: "*" });
	const stream = await Stream.open(rendio, EVENTS,
	    { bearer: ada.access_token });
	const job_id = await orderJob(rendio, bob, { prompt: "canary of bob" });
	await endOf(rendio, bob, job_id);
	// What is Ada's own comes last, so that all else had its time.
	const own = await orderJob(rendio, ada);
	await endOf(rendio, ada, own);
	await stream.wait((message) => JSON.stringify(message).includes(own));
	for (const text of [JSON.stringify(thief.got),
		JSON.stringify(stream.messages)])
		for (const trace of ["canary", job_id])
			assert.ok(!text.includes(trace), trace);
	thief.close();
	stream.close();
});

test("R05 frames that are none end their connection alone", async () => {
	for (const [what, bytes] of Object.entries({
		"unmasked": frame(0x81, "{}", { masked: false }),
		"a reserved bit": frame(0xc1, "{}"),
		"a reserved opcode": frame(0x83, "{}"),
		"a ping of 126 bytes": frame(0x89, "x".repeat(126)),
		"a ping in pieces": frame(0x09, "x"),
		"a piece of nothing": frame(0x80, "x"),
		"10 MB": frame(0x81, "x".repeat(70_000), { length: 10 << 20 }),
		"2^63": frame(0x81, "x", { length: 2 ** 62 }),
		"not UTF-8": frame(0x81, Buffer.from([0xff, 0xfe, 0x80])),
	})) {
		const { socket, closed } = await raw();
		socket.write(bytes);
		// More of it, in case that it waits for the rest.
		for (let i = 0; i < 8; i++)
			socket.write(Buffer.alloc(65_536, 0x20));
		assert.ok(await Promise.race([closed.then(() => true),
			new Promise((resolve) => setTimeout(resolve, 30_000))]),
		    what);
	}
	await isWell();
});

test("R05 pieces without an end, and pings without a pause", async () => {
	const endless = await raw();
	endless.socket.write(frame(0x01, "x"));
	for (let i = 0; i < 200; i++)
		endless.socket.write(frame(0x00, "x".repeat(1000)));
	await endless.closed;
	const noisy = await raw();
	for (let i = 0; i < 2000; i++)
		noisy.socket.write(frame(0x89, "x"));
	await isWell();
	noisy.socket.destroy();
});

test("R07 any Last-Event-ID at all", async () => {
	const values = ["", "0", "-1", "1", "9223372036854775807",
		"18446744073709551616", "1e9", "0x10", "a", "%s%s%n", "..",
		`${"9".repeat(4000)}`, "1:2", ",", "1,2", "\u00ff", "' OR 1=1",
		...Array.from({ length: 200 }, () => randomBytes(12)
		    .toString("base64"))];
	for (const value of values) {
		const stream = await Stream.open(rendio, EVENTS, {
			bearer: ada.access_token,
			headers: { "last-event-id": value } })
		    .catch(() => null);
		assert.ok(stream === null || [200, 400, 429, 431]
		    .includes(stream.status), value);
		stream?.close();
	}
	for (const value of ["0", "-1", "x", "1".repeat(30)])
		assert.ok((await rendio.request("GET",
		    `/functions/v1/job-events?job_id=${randomUUID()}` +
		    `&last_event_id=${value}`, { bearer: ada.access_token }))
		    .status >= 400);
	await isWell();
});

test("R08 nobody else speaks or looks in", async () => {
	for (const path of ["/realtime/v1/api/broadcast", "/realtime/v1/",
		"/realtime/v1/websocket/", "/pub", "/publish", "/nchan_stub_status",
		"/realtime/v1/api/tenants/x/health"])
		for (const method of ["GET", "POST"]) {
			const res = await rendio.request(method, path,
			    { bearer: ada.access_token });
			assert.equal(res.status, 404, `${method} ${path}`);
		}
	assertError(await rendio.request("POST", EVENTS,
	    { bearer: ada.access_token, body: {} }), 405, "method_not_allowed");
	const client = await Phoenix.open(rendio);
	await client.join("realtime:x", ada.access_token);
	const other = await Phoenix.open(rendio);
	await other.join("realtime:x", bob.access_token);
	client.send("realtime:x", "broadcast", { type: "broadcast",
		event: "canary", payload: { a: 1 } });
	await other.ask("phoenix", "heartbeat");
	assert.ok(!JSON.stringify(other.got).includes("canary"));
	client.close();
	other.close();
	await isWell();
});

test("R09 who was told nothing learns the end by asking", async () => {
	const cleo = await rendio.guest("cleo");
	const open = (headers) => Stream.open(rendio, EVENTS,
	    { bearer: cleo.access_token, headers });
	const [stays, leaves] = await Promise.all([open(), open()]);
	for (const stream of [stays, leaves])
		await stream.wait((message) => message.event === "snapshot");
	const socket = await Phoenix.open(rendio);
	assert.equal((await socket.join("realtime:x", cleo.access_token))
	    .payload.status, "ok");

	// The one is gone before there is anything to tell.
	leaves.close();
	await stopWorker(rendio);
	const job_id = await orderJob(rendio, cleo);
	await stays.wait(({ data }) => data.job_id === job_id);
	await startWorker(rendio);
	assert.equal((await endOf(rendio, cleo, job_id)).status, "completed");
	assert.equal(leaves.messages.length, 1);

	// The others were told of each step in its order, up to the newest.
	const isEnd = ({ data }) => data.job_id === job_id &&
	    data.status === "completed";
	await stays.wait(isEnd);
	assert.ok(await until(() => socket.changes("realtime:x")
	    .some(({ record }) => record.status === "completed"), 10_000));
	const [{ newest }] = await sql(rendio, "SELECT MAX(id) AS newest FROM" +
	    ` events WHERE user_id = ${id(cleo.user_id)}`);
	assert.ok(await until(() => Number(stays.last_id) === newest, 10_000));
	const told = stays.messages.filter(({ data }) =>
	    data.job_id === job_id);
	assert.deepEqual([...new Set(told.map(({ data }) => data.status))],
	    ["pending", "processing", "completed"]);
	assert.ok(isEnd(told.at(-1)));

	// Whoever comes back with what it knew last is told what it missed.
	const back = await open({ "last-event-id": leaves.last_id });
	await back.wait(isEnd);
	for (const stream of [stays, back])
		stream.close();
	socket.close();
});

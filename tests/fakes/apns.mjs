// SPDX-License-Identifier: MIT
//
// Apple's push service, on loopback, over real HTTP/2 (without TLS): it checks
// what Apple checks of a request and answers in Apple's words.
//
//	const apns = await Apns.start();
//	const rendio = await start({ env: apns.env });
//	apns.answers.set(token, { status: 410, reason: "Unregistered" });
//
// apns.sent are the messages that phones got, apns.calls all of them.

import { createPrivateKey, createPublicKey, randomUUID, verify }
    from "node:crypto";
import fs from "node:fs";
import http2 from "node:http2";
import path from "node:path";
import { fileURLToPath } from "node:url";

const KEY_FILE = fileURLToPath(new URL("../vectors/apple/testSigningKey.p8",
    import.meta.url));
const KEY_ID = "APNS23DEFG";
const TEAM_ID = "DEF123GHIJ";
const TOPIC = "com.rendioai.app";
const HOUR_S = 3600;
const PAYLOAD_BYTES_MAX = 4096;

const publicKey = createPublicKey(createPrivateKey(
    fs.readFileSync(KEY_FILE, "utf8")));
const decode = (part) => JSON.parse(Buffer.from(part, "base64url"));

/** What Apple says of a provider token; null when it is good. */
function bearerFault(header) {
	const match = /^bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/i.exec(header ?? "");
	if (!match)
		return "MissingProviderToken";
	const [, head, claims, signature] = match;
	const { alg, kid } = decode(head);
	const { iss, iat } = decode(claims);
	const now_s = Date.now() / 1000;
	if (alg !== "ES256" || kid !== KEY_ID || iss !== TEAM_ID ||
	    !verify("sha256", Buffer.from(`${head}.${claims}`), {
		key: publicKey, dsaEncoding: "ieee-p1363" },
		Buffer.from(signature, "base64url")))
		return "InvalidProviderToken";
	return iat > now_s + 60 || iat < now_s - HOUR_S ?
	    "ExpiredProviderToken" : null;
}

export class Apns {
	sent = []; // { token, headers, payload }
	calls = []; // { token, status, reason, bearer }
	/** By phone: { status, reason, timestamp, times, hold }. */
	answers = new Map();
	/** Of all phones, likewise; null = none. */
	answer = null;
	sessions = new Set();
	connections = 0;

	static async start() {
		const fake = new Apns();
		fake.server = http2.createServer();
		fake.server.on("session", (session) => {
			fake.connections++;
			fake.sessions.add(session);
			session.on("close", () => fake.sessions.delete(session));
			session.on("error", () => {});
		});
		fake.server.on("stream", (stream, headers) => {
			const chunks = [];
			stream.on("error", () => {});
			stream.on("data", (chunk) => chunks.push(chunk));
			stream.on("end", () => fake.take(stream, headers,
			    Buffer.concat(chunks)));
		});
		await fake.listen(0);
		return fake;
	}

	async listen(port) {
		await new Promise((resolve) =>
		    this.server.listen(port, "127.0.0.1", resolve));
		this.port = this.server.address().port;
	}

	async stop() {
		for (const session of this.sessions)
			session.destroy();
		await new Promise((resolve) => this.server.close(resolve));
	}

	get env() {
		return {
			RENDIO_ALLOW_PRIVATE_UPSTREAMS: "1",
			RENDIO_APPLE_TEAM_ID: TEAM_ID,
			RENDIO_APNS_URL: `http://127.0.0.1:${this.port}`,
			RENDIO_APNS_KEY_ID: KEY_ID,
			RENDIO_APNS_KEY_FILE: path.resolve(KEY_FILE),
			RENDIO_APNS_TOPIC: TOPIC,
		};
	}

	/** Apple's own checks, in its order. */
	judge(headers, payload) {
		const fault = bearerFault(headers.authorization);
		if (fault)
			return { status: 403, reason: fault };
		if (headers[":method"] !== "POST")
			return { status: 405, reason: "MethodNotAllowed" };
		if (!/^\/3\/device\/[0-9a-f]+$/.test(headers[":path"]))
			return { status: 404, reason: "BadPath" };
		if (headers["apns-topic"] !== TOPIC)
			return { status: 400, reason: "BadTopic" };
		if (headers["apns-push-type"] !== "alert")
			return { status: 400, reason: "InvalidPushType" };
		if (!/^\d+$/.test(headers["apns-expiration"]))
			return { status: 400, reason: "BadExpirationDate" };
		if ((headers["apns-collapse-id"] ?? "").length > 64)
			return { status: 400, reason: "BadCollapseId" };
		if (payload.length > PAYLOAD_BYTES_MAX)
			return { status: 413, reason: "PayloadTooLarge" };
		return { status: 200 };
	}

	/** What was told to be answered, as often as it was. */
	scripted(token) {
		const script = this.answers.get(token) ?? this.answer;
		if (!script || script.times === 0)
			return null;
		if (script.times !== undefined)
			script.times--;
		return script;
	}

	take(stream, headers, payload) {
		const token = headers[":path"].split("/").at(-1);
		let verdict = this.judge(headers, payload);
		if (verdict.status === 200)
			verdict = this.scripted(token) ?? verdict;
		this.calls.push({ token, ...verdict,
			bearer: headers.authorization });
		if (verdict.hold)
			return;
		if (verdict.reset)
			return stream.session.destroy();
		if (verdict.status === 200)
			this.sent.push({ token, headers,
				payload: JSON.parse(payload) });
		stream.respond({ ":status": verdict.status,
			"apns-id": randomUUID() },
		    { endStream: verdict.status === 200 });
		if (verdict.status !== 200)
			stream.end(JSON.stringify({ reason: verdict.reason,
				timestamp: verdict.timestamp }));
	}
}

// SPDX-License-Identifier: MIT
//
// Apple's DeviceCheck, on loopback: it keeps two bits for each phone, checks
// the developer's token as Apple does, and answers in Apple's words; on demand
// it fails in each way that Apple, or the network before it, can.
//
//	const apple = await DeviceCheck.start();
//	const rendio = await start({ env: apple.env });
//	apple.fault({ path: "/v1/query_two_bits", status: 503 });
//
// A phone's tokens come from apple.token("name"): the same name is the same
// phone, each token is another.  apple.calls is the journal.

import { createPublicKey, createPrivateKey, randomBytes, verify } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

const KEY_FILE = fileURLToPath(new URL("../vectors/apple/testSigningKey.p8",
    import.meta.url));
const KEY_ID = "ABC123DEFG";
const TEAM_ID = "DEF123GHIJ";
/* Apple's tokens have some two thousand letters. */
const TOKEN_BYTES = 1536;
const HOUR_S = 3600;

const TEXT = {
	payload: "Missing or incorrectly formatted device token payload",
	bits: "Missing or incorrectly formatted bits",
	time: "Missing or incorrectly formatted time stamp",
	authorization: "Missing or badly formatted authorization token",
	unverified: "Unable to verify authorization token",
	never: "Failed to find bit state",
};

const publicKey = createPublicKey(createPrivateKey(
    fs.readFileSync(KEY_FILE, "utf8")));

const decode = (part) => JSON.parse(Buffer.from(part, "base64url"));

/** What is wrong with the developer's token: [status, text], or null. */
function authorizationFault(header) {
	const match = /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(header ?? "");
	if (!match)
		return [400, TEXT.authorization];
	const [, head, claims, signature] = match;
	const now_s = Date.now() / 1000;
	try {
		const { alg, kid } = decode(head);
		const { iss, iat } = decode(claims);
		const bytes = Buffer.from(signature, "base64url");
		if (alg === "ES256" && kid === KEY_ID && iss === TEAM_ID &&
		    Number.isInteger(iat) && iat <= now_s + 60 &&
		    iat > now_s - HOUR_S && bytes.length === 64 &&
		    verify("sha256", Buffer.from(`${head}.${claims}`),
			{ key: publicKey, dsaEncoding: "ieee-p1363" }, bytes))
			return null;
	} catch {
		/* Not JSON. */
	}
	return [401, TEXT.unverified];
}

export class DeviceCheck {
	constructor() {
		this.phones = new Map();	// name -> { bit0, bit1, month }
		this.tokens = new Map();	// token -> name
		this.calls = [];
		this.faults = [];
		this.transactions = new Set();
		this.delay_ms = 0;
		this.server = http.createServer((req, res) => {
			const chunks = [];
			req.on("data", (chunk) => chunks.push(chunk));
			req.on("end", () => this.take(req, res,
			    Buffer.concat(chunks).toString()));
		});
	}

	static async start() {
		const apple = new DeviceCheck();
		await new Promise((resolve) =>
		    apple.server.listen(0, "127.0.0.1", resolve));
		return apple;
	}

	async stop() {
		this.server.closeAllConnections();
		await new Promise((resolve) => this.server.close(resolve));
	}

	/** The settings with which an instance asks here. */
	get env() {
		const { port } = this.server.address();
		return {
			RENDIO_ALLOW_PRIVATE_UPSTREAMS: "1",
			RENDIO_DEVICECHECK_URL: `http://127.0.0.1:${port}`,
			RENDIO_DEVICECHECK_KEY_ID: KEY_ID,
			RENDIO_DEVICECHECK_KEY_FILE: path.resolve(KEY_FILE),
			RENDIO_APPLE_TEAM_ID: TEAM_ID,
		};
	}

	/** A new token of a phone. */
	token(name) {
		const token = randomBytes(TOKEN_BYTES).toString("base64");
		this.tokens.set(token, name);
		return token;
	}

	/** The bits of a phone; { bit0: false, bit1: false } when never set. */
	bits(name) {
		const { bit0, bit1 } = this.phones.get(name) ??
		    { bit0: false, bit1: false };
		return { bit0, bit1 };
	}

	setBits(name, bit0, bit1) {
		this.phones.set(name, { bit0, bit1,
			month: new Date().toISOString().slice(0, 7) });
	}

	/**
	 * The next calls fail: path (default any), times (default 1, Infinity),
	 * and how:
	 *	status, text	this answer (the call has no effect)
	 *	effect: true	the call has its effect all the same
	 *	hang: true	no answer at all
	 *	drip_ms		a byte of the answer at a time
	 *	reset: true	the connection breaks
	 */
	fault(fault) {
		this.faults.push({ times: 1, ...fault });
	}

	heal() {
		this.faults = [];
	}

	nextFault(url) {
		const fault = this.faults.find((f) =>
		    f.times > 0 && (f.path === undefined || f.path === url));
		if (fault)
			fault.times--;
		return fault;
	}

	take(req, res, text) {
		const fault = this.nextFault(req.url);
		const call = { path: req.url, at_ms: Date.now() };
		const answer = (status, body, type = "text/plain") => {
			call.status = status;
			res.writeHead(status, { "content-type": type,
				"content-length": Buffer.byteLength(body) });
			res.end(body);
		};

		this.calls.push(call);
		const [status, body, type] = fault && !fault.effect &&
		    !fault.drip_ms && !fault.hang && !fault.reset ?
		    [fault.status, fault.text ?? ""] :
		    fault && (fault.hang || fault.reset) && !fault.effect ?
		    [0, ""] : this.serve(req, text, call);
		if (fault?.hang)
			return;
		if (fault?.reset) {
			req.socket.destroy();
			return;
		}
		if (fault?.drip_ms) {
			this.drip(res, fault.text ?? body, fault.drip_ms);
			return;
		}
		setTimeout(() => fault?.effect ?
		    answer(fault.status ?? status, fault.text ?? body) :
		    answer(status, body, type), this.delay_ms);
	}

	drip(res, text, drip_ms) {
		let at = 0;
		const timer = setInterval(() => {
			if (at === text.length || res.destroyed) {
				clearInterval(timer);
				res.end();
			} else
				res.write(text[at++]);
		}, drip_ms);
		res.writeHead(200, { "content-type": "application/json" });
		res.flushHeaders();
	}

	serve(req, text, call) {
		if (req.method !== "POST")
			return [405, "Method Not Allowed"];
		const refused = authorizationFault(req.headers.authorization);
		if (refused)
			return refused;
		let body;
		try {
			body = JSON.parse(text);
		} catch {
			return [400, TEXT.payload];
		}
		call.body = body;
		const name = this.tokens.get(body.device_token);
		if (name === undefined)
			return [400, TEXT.payload];
		call.phone = name;
		if (!Number.isInteger(body.timestamp) ||
		    Math.abs(body.timestamp - Date.now()) > HOUR_S * 1000)
			return [400, TEXT.time];
		if (typeof body.transaction_id !== "string" ||
		    this.transactions.has(body.transaction_id))
			return [400, "Bad transaction"];
		this.transactions.add(body.transaction_id);

		if (req.url === "/v1/query_two_bits") {
			const phone = this.phones.get(name);
			return phone === undefined ? [200, TEXT.never] :
			    [200, JSON.stringify({ bit0: phone.bit0,
				bit1: phone.bit1,
				last_update_time: phone.month }),
				"application/json"];
		}
		if (req.url !== "/v1/update_two_bits")
			return [404, "Not Found"];
		if (typeof body.bit0 !== "boolean" ||
		    typeof body.bit1 !== "boolean")
			return [400, TEXT.bits];
		this.setBits(name, body.bit0, body.bit1);
		return [200, ""];
	}

	/** How often a path was called, of one phone when it is given. */
	count(url, phone) {
		return this.calls.filter((call) => call.path === url &&
		    (phone === undefined || call.phone === phone)).length;
	}
}

export const QUERY = "/v1/query_two_bits";
export const UPDATE = "/v1/update_two_bits";

// SPDX-License-Identifier: MIT
//
// Apple ID as its facts say: keys that rotate, codes that work once, consents
// that can be revoked; and faults on demand.
//
//	const apple = await AppleId.start({ dir, clientId });
//	const rendio = await start({ env: apple.env });
//	const identity_token = apple.token({ sub: "001.ada" });
//	apple.fault = "500";		// of all that is asked from now on

import { createHash, createPublicKey, generateKeyPairSync, randomUUID, sign,
    verify } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";

const TEAM_ID = "TEAM123456";
const KEY_ID = "SIWAKEY123";

const encode = (value) =>
    Buffer.from(JSON.stringify(value)).toString("base64url");
const decode = (text) => JSON.parse(Buffer.from(text, "base64url"));
export const now_s = () => Math.floor(Date.now() / 1000);
export const hashNonce = (raw) =>
    createHash("sha256").update(raw).digest("hex");

export class AppleId {
	/** How many calls there were, by path. */
	calls = { "/auth/keys": 0, "/auth/token": 0, "/auth/revoke": 0 };
	/**
	 * "garbage", "reset", "hang", "late" (it takes effect, but the answer
	 * is lost), "keyless", a status as "500", or an error of Apple's as
	 * "invalid_client"; or null.
	 */
	fault = null;
	/** The same by refresh token, of what is asked about it. */
	faultsOf = new Map();
	/** Of each answer. */
	delay_ms = 0;
	keys = [];
	codes = new Map();
	/** Living refresh tokens, and all that were revoked. */
	consents = new Map();
	revoked = [];

	static async start({ dir, clientId = "com.example.app",
	    teamId = TEAM_ID }) {
		const apple = new AppleId();
		apple.clientId = clientId;
		apple.teamId = teamId;
		apple.rotate();
		// The key of Sign in with Apple that a developer downloads.
		const { privateKey, publicKey } = generateKeyPairSync("ec",
		    { namedCurve: "prime256v1" });
		apple.secretKey = publicKey;
		apple.keyFile = path.join(dir, "siwa.p8");
		fs.writeFileSync(apple.keyFile,
		    privateKey.export({ type: "pkcs8", format: "pem" }));
		apple.server = http.createServer((req, res) =>
		    apple.serve(req, res));
		await new Promise((resolve) =>
		    apple.server.listen(0, "127.0.0.1", resolve));
		apple.url = `http://127.0.0.1:${apple.server.address().port}`;
		return apple;
	}

	async stop() {
		this.server.closeAllConnections();
		await new Promise((resolve) => this.server.close(resolve));
	}

	get env() {
		return {
			RENDIO_APPLEID_URL: this.url,
			RENDIO_APPLEID_CLIENT_IDS: `com.example.old, ${this.clientId}`,
			RENDIO_APPLEID_KEY_ID: KEY_ID,
			RENDIO_APPLEID_KEY_FILE: this.keyFile,
			RENDIO_APPLE_TEAM_ID: this.teamId,
			RENDIO_ALLOW_PRIVATE_UPSTREAMS: "1",
		};
	}

	/** Signs with a new key from now on; the last two are published. */
	rotate({ isPublished = true } = {}) {
		const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
		this.keys.unshift({ ...pair, kid: randomUUID().slice(0, 10),
			isPublished });
		this.keys.splice(2);
	}

	get keySet() {
		return { keys: this.keys.filter((key) => key.isPublished)
		    .map(({ publicKey, kid }) => ({
			...publicKey.export({ format: "jwk" }),
			kid, use: "sig", alg: "RS256" })) };
	}

	/** Signs claims as they are. */
	sign(claims, { key = this.keys[0], header = {} } = {}) {
		const text = `${encode({ kid: key.kid, alg: "RS256", ...header })}.` +
		    encode(claims);
		return `${text}.${sign("sha256", Buffer.from(text), key.privateKey)
		    .toString("base64url")}`;
	}

	/** An identity token; undefined takes a claim away. */
	token({ nonce, ...claims } = {}, options) {
		return this.sign({
			iss: "https://appleid.apple.com",
			aud: this.clientId,
			exp: now_s() + 600,
			iat: now_s(),
			sub: "001.ada",
			...nonce === undefined ? {} : { nonce: hashNonce(nonce) },
			c_hash: randomUUID(),
			email_verified: "true",
			is_private_email: "true",
			auth_time: now_s(),
			nonce_supported: true,
			real_user_status: 2,
			...claims,
		}, options);
	}

	/** A server-to-server notification: the value of "payload". */
	notification(event, claims = {}, options) {
		return this.sign({
			iss: "https://appleid.apple.com",
			aud: this.clientId,
			iat: now_s(),
			exp: now_s() + 3600,
			jti: randomUUID(),
			events: JSON.stringify({ event_time: Date.now(), ...event }),
			...claims,
		}, options);
	}

	/** An authorization code of somebody. */
	code(sub) {
		const code = `c${randomUUID()}.0.test`;
		this.codes.set(code, sub);
		return code;
	}

	serve(req, res) {
		const chunks = [];

		req.on("data", (chunk) => chunks.push(chunk));
		req.on("end", () => {
			const { pathname } = new URL(req.url, this.url);
			const form = new URLSearchParams(
			    Buffer.concat(chunks).toString());
			this.calls[pathname]++;
			this.reply(req, res, pathname, form,
			    this.faultsOf.get(form.get("token")) ?? this.fault);
		});
	}

	reply(req, res, pathname, form, fault) {
		const send = (status, text, type = "application/json") =>
		    setTimeout(() => {
			res.writeHead(status, { "content-type": type,
				"content-length": Buffer.byteLength(text) });
			res.end(text);
		}, this.delay_ms);

		if (fault === "hang")
			return;
		if (fault === "keyless") {
			send(200, '{"keys":[]}');
			return;
		}
		if (fault === "garbage" || fault > 0) {
			send(fault > 0 ? Number(fault) : 200,
			    "<html>not today</html>", "text/html");
			return;
		}
		const [status, body] = [null, "late"].includes(fault) ?
		    this.answer(req, pathname, form) :
		    [400, { error: fault }];
		if (["reset", "late"].includes(fault))
			req.socket.resetAndDestroy();
		else
			send(status, body === null ? "" : JSON.stringify(body));
	}

	answer(req, pathname, form) {
		if (req.method === "GET" && pathname === "/auth/keys")
			return [200, this.keySet];
		if (req.method !== "POST" ||
		    req.headers["content-type"] !==
			"application/x-www-form-urlencoded")
			return [400, { error: "invalid_request" }];
		if (!this.isClient(form))
			return [400, { error: "invalid_client" }];
		if (pathname === "/auth/token")
			return this.grant(form);
		if (pathname === "/auth/revoke")
			return this.revoke(form);
		return [404, { error: "invalid_request" }];
	}

	/** Is the client secret what TN3107 wants? */
	isClient(form) {
		const [head, body, mac] = (form.get("client_secret") ?? "").split(".");
		try {
			const header = decode(head), claims = decode(body);
			return verify("sha256", Buffer.from(`${head}.${body}`),
			    { key: this.secretKey, dsaEncoding: "ieee-p1363" },
			    Buffer.from(mac, "base64url")) &&
			    header.alg === "ES256" && header.kid === KEY_ID &&
			    claims.iss === this.teamId &&
			    claims.aud === "https://appleid.apple.com" &&
			    claims.sub === form.get("client_id") &&
			    claims.sub === this.clientId &&
			    claims.iat <= now_s() + 5 && claims.exp > now_s() &&
			    claims.exp - claims.iat <= 15777000;
		} catch {
			return false;
		}
	}

	grant(form) {
		if (form.get("grant_type") !== "authorization_code")
			return [400, { error: "unsupported_grant_type" }];
		const sub = this.codes.get(form.get("code"));
		if (!this.codes.delete(form.get("code")))
			return [400, { error: "invalid_grant" }];
		const refresh_token = `r${randomUUID()}.0.test`;
		this.consents.set(refresh_token, sub);
		return [200, { access_token: `a${randomUUID()}`,
			token_type: "Bearer", expires_in: 3600, refresh_token,
			id_token: this.token({ sub }) }];
	}

	/** A dead token is revoked with success, too. */
	revoke(form) {
		if (!form.get("token"))
			return [400, { error: "invalid_request" }];
		this.consents.delete(form.get("token"));
		this.revoked.push(form.get("token"));
		return [200, null];
	}
}

/** The public half in a form that an HS256 forger would use as a secret. */
export function publicPem(key) {
	return createPublicKey(key.privateKey).export({ type: "spki",
		format: "pem" });
}

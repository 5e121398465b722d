// SPDX-License-Identifier: MIT
// Access tokens as we would never give them out, signed with the real key.

import { createHmac, randomUUID } from "node:crypto";
import fs from "node:fs";

const encode = (value) =>
    Buffer.from(JSON.stringify(value)).toString("base64url");

/** What a token says, unchecked. */
export function claimsOf(token) {
	return JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
}

export function signingKey(rendio) {
	const [kid, hex] = fs.readFileSync(rendio.file("keys", "jwt"), "utf8")
	    .trim().split("\n")[0].split(" ");
	return { kid, secret: Buffer.from(hex, "hex") };
}

/**
 * The token of a guest with other claims or another header; undefined takes
 * a member away.
 */
export function forge(rendio, guest, claims = {}, { header = {}, secret } = {}) {
	const key = signingKey(rendio);
	const text = [
		encode({ alg: "HS256", kid: key.kid, typ: "JWT", ...header }),
		encode({ ...claimsOf(guest.access_token), ...claims }),
	].join(".");
	const mac = createHmac("sha256", secret ?? key.secret).update(text)
	    .digest("base64url");
	return `${text}.${mac}`;
}

/** Changes one bit of the part of a token: 0 header, 1 claims, 2 signature. */
export function flipBit(token, part) {
	const parts = token.split(".");
	const bytes = Buffer.from(parts[part], "base64url");
	bytes[bytes.length >> 1] ^= 1;
	parts[part] = bytes.toString("base64url");
	return parts.join(".");
}

/** Tokens that nobody may be let in with, by what is wrong with them. */
export function badTokens(rendio, guest) {
	const now_s = Math.floor(Date.now() / 1000);
	const good = guest.access_token;
	const [head, body, mac] = good.split(".");

	return {
		"garbage": "garbage",
		"three parts of garbage": "a.b.c",
		"two parts": `${head}.${body}`,
		"four parts": `${good}.${mac}`,
		"no signature": `${head}.${body}.`,
		"padding": `${good}=`,
		"a longer signature": `${good}AA`,
		"a bit of the header flipped": flipBit(good, 0),
		"a bit of the claims flipped": flipBit(good, 1),
		"a bit of the signature flipped": flipBit(good, 2),
		"alg none": `${encode({ alg: "none", typ: "JWT" })}.${body}.`,
		"alg none, with our signature":
		    forge(rendio, guest, {}, { header: { alg: "none" } }),
		"alg HS512": forge(rendio, guest, {}, { header: { alg: "HS512" } }),
		"another kid": forge(rendio, guest, {}, { header: { kid: "k9" } }),
		"no kid": forge(rendio, guest, {}, { header: { kid: undefined } }),
		"one more header member":
		    forge(rendio, guest, {}, { header: { jku: "https://a/" } }),
		"another key": forge(rendio, guest, {},
		    { secret: Buffer.alloc(32) }),
		"the anon key as key": forge(rendio, guest, {},
		    { secret: Buffer.from(rendio.anonKey) }),
		"another issuer": forge(rendio, guest,
		    { iss: "https://example.com/auth/v1" }),
		"an issuer that begins like ours": forge(rendio, guest,
		    { iss: `${rendio.url}/auth/v1/` }),
		"no issuer": forge(rendio, guest, { iss: undefined }),
		"another audience": forge(rendio, guest, { aud: "anon" }),
		"a list of audiences":
		    forge(rendio, guest, { aud: ["authenticated"] }),
		"another role": forge(rendio, guest, { role: "service_role" }),
		"issued tomorrow":
		    forge(rendio, guest, { iat: now_s + 24 * 3600 }),
		"no expiry": forge(rendio, guest, { exp: undefined }),
		"an expiry in words": forge(rendio, guest, { exp: "2099" }),
		"no subject": forge(rendio, guest, { sub: undefined }),
		"a subject that is no UUID": forge(rendio, guest, { sub: "me" }),
		"no session": forge(rendio, guest, { session_id: undefined }),
	};
}

/** Good in every respect, but their session is not. */
export function lostTokens(rendio, guest, other) {
	return {
		session_not_found: forge(rendio, guest,
		    { session_id: randomUUID() }),
		user_not_found: forge(rendio, guest, { sub: randomUUID() }),
		/* The session of another user. */
		another: forge(rendio, guest,
		    { session_id: claimsOf(other.access_token).session_id }),
	};
}

export function expiredToken(rendio, guest) {
	const now_s = Math.floor(Date.now() / 1000);
	return forge(rendio, guest, { iat: now_s - 7200, exp: now_s });
}

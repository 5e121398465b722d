// SPDX-License-Identifier: MIT
// Admins: made by the operator's tool, signed in as the pages do it.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { until } from "./instance.mjs";
import { sql } from "./database.mjs";

export const PASSWORD = "correct horse battery staple";
const SESSION = "/functions/v1/admin-session";
const STEP_MS = 30_000;

/** The bytes of a secret in base32. */
function bytesOf(secret) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	const bits = [...secret].map((letter) =>
	    letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
	return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

/** RFC 6238, by another hand than ours. */
export function codeOf(secret, now_ms = Date.now()) {
	const counter = Buffer.alloc(8);
	counter.writeBigUInt64BE(BigInt(Math.floor(now_ms / STEP_MS)));
	const mac = createHmac("sha1", bytesOf(secret)).update(counter).digest();
	const at = mac[19] & 15;
	return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000)
	    .padStart(6, "0");
}

/** `rendio admin add`: { name, secret, url }. */
export async function addAdmin(rendio, name, password = PASSWORD,
    verb = "add") {
	const { code, stdout, stderr } = await rendio.cliWith(
	    { input: `${password}\n` }, "admin", verb, name);
	assert.equal(code, 0, stderr);
	return {
		name,
		secret: /^secret +([A-Z2-7]{32})$/m.exec(stdout)[1],
		url: /^otpauth +(\S+)$/m.exec(stdout)[1],
	};
}

/** POST admin-session; what is given replaces what is right. */
export async function trySignIn(rendio, admin, { localAddress, ...wrong } = {}) {
	return await rendio.request("POST", SESSION, { apikey: null, localAddress,
		body: { name: admin.name, password: PASSWORD,
			code: codeOf(admin.secret), ...wrong } });
}

/** The token of a session; a code that was taken is as if it never was. */
export async function signIn(rendio, admin) {
	await sql(rendio, `UPDATE admins SET totp_step = 0
	    WHERE name = '${admin.name}'`);
	const res = await until(async () => {
		const got = await trySignIn(rendio, admin);
		return got.status !== 401 && got;
	}, 10_000);
	assert.equal(res?.status, 200, res?.text);
	return res.json().token;
}

/** A new admin who is signed in: call(method, target, body). */
export async function enter(rendio, name = "root") {
	const admin = await addAdmin(rendio, name);
	const token = await signIn(rendio, admin);
	return {
		...admin,
		token,
		async call(method, target, body) {
			return await rendio.request(method,
			    `/functions/v1/${target}`,
			    { apikey: null, bearer: token, body });
		},
	};
}

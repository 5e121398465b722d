// SPDX-License-Identifier: MIT
// Signing in with Apple, as an app would.

import assert from "node:assert/strict";
import { endpoints } from "./endpoints.mjs";

/** An identity token of the stand-in; `nonce` is raw. */
export async function identityToken(rendio, sub, nonce) {
	const { code, stdout, stderr } = await rendio.cli("sandbox", "identity",
	    sub, ...nonce === undefined ? [] : ["--nonce", nonce]);
	assert.equal(code, 0, stderr);
	return stdout.trim();
}

/** POST token?grant_type=id_token. */
export async function signIn(rendio, body, options = {}) {
	return await rendio.request("POST",
	    "/auth/v1/token?grant_type=id_token",
	    { body: { provider: "apple", ...body }, ...options });
}

/** The session of an Apple ID whose token is made for it. */
export async function signedIn(rendio, sub) {
	const res = await signIn(rendio,
	    { id_token: await identityToken(rendio, sub) });
	assert.equal(res.status, 200, res.text);
	return res.json();
}

export async function merge(rendio, guest, body) {
	return await rendio.request("POST", "/functions/v1/merge-guest-user",
	    { bearer: guest.access_token, body });
}

/** OAuth's body of an identity token that is not good. */
export function assertRefused(res, description) {
	assert.equal(res.status, 400, res.text);
	assert.equal(res.headers["cache-control"], "no-store");
	assert.deepEqual(Object.keys(res.json()),
	    ["error", "error_description"]);
	assert.equal(res.json().error, "invalid request");
	if (description)
		assert.equal(res.json().error_description, description);
}

/** What wants a user, found out once by asking without one. */
let privateCalls = null;

async function findPrivateCalls(rendio) {
	const calls = [];

	for (const endpoint of endpoints()) {
		const target = endpoint.isPrefix ? `${endpoint.path}x` :
		    endpoint.path;
		for (const method of endpoint.methods) {
			if (["OPTIONS", "HEAD"].includes(method))
				continue;
			const body = method === "GET" ? undefined : {};
			const res = await rendio.request(method, target, { body });
			if ([401, 403].includes(res.status))
				calls.push([method, target, body]);
		}
	}
	return calls;
}

/** A session is out in every area, and its refresh token with it. */
export async function assertDead(rendio, { access_token, refresh_token }) {
	privateCalls ??= await findPrivateCalls(rendio);
	for (const area of ["/auth/v1/", "/functions/v1/", "/rest/v1/"])
		assert.ok(privateCalls.some(([, target]) =>
		    target.startsWith(area)), area);
	for (const [method, target, body] of [...privateCalls,
		// Where a token may be absent, a dead one is refused all the same.
		["GET", "/rest/v1/themes?select=id"],
		["GET", "/rest/v1/users?select=id"]]) {
		const res = await rendio.request(method, target, { body,
			bearer: access_token });
		assert.ok([401, 403].includes(res.status),
		    `${method} ${target}: ${res.status} ${res.text}`);
	}
	// Nor does it get a link to a file, or the file.
	for (const target of ["/storage/v1/object/authenticated/videos/x/y.mp4",
		"/storage/v1/object/thumbnails/x/y.jpg",
		"/storage/v1/object/videos/x/y.mp4",
		"/storage/v1/object/sign/videos/x/y.mp4"])
		for (const method of ["GET", "POST", "PUT", "DELETE"]) {
			const res = await rendio.request(method, target,
			    { bearer: access_token });
			assert.ok(res.status >= 400 && res.status < 500,
			    `${method} ${target}: ${res.status}`);
		}
	const res = await rendio.request("POST",
	    "/auth/v1/token?grant_type=refresh_token",
	    { body: { refresh_token } });
	assert.equal(res.status, 400, res.text);
	assert.equal(res.json().code, "refresh_token_not_found");
}

// SPDX-License-Identifier: MIT
// Signing in with Apple, as an app would.

import assert from "node:assert/strict";

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

/** A session is out in every area, and its refresh token with it. */
export async function assertDead(rendio, { access_token, refresh_token }) {
	const areas = [
		["GET", "/auth/v1/user", 403],
		["PUT", "/auth/v1/user", 403, { data: {} }],
		["POST", "/auth/v1/logout", 403],
		["GET", "/functions/v1/get-user-credits", 401],
		["GET", "/functions/v1/get-user-profile", 401],
		["GET", "/functions/v1/get-video-jobs", 401],
		["POST", "/functions/v1/generate-video", 401, { prompt: "x" }],
		["POST", "/functions/v1/merge-guest-user", 401, {}],
		["GET", "/rest/v1/themes?select=id", 401],
	];

	for (const [method, target, status, body] of areas) {
		const res = await rendio.request(method, target,
		    { bearer: access_token, body });
		assert.equal(res.status, status, `${target}: ${res.text}`);
	}
	const res = await rendio.request("POST",
	    "/auth/v1/token?grant_type=refresh_token",
	    { body: { refresh_token } });
	assert.equal(res.status, 400, res.text);
	assert.equal(res.json().code, "refresh_token_not_found");
}

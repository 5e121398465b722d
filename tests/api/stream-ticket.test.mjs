// SPDX-License-Identifier: MIT
// POST /functions/v1/stream-ticket: a ticket for one stream.  What it is good
// for is in user-events.test.mjs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertError, assertPersonal, assertStatements }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";

const PATH = "/functions/v1/stream-ticket";

let rendio, ada;

before(async () => {
	rendio = await start();
	ada = await rendio.guest("ada");
});
after(() => rendio.stop());

function post(body, options = { bearer: ada.access_token }) {
	return rendio.request("POST", PATH, { body, ...options });
}

test("each ticket is another one and lives half a minute", async () => {
	const res = await post({});
	const body = assertPersonal(res);

	assert.deepEqual(Object.keys(body), ["ticket", "expires_in"]);
	assert.equal(body.expires_in, 30);
	assert.match(body.ticket, /^[\w-]+\.[\w-]+\.[\w-]+$/);
	assert.notEqual(assertPersonal(await post({})).ticket, body.ticket);
	// The session is checked, and nothing else is looked up.
	await assertStatements(rendio, res, 1);
});

test("an unknown member is 400, no user 401", async () => {
	assertPersonal(await post({ user_id: ada.user_id }));
	assertError(await post({ job_id: ada.user_id }), 400,
	    "invalid_request");
	assertError(await post({}, {}), 401, "unauthorized");
	assertError(await post({}, { bearer: rendio.anonKey }), 401,
	    "unauthorized");
});

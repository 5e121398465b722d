// SPDX-License-Identifier: MIT
//
// A thousand sessions, refreshed by fifty clients at once, while answers get
// lost and processes die: no client may ever be signed out.
//
// RENDIO_STORM_S (default 5) says for how long, RENDIO_SEED repeats a run.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DeviceCheck } from "../fakes/devicecheck.mjs";
import { id, sql } from "../api/support/database.mjs";
import { assertAuditClean, assertError } from "../api/support/expect.mjs";
import { start } from "../api/support/instance.mjs";
import { Phone } from "../api/support/phone.mjs";
import { claimsOf } from "../api/support/tokens.mjs";
import { chance, killOne, often } from "./chance.mjs";

const STORM_S = Number(process.env.RENDIO_STORM_S ?? often(20));
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
const USERS = 100;
const SESSIONS_EACH = 10;
const CLIENTS = 50;
const KILL_EVERY_MS = 500;

let apple, rendio;
const sessions = [];

before(async () => {
	apple = await DeviceCheck.start();
	rendio = await start({ env: apple.env });
	for (let i = 0; i < USERS; i++) {
		const phone = new Phone(rendio, apple, `phone-${i}`);
		for (let j = 0; j < SESSIONS_EACH; j++) {
			const { access_token, refresh_token } =
			    await phone.enter();
			sessions.push({ user: i, access_token, refresh_token,
				first: refresh_token, refreshes: 0 });
		}
	}
});
after(async () => {
	await rendio.stop();
	await apple.stop();
});

async function present(refresh_token) {
	return await rendio.request("POST",
	    "/auth/v1/token?grant_type=refresh_token",
	    { body: { refresh_token } });
}

/** Refreshes as the clients do: what breaks off or is 5xx is sent again. */
async function refresh(session) {
	for (;;) {
		try {
			const res = await present(session.refresh_token);
			if (res.status < 500)
				return res;
		} catch {
			/* The connection broke. */
		}
		await sleep(20);
	}
}

async function isAlive(session) {
	const res = await rendio.request("GET", "/auth/v1/user",
	    { bearer: session.access_token });
	return res.status === 200;
}

test(`${USERS * SESSIONS_EACH} sessions, ${CLIENTS} clients, ${STORM_S} s`,
    async (t) => {
	const random = chance(SEED);
	const end_ms = Date.now() + STORM_S * 1000;
	let refreshes = 0, over = false;

	t.diagnostic(`RENDIO_SEED=${SEED}`);
	const kills = (async () => {
		let count = 0;
		for (; !over; await sleep(KILL_EVERY_MS))
			count += killOne(rendio.pids("auth-token"), random);
		return count;
	})();
	const clients = Array.from({ length: CLIENTS }, async () => {
		while (Date.now() < end_ms) {
			const session = sessions[Math.floor(
			    random() * sessions.length)];
			const res = await refresh(session);
			assert.equal(res.status, 200, res.text);
			refreshes++;
			// Now and then a phone is locked before it has stored it.
			if (random() < 0.1)
				continue;
			const body = res.json();
			session.access_token = body.access_token;
			session.refresh_token = body.refresh_token;
			session.refreshes++;
		}
	});
	await Promise.all(clients);
	over = true;
	t.diagnostic(`${refreshes} refreshes, ${await kills} kills`);

	const [{ n }] = await sql(rendio, "SELECT COUNT(*) AS n FROM sessions");
	assert.equal(n, sessions.length);
	for (const session of sessions) {
		const res = await refresh(session);
		assert.equal(res.status, 200, res.text);
		Object.assign(session, { access_token: res.json().access_token,
			refresh_token: res.json().refresh_token });
	}
	await assertAuditClean(rendio);
});

test("ten clients at once get one and the same token", async () => {
	const [session] = sessions;
	const before = session.refresh_token;
	const answers = await Promise.all(Array.from({ length: 20 }, () =>
	    refresh(session)));
	const tokens = new Set(answers.map((res) => res.json().refresh_token));

	assert.equal(tokens.size, 1);
	assert.notEqual(tokens.values().next().value, before);
	session.access_token = answers[0].json().access_token;
	[session.refresh_token] = tokens;
});

test("a stolen old token ends its own session and no other", async () => {
	const victim = sessions.find(({ user }) => user === 1);
	const siblings = sessions.filter((session) => session !== victim &&
	    [1, 2].includes(session.user));
	const session_id = claimsOf(victim.access_token).session_id;

	for (let i = 0; i < 2; i++) {
		const body = (await refresh(victim)).json();
		victim.access_token = body.access_token;
		victim.refresh_token = body.refresh_token;
	}
	// Within seconds it may be a phone that races with itself.
	assert.equal((await present(victim.first)).status, 200);
	await sql(rendio, "UPDATE sessions SET refreshed_at_ms =" +
	    ` refreshed_at_ms - 11000 WHERE id = ${id(session_id)}`);

	assertError(await present(victim.first), 400,
	    "refresh_token_already_used", "auth");
	assert.deepEqual(await sql(rendio, "SELECT id FROM sessions" +
	    ` WHERE id = ${id(session_id)}`), []);
	assertError(await present(victim.refresh_token), 400,
	    "refresh_token_not_found", "auth");
	assert.equal(await isAlive(victim), false);
	for (const session of siblings) {
		assert.equal(await isAlive(session), true);
		assert.equal((await refresh(session)).status, 200);
	}
});

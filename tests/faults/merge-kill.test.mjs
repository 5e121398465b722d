// SPDX-License-Identifier: MIT
//
// Processes are killed (kill -9) at random moments while guests are merged
// into accounts of Apple IDs.  A merge has happened or it has not.
//
// RENDIO_MERGES (default 50) says how many.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "../api/support/database.mjs";
import { assertAuditClean } from "../api/support/expect.mjs";
import { identityToken, merge, signedIn }
    from "../api/support/identity.mjs";
import { start } from "../api/support/instance.mjs";
import { creditsOf } from "../api/support/jobs.mjs";
import { killOne, often } from "./chance.mjs";

const MERGES = Number(process.env.RENDIO_MERGES ?? often(200));
const HEIRS = 10;
const BOUGHT = 3;

let rendio, kills = 0;

before(async () => { rendio = await start(); });
after(() => rendio.stop());

async function newGuest(i) {
	const guest = await rendio.guest(`phone-${i}`);
	const { code } = await rendio.cli("user", "grant", guest.user_id,
	    String(BOUGHT), "--reason", "bought");
	assert.equal(code, 0);
	return guest;
}

/** Asks until it is told that there is no guest any more. */
async function mergeForSure(guest, identity_token) {
	for (;;) {
		const res = await merge(rendio, guest, { identity_token })
		    .catch(() => ({ status: 0 }));
		if (res.status === 401 || res.status === 409)
			return;
		assert.ok([0, 200, 502, 503, 504].includes(res.status),
		    `${res.status} ${res.text}`);
		await sleep(5);
	}
}

async function killUntil(done) {
	while (!done.is) {
		kills += killOne(rendio.pids("merge-guest-user"), Math.random);
		await sleep(randomInt(5, 25));
	}
}

test(`${MERGES} merges under kill -9 leave no half state`, async () => {
	const guests = [];
	for (let i = 0; i < MERGES; i++)
		guests.push(await newGuest(i));
	const tokens = await Promise.all(Array.from({ length: HEIRS },
	    async (_, i) => {
		await signedIn(rendio, `heir-${i}`);
		return await identityToken(rendio, `heir-${i}`);
	}));
	const done = { is: false };
	const killer = killUntil(done);

	await Promise.all(tokens.map(async (token, heir) => {
		for (let i = heir; i < MERGES; i += HEIRS)
			await mergeForSure(guests[i], token);
	}));
	done.is = true;
	await killer;

	assert.ok(kills > 0);
	const [{ n }] = await sql(rendio, `SELECT COUNT(*) AS n FROM users
	    WHERE merged_into_id IS NOT NULL AND credits_remaining = 0`);
	assert.equal(n, MERGES);
	for (let heir = 0; heir < HEIRS; heir++) {
		const count = guests.filter((_, i) => i % HEIRS === heir).length;
		// One gift, and all that was bought.
		assert.equal(await creditsOf(rendio,
		    await signedIn(rendio, `heir-${heir}`)),
		    (count > 0 ? 10 : 0) + count * BOUGHT);
	}
	await assertAuditClean(rendio);
});

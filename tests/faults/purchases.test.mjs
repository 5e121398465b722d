// SPDX-License-Identifier: MIT
//
// Processes are killed (kill -9) at random moments while phones post what they
// bought and Apple tells the same, refunds and reverses, in any order and in
// several copies.  Who repeats until it is answered ends right.
//
// RENDIO_PURCHASES (default 50) says how many; RENDIO_SEED repeats a run.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AppStore, balanceOf, later, notify, POPULAR, post, profileOf, refunded,
	STARTER } from "../api/support/appstore.mjs";
import { sql } from "../api/support/database.mjs";
import { assertAuditClean } from "../api/support/expect.mjs";
import { start } from "../api/support/instance.mjs";
import { chance, killOne, often } from "./chance.mjs";

const PURCHASES = Number(process.env.RENDIO_PURCHASES ?? often(200));
const SEED = Number(process.env.RENDIO_SEED ?? Date.now() % 2 ** 31);
const PHONES = 6;
const VICTIMS = ["update-credits", "apple-server-notifications", "worker"];

const random = chance(SEED);
const below = (n) => Math.floor(random() * n);

let rendio, store, kills = 0;

before(async () => {
	rendio = await start();
	store = new AppStore(rendio);
});
after(() => rendio.stop());

/** Repeats what was not answered; what broke off may have happened. */
async function insist(send) {
	for (;;) {
		const res = await send().catch(() => ({ status: 0 }));
		if (res.status === 200)
			return;
		assert.ok([0, 500, 502, 503, 504].includes(res.status),
		    `${res.status} ${res.text}`);
		await sleep(10);
	}
}

async function killUntil(done) {
	while (!done.is) {
		kills += killOne(rendio.pids(VICTIMS[below(VICTIMS.length)]),
		    random);
		await sleep(5 + below(20));
	}
}

/** A purchase and all that is said of it: what to send, and what it nets. */
function story(phone) {
	const productId = [STARTER, POPULAR][below(2)];
	const t = store.transaction({ productId, appAccountToken: below(2) ?
	    phone.token : undefined });
	const end = below(4);
	const facts = [["ONE_TIME_CHARGE", t], ["REFUND", refunded(t, 10)],
		["REFUND_REVERSED", later(t, 20)], ["REFUND", refunded(t, 30)]]
	    .slice(0, end + 1);
	const posted = { signed_transaction: store.sign(t) };
	const sends = [() => post(rendio, phone, posted)];

	for (const [type, fact] of facts) {
		const body = store.notification(type, fact);
		for (let copies = 1 + below(2); copies > 0; copies--)
			sends.push(() => notify(rendio, body));
	}
	sends.push(sends[0]);
	return { sends: sends.map((send) => [random(), send])
	    .sort(([a], [b]) => a - b).map(([, send]) => send),
		net: end % 2 === 1 ? 0 : productId === STARTER ? 25 : 60 };
}

test(`${PURCHASES} purchases under kill -9 (seed ${SEED})`, async () => {
	const phones = await Promise.all(Array.from({ length: PHONES },
	    async (_, i) => {
		const phone = await rendio.guest(`phone-${i}`);
		const { app_account_token: token } =
		    await profileOf(rendio, phone);
		return { ...phone, token, expected: await balanceOf(rendio,
		    phone) };
	}));
	const done = { is: false };
	const killer = killUntil(done);

	await Promise.all(phones.map(async (phone, number) => {
		for (let i = number; i < PURCHASES; i += PHONES) {
			const { sends, net } = story(phone);
			await Promise.all([0, 1, 2].map(async (lane) => {
				for (let k = lane; k < sends.length; k += 3)
					await insist(sends[k]);
			}));
			phone.expected += net;
		}
	}));
	done.is = true;
	await killer;

	assert.ok(kills > 0);
	for (const phone of phones)
		assert.equal(await balanceOf(rendio, phone), phone.expected);
	assert.deepEqual(await sql(rendio, "SELECT COUNT(*) AS n FROM purchases" +
	    " WHERE waits_for IS NULL"), [{ n: PURCHASES }]);
	await assertAuditClean(rendio);
});

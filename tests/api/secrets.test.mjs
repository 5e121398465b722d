// SPDX-License-Identifier: MIT
// Nothing that anybody logged in a whole run tells a secret or who somebody
// is: no token, prompt, device id, e-mail address or key.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { AppStore, buy, notify, post } from "./support/appstore.mjs";
import { sql } from "./support/database.mjs";
import { assertNotLogged } from "./support/expect.mjs";
import { identityToken, merge, signedIn } from "./support/identity.mjs";
import { start } from "./support/instance.mjs";
import { endOf, order, orderJob, remove } from "./support/jobs.mjs";
import { telltaleJpeg, upload } from "./support/pictures.mjs";

let rendio;

before(async () => {
	rendio = await start({ env: { RENDIO_LOG_LEVEL: "debug",
		RENDIO_TELEGRAM_BOT_TOKEN: "12345:bot-token-canary" } });
});
after(() => rendio.stop());

/** Every key that the state directory holds, as it stands there. */
function keys() {
	const dir = rendio.file("keys");
	return fs.readdirSync(dir).flatMap((name) => {
		const file = `${dir}/${name}`;
		if (!fs.statSync(file).isFile())
			return [];
		// The longest words: hexadecimal, or the lines of a PEM file.
		return (fs.readFileSync(file, "latin1")
		    .match(/[0-9A-Za-z+/=]{32,}/g) ?? [])
		    .filter((word) => !/CERTIFICATE/.test(word))
		    .map((word, i) => [`key ${name} ${i}`, word]);
	});
}

test("a whole run leaves no secret and nobody's data in any log", async () => {
	const secrets = {};
	const store = new AppStore(rendio);
	const prompt = "canary-prompt of a very private sea";
	const device_id = randomUUID();
	const device = (await rendio.cli("sandbox", "device", "canary-phone"))
	    .stdout.trim();
	const ada = await rendio.guest("canary-phone", device_id);

	// What succeeds.
	await upload(rendio, ada, `${ada.user_id}/picture.jpg`, telltaleJpeg());
	const job = await orderJob(rendio, ada, { prompt });
	const { video_url } = await endOf(rendio, ada, job);
	await rendio.request("GET", video_url.slice(rendio.url.length),
	    { apikey: null });
	const transaction = store.transaction();
	await buy(rendio, ada, store, transaction);
	await notify(rendio, store.notification("CONSUMPTION_REQUEST",
	    transaction));
	const identity_token = await identityToken(rendio, "canary.person");
	const merged = (await merge(rendio, ada, { identity_token })).json();
	const refreshed = (await rendio.request("POST",
	    "/auth/v1/token?grant_type=refresh_token",
	    { body: { refresh_token: merged.refresh_token } })).json();
	const other = await signedIn(rendio, "canary.other");

	// What fails, in every way that might say more than it should.
	for (const path of [`/functions/v1/get-user-credits?token=${device}`,
		`/nowhere?apikey=${ada.refresh_token}`,
		`/realtime/v1/websocket?apikey=${ada.access_token}`])
		await rendio.request("GET", path, { bearer: ada.access_token,
			headers: { referer: `https://x/?${ada.access_token}` } });
	await order(rendio, other, { prompt: prompt.repeat(200) });
	await order(rendio, other, { prompt }, "canary-idempotency-key");
	await rendio.request("POST", "/functions/v1/generate-video",
	    { bearer: other.access_token, body: `{"prompt":"${prompt}` });
	await rendio.request("POST", "/functions/v1/device-check",
	    { body: { device_id, device_token: `${device}!` } });
	await post(rendio, other, { signed_transaction:
	    `${store.sign(transaction)}x` });
	await merge(rendio, other, { identity_token });
	await rendio.request("POST", "/auth/v1/token?grant_type=refresh_token",
	    { body: { refresh_token: `${merged.refresh_token}x` } });
	await orderJob(rendio, other, { prompt: `${prompt} [fail:content]` })
	    .catch(() => {});
	await sql(rendio, "ALTER TABLE idempotency_records RENAME TO gone");
	await order(rendio, other, { prompt });
	await sql(rendio, "ALTER TABLE gone RENAME TO idempotency_records");
	await remove(rendio, refreshed, job);
	await rendio.request("POST", "/functions/v1/delete-account",
	    { bearer: other.access_token, body: {} });

	Object.assign(secrets, {
		prompt: "canary-prompt", device_id, device_token: device,
		video_link: new URL(video_url).search,
		access_token: ada.access_token.split(".")[2],
		refresh_token: ada.refresh_token,
		merged_access: refreshed.access_token.split(".")[2],
		merged_refresh: refreshed.refresh_token,
		identity_token: identity_token.split(".")[2],
		email: "privaterelay.appleid.com", sub: "canary.person",
		jws: store.sign(transaction).split(".")[1],
		idempotency_key: "canary-idempotency-key",
		bot_token: "bot-token-canary",
		...Object.fromEntries(keys()),
	});
	assert.ok(Object.keys(secrets).length > 20);
	for (const [what, secret] of Object.entries(secrets))
		assert.ok(secret.length >= 8, what);
	await assertNotLogged(rendio, secrets);
});

test("all programs have logged in that run, or it proves nothing", () => {
	const programs = new Set(rendio.log().filter((line) =>
	    line.startsWith("{")).map((line) => JSON.parse(line).program));

	for (const name of ["generate-video", "device-check", "update-credits",
		"merge-guest-user", "auth-token", "object-upload", "worker"])
		assert.ok(programs.has(name), name);
	assert.ok(rendio.accessLog().length > 20);
});

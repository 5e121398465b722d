// SPDX-License-Identifier: MIT
// Notices to the operator's chat, played by tests/fakes/telegram.mjs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Telegram } from "../fakes/telegram.mjs";
import { sql } from "./support/database.mjs";
import { start, until } from "./support/instance.mjs";

const WAIT_MS_MAX = 30_000;

let telegram, rendio, ada;

before(async () => {
	telegram = await Telegram.start();
	rendio = await start({ env: { ...telegram.env,
		RENDIO_NEW_USERS_INTERVAL_S: "60" } });
	ada = await rendio.guest("ada");
});
after(async () => {
	await rendio.stop();
	await telegram.stop();
});

let keys = 0;

/** Writes notices down as the programs do. */
async function add(...texts) {
	for (const text of texts)
		await sql(rendio, "INSERT INTO notices (dedupe_key, text," +
		    ` created_at_ms) VALUES ('test:${++keys}', '${text}', 1000 *` +
		    " CAST(strftime('%s', 'now') AS INTEGER))");
}

/** Lets the next message go out now. */
async function hurry() {
	await sql(rendio, "UPDATE notice_channel SET next_send_at_ms = 0");
}

async function heard(pattern) {
	const line = await until(() => telegram.linesOf(pattern)[0], WAIT_MS_MAX);
	assert.ok(line, `${pattern}: ${telegram.lines.join("\n")}`);
	return line;
}

test("a notice arrives once, below the server's name", async () => {
	await add("hello");
	await heard(/^hello$/);
	assert.equal(telegram.messages.at(-1), `127.0.0.1:${rendio.port}\nhello`);
	const { path, body } = telegram.calls.at(-1);
	assert.equal(path, `/bot${telegram.token}/sendMessage`);
	assert.deepEqual(Object.keys(JSON.parse(body)).sort(),
	    ["chat_id", "link_preview_options", "text"]);
});

test("Telegram's wish to wait is heeded, and nothing is lost", async () => {
	telegram.fault = { status: 429, retry_after: 3 };
	const before = telegram.calls.length;
	await hurry();
	await add("flood");
	assert.ok(await until(() => telegram.calls.length > before, WAIT_MS_MAX));
	const refused_at = Date.now();
	telegram.fault = null;
	await heard(/^flood$/);
	assert.ok(Date.now() - refused_at >= 2900, "it was silent for so long");
	assert.equal(telegram.linesOf(/^flood$/).length, 1);
});

test("what gathered during an outage comes as a digest", async () => {
	const { port } = telegram;
	await telegram.stop();
	await hurry();
	await add(...Array.from({ length: 12 }, (_, i) => `outage ${i}`));
	assert.ok(await until(async () => (await sql(rendio, "SELECT" +
	    " failures_count AS n FROM notice_channel"))[0].n > 0, WAIT_MS_MAX));
	const before = telegram.messages.length;
	await telegram.listen(port);
	await hurry();
	await heard(/^outage 11$/);
	assert.deepEqual(telegram.linesOf(/^outage/),
	    Array.from({ length: 12 }, (_, i) => `outage ${i}`));
	assert.ok(telegram.messages.length - before <= 2,
	    telegram.messages.slice(before).join("\n--\n"));
});

test("a refused token is an error in the log, and the notices wait", async () => {
	telegram.fault = { status: 401 };
	await hurry();
	await add("patience");
	assert.ok(await until(() => rendio.log().some((line) =>
	    line.includes('"event":"telegram"') &&
	    line.includes('"http_status":401')), WAIT_MS_MAX));
	telegram.fault = null;
	await hurry();
	await heard(/^patience$/);
});

test("who died while sending is followed by one who says so", async () => {
	telegram.fault = "hold";
	await hurry();
	await add("twice");
	await heard(/^twice$/);
	// It has been taken, and no answer will ever come.
	for (const pid of rendio.pids("worker"))
		process.kill(pid, "SIGKILL");
	telegram.fault = null;
	await hurry();
	await heard(/^twice \[perhaps repeated\]$/);
	assert.equal(telegram.linesOf(/^twice/).length, 2);
});

test("a sale is told of", async () => {
	const sold = await rendio.cli("sandbox", "purchase", "--user",
	    ada.user_id, "--product", "com.rendioai.credits.starter.25");
	const res = await rendio.request("POST", "/functions/v1/update-credits", {
		bearer: ada.access_token,
		body: { signed_transaction: sold.stdout.trim() },
	});
	assert.equal(res.status, 200, res.text);
	await hurry();
	const line = await heard(/Sale/);
	assert.match(line, /^💰 Sale: com\.rendioai\.credits\.starter\.25, 25 credits/);
	assert.doesNotMatch(line, new RegExp(ada.user_id));
});

test("new users are one notice, whatever their number", async () => {
	for (let i = 0; i < 5; i++)
		await rendio.guest(`new-${i}`);
	// As if all of them had come a while ago.
	await sql(rendio, "UPDATE users SET created_at_ms =" +
	    " created_at_ms - 3600000; UPDATE watches SET at_ms =" +
	    " at_ms - 7200000 WHERE name = 'users'");
	await hurry();
	assert.match(await heard(/new users/), /^👋 6 new users in \d+ min$/);
	assert.equal(telegram.linesOf(/new user/).length, 1);
});

test("once a day there is a summary of the day before", async () => {
	await sql(rendio, "UPDATE users SET created_at_ms =" +
	    " created_at_ms - 86400000;" +
	    " INSERT INTO watches VALUES ('day', 0)" +
	    " ON CONFLICT (name) DO UPDATE SET at_ms = 0");
	await hurry();
	const line = await heard(/📊/);
	assert.match(line, /^📊 \d{4}-\d\d-\d\d: new users: \d+;.* cost at most 0\.00 USD; open alarms: \d+$/);
	const [{ at_ms }] = await sql(rendio,
	    "SELECT at_ms FROM watches WHERE name = 'day'");
	assert.ok(at_ms > Date.now());
	assert.equal(at_ms % 86400000, 6 * 3600000);
});

test("neither the token nor a message is in any log", () => {
	const log = rendio.log().join("\n");
	assert.ok(!log.includes(telegram.token));
	assert.ok(!log.includes("patience"));
});

test("without a bot nothing is sent and nothing grows", async () => {
	const quiet = await start({ env: { RENDIO_ALARM_HOLD_S: "0" } });
	try {
		await quiet.guest("ada");
		await sql(quiet, "UPDATE backup_state SET failed_at_ms = 1");
		assert.ok(await until(async () => (await sql(quiet, "SELECT 1" +
		    " FROM alarms WHERE name = 'backup_failed'")).length > 0,
		    WAIT_MS_MAX), "the alarm itself is there to be seen");
		assert.deepEqual(await sql(quiet, "SELECT 1 FROM notices"), []);
		assert.deepEqual(await sql(quiet, "SELECT 1 FROM watches" +
		    " WHERE name IN ('users', 'day')"), []);
	} finally {
		await quiet.stop();
	}
});

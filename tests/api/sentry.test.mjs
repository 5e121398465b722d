// SPDX-License-Identifier: MIT
// Errors of ours reach Sentry: Spotlight, which is a receiver of Sentry's own,
// takes and parses them, and a fake fails in each way that Sentry may.

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import { after, before, test } from "node:test";
import { parseEnvelope } from "@sentry/core";
import { setupSidecar } from "@spotlightjs/sidecar";
import { Sentry } from "../fakes/sentry.mjs";
import { Telegram } from "../fakes/telegram.mjs";
import { sql } from "./support/database.mjs";
import { start, until } from "./support/instance.mjs";

const WAIT_MS_MAX = 30_000;

let spotlight, envelopes = [];

before(async () => {
	const free = net.createServer().listen(0, "127.0.0.1");
	await new Promise((resolve) => free.once("listening", resolve));
	const { port } = free.address();
	await new Promise((resolve) => free.close(resolve));
	spotlight = `http://127.0.0.1:${port}`;
	await setupSidecar({ port, incomingPayload: (body) =>
	    envelopes.push(parseEnvelope(body)), isStandalone: false,
	    logger: Object.fromEntries(["info", "warn", "error", "debug"]
		.map((level) => [level, () => {}])) });
	assert.ok(await until(() => new Promise((resolve) => {
		http.get(`${spotlight}/health`, (res) => {
			res.resume();
			resolve(res.statusCode === 200);
		}).on("error", () => resolve(false));
	}), WAIT_MS_MAX), "Spotlight is there");
});
// Spotlight has no end of its own.
after(() => setTimeout(() => process.exit(), 100).unref());

/** A request that is answered 500, because its table is not there. */
async function fail(rendio, options) {
	await sql(rendio, "ALTER TABLE themes RENAME TO themes_away");
	try {
		const res = await rendio.request("GET",
		    "/functions/v1/get-themes", options);
		assert.equal(res.status, 500, res.text);
		return res.headers["x-request-id"];
	} finally {
		await sql(rendio, "ALTER TABLE themes_away RENAME TO themes");
	}
}

function spool(rendio) {
	return fs.readdirSync(rendio.file("spool"));
}

test("Spotlight shows an injected error with all that helps to find it",
    async () => {
	const rendio = await start({ env: {
		RENDIO_ALLOW_PRIVATE_UPSTREAMS: "1",
		RENDIO_SENTRY_DSN: `${spotlight.replace("://", "://key@")}/1`,
		RENDIO_SENTRY_ENVIRONMENT: "test",
		RENDIO_RELEASE: "rendio@1.2.3",
	} });
	try {
		const ada = await rendio.guest("ada");
		const id = await fail(rendio, { bearer: ada.access_token });
		assert.ok(await until(() => envelopes.length > 0, WAIT_MS_MAX));
		const [header, items] = envelopes[0];
		const [[item, bytes]] = items;
		// An item with a length is bytes to the parser.
		const event = JSON.parse(Buffer.from(bytes).toString());
		assert.equal(item.type, "event");
		assert.equal(header.event_id, event.event_id);
		assert.match(event.event_id, /^[0-9a-f]{32}$/);
		assert.equal(event.release, "rendio@1.2.3");
		assert.equal(event.environment, "test");
		assert.equal(event.transaction, "get-themes");
		assert.equal(event.level, "error");
		assert.equal(event.tags.request_id, id);
		assert.equal(event.tags.endpoint, "get-themes");
		const chain = event.exception.values;
		assert.equal(chain.at(-1).type, "internal");
		assert.match(JSON.stringify(chain), /no such table/);
		// Nothing of the person but the id, and of us no secret.
		const text = JSON.stringify(event);
		for (const secret of [ada.access_token, ada.refresh_token,
			ada.device_id, rendio.anonKey])
			assert.ok(!text.includes(secret));
		assert.ok(await until(() => spool(rendio).length === 0,
		    WAIT_MS_MAX), "what was taken is gone");
	} finally {
		await rendio.stop();
	}
});

test("what Sentry does not take now is sent again, once it may be",
    async () => {
	const sentry = await Sentry.start();
	const rendio = await start({ env: sentry.env });
	// A pause of ours is not waited for.
	const hurry = async () => await sql(rendio,
	    "UPDATE watches SET at_ms = 0 WHERE name = 'sentry'");
	try {
		sentry.answers.push({ status: 429,
			headers: { "X-Sentry-Rate-Limits": "3:error:key" } });
		const first = await fail(rendio);
		assert.ok(await until(() => sentry.events.length === 1,
		    WAIT_MS_MAX));
		assert.equal(sentry.events[0].tags.request_id, first);
		assert.deepEqual(sentry.calls.map(({ status }) => status),
		    [429, 200]);
		assert.ok(sentry.calls[1].at_ms - sentry.calls[0].at_ms >= 2900,
		    "it was left alone for as long as it asked");

		for (const answer of [{ status: 503 }, "reset"]) {
			const before = sentry.events.length;
			sentry.answers.push(answer);
			const id = await fail(rendio);
			assert.ok(await until(async () => {
				await hurry();
				return sentry.events.length > before;
			}, WAIT_MS_MAX));
			assert.equal(sentry.events.at(-1).tags.request_id, id);
		}

		// What is refused for ever is not kept for ever.
		sentry.answers.push({ status: 400 });
		await fail(rendio);
		assert.ok(await until(() => sentry.calls.at(-1).status === 400 &&
		    spool(rendio).length === 0, WAIT_MS_MAX));
		assert.ok(!rendio.log().join("\n").includes(
		    sentry.env.RENDIO_SENTRY_DSN.slice(7, 39)),
		    "the key is in no log");
	} finally {
		await rendio.stop();
		await sentry.stop();
	}
});

test("a program that dies by a signal is an event", async () => {
	const sentry = await Sentry.start();
	const rendio = await start({ env: sentry.env });
	try {
		const models = () => rendio.request("GET",
		    "/functions/v1/get-models");
		assert.equal((await models()).status, 200);
		process.kill(rendio.pids("get-models")[0], "SIGABRT");
		assert.ok(await until(() => sentry.events.length === 1,
		    WAIT_MS_MAX));
		const [event] = sentry.events;
		assert.equal(event.level, "fatal");
		assert.equal(event.transaction, "get-models");
		assert.equal(event.exception.values[0].type, "SIGABRT");
		assert.equal((await models()).status, 200,
		    "and another has its place");
	} finally {
		await rendio.stop();
		await sentry.stop();
	}
});

test("without Sentry nothing gathers, but many errors are an alarm",
    async () => {
	const telegram = await Telegram.start();
	const rendio = await start({ env: { ...telegram.env,
		RENDIO_ERROR_BURST: "3" } });
	try {
		for (let i = 0; i < 4; i++)
			await fail(rendio);
		assert.ok(await until(() =>
		    telegram.linesOf(/Many errors of ours/).length === 1,
		    WAIT_MS_MAX), telegram.lines.join("\n"));
		assert.ok(await until(() => spool(rendio).length === 0,
		    WAIT_MS_MAX));
		await sql(rendio, "DELETE FROM error_minutes");
		assert.ok(await until(() =>
		    telegram.linesOf(/^✅ Many errors of ours/).length === 1,
		    WAIT_MS_MAX));
		assert.equal(telegram.linesOf(/Many errors of ours/).length, 2);
	} finally {
		await rendio.stop();
		await telegram.stop();
	}
});

test("a spool that nobody empties does not grow without end", async () => {
	const rendio = await start();
	try {
		for (let i = 0; i < 200; i++)
			fs.writeFileSync(rendio.file("spool", `old-${i}.part`), "");
		await fail(rendio);
		await fail(rendio);
		assert.equal(spool(rendio).length, 200);
	} finally {
		await rendio.stop();
	}
});

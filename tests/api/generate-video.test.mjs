// SPDX-License-Identifier: MIT
// POST /functions/v1/generate-video: a video is ordered, and charged once.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { id, sql, whileLocked } from "./support/database.mjs";
import { assertError, assertPersonal, assertStatements, stopClean, UUID }
    from "./support/expect.mjs";
import { start } from "./support/instance.mjs";
import { creditsOf, historyOf, order, statusOf, stopWorker }
    from "./support/jobs.mjs";

const MODELS = {
	fastImage: "0d2267ec-7372-580a-8504-d0efe85ed374",
	fast: "977be462-dfb8-511a-a3cd-011fb96a11c6",
	fine: "f75d0e55-23a8-547d-9863-27a1fc242089",
	kling: "0617a9a5-8eef-51ae-aed1-bf170d3f1d1f",
	retired: "bcc007b9-0713-54e9-bade-8a913815b427",
};
const SPACE_WALK = "62bccd4d-c7cb-5519-ab53-962b5d41c6e2";	/* 8 s, 16:9 */

let rendio, ada, bob, rich;

before(async () => {
	rendio = await start();
	// What is ordered here stays an order.
	await stopWorker(rendio);
	[ada, bob, rich] = await Promise.all(["ada", "bob", "rich"]
	    .map((name) => rendio.guest(name)));
	for (let i = 0; i < 2; i++)
		assert.equal((await rendio.cli("user", "grant", rich.user_id,
		    "10000", "--reason", "tests")).code, 0);
});
after(() => stopClean(rendio));

/** The charge for these settings. */
async function priceOf(body) {
	return assertPersonal(await order(rendio, rich, body)).credits_used;
}

/** What the job was settled to be. */
async function settled(body) {
	const { job_id } = assertPersonal(await order(rendio, rich, body));
	const [job] = await sql(rendio, `SELECT duration_s, resolution,
	    aspect_ratio FROM jobs WHERE id = ${id(job_id)}`);
	return [job.duration_s, job.resolution, job.aspect_ratio];
}

test("an order is answered at once with its charge", async () => {
	const res = await order(rendio, ada);
	const body = assertPersonal(res);

	assert.deepEqual(Object.keys(body),
	    ["job_id", "status", "credits_used", "credits_remaining"]);
	assert.match(body.job_id, UUID);
	assert.equal(body.status, "pending");
	assert.equal(body.credits_used, 4);
	assert.equal(body.credits_remaining, 6);
	assert.equal(res.headers["x-idempotent-replay"], undefined);
	await assertStatements(rendio, res, 26);
	assert.equal(await creditsOf(rendio, ada), 6);
	const { entries: [entry] } = await historyOf(rendio, ada);
	assert.equal(entry.reason, "hold");
	assert.equal(entry.change, -4);
	assert.equal(entry.job_id, body.job_id);
});

test("the same key again is the same answer and no charge", async () => {
	const key = randomUUID();
	const first = await order(rendio, rich, {}, key);
	const before = await creditsOf(rendio, rich);

	// The order of members, upper case and quotes do not make another.
	const again = [
		await order(rendio, rich, {}, key),
		await order(rendio, rich, {}, key.toUpperCase()),
		await order(rendio, rich, {}, `"${key}"`),
		await rendio.request("POST", "/functions/v1/generate-video", {
			bearer: rich.access_token,
			headers: { "idempotency-key": key },
			body: ' {"unknown":1, "settings":null, "prompt":"A calm sea"} ',
		}),
	];
	for (const res of again) {
		assert.equal(res.status, 200, res.text);
		assert.equal(res.text, first.text);
		assert.equal(res.headers["x-idempotent-replay"], "true");
		await assertStatements(rendio, res, 2);
	}
	assert.equal(await creditsOf(rendio, rich), before);
});

test("the same key for another request is 422", async () => {
	const key = randomUUID();
	const body = { model_id: MODELS.fast, theme_id: SPACE_WALK,
		settings: { duration: 4 } };
	assertPersonal(await order(rendio, rich, body, key));
	const before = await creditsOf(rendio, rich);

	for (const other of [{ prompt: "Another" }, { model_id: MODELS.fine },
		{ model_id: undefined }, { theme_id: undefined },
		{ settings: { duration: 6 } }, { settings: undefined },
		{ settings: { duration: 4, aspect_ratio: "16:9" } }])
		assertError(await order(rendio, rich, { ...body, ...other }, key),
		    422, "idempotency_key_reused");
	assert.equal(await creditsOf(rendio, rich), before);
});

test("a key belongs to its user", async () => {
	const key = randomUUID();
	const one = assertPersonal(await order(rendio, rich, {}, key));
	const guest = await rendio.guest("other");
	const other = assertPersonal(await order(rendio, guest, {}, key));

	assert.notEqual(other.job_id, one.job_id);
});

test("a replay stands though the model is gone", async () => {
	const key = randomUUID();
	const body = { model_id: MODELS.kling };
	const first = await order(rendio, rich, body, key);
	assertPersonal(first);

	await rendio.cli("model", "set", MODELS.kling, "state=disabled");
	assertError(await order(rendio, rich, body), 404, "model_not_found");
	assert.equal((await order(rendio, rich, body, key)).text, first.text);
	await rendio.cli("model", "set", MODELS.kling, "state=available");
});

test("without a key it is 400 idempotency_key_required", async () => {
	for (const key of [null, ""])
		assertError(await order(rendio, ada, {}, key), 400,
		    "idempotency_key_required");
});

test("a key has 1 to 255 visible ASCII characters", async () => {
	for (const key of ["k".repeat(256), "a b", "a\tb", "é"])
		assertError(await order(rendio, ada, {}, key), 400,
		    "idempotency_key_invalid");
	for (const key of ["!", "~".repeat(254), "k".repeat(255)])
		assertPersonal(await order(rendio, rich, {}, key));
});

test("a prompt has 1 to 5000 characters", async () => {
	for (const prompt of [undefined, null, "", "   ", "\n\t", 7, ["a"],
		"x".repeat(5001), "😀".repeat(5001)])
		assertError(await order(rendio, rich, { prompt }), 400,
		    "invalid_prompt");
	for (const prompt of ["x", "x".repeat(4999), "x".repeat(5000),
		"😀".repeat(5000)]) {
		const { job_id } =
		    assertPersonal(await order(rendio, rich, { prompt }));
		const status = await statusOf(rendio, rich, job_id);
		assert.equal(status.json().prompt, prompt);
	}
});

test("settings that the model does not offer are 400", async () => {
	for (const settings of [{ resolution: "480p" }, { resolution: "" },
		{ resolution: 720 }, { resolution: "x".repeat(100) },
		{ aspect_ratio: "1:1" }, { aspect_ratio: ["9:16"] },
		{ duration: 0 }, { duration: -4 }, { duration: 1e300 },
		{ duration: "4" }, { duration: 4.5 }, { duration: true },
		[], "fast", 7])
		assertError(await order(rendio, rich, { settings }), 400,
		    "invalid_settings");
	for (const settings of [null, {}, { duration: null, resolution: null },
		{ duration: 4.0 }, { mood: "calm" }])
		assertPersonal(await order(rendio, rich, { settings }));
});

test("a duration is rounded up to an option, above the longest down to it",
    async () => {
	for (const [wish, made] of [[1, 4], [4, 4], [5, 6], [6, 6], [7, 8],
		[8, 8], [9, 8], [15, 8], [100_000, 8], [2 ** 53 - 1, 8]])
		assert.deepEqual(await settled({ settings: { duration: wish } }),
		    [made, "720p", "9:16"]);
});

test("a theme fills in what is absent", async () => {
	assert.deepEqual(await settled({ theme_id: SPACE_WALK }),
	    [8, "720p", "16:9"]);
	assert.deepEqual(await settled({ theme_id: SPACE_WALK,
		settings: { duration: 4, aspect_ratio: "9:16" } }),
	    [4, "720p", "9:16"]);
	// This model has no 720p: the theme's wish gives way.
	assert.deepEqual(await settled({ theme_id: SPACE_WALK,
		model_id: MODELS.kling }), [10, "1080p", "16:9"]);
});

test("the price follows model, duration and resolution", async () => {
	assert.equal(await priceOf({ settings: { duration: 6 } }), 6);
	assert.equal(await priceOf({ settings: { duration: 8,
		resolution: "1080p" } }), 8);
	// 8 times 2.4, rounded up to whole credits.
	assert.equal(await priceOf({ settings: { duration: 8,
		resolution: "4k" } }), 20);
	assert.equal(await priceOf({ model_id: MODELS.fine }), 11);
	assert.equal(await priceOf({ model_id: MODELS.kling }), 5);
});

test("a model or theme that is not there is 404", async () => {
	for (const model_id of [randomUUID(), MODELS.retired])
		assertError(await order(rendio, rich, { model_id }), 404,
		    "model_not_found");
	assertError(await order(rendio, rich, { theme_id: randomUUID() }), 404,
	    "theme_not_found");
	await rendio.cli("theme", "set", SPACE_WALK, "is_available=0");
	assertError(await order(rendio, rich, { theme_id: SPACE_WALK }), 404,
	    "theme_not_found");
	await rendio.cli("theme", "set", SPACE_WALK, "is_available=1");
});

test("an id that is none is 400 invalid_request", async () => {
	for (const body of [{ model_id: "fast" }, { theme_id: 7 },
		{ theme_id: "" }])
		assertError(await order(rendio, rich, body), 400,
		    "invalid_request");
});

test("a picture must be one's own upload", async () => {
	const folder = `${rendio.url}/storage/v1/object/public/thumbnails`;

	for (const image_url of ["", "x", "https://example.com/a.jpg", 7,
		`${folder}/${rich.user_id}/never-uploaded.jpg`,
		`${folder}/${ada.user_id}/a.jpg`,
		`${folder}/${rich.user_id}/../${ada.user_id}/a.jpg`,
		`${rendio.url}.example.com/a.jpg`, "file:///etc/passwd"])
		assertError(await order(rendio, rich, { image_url }), 400,
		    "invalid_image_url");
});

test("a model that wants a picture is not given a sentence alone, nor the "
    + "other way round", async () => {
	const object = randomUUID();
	const name = `${rich.user_id}/input.jpg`;
	const image_url =
	    `${rendio.url}/storage/v1/object/public/thumbnails/${name}`;
	const folder = rendio.file("media", "thumbnails", object.slice(-2));

	fs.mkdirSync(folder, { recursive: true });
	fs.writeFileSync(`${folder}/${object}`, "a picture");
	await sql(rendio, `INSERT INTO objects (id, bucket, name, user_id, state,
	    content_type, size_bytes, sha256, created_at_ms) VALUES
	    (${id(object)}, 'thumbnails', '${name}', ${id(rich.user_id)},
	    'stored', 'image/jpeg', 9, zeroblob(32), 0)`);

	const { job_id } = assertPersonal(await order(rendio, rich,
	    { image_url }));
	assert.equal((await statusOf(rendio, rich, job_id)).json().model_name,
	    "Veo 3.1 Fast");
	assertError(await order(rendio, rich, { image_url,
		model_id: MODELS.fast }), 400, "invalid_image_url");
	assertError(await order(rendio, rich, { model_id: MODELS.fastImage }),
	    400, "invalid_image_url");
	assertError(await order(rendio, ada, { image_url }), 400,
	    "invalid_image_url");
});

test("who has too few credits is told the numbers and pays nothing", async () => {
	const res = await order(rendio, bob, { settings: { duration: 8,
		resolution: "4k" } });

	assertError(res, 402, "insufficient_credits");
	assert.equal(res.json().credits_remaining, 10);
	assert.equal(res.json().credits_required, 20);
	assert.equal(await creditsOf(rendio, bob), 10);
	const jobs = await rendio.request("GET", "/functions/v1/get-video-jobs",
	    { bearer: bob.access_token });
	assert.deepEqual(jobs.json().jobs, []);
	await assertStatements(rendio, res, 17);
});

test("the last credit can be spent, and not one more", async () => {
	const guest = await rendio.guest("exact");
	const body = { model_id: MODELS.kling };

	for (const left of [5, 0])
		assert.equal(assertPersonal(await order(rendio, guest, body))
		    .credits_remaining, left);
	assertError(await order(rendio, guest, body), 402,
	    "insufficient_credits");
});

test("a refused order leaves its key free", async () => {
	const guest = await rendio.guest("second-try");
	const key = randomUUID();

	assertError(await order(rendio, guest,
	    { settings: { resolution: "480p" } }, key), 400, "invalid_settings");
	assertError(await order(rendio, guest, { settings: { duration: 8,
		resolution: "4k" } }, key), 402, "insufficient_credits");
	assertPersonal(await order(rendio, guest, {}, key));
});

test("without a user it is 401, for another user 403", async () => {
	assertError(await order(rendio, {}), 401, "unauthorized");
	assertError(await order(rendio, ada, { user_id: bob.user_id }), 403,
	    "forbidden");
	assertPersonal(await order(rendio, rich, { user_id: rich.user_id }));
});

test("an order does not wait for somebody who only knocks", async () => {
	const knock = () => new Promise((resolve) => {
		const socket = net.connect(rendio.file("run",
		    "generate-video.sock"), () => socket.end());
		socket.once("close", resolve);
		socket.resume();
	});

	assertPersonal(await order(rendio, rich, { prompt: "before" }));
	const pids = rendio.pids("generate-video");
	assert.ok(pids.length > 0);
	for (const pid of pids)
		process.kill(pid, "SIGSTOP");
	const ordered = order(rendio, rich, { prompt: "first" });
	await sleep(300);
	const knocked = knock();
	await sleep(100);
	for (const pid of pids)
		process.kill(pid, "SIGCONT");
	// Or the router answers 504.
	assertPersonal(await ordered);
	await knocked;
});

test("a database that is locked for too long is 503, and nothing is charged",
    async () => {
	const key = randomUUID();
	const before = await creditsOf(rendio, rich);

	await whileLocked(rendio, async () => {
		assertError(await order(rendio, rich, {}, key), 503,
		    "service_unavailable");
		// Who only reads does not wait for who writes.
		assert.equal(await creditsOf(rendio, rich), before);
	});
	assertPersonal(await order(rendio, rich, {}, key));
	assert.equal(await creditsOf(rendio, rich), before - 4);
});

test("two hundred open orders are enough for one user", async () => {
	const eager = await rendio.guest("eager");
	await rendio.cli("user", "grant", eager.user_id, "990", "--reason",
	    "tests");
	for (let i = 0; i < 10; i++) {
		const answers = await Promise.all(Array.from({ length: 20 },
		    () => order(rendio, eager)));
		for (const res of answers)
			assertPersonal(res);
	}
	assertError(await order(rendio, eager), 429, "too_many_jobs");
	assert.equal(await creditsOf(rendio, eager), 1000 - 200 * 4);
	assertPersonal(await order(rendio, rich));
});

test("without a provider it is 502 and nothing is charged", async () => {
	const alone = await start();
	try {
		const guest = await alone.guest("nobody-makes-it");
		await sql(alone, "UPDATE models SET company = 'nobody'");
		await alone.cli("provider", "stop", "nobody");
		const res = await order(alone, guest);
		assertError(res, 502, "provider_unavailable");
		assert.equal(await creditsOf(alone, guest), 10);
	} finally {
		await alone.stop();
	}
});

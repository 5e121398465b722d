// SPDX-License-Identifier: MIT
//
// One disk is full and the others are not: that of the media, of the logs, of
// what the router writes down of bodies.  Phones go on meanwhile: they order,
// buy, send pictures, refresh their sessions, read.  Only what needs the full
// disk is refused, by a 503 that costs nothing and leaves nothing; what was
// answered 200 is true in the end; with room again all goes on by itself.

import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Fal } from "../fakes/fal.mjs";
import { AppStore, post } from "../api/support/appstore.mjs";
import { sql } from "../api/support/database.mjs";
import { assertError } from "../api/support/expect.mjs";
import { askHttp2 } from "../api/support/http2.mjs";
import { start, until } from "../api/support/instance.mjs";
import { creditsOf, endOf, order, orderJob, startWorker, statusOf, stopWorker }
    from "../api/support/jobs.mjs";
import { jpegOfBytes, upload } from "../api/support/pictures.mjs";
import { Disk } from "./disks.mjs";

const MIB = 128;
const PHONES = 3;
const PAUSE_MS = 200;
const WAIT_MS_MAX = 30_000;
const CREDITS = 1000;
const PURCHASED = 25;

/** Of a picture that the router keeps in memory, and of one in a file. */
const SMALL_BYTES = 2000;
const LARGE_BYTES = 400_000;
const LARGEST_BYTES = 10 * 1024 * 1024;

/** In whose words an act is refused. */
const dialects = { order: "functions", picture: "storage",
	largePicture: "storage" };

const mount = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-disks-"));
const stateDir = path.join(mount, "state");
const disks = {};
let fal, rendio, store, cost, firstVideo;
const phones = [];

let orders = 0;
/** Of the orders that were answered 200: whose job, by the order's number. */
const accepted = new Map();
/** The numbers of the orders that reached the provider, each time. */
const submitted = [];
/** The id that each picture's last 200 told, by the picture's name. */
const kept = new Map();

before(async () => {
	for (const [name, directory] of Object.entries({ state: "",
		media: "state/media", log: "state/log",
		bodies: "state/nginx/tmp" }))
		disks[name] = new Disk(path.join(mount, directory), MIB);
	fal = await Fal.start();
	fal.onStep = async (step, { script }) => {
		if (step === "submit" && script.tag !== undefined)
			submitted.push(script.tag);
	};
	rendio = await start({ stateDir, env: { ...fal.env,
		RENDIO_MEDIA_FREE_MIB_MIN: "1",
		RENDIO_JOBS_OPEN_MAX_FREE: "1000",
		RENDIO_UPLOADS_MAX: "1000",
		RENDIO_FFMPEG: "",
	} });
	fal.fetch = rendio.fetch;
	store = new AppStore(rendio);
	for (let i = 0; i < PHONES; i++)
		phones.push(await rendio.guest(`phone-${i}`));
	for (const phone of phones) {
		await rendio.cli("user", "grant", phone.user_id,
		    String(CREDITS - await creditsOf(rendio, phone)),
		    "--reason", "tests");
		phone.credits = CREDITS;
	}
	const [phone] = phones;
	const id = await orderJob(rendio, phone, { prompt: fal.script(),
		settings: { duration: 4 } });
	const { video_url } = await endOf(rendio, phone, id);
	firstVideo = new URL(video_url);
	cost = CREDITS - await creditsOf(rendio, phone);
	phone.credits -= cost;
});
after(async () => {
	await rendio?.halt();
	for (const disk of Object.values(disks).reverse())
		disk.unmount();
	await rendio?.stop();
	await fal?.stop();
	fs.rmdirSync(mount);
});

const nameOf = (phone, file) => `${phone.user_id}/${file}.jpg`;

/** A picture's name is new, or the last of the name is replaced. */
async function send(phone, name, bytes) {
	const res = await upload(rendio, phone, name, jpegOfBytes(bytes),
	    { headers: { "x-upsert": "true" } });
	if (res.status === 200)
		kept.set(name, { id: res.json().Id, phone });
	return res;
}

/** What a phone does, in turn. */
const acts = {
	async order(phone) {
		const tag = ++orders;
		const res = await order(rendio, phone, {
			prompt: fal.script({ tag }),
			settings: { duration: 4 } });
		if (res.status === 200) {
			accepted.set(tag, { id: res.json().job_id, phone });
			phone.credits -= cost;
		}
		return res;
	},
	async purchase(phone) {
		const res = await post(rendio, phone, { signed_transaction:
			store.sign(store.transaction()) });
		if (res.status === 200)
			phone.credits += PURCHASED;
		return res;
	},
	picture: (phone) =>
	    send(phone, nameOf(phone, phone.rounds), SMALL_BYTES),
	largePicture: (phone) =>
	    send(phone, nameOf(phone, "large"), LARGE_BYTES + phone.rounds),
	async refresh(phone) {
		const { refresh_token } = phone;
		const res = await rendio.request("POST",
		    "/auth/v1/token?grant_type=refresh_token",
		    { body: { refresh_token } });
		if (res.status === 200) {
			const { access_token, refresh_token } = res.json();
			Object.assign(phone, { access_token, refresh_token });
		}
		return res;
	},
	...Object.fromEntries(["get-user-credits", "get-video-jobs?limit=10",
		"get-models", "get-themes", "get-user-profile",
		"get-credit-history"].map((name) => [name, (phone) =>
	    rendio.request("GET", `/functions/v1/${name}`,
		{ bearer: phone.access_token })])),
	video: () => rendio.request("GET",
	    firstVideo.pathname + firstVideo.search),
};

/** Each act once; those alone may be refused. */
async function doAll(phone, answers, mayBeRefused) {
	phone.rounds = (phone.rounds ?? 0) + 1;
	for (const [name, act] of Object.entries(acts)) {
		const res = await act(phone);
		answers[name].push(res.status);
		if (res.status === 200)
			continue;
		assert.ok(mayBeRefused.includes(name),
		    `${name}: ${res.status} ${res.text}`);
		assertError(res, 503, "service_unavailable", dialects[name]);
	}
}

/**
 * Phones go on while work(answers) runs; those acts alone may be refused.
 * answers[name]: the statuses of an act so far, the newest last.
 */
async function whileInUse(mayBeRefused, work) {
	const answers = Object.fromEntries(Object.keys(acts)
	    .map((name) => [name, []]));
	let over = false;

	await Promise.all([work(answers).finally(() => { over = true; }),
		...phones.map(async (phone) => {
			for (; !over; await sleep(PAUSE_MS))
				await doAll(phone, answers, mayBeRefused);
		})]);
}

/** Waits until each of these acts was answered so, in `list` from now on. */
async function untilAnswered(answers, names, status) {
	const before = Object.fromEntries(names.map((name) =>
	    [name, answers[name].length]));
	for (const name of names) {
		const isAnswered = () => answers[name].slice(before[name])
		    .includes(status);
		assert.ok(await until(isAnswered, WAIT_MS_MAX),
		    `${name}: never ${status}`);
	}
}

/** What was answered 200 is there, and nothing of what was not. */
async function assertTrue() {
	for (const { id, phone } of accepted.values())
		assert.equal((await endOf(rendio, phone, id)).status,
		    "completed");
	assert.deepEqual(submitted.toSorted((a, b) => a - b),
	    [...accepted.keys()].sort((a, b) => a - b),
	    "each was submitted once, and no other");
	for (const phone of phones)
		assert.equal(await creditsOf(rendio, phone), phone.credits);
	assert.deepEqual(await sql(rendio, "SELECT COUNT(*) AS n FROM jobs"),
	    [{ n: accepted.size + 1 }]);
	for (const [name, { id, phone }] of kept) {
		const info = await rendio.request("GET",
		    `/storage/v1/object/info/thumbnails/${name}`,
		    { bearer: phone.access_token });
		assert.equal(info.status, 200, name);
		assert.equal(info.json().id, id, name);
	}
	const left = await until(async () => {
		const rows = await sql(rendio, "SELECT bucket, state," +
		    " COUNT(*) AS n FROM objects GROUP BY bucket, state" +
		    " ORDER BY bucket");
		return rows.every((row) => row.state === "stored") && rows;
	}, WAIT_MS_MAX);
	assert.deepEqual(left, [
		{ bucket: "thumbnails", state: "stored", n: kept.size },
		{ bucket: "videos", state: "stored", n: accepted.size + 1 },
	]);
	const audit = await rendio.cli("audit", "--files");
	assert.equal(audit.code, 0, audit.stdout);
}

/** The jobs whose video is made and has no room. */
async function waiting() {
	return (await Promise.all([...accepted.values()].map(
	    async ({ id, phone }) =>
		(await statusOf(rendio, phone, id)).json().completed_at)))
	    .filter((at) => at === null).length;
}

test("no room for media: orders and pictures are 503, the rest goes on, and" +
    " what was ordered waits", async () => {
	const needing = ["order", "picture", "largePicture"];

	await whileInUse(needing, async (answers) => {
		await untilAnswered(answers, needing, 200);
		// Nobody measures, so orders are taken which will have no room.
		await stopWorker(rendio);
		await untilAnswered(answers, ["order"], 200);
		disks.media.fill();
		await untilAnswered(answers, ["picture", "largePicture"], 503);
		await untilAnswered(answers, ["order", "purchase"], 200);
		await startWorker(rendio);
		// What was replaced before is removed now, which makes room.
		const failed = await until(() => {
			disks.media.fill();
			return rendio.log().some((line) =>
			    line.includes("\"event\":\"fetch_failed\""));
		}, WAIT_MS_MAX);
		assert.ok(failed, "every video had room");
		await untilAnswered(answers, needing, 503);
		await untilAnswered(answers, needing, 503);
		assert.ok(await waiting() > 0);
		assert.equal((await rendio.cli("audit")).code, 0);

		disks.media.free();
		await untilAnswered(answers, needing, 200);
	});
	await assertTrue();
});

test("no room for bodies: large pictures are 503, the rest goes on",
    async () => {
	const large = ["largePicture"];

	await whileInUse(large, async (answers) => {
		await untilAnswered(answers, large, 200);
		disks.bodies.fill();
		await untilAnswered(answers, large, 503);
		// Over HTTP/2, which phones speak, a body takes another way.
		const [phone] = phones;
		const send2 = (path, type, body) => askHttp2(rendio, "POST",
		    path, { body, headers: { "content-type": type,
			authorization: `Bearer ${phone.access_token}` } });
		const picture = "/storage/v1/object/thumbnails/" +
		    nameOf(phone, "other");
		for (const bytes of [LARGE_BYTES, LARGEST_BYTES])
			assertError(await send2(picture, "image/jpeg",
			    jpegOfBytes(bytes)), 503, "service_unavailable",
			    "storage");
		const bought = await send2("/functions/v1/update-credits",
		    "application/json", JSON.stringify({ signed_transaction:
			store.sign(store.transaction()) }));
		assert.equal(bought.status, 200, bought.text);
		phone.credits += PURCHASED;
		await untilAnswered(answers, Object.keys(acts)
		    .filter((name) => name !== "largePicture"), 200);

		disks.bodies.free();
		await untilAnswered(answers, large, 200);
	});
	await assertTrue();
});

test("no room for logs: nobody notices, however much there is to log",
    async () => {
	const nowhere = `/playground/${"n".repeat(200)}`;

	await whileInUse([], async (answers) => {
		disks.log.fill();
		// Each is an error to the router: more than its pipe holds.
		for (let i = 0; i < 20; i++)
			await Promise.all(Array.from({ length: 25 }, async () =>
			    assert.equal((await rendio.request("GET", nowhere))
				.status, 404)));
		await untilAnswered(answers, Object.keys(acts), 200);
		const { job_id } = (await acts.order(phones[0])).json();
		assert.equal((await endOf(rendio, phones[0], job_id)).status,
		    "completed");
	});
	await assertTrue();

	disks.log.free();
	// Where it found no room the router does not write for a second.
	const logged = await until(async () => {
		const res = await acts["get-user-credits"](phones[0]);
		const id = res.headers["x-request-id"];
		await sleep(100);
		return (await rendio.logOf(id)).length > 0 &&
		    fs.readFileSync(rendio.file("log", "access.log"), "utf8")
			.includes(id);
	});
	assert.ok(logged);
	await rendio.request("GET", `${nowhere}?secret=1`);
	assert.ok(await until(() => rendio.log().some((line) =>
	    line.includes(`GET ${nowhere}?`))));
	assert.ok(!rendio.log().some((line) => line.includes("secret")));
});

// SPDX-License-Identifier: MIT
// The way of a result onto our disk, whatever its host does: each job has a
// CDN of its own kind, played by the fake of fal.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import { after, before, test } from "node:test";
import { Fal, VIDEO } from "../fakes/fal.mjs";
import { sql } from "./support/database.mjs";
import { assertAuditClean } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { creditsOf, endOf, orderJob, statusOf } from "./support/jobs.mjs";

/** A film of ours, in which ffmpeg finds a frame. */
function film() {
	const file = `${fs.mkdtempSync("/tmp/rendio-film-")}/a.mp4`;
	execFileSync("ffmpeg", ["-v", "error", "-f", "lavfi", "-i",
		"testsrc=s=1280x720:d=1:r=4", "-threads", "1", file]);
	const bytes = fs.readFileSync(file);
	fs.rmSync(file);
	return bytes;
}

const FILM = film();

class Cdn extends Fal {
	asked = new Map();

	/** Most tell how long the file is, and rightly. */
	output(request) {
		const output = super.output(request);
		const sizes = { film: FILM.length, cut: FILM.length,
			otherSize: VIDEO.length + 1, untold: null };
		const { cdn } = request.script;
		if (cdn in sizes)
			output.video.file_size = sizes[cdn];
		return output;
	}

	otherSize(req, res) {
		this.ok(req, res);
	}

	untold(req, res) {
		this.ok(req, res);
	}

	async serveFile(req, url, res, send) {
		const [, , id, step = "0"] = url.pathname.replace(".mp4", "")
		    .split("/");
		const request = this.requests.get(id);
		const { cdn } = request.script;
		const calls = this.asked.get(cdn) ?? [];
		this.asked.set(cdn, calls);
		calls.push({ step, range: req.headers.range,
			ifRange: req.headers["if-range"] });
		await this[cdn](req, res, { id, step: Number(step),
			n: calls.length, send });
	}

	ok(req, res) {
		res.writeHead(200, { "content-length": VIDEO.length }).end(VIDEO);
	}

	film(req, res) {
		res.writeHead(200, { "content-length": FILM.length }).end(FILM);
	}

	chunked(req, res) {
		res.write(VIDEO.subarray(0, 100));
		res.end(VIDEO.subarray(100));
	}

	to(res, location) {
		res.writeHead(302, { location, "content-length": 0 }).end();
	}

	threeHops(req, res, { id, step }) {
		if (step === 3)
			return this.ok(req, res);
		this.to(res, step === 1 ? `${this.url}/files/${id}/2` :
		    `/files/${id}/${step + 1}`);
	}

	fourHops(req, res, { id, step }) {
		if (step === 4)
			return this.ok(req, res);
		this.to(res, `/files/${id}/${step + 1}`);
	}

	toNeighbour(req, res) {
		this.to(res, `http://127.0.0.1:${neighbour.port}/secret.mp4`);
	}

	toName(req, res) {
		this.to(res, `http://localhost:${this.port}/files/x`);
	}

	toMapped(req, res) {
		this.to(res, `http://[::ffff:127.0.0.1]:${neighbour.port}/x`);
	}

	toPrivate(req, res) {
		this.to(res, "http://169.254.169.254/latest/meta-data");
	}

	toFile(req, res) {
		this.to(res, "file:///etc/passwd");
	}

	toNowhere(req, res) {
		res.writeHead(302, { "content-length": 0 }).end();
	}

	toUser(req, res) {
		this.to(res, `http://a@127.0.0.1:${this.port}/files/x`);
	}

	async cutAt(res, from, to, headers) {
		res.writeHead(headers["content-range"] ? 206 : 200,
		    { "content-length": FILM.length - from, ...headers });
		res.write(FILM.subarray(from, to));
		await new Promise((resolve) => setTimeout(resolve, 50));
		res.socket.destroy();
	}

	async cut(req, res, { n }) {
		const headers = { etag: '"one"' };
		const from = Number(/bytes=(\d+)-/.exec(req.headers.range)?.[1] ?? 0);
		if (from > 0)
			headers["content-range"] =
			    `bytes ${from}-${FILM.length - 1}/${FILM.length}`;
		if (n <= 3)
			return await this.cutAt(res, from, from + 500, headers);
		res.writeHead(206, { ...headers,
			"content-length": FILM.length - from })
		    .end(FILM.subarray(from));
	}

	async cutAndChanged(req, res, { n }) {
		if (n === 1)
			return await this.cutAt(res, 0, 500, { etag: '"one"' });
		this.ok(req, res);
	}

	async cutAndElsewhere(req, res, { n }) {
		if (n === 1)
			return await this.cutAt(res, 0, 500, { etag: '"one"' });
		if (n > 2)
			return this.ok(req, res);
		res.writeHead(206, { "content-length": 10, etag: '"one"',
			"content-range": "bytes 600-609/1024" })
		    .end(VIDEO.subarray(600, 610));
	}

	async cutWithoutTag(req, res, { n }) {
		if (n === 1)
			return await this.cutAt(res, 0, 500, { etag: 'W/"one"' });
		this.ok(req, res);
	}

	rangeUnasked(req, res, { n }) {
		if (n > 1)
			return this.ok(req, res);
		res.writeHead(206, { "content-length": 10,
			"content-range": "bytes 0-9/1024" }).end(VIDEO.subarray(0, 10));
	}

	async dripping(req, res, { n }) {
		return n > 1 ? this.ok(req, res) :
		    await this.drip(res, VIDEO.length, "video/mp4");
	}

	unframed(req, res, { n }) {
		if (n > 1)
			return this.ok(req, res);
		res.socket.end(`HTTP/1.1 200 OK\r\n\r\n${VIDEO.toString("latin1")}`);
	}

	empty(req, res, { n }) {
		if (n > 1)
			return this.ok(req, res);
		res.writeHead(200, { "content-length": 0 }).end();
	}

	huge(req, res) {
		res.writeHead(200, { "content-length": 500 * 1024 * 1024 + 1 });
		res.write(VIDEO);
	}

	html(req, res) {
		res.writeHead(200, { "content-type": "video/mp4" })
		    .end("<html>not a video, but long enough</html>");
	}

	gone(req, res, { send }) {
		send(404, "gone");
	}

	expired(req, res, { send }) {
		send(403, "expired");
	}

	busy(req, res, { n, send }) {
		return n > 2 ? this.ok(req, res) : send(503, "busy");
	}
}

let fal, rendio, ada, neighbour;

before(async () => {
	// Nobody may be led here.
	neighbour = http.createServer((req, res) => {
		neighbour.calls++;
		res.end(VIDEO);
	});
	neighbour.calls = 0;
	await new Promise((resolve) => neighbour.listen(0, "127.0.0.1", resolve));
	neighbour.port = neighbour.address().port;
	fal = await Cdn.start();
	rendio = await start({ env: { ...fal.env, RENDIO_FFMPEG: "ffmpeg",
		RENDIO_RESULT_STALL_S: "1" } });
	ada = await rendio.guest("ada");
	assert.equal((await rendio.cli("user", "grant", ada.user_id, "5000",
	    "--reason", "tests")).code, 0);
});
after(async () => {
	await rendio.stop();
	await fal.stop();
	neighbour.close();
});

async function make(cdn) {
	const prompt = fal.script({ hook: "off", cdn });
	const jobId = await orderJob(rendio, ada, { prompt });
	// Five refusals take their time, more so on a busy machine.
	assert.ok(await until(async () => (await statusOf(rendio, ada, jobId))
	    .json().completed_at !== null, 90_000), cdn);
	return await endOf(rendio, ada, jobId);
}

async function bytesOf(url) {
	const res = await rendio.request("GET", url.slice(rendio.url.length),
	    { apikey: null });
	assert.equal(res.status, 200, res.text);
	return res;
}

/** These end well, and the bytes are the host's. */
const good = [["ok", VIDEO], ["chunked", VIDEO], ["threeHops", VIDEO],
	["cut", FILM], ["cutAndChanged", VIDEO], ["cutAndElsewhere", VIDEO],
	["cutWithoutTag", VIDEO], ["rangeUnasked", VIDEO], ["unframed", VIDEO],
	["empty", VIDEO], ["untold", VIDEO], ["busy", VIDEO], ["dripping", VIDEO]];

for (const [cdn, bytes] of good)
	test(`${cdn}: the video arrives whole`, { concurrency: true }, async () => {
		const job = await make(cdn);
		assert.equal(job.status, "completed", JSON.stringify(job));
		assert.deepEqual((await bytesOf(job.video_url)).bytes, bytes);
	});

test("a broken transfer goes on where it stopped", async () => {
	const calls = fal.asked.get("cut");
	assert.deepEqual(calls.map((call) => call.range),
	    [undefined, "bytes=500-", "bytes=1000-", "bytes=1500-"]);
	assert.deepEqual(calls.map((call) => call.ifRange),
	    [undefined, '"one"', '"one"', '"one"']);
	assert.equal(fal.asked.get("cutWithoutTag")[1].range, undefined);
});

test("what leads elsewhere, is too large or no video is given up, and the " +
    "credits are back", async () => {
	const before = await creditsOf(rendio, ada);
	const ends = { toNeighbour: "provider_protocol",
		toName: "provider_protocol", toMapped: "provider_protocol",
		toPrivate: "provider_protocol", toFile: "provider_protocol",
		toUser: "provider_protocol", toNowhere: "provider_protocol", huge: "provider_protocol",
		fourHops: "provider_protocol", html: "provider_protocol",
		otherSize: "provider_protocol",
		gone: "result_expired", expired: "result_expired" };
	const jobs = await Promise.all(Object.keys(ends).map(make));

	Object.values(ends).forEach((code, i) => {
		assert.equal(jobs[i].status, "failed", Object.keys(ends)[i]);
		assert.equal(jobs[i].error_code, code, Object.keys(ends)[i]);
		assert.equal(jobs[i].video_url, null);
	});
	assert.equal(neighbour.calls, 0);
	// Nobody asks anew where it is forbidden to go.
	assert.equal(fal.asked.get("toNeighbour").length, 1);
	assert.equal(fal.asked.get("huge").length, 1);
	assert.equal(fal.asked.get("gone").length, 5);
	assert.equal(await creditsOf(rendio, ada), before);
});

test("a frame of the video is its thumbnail, for who has its link",
    async () => {
	const job = await make("film");
	assert.equal(job.status, "completed");
	assert.ok(job.thumbnail_url.startsWith(
	    `${rendio.url}/storage/v1/object/sign/thumbnails/${ada.user_id}/` +
	    `${job.job_id}.jpg?token=`), job.thumbnail_url);
	const { bytes, headers } = await bytesOf(job.thumbnail_url);
	assert.equal(headers["content-type"], "image/jpeg");
	const size = execFileSync("ffprobe", ["-v", "error", "-show_entries",
		"stream=width,height", "-of", "csv=p=0", "-"], { input: bytes });
	assert.equal(String(size).trim(), "640,360");
	const list = (await rendio.request("GET", "/functions/v1/get-video-jobs",
	    { bearer: ada.access_token })).json().jobs;
	assert.equal(list.find((one) => one.job_id === job.job_id)
	    .thumbnail_url.split("?")[0], job.thumbnail_url.split("?")[0]);

	const res = await rendio.request("POST",
	    "/functions/v1/delete-video-job", { bearer: ada.access_token,
		body: { job_id: job.job_id } });
	assert.equal(res.status, 200);
	assert.equal((await rendio.request("GET",
	    job.thumbnail_url.slice(rendio.url.length), { apikey: null }))
	    .status, 404);
});

test("a video without a frame is delivered without", async () => {
	const job = await make("ok");
	assert.equal(job.status, "completed");
	assert.equal(job.thumbnail_url, null);
	assert.ok(await until(async () => (await sql(rendio, `SELECT 1 FROM
	    objects WHERE bucket = 'thumbnails' AND state <> 'stored'`))
	    .length === 0));
});

/** Has the place of a worker that makes a poster, until it is called. */
async function takePlace(i) {
	const child = spawn("flock", ["-n", rendio.file("run", `poster.${i}`),
		"sh", "-c", "echo taken; exec cat"],
	    { stdio: ["pipe", "pipe", "inherit"] });
	const ended = new Promise((resolve) => child.once("close", resolve));
	await new Promise((resolve, reject) => {
		child.stdout.once("data", resolve);
		child.once("close", () => reject(new Error("it is taken")));
	});
	return async () => {
		child.stdin.end();
		await ended;
	};
}

test("all workers together make two posters at a time, and a video does not " +
    "wait for long", async () => {
	// Two others are at it, and this worker has nothing else to do.
	const leave = [await takePlace(0), await takePlace(1)];
	try {
		const job = await make("film");
		assert.equal(job.status, "completed");
		assert.equal(job.thumbnail_url, null);
		const line = await until(() => rendio.log().find((line) =>
		    line.includes("no_poster") && line.includes(job.job_id)));
		assert.match(line, /busy/);
	} finally {
		await Promise.all(leave.map((end) => end()));
	}
});

test("in the end every file has its row, and the other way round",
    async () => {
	const { code, stdout } = await rendio.cli("audit", "--files");
	assert.equal(code, 0, stdout);
	await assertAuditClean(rendio);
	assert.ok(fal.mostPaid <= 1);
});

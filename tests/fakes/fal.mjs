// SPDX-License-Identifier: MIT
//
// fal.ai as its facts say: the queue, the platform's history, the key set, the
// CDN and the webhooks; with faults by the job, and a count of what was paid.
//
//	const fal = await Fal.start();
//	const rendio = await start({ env: fal.env });
//	await orderJob(rendio, ada, { prompt: fal.script({ submit: "reset" }) });
//
// A script rides in the prompt as [[{…}]].  Its members, all optional:
//	submit	before, hangBefore: the connection dies, or is silent, before
//		anything is accepted; reset, hang, drip, cut, garbage, noId, 500,
//		503, 408: the same after acceptance; slow: accepted, but told
//		after a second; 429, 401, locked, 404, 422: not accepted;
//		foreign: foreign URLs; redirect
//	times	the submit fault hits this many submissions of the job (1)
//	queue_ms, run_ms	how long it waits and runs
//	status	500, garbage, unknown, 404, reset, drip: what polling answers
//		first
//	result	content, provider, image, retryable, wrapper, missing, 404,
//		flaky, drip, noVideo, timeout
//	hook	off, twice, early, forged, null, nullError, late, wrongUser
//	history	off: the platform does not know it
//	file	what the CDN does: html, cut, 404, 500, foreign, drip, huge,
//		expired

import { createHash, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const API_KEY = "key-id:key-secret";
export const USER_ID = "github|424242";

/** An ISO media file of 1 KiB: ftyp, then nothing of interest. */
export const VIDEO = Buffer.concat([
	Buffer.from([0, 0, 0, 24]), Buffer.from("ftypisom\0\0\x02\0isomiso2"),
	Buffer.from([0, 0, 3, 232]), Buffer.from("mdat"), Buffer.alloc(992, 7),
]);

/** As Python's json.dumps(sort_keys=True) writes it. */
export function pythonJson(value) {
	if (Array.isArray(value))
		return `[${value.map(pythonJson).join(", ")}]`;
	if (typeof value === "bigint")
		return String(value);
	if (value !== null && typeof value === "object")
		return `{${Object.keys(value).sort().map((name) =>
		    `${pythonJson(name)}: ${pythonJson(value[name])}`).join(", ")}}`;
	return JSON.stringify(value).replace(/[\u0080-\uffff]/g, (c) =>
	    `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const details = {
	content: [422, "content_policy_violation"],
	image: [422, "image_load_error"],
	provider: [500, "internal_server_error"],
	missing: [422, "missing"],
};

function scriptOf(input) {
	const [, json] = /\[\[(\{.*\})\]\]/s.exec(input.prompt ?? "") ?? [];
	return json === undefined ? {} : JSON.parse(json);
}

export class Fal {
	/** Every accepted request, by id; each was paid for. */
	requests = new Map();
	/** Those that have ended, in that order. */
	ended = [];
	/** Submissions that were accepted, by our attempt's URL. */
	paid = new Map();
	/** Submissions that arrived, accepted or not, by the same. */
	seen = new Map();
	/** Answers to webhooks: { attempt, status }. */
	hooks = [];
	running = 0;
	maxRunning = 0;
	started = [];
	keys = [];
	/** Called as (step, request or input) before it is served; may wait. */
	onStep = async () => {};
	/** How many run at once; what is over waits. */
	limit = Infinity;
	queue_ms = 20;
	run_ms = 50;
	/**
	 * Of the whole account: "locked", "401", "down" (it takes nothing on),
	 * "dead" (nothing of it answers), or null.
	 */
	account = null;
	jwksCalls = 0;
	isJwksDown = false;
	isJwksEmpty = false;

	script = (script = {}) => `A sea [[${JSON.stringify(script)}]]`;

	static async start(options = {}) {
		const fal = Object.assign(new this(), options);
		fal.rotate();
		fal.server = http.createServer((req, res) => {
			fal.serve(req, res).catch((error) => {
				if (error.code !== "ECONNRESET")
					console.error(error);
				res.destroy();
			});
		});
		fal.server.keepAliveTimeout = 60_000;
		await fal.listen();
		fal.url = `http://127.0.0.1:${fal.port}`;
		return fal;
	}

	async listen() {
		this.server.listen(this.port ?? 0, "127.0.0.1");
		await once(this.server, "listening");
		this.port = this.server.address().port;
	}

	/** Connections are refused until listen(); what it made goes on. */
	async hangUp() {
		const closed = new Promise((resolve) =>
		    this.server.close(resolve));
		this.server.closeAllConnections();
		await closed;
	}

	async stop() {
		this.stopped = true;
		await this.hangUp();
	}

	get env() {
		return {
			RENDIO_FAL_KEY: API_KEY,
			RENDIO_FAL_USER_ID: USER_ID,
			RENDIO_FAL_QUEUE_URL: this.url,
			RENDIO_FAL_PLATFORM_URL: `${this.url}/v1`,
			RENDIO_FAL_JWKS_URL: `${this.url}/.well-known/jwks.json`,
			RENDIO_MEDIA_HOSTS: `127.0.0.1:${this.port}`,
			RENDIO_ALLOW_PRIVATE_UPSTREAMS: "1",
			RENDIO_PROVIDER_POLL_FIRST_MS: "300",
			RENDIO_PROVIDER_POLL_MAX_MS: "1000",
		};
	}

	/** Signs with a new key from now on; the last two are published. */
	rotate({ isPublished = true } = {}) {
		this.keys.unshift({ ...generateKeyPairSync("ed25519"), isPublished });
		this.keys.splice(2);
	}

	get keySet() {
		return { keys: [{ kty: "RSA", kid: "foreign", n: "AQAB", e: "AQAB" },
			...this.keys.filter((key) => key.isPublished)
			    .map(({ publicKey }) => publicKey.export({ format: "jwk" }))] };
	}

	/** The headers of a signed webhook. */
	sign(request_id, body, { user_id = USER_ID, key = this.keys[0].privateKey,
	    timestamp = Math.floor(Date.now() / 1000) } = {}) {
		const hash = createHash("sha256").update(body).digest("hex");
		const message = `${request_id}\n${user_id}\n${timestamp}\n${hash}`;
		return {
			"content-type": "application/json",
			"x-fal-webhook-request-id": request_id,
			"x-fal-webhook-user-id": user_id,
			"x-fal-webhook-timestamp": String(timestamp),
			"x-fal-webhook-signature":
			    sign(null, Buffer.from(message), key).toString("hex"),
		};
	}

	async post(url, headers, body) {
		try {
			const res = await this.fetch(url, { method: "POST",
				headers, body });
			this.hooks.push({ url, status: res.status });
			return res.status;
		} catch (error) {
			this.hooks.push({ url, status: 0, error });
			return 0;
		}
	}

	/** The webhook's body of a request that has ended. */
	hookBody(request) {
		const { script, request_id } = request;
		const failed = this.failure(request);
		const body = { error: null, gateway_request_id: randomUUID(),
			request_id, status: "OK", payload: this.output(request) };
		if (failed)
			Object.assign(body, { status: "ERROR",
				error: `Invalid status code: ${failed[0]}`,
				payload: { detail: [{ loc: ["body", "prompt"],
					msg: "no", type: failed[1], input: "secret" }] } });
		if (script.hook === "null" || script.hook === "nullError")
			Object.assign(body, { payload: null, payload_error:
			    "Response payload is not JSON serializable",
				...script.hook === "nullError" ?
				    { status: "ERROR" } : {} });
		return pythonJson(body);
	}

	failure({ script }) {
		return details[script.result];
	}

	async tell(request) {
		const { hook = "on", hook_ms = 0 } = request.script;
		const body = this.hookBody(request);
		const url = request.webhook;

		if (hook === "off" || url === null || this.fetch === undefined)
			return;
		if (hook === "late")
			await sleep(1500);
		await sleep(hook_ms);
		await this.onStep("hook", request);
		if (hook === "forged" || hook === "wrongUser") {
			const { privateKey } = generateKeyPairSync("ed25519");
			await this.post(url, this.sign(request.request_id, body,
			    hook === "forged" ? { key: privateKey } :
				{ user_id: "github|666" }), body);
			return;
		}
		// What is not taken comes again.
		for (let i = 0; i < 40 && !this.stopped; i++) {
			const status = await this.post(url,
			    this.sign(request.request_id, body), body);
			if (status >= 200 && status < 300)
				break;
			await sleep(250);
		}
		if (hook === "twice")
			await this.post(url, this.sign(request.request_id, body), body);
	}

	output(request) {
		const host = request.script.file === "foreign" ?
		    "http://localhost:9" : this.url;
		return {
			seed: 17454220438242315174n,
			actual_prompt: "caf\u00e9 \ud83d\ude00",
			video: { url: `${host}/files/${request.request_id}.mp4`,
				content_type: "video/mp4", file_name: "output.mp4",
				file_size: VIDEO.length },
		};
	}

	/** Takes a request on: this is what costs money. */
	accept(endpoint, input, webhook) {
		const request = {
			request_id: randomUUID(), endpoint, input, webhook,
			script: scriptOf(input), state: "IN_QUEUE",
			sent_at: new Date().toISOString(), polls: 0,
		};
		this.requests.set(request.request_id, request);
		this.paid.set(webhook, (this.paid.get(webhook) ?? 0) + 1);
		request.done = this.run(request);
		return request;
	}

	async run(request) {
		const { queue_ms = this.queue_ms, run_ms = this.run_ms } =
		    request.script;
		await sleep(queue_ms);
		while (this.running >= this.limit && !this.stopped)
			await sleep(5);
		if (request.state === "CANCELLED")
			return;
		this.running++;
		this.maxRunning = Math.max(this.maxRunning, this.running);
		this.started.push(request);
		request.state = "IN_PROGRESS";
		await sleep(run_ms);
		this.running--;
		request.state = "COMPLETED";
		request.ended_at = new Date().toISOString();
		this.ended.push(request);
		await this.tell(request);
	}

	/** A byte now and then, until the other side has had enough. */
	async drip(res, length, type = "application/json") {
		res.writeHead(200, { "content-type": type,
			"content-length": length });
		while (!res.destroyed && !this.stopped) {
			res.write(" ");
			await sleep(100);
		}
	}

	async serve(req, res) {
		if (this.account === "dead")
			return req.socket.resetAndDestroy();
		const url = new URL(req.url, this.url);
		const chunks = [];
		for await (const chunk of req)
			chunks.push(chunk);
		const body = Buffer.concat(chunks);
		const send = (status, value, headers = {}) => {
			const text = typeof value === "string" ? value :
			    pythonJson(value);
			res.writeHead(status, { "content-type": "application/json",
				"content-length": Buffer.byteLength(text),
				...headers }).end(text);
		};

		if (url.pathname === "/.well-known/jwks.json") {
			this.jwksCalls++;
			return send(this.isJwksDown ? 503 : 200,
			    this.isJwksEmpty ? { keys: [] } : this.keySet);
		}
		if (url.pathname.startsWith("/files/"))
			return await this.serveFile(req, url, res, send);
		if (req.headers.authorization !== `Key ${API_KEY}`)
			return send(401, { detail: "Cannot access application" });
		if (this.account === "401" || (this.account === "locked" &&
		    req.method === "POST"))
			return this.account === "401" ?
			    send(401, { detail: "No user found for Key ID" }) :
			    send(403, { detail: "User is locked. Reason: " +
				"Exhausted balance. Top up your balance." });
		if (url.pathname.startsWith("/v1/"))
			return this.serveHistory(url, send);
		const [, id, tail] = /\/requests\/([^/]+)(\/.*)?$/
		    .exec(url.pathname) ?? [];
		if (id !== undefined)
			return await this.serveRequest(req, id, tail ?? "", send, res);
		if (req.method === "POST")
			return await this.serveSubmit(req, url, body, send, res);
		send(404, { error: "Error", message: `Path ${url.pathname} not found` });
	}

	answer(request) {
		const { request_id, endpoint, script } = request;
		const parts = endpoint.split("/");
		const base = parts.slice(0, ["workflows", "comfy"]
		    .includes(parts[0]) ? 3 : 2).join("/");
		const host = script.submit === "foreign" ?
		    "https://evil.example" : this.url;
		const root = `${host}/${base}/requests/${request_id}`;
		return { request_id, response_url: root,
			status_url: `${root}/status`, cancel_url: `${root}/cancel` };
	}

	async serveSubmit(req, url, body, send, res) {
		const endpoint = url.pathname.slice(1);
		const input = JSON.parse(body);
		const webhook = url.searchParams.get("fal_webhook");
		const script = scriptOf(input);
		const seen = (this.seen.get(webhook) ?? 0) + 1;
		const nth = [...this.seen.keys()].length;
		this.seen.set(webhook, seen);
		const fault = seen <= (script.times ?? 1) ? script.submit : undefined;

		await this.onStep("submit", { input, script, webhook });
		if (this.account === "down" || fault === "before")
			return req.socket.resetAndDestroy();
		if (fault === "hangBefore")
			return;
		switch (fault) {
		case "429":
			return send(429, { detail: "concurrent_requests_limit" },
			    { "retry-after": "1" });
		case "401":
			return send(401, { detail: "No user found for Key ID" });
		case "locked":
			return send(403, { detail: "User is locked. Reason: TOP_UP" });
		case "404":
			return send(404, { detail: `Application ${endpoint} not found` });
		case "422":
			return send(422, { detail: [{ loc: ["body", "duration"],
				msg: "no", type: "literal_error", input }] });
		case "redirect":
			return send(307, "", { location: `${this.url}/elsewhere` });
		}
		const request = this.accept(endpoint, input, webhook);
		request.nth = nth;
		request.headers = req.headers;
		if (script.hook === "early")
			await request.done;
		await this.onStep("accepted", request);
		switch (fault) {
		case "reset":
			return req.socket.resetAndDestroy();
		case "hang":
			return;
		case "drip":
			return await this.drip(res, 500);
		case "slow":
			await sleep(1000);
			break;
		case "cut":
			res.writeHead(200, { "content-length": 500 });
			res.write('{"request_id":');
			await sleep(20);
			return req.socket.destroy();
		case "garbage":
			return send(200, "<html>it works</html>",
			    { "content-type": "text/html" });
		case "noId":
			return send(200, { status: "IN_QUEUE" });
		case "500":
		case "503":
			return send(Number(fault), "<html>nginx</html>",
			    { "content-type": "text/html" });
		case "408":
			return send(408, { detail: "timeout" });
		}
		send(200, { status: "IN_QUEUE", ...this.answer(request), logs: null,
			metrics: {}, queue_position: 0 },
		    { "x-fal-request-id": request.request_id });
		await this.onStep("answered", request);
	}

	async serveRequest(req, id, tail, send, res) {
		const request = this.requests.get(id);
		if (request === undefined)
			return send(404, { detail: "Request not found" });
		if (tail === "/status") {
			await this.onStep("status", request);
			return await this.serveStatus(request, send, req, res);
		}
		if (tail === "/cancel") {
			if (request.state === "IN_QUEUE") {
				request.state = "CANCELLED";
				return send(202, { status: "CANCELLATION_REQUESTED" });
			}
			return send(request.state === "COMPLETED" ? 400 : 202,
			    { status: request.state === "COMPLETED" ?
				"ALREADY_COMPLETED" : "CANCELLATION_REQUESTED" });
		}
		await this.onStep("result", request);
		return await this.serveResult(request, send, req, res);
	}

	async serveStatus(request, send, req, res) {
		const { script } = request;
		const first = request.polls++ < (script.bad_polls ?? 2);
		const { request_id, ...urls } = this.answer({ ...request, script: {} });
		if (first && script.status === "500")
			return send(500, "<html>oops</html>");
		if (first && script.status === "drip")
			return await this.drip(res, 500);
		if (first && script.status === "reset")
			return req.socket.resetAndDestroy();
		if (first && script.status === "garbage")
			return send(200, "{\"status\":");
		if (first && script.status === "404")
			return send(404, { detail: "Request not found" });
		const status = script.status === "unknown" &&
		    request.state === "COMPLETED" ? "FAILED" : request.state;
		send(status === "COMPLETED" ? 200 : 202, { status, request_id, ...urls,
			...status === "IN_QUEUE" ? { queue_position: 3 } : { logs: null },
			...status === "COMPLETED" ? { metrics:
			    { inference_time: 1.5 } } : {},
			...status === "COMPLETED" && this.failure(request) ?
			    { error: "failed" } : {} });
	}

	async serveResult(request, send, req, res) {
		const { script, request_id } = request;
		const headers = { "x-fal-request-id": request_id,
			"x-fal-billable-units": "1" };
		if (request.state !== "COMPLETED")
			return send(400, { detail: "Request is still in progress" });
		const failed = this.failure(request);
		request.results = (request.results ?? 0) + 1;
		if (script.result === "flaky" && request.results <= 2)
			return request.results === 1 ? send(502, "<html>502</html>") :
			    req.socket.resetAndDestroy();
		if (script.result === "drip" && request.results === 1)
			return await this.drip(res, 500);
		if (failed)
			return send(failed[0], { detail: [{ loc: ["body", "prompt"],
				msg: "no", type: failed[1], input: "secret" }] }, headers);
		switch (script.result) {
		case "retryable":
			return send(400, { detail: [{ loc: ["body"], msg: "x",
				type: "downstream_service_error" }] },
			    { ...headers, "x-fal-retryable": "true" });
		case "timeout":
			return send(504, { detail: "Request timed out",
				error_type: "request_timeout" },
			    { ...headers, "x-fal-error-type": "request_timeout",
				"x-fal-request-timeout-type": "user" });
		case "wrapper":
			return send(200, { status: "COMPLETED", logs: "",
				response: this.output(request) }, headers);
		case "noVideo":
			return send(200, { video: { url: "" } }, headers);
		case "404":
			return send(404, { detail: "Request not found" });
		}
		send(200, this.output(request), headers);
	}

	/** A line of the history, written once. */
	historyOf(request) {
		const failed = this.failure(request);
		return request.line ??= pythonJson({
			request_id: request.request_id,
			endpoint_id: request.endpoint, sent_at: request.sent_at,
			started_at: request.sent_at, ended_at: request.ended_at,
			status_code: failed?.[0] ?? 200, duration: 1.5,
			json_input: request.input,
			json_output: failed ? { detail: [{ type: failed[1] }] } :
			    this.output(request) });
	}

	serveHistory(url, send) {
		const endpoint = url.searchParams.get("endpoint_id");
		const start = url.searchParams.get("start");
		const from = Number(url.searchParams.get("cursor") ?? 0);
		const limit = Number(url.searchParams.get("limit") ?? 50);
		const all = this.ended.filter((request) =>
		    request.endpoint === endpoint && request.sent_at >= start &&
		    request.script.history !== "off").reverse();
		const page = all.slice(from, from + limit);
		const next = from + limit < all.length ?
		    `"${from + limit}"` : "null";

		send(200, `{"items": [${page.map((request) =>
		    this.historyOf(request)).join(", ")}], "next_cursor": ` +
		    `${next}, "has_more": ${next !== "null"}}`);
	}

	async serveFile(req, url, res, send) {
		const id = url.pathname.slice("/files/".length, -".mp4".length);
		const request = this.requests.get(id);
		if (req.headers.authorization !== undefined)
			throw new Error("the key was shown to the CDN");
		if (request === undefined)
			return send(404, "gone");
		await this.onStep("file", request);
		const n = request.files = (request.files ?? 0) + 1;
		switch (request.script.file) {
		case "404":
			return send(404, "gone");
		case "html":
			return send(200, "<html>not a video, but long enough</html>");
		case "cut":
			if (n > 2)
				break;
			res.writeHead(200, { "content-length": VIDEO.length });
			res.write(VIDEO.subarray(0, 500));
			await sleep(10);
			return req.socket.destroy();
		case "500":
			if (n > 2)
				break;
			return send(500, "oops");
		case "drip":
			if (n > 1)
				break;
			return await this.drip(res, VIDEO.length, "video/mp4");
		case "huge":
			res.writeHead(200, { "content-length": 1e12 });
			return res.write(VIDEO);
		case "expired":
			return send(403, "expired");
		}
		res.writeHead(200, { "content-type": "video/mp4",
			"content-length": VIDEO.length }).end(VIDEO);
	}

	/** How often each attempt was paid for; none may be above 1. */
	get mostPaid() {
		return Math.max(0, ...this.paid.values());
	}
}

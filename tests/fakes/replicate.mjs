// SPDX-License-Identifier: MIT
//
// Replicate as its facts say: predictions, the list of them, webhooks signed
// as Standard Webhooks; and results that are gone after an hour.  A script
// rides in the prompt as [[{…}]]: submit (reset, 429, 404), result (failed,
// nsfw, aborted, gone), hook (off, twice, forged).

import { createHmac, randomBytes, randomUUID } from "node:crypto";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { VIDEO } from "./fal.mjs";

const TOKEN = "r8_token";

export class Replicate {
	predictions = new Map();
	/** Predictions that were begun, by our attempt's URL. */
	paid = new Map();
	secret = `whsec_${randomBytes(24).toString("base64")}`;
	run_ms = 50;

	static async start() {
		const fake = new Replicate();
		fake.server = http.createServer((req, res) => {
			fake.serve(req, res).catch(() => res.destroy());
		});
		await new Promise((resolve) =>
		    fake.server.listen(0, "127.0.0.1", resolve));
		fake.port = fake.server.address().port;
		fake.url = `http://127.0.0.1:${fake.port}`;
		return fake;
	}

	async stop() {
		this.server.closeAllConnections();
		await new Promise((resolve) => this.server.close(resolve));
	}

	get env() {
		return {
			RENDIO_REPLICATE_TOKEN: TOKEN,
			RENDIO_REPLICATE_URL: `${this.url}/v1`,
			RENDIO_REPLICATE_WEBHOOK_SECRET: this.secret,
		};
	}

	sign(body, { id = randomUUID(), secret = this.secret,
	    timestamp = Math.floor(Date.now() / 1000) } = {}) {
		const key = Buffer.from(secret.slice("whsec_".length), "base64");
		const mac = createHmac("sha256", key)
		    .update(`${id}.${timestamp}.${body}`).digest("base64");
		return { "content-type": "application/json", "webhook-id": id,
			"webhook-timestamp": String(timestamp),
			"webhook-signature": `v1,${randomBytes(32)
			    .toString("base64")} v1,${mac}` };
	}

	view({ id, input, status, error }) {
		return { id, input, status, error: error ?? null, logs: "",
			output: status === "succeeded" ?
			    [`${this.url}/files/${id}.mp4`] : null,
			urls: { get: `${this.url}/v1/predictions/${id}`,
				cancel: `${this.url}/v1/predictions/${id}/cancel` },
			metrics: { predict_time: 1.5 } };
	}

	async run(prediction) {
		const { script } = prediction;
		await sleep(this.run_ms);
		prediction.status = { failed: "failed", nsfw: "failed",
			aborted: "aborted" }[script.result] ?? "succeeded";
		if (script.result === "nsfw")
			prediction.error = "The input was flagged as sensitive (E005)";
		const body = JSON.stringify(this.view(prediction));
		if (script.hook === "off" || this.fetch === undefined)
			return;
		const headers = this.sign(body, script.hook === "forged" ?
		    { secret: `whsec_${randomBytes(24).toString("base64")}` } : {});
		for (let i = 0; i < (script.hook === "twice" ? 2 : 1); i++)
			await this.fetch(prediction.webhook,
			    { method: "POST", headers, body });
	}

	async serve(req, res) {
		const { pathname } = new URL(req.url, this.url);
		const chunks = [];
		for await (const chunk of req)
			chunks.push(chunk);
		const send = (status, value, headers = {}) => {
			const text = JSON.stringify(value);
			res.writeHead(status, { "content-type": "application/json",
				"content-length": Buffer.byteLength(text),
				...headers }).end(text);
		};

		if (pathname.startsWith("/files/")) {
			res.writeHead(200, { "content-length": VIDEO.length })
			    .end(VIDEO);
			return;
		}
		if (req.headers.authorization !== `Bearer ${TOKEN}`)
			return send(401, { detail: "Unauthenticated" });
		const [, model] = /^\/v1\/models\/(.+)\/predictions$/
		    .exec(pathname) ?? [];
		if (req.method === "POST" && model !== undefined)
			return this.create(req, model,
			    JSON.parse(Buffer.concat(chunks)), send);
		if (pathname === "/v1/predictions") {
			const from = Number(new URL(req.url, this.url)
			    .searchParams.get("cursor") ?? 0);
			const all = [...this.predictions.values()].reverse();
			return send(200, { previous: null,
				next: from + 1 < all.length ? `${this.url}` +
				    `/v1/predictions?cursor=${from + 1}` : null,
				results: all.slice(from, from + 1)
				    .map((one) => this.view(one)) });
		}
		const one = this.predictions.get(pathname.split("/").at(-1));
		if (one === undefined || one.script.result === "gone")
			return send(404, { detail: "Not found" });
		send(200, this.view(one));
	}

	create(req, model, { input, webhook }, send) {
		const [, json] = /\[\[(\{.*\})\]\]/s.exec(input.prompt) ?? [];
		const script = json === undefined ? {} : JSON.parse(json);
		if (script.submit === "404")
			return send(404, { detail: "Not found" });
		const prediction = { id: randomUUID().replaceAll("-", "").slice(0, 26),
			model, input, webhook, script, status: "starting",
			headers: req.headers };
		this.predictions.set(prediction.id, prediction);
		this.paid.set(webhook, (this.paid.get(webhook) ?? 0) + 1);
		this.run(prediction).catch(() => {});
		if (script.submit === "reset")
			return req.socket.resetAndDestroy();
		send(201, this.view(prediction));
	}

	get mostPaid() {
		return Math.max(0, ...this.paid.values());
	}
}

// SPDX-License-Identifier: MIT
// A reader of Server-Sent Events, as strict as EventSource, that keeps all it
// was told.

import https from "node:https";
import { toThisMachine, until } from "./instance.mjs";

export class Stream {
	/** Opens one; resolves when it is answered, whatever the answer. */
	static async open(rendio, target, options = {}) {
		const stream = new Stream();
		await stream.connect(rendio, target, options);
		return stream;
	}

	messages = [];
	comments = 0;
	retry_ms = null;
	last_id = "";
	text = "";
	ended = false;

	async connect(rendio, target, { bearer, apikey = rendio.anonKey,
	    headers = {}, localAddress, method = "GET", agent = false } = {}) {
		const all = { ...headers };
		if (apikey)
			all.apikey = apikey;
		if (bearer)
			all.authorization = `Bearer ${bearer}`;
		await new Promise((resolve, reject) => {
			this.req = https.request({
				host: rendio.host, lookup: toThisMachine,
				port: rendio.port, path: target,
				ca: rendio.ca, headers: all, method, agent,
				localAddress,
			}, (res) => {
				this.status = res.statusCode;
				this.headers = res.headers;
				res.setEncoding("utf8");
				res.on("data", (part) => this.take(part));
				res.on("close", () => { this.ended = true; });
				res.on("error", () => { this.broken = true; });
				// A refusal is read to its end.
				if (res.statusCode === 200)
					resolve();
				else
					res.on("close", resolve);
			});
			this.req.on("error", (error) => {
				this.ended = true;
				this.broken = true;
				reject(error);
			});
			this.req.end();
		});
	}

	take(part) {
		this.text += part;
		if (this.status !== 200)
			return;
		for (;;) {
			const end = this.text.indexOf("\n\n");
			if (end < 0)
				return;
			this.message(this.text.slice(0, end));
			this.text = this.text.slice(end + 2);
		}
	}

	message(block) {
		const message = { at: performance.now() };
		for (const line of block.split("\n")) {
			const colon = line.indexOf(":");
			const name = line.slice(0, colon);
			const value = line.slice(colon + 1).replace(/^ /, "");
			if (name === "")
				this.comments++;
			else if (name === "retry")
				this.retry_ms = Number(value);
			else if (name === "data")
				message.data = JSON.parse(value);
			else
				message[name] = value;
		}
		if (message.data === undefined)
			return;
		if (message.id !== undefined)
			this.last_id = message.id;
		this.messages.push(message);
		this.onmessage?.(message);
	}

	/** The error's body. */
	json() {
		return JSON.parse(this.text);
	}

	/** Waits for the first message for which test() holds. */
	async wait(test, ms = 10_000) {
		const found = await until(() => this.messages.find(test), ms);
		if (!found)
			throw new Error(`not told: ${JSON.stringify(this.messages)
			    .slice(0, 2000)}`);
		return found;
	}

	/** Waits for the server to end it. */
	async end(ms = 5000) {
		if (!await until(() => this.ended, ms))
			throw new Error("the stream goes on");
		return this.messages.at(-1);
	}

	close() {
		this.req.destroy();
	}
}

export function userEvents(rendio, guest, options = {}) {
	return Stream.open(rendio, `/functions/v1/user-events${options.query ??
	    ""}`, { bearer: guest?.access_token, ...options });
}

export function jobEvents(rendio, guest, jobId, options = {}) {
	return Stream.open(rendio,
	    `/functions/v1/job-events?job_id=${jobId}${options.query ?? ""}`,
	    { bearer: guest?.access_token, ...options });
}

// SPDX-License-Identifier: MIT
// A bare client of Phoenix channels: says what a test wants, correct or not.

import WebSocket from "ws";
import { until } from "./instance.mjs";

export class Phoenix {
	/** vsn: "1.0.0" or "2.0.0"; resolves when open, throws if refused. */
	static async open(rendio, { vsn = "2.0.0", apikey = rendio.anonKey,
	    localAddress, query } = {}) {
		const client = new Phoenix();
		client.vsn = vsn;
		client.got = [];
		client.refs = 0;
		const url = `wss://127.0.0.1:${rendio.port}/realtime/v1/websocket` +
		    (query ?? `?apikey=${apikey}&vsn=${vsn}`);
		client.ws = new WebSocket(url, { ca: rendio.ca, localAddress });
		client.closed = new Promise((resolve) =>
		    client.ws.on("close", (code) => {
			client.code = code;
			resolve(code);
		    }));
		client.ws.on("message", (bytes, isBinary) => {
			client.isBinary ||= isBinary;
			client.take(JSON.parse(String(bytes)));
		});
		await new Promise((resolve, reject) => {
			client.ws.on("open", resolve);
			client.ws.on("error", reject);
			client.ws.on("unexpected-response", (_, res) => {
				let text = "";
				res.on("data", (part) => { text += part; });
				res.on("end", () => reject(Object.assign(
				    new Error(`refused: ${res.statusCode}`),
				    { status: res.statusCode, text })));
			});
		});
		return client;
	}

	take(json) {
		const [join_ref, ref, topic, event, payload] =
		    this.vsn === "2.0.0" ? json : [json.join_ref, json.ref,
			json.topic, json.event, json.payload];
		this.got.push({ join_ref, ref, topic, event, payload });
	}

	/** Sends one message; gives its ref. */
	send(topic, event, payload = {}, join_ref = "1") {
		const ref = String(++this.refs);
		this.ws.send(JSON.stringify(this.vsn === "2.0.0" ?
		    [join_ref, ref, topic, event, payload] :
		    { join_ref, ref, topic, event, payload }));
		return ref;
	}

	async wait(test, ms = 10_000) {
		const found = await until(() => this.got.find(test), ms);
		if (!found)
			throw new Error(`not told: ${JSON.stringify(this.got)
			    .slice(0, 2000)}`);
		return found;
	}

	/** Sends and waits for the reply. */
	async ask(...message) {
		const ref = this.send(...message);
		return await this.wait((m) => m.ref === ref &&
		    m.event === "phx_reply");
	}

	/** Joins a channel that hears of video_jobs. */
	async join(topic, access_token, { event = "UPDATE", filter, ...more } =
	    {}) {
		return await this.ask(topic, "phx_join", {
			config: {
				broadcast: { ack: false, self: false },
				presence: { key: "", enabled: false },
				postgres_changes: [{ event, schema: "public",
					table: "video_jobs", filter }],
				private: false,
				...more,
			},
			access_token,
		});
	}

	changes(topic) {
		return this.got.filter((m) => m.event === "postgres_changes" &&
		    m.topic === topic).map((m) => m.payload.data);
	}

	close() {
		this.ws.terminate();
	}
}

// SPDX-License-Identifier: MIT
//
// Sentry's envelope endpoint, on loopback, with each answer that it may give.
// (That our envelopes are good is for Spotlight to say: tests/api/sentry.)
//
//	const sentry = await Sentry.start();
//	const rendio = await start({ env: sentry.env });
//	sentry.answers.push({ status: 429, headers: { "Retry-After": "2" } });
//
// sentry.events are those that were answered 200, sentry.calls all.

import http from "node:http";

const KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90";

export class Sentry {
	events = [];
	calls = []; // { at_ms, status }
	/** What the next calls are answered, else 200; "reset" cuts them off. */
	answers = [];

	static async start() {
		const fake = new Sentry();
		fake.server = http.createServer((req, res) => {
			const chunks = [];
			req.on("data", (chunk) => chunks.push(chunk));
			req.on("end", () => fake.take(req, res,
			    Buffer.concat(chunks).toString()));
		});
		await new Promise((resolve) =>
		    fake.server.listen(0, "127.0.0.1", resolve));
		return fake;
	}

	async stop() {
		this.server.closeAllConnections();
		await new Promise((resolve) => this.server.close(resolve));
	}

	get env() {
		return {
			RENDIO_ALLOW_PRIVATE_UPSTREAMS: "1",
			RENDIO_SENTRY_DSN: `http://${KEY}@127.0.0.1:` +
			    `${this.server.address().port}/42`,
		};
	}

	take(req, res, text) {
		const answer = this.answers.shift() ?? { status: 200 };
		this.calls.push({ at_ms: Date.now(), status: answer.status });
		if (answer === "reset")
			return req.socket.resetAndDestroy();
		if (req.url !== "/api/42/envelope/" ||
		    !req.headers["x-sentry-auth"]?.includes(`sentry_key=${KEY}`))
			answer.status = 403;
		// An envelope may be empty.
		if (answer.status === 200 && text !== "{}\n") {
			const [, item, event] = text.split("\n");
			if (Buffer.byteLength(event) !== JSON.parse(item).length)
				answer.status = 400;
			else
				this.events.push(JSON.parse(event));
		}
		const body = "{}";
		res.writeHead(answer.status, { "content-length": body.length,
			...answer.headers }).end(body);
	}
}

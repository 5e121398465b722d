// SPDX-License-Identifier: MIT
//
// Telegram's Bot API, on loopback: sendMessage as its documentation has it, and
// on demand each way in which it, or the network before it, fails.
//
//	const telegram = await Telegram.start();
//	const rendio = await start({ env: telegram.env });
//	telegram.fault = { status: 429, retry_after: 2 };
//
// telegram.messages are those that it took, telegram.lines their lines.

import http from "node:http";

const TOKEN = "123456789:AAF-fake_token-of-the-bot";
const CHAT_ID = "-1001234567890";
const TEXT_CHARACTERS_MAX = 4096;

export class Telegram {
	messages = [];
	/** Every request: { path, body }. */
	calls = [];
	/**
	 * Of the next answers: { status, retry_after } refuses; "hold" takes
	 * the message and never answers; null answers well.
	 */
	fault = null;

	static async start() {
		const fake = new Telegram();
		fake.server = http.createServer((req, res) => {
			const chunks = [];
			req.on("data", (chunk) => chunks.push(chunk));
			req.on("end", () => fake.take(req, res,
			    Buffer.concat(chunks).toString()));
		});
		await fake.listen(0);
		return fake;
	}

	async listen(port) {
		await new Promise((resolve) =>
		    this.server.listen(port, "127.0.0.1", resolve));
		this.port = this.server.address().port;
	}

	/** Nobody is there any more; listen(port) brings it back. */
	async stop() {
		this.server.closeAllConnections();
		await new Promise((resolve) => this.server.close(resolve));
	}

	get token() {
		return TOKEN;
	}

	get env() {
		return {
			RENDIO_ALLOW_PRIVATE_UPSTREAMS: "1",
			RENDIO_TELEGRAM_URL: `http://127.0.0.1:${this.port}`,
			RENDIO_TELEGRAM_BOT_TOKEN: TOKEN,
			RENDIO_TELEGRAM_CHAT_ID: CHAT_ID,
			RENDIO_ALARM_HOLD_S: "1",
			RENDIO_ALARM_FAILURES: "3",
		};
	}

	/** The lines of all messages, without the server's name. */
	get lines() {
		return this.messages.flatMap((text) => text.split("\n").slice(1));
	}

	/** Those lines that a pattern fits. */
	linesOf(pattern) {
		return this.lines.filter((line) => pattern.test(line));
	}

	refuse(res, status, description, parameters) {
		const body = JSON.stringify({ ok: false, error_code: status,
			description, parameters });
		res.writeHead(status, { "content-type": "application/json",
			"content-length": Buffer.byteLength(body) }).end(body);
	}

	take(req, res, text) {
		this.calls.push({ path: req.url, body: text });
		if (req.url === `/bot${TOKEN}/getChat?chat_id=${CHAT_ID}`) {
			const chat = JSON.stringify({ ok: true,
				result: { id: Number(CHAT_ID) } });
			res.writeHead(200, { "content-length": chat.length,
				"content-type": "application/json" }).end(chat);
			return;
		}
		if (req.url !== `/bot${TOKEN}/sendMessage`)
			return this.refuse(res, 404, "Not Found");
		if (this.fault !== null && this.fault !== "hold")
			return this.refuse(res, this.fault.status, "fault",
			    this.fault.retry_after === undefined ? undefined :
				{ retry_after: this.fault.retry_after });
		const body = JSON.parse(text);
		if (String(body.chat_id) !== CHAT_ID)
			return this.refuse(res, 400, "Bad Request: chat not found");
		if (typeof body.text !== "string" || body.text === "" ||
		    body.text.length > TEXT_CHARACTERS_MAX)
			return this.refuse(res, 400,
			    "Bad Request: message is too long");
		this.messages.push(body.text);
		if (this.fault === "hold")
			return;
		const answer = JSON.stringify({ ok: true, result: {
			message_id: this.messages.length, date: 0,
			chat: { id: Number(CHAT_ID), type: "supergroup" },
			text: body.text } });
		res.writeHead(200, { "content-type": "application/json",
			"content-length": Buffer.byteLength(answer) }).end(answer);
	}
}

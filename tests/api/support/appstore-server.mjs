// SPDX-License-Identifier: MIT
//
// The App Store Server API, as far as the purchases' tests need it: it knows
// what was sold, which notifications did not arrive, and what was refunded,
// and can be told to fail in each way that Apple, or the way there, does.
//
//	const apple = await AppleServer.start(store);
//	const rendio = await start({ env: apple.env });
//	apple.sell(transaction);
//	apple.trouble = (req, res) => { res.writeHead(503); res.end(); };

import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { APP_ID } from "./appstore.mjs";
import { pem } from "./apple-chain.mjs";

const KEY_FILE = fileURLToPath(new URL(
    "../../vectors/apple/testSigningKey.p8", import.meta.url));
const PAGE = 20;

export class AppleServer {
	static async start(store) {
		const apple = new AppleServer();
		apple.store = store;
		apple.sold = new Map();
		apple.missed = [];		/* bodies of notifications */
		apple.refunds = new Map();	/* transaction id: transactions */
		apple.calls = [];
		apple.trouble = null;
		apple.server = http.createServer((req, res) =>
		    apple.#receive(req, res));
		await new Promise((resolve) =>
		    apple.server.listen(0, "127.0.0.1", resolve));
		apple.url = `http://127.0.0.1:${apple.server.address().port}`;
		apple.dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-apple-"));
		fs.writeFileSync(path.join(apple.dir, "root.pem"),
		    pem(store.root));
		return apple;
	}

	get env() {
		return { RENDIO_APPSTORE_URL: `${this.url}/production`,
			RENDIO_APPSTORE_SANDBOX_URL: `${this.url}/sandbox`,
			RENDIO_APPSTORE_KEY_ID: "ABC123DEFG",
			RENDIO_APPSTORE_ISSUER_ID:
			    "57246542-96fe-1a63-e053-0824d011072a",
			RENDIO_APPSTORE_KEY_FILE: KEY_FILE,
			RENDIO_APPLE_BUNDLE_ID: this.store.bundleId,
			RENDIO_APPLE_APP_ID: String(APP_ID),
			RENDIO_APPLE_ROOT_CA_FILE: path.join(this.dir, "root.pem"),
			RENDIO_APPLE_X509_STRICT: "0",
			RENDIO_ALLOW_PRIVATE_UPSTREAMS: "1" };
	}

	sell(transaction) {
		this.sold.set(transaction.transactionId, transaction);
		return transaction;
	}

	async stop() {
		this.server.closeAllConnections();
		await new Promise((resolve) => this.server.close(resolve));
		fs.rmSync(this.dir, { recursive: true });
	}

	#receive(req, res) {
		let text = "";
		req.setEncoding("utf8").on("data", (part) => { text += part; });
		req.on("end", () => {
			const call = { method: req.method, url: req.url, text };
			this.calls.push(call);
			if (this.trouble)
				return this.trouble(req, res);
			const [status, body] = this.#answer(call);
			res.writeHead(status, { "content-type":
			    "application/json" });
			res.end(body === undefined ? "" : JSON.stringify(body));
		});
	}

	#answer({ method, url, text }) {
		const { pathname, searchParams } = new URL(url, this.url);
		const [, environment, ...rest] = pathname.split("/");
		const id = rest.at(-1);
		const unknown = [404, { errorCode: 4040010,
			errorMessage: "Transaction id not found." }];

		if (environment !== "production" && method === "GET")
			return unknown;
		if (method === "GET" && pathname.includes("/v1/transactions/"))
			return this.sold.has(id) ? [200, { signedTransactionInfo:
			    this.store.sign({ ...this.sold.get(id),
				signedDate: Date.now() }) }] : unknown;
		if (method === "PUT" &&
		    pathname.includes("/v2/transactions/consumption/"))
			return [202];
		if (pathname.endsWith("/v1/notifications/history"))
			return this.#history(environment, searchParams,
			    JSON.parse(text));
		if (pathname.includes("/v2/refund/lookup/"))
			return this.#refunded(id, searchParams);
		return [404, { errorCode: 4040001 }];
	}

	#history(environment, query, { startDate, endDate, onlyFailures }) {
		if (!(startDate < endDate) || onlyFailures !== true)
			return [400, { errorCode: 4000015 }];
		const all = environment === "production" ? this.missed : [];
		const from = Number(query.get("paginationToken") ?? 0);
		const page = all.slice(from, from + PAGE);
		const hasMore = from + PAGE < all.length;
		return [200, { notificationHistory: page.map(({ signedPayload }) =>
		    ({ signedPayload, sendAttempts: [{ attemptDate: startDate,
			sendAttemptResult: "NO_RESPONSE" }] })), hasMore,
			paginationToken: hasMore ? String(from + PAGE) : undefined }];
	}

	#refunded(id, query) {
		const all = this.refunds.get(id) ?? [];
		const from = Number(query.get("revision") ?? 0);
		const page = all.slice(from, from + PAGE);
		return [200, { signedTransactions: page.map((transaction) =>
		    this.store.sign({ ...transaction, signedDate: Date.now() })),
			revision: String(from + page.length),
			hasMore: from + page.length < all.length }];
	}
}

// SPDX-License-Identifier: MIT
//
// Apple's App Store, on loopback: it sells, refunds, signs with a chain of its
// own, and answers the App Store Server API in production and in its sandbox;
// on demand it fails in each way that Apple, or the network before it, can.
//
//	const apple = await AppStore.start();
//	const rendio = await start({ env: apple.env });
//	const sale = apple.sell({ productId: "p", token: user_id });
//	post(apple.jws(sale.transactionId));
//	post(apple.refund(sale.transactionId));		// {"signedPayload":...}
//	apple.fault({ path: /consumption/, status: 503 });
//
// apple.calls is the journal, apple.consumptions what was told about refunds.

import { createPrivateKey, createPublicKey, randomUUID, verify }
    from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { appleChain, pem, signJws } from "../api/support/apple-chain.mjs";

const KEY_FILE = fileURLToPath(new URL("../vectors/apple/testSigningKey.p8",
    import.meta.url));
const KEY_ID = "2X9R4HXF34";
const ISSUER_ID = "57246542-96fe-1a63-e053-0824d011072a";
const HOUR_S = 3600;
const PAGE = 20;
const HISTORY_MS = 180 * 24 * HOUR_S * 1000;
const WHOLE = 100000;

const publicKey = createPublicKey(createPrivateKey(
    fs.readFileSync(KEY_FILE, "utf8")));

const decode = (part) => JSON.parse(Buffer.from(part, "base64url"));
const error = (status, errorCode, errorMessage) => [status,
	JSON.stringify({ errorCode, errorMessage })];

export class AppStore {
	constructor({ bundle, appId, chain }) {
		this.bundle = bundle;
		this.appId = appId;
		this.chain = chain;
		this.sales = new Map();		// transactionId -> payload
		this.payers = new Map();	// transactionId -> payer
		this.sent = [];			// notifications, oldest first
		this.consumptions = [];
		this.calls = [];
		this.faults = [];
		this.lastId = 2000000000000000 + Date.now() % 1e12;
		this.released = true;		// else production knows no key
		this.hasUrl = true;		// for notifications
		this.lastDate_ms = 0;
		this.servers = {};
	}

	/** `chain` is one of appleChain(), else a new one. */
	static async start({ bundle = "com.example", appId = 1234,
		chain = appleChain() } = {}) {
		const apple = new AppStore({ bundle, appId, chain });
		apple.dir = fs.mkdtempSync(path.join(os.tmpdir(), "appstore-"));
		apple.rootFile = path.join(apple.dir, "root.pem");
		fs.writeFileSync(apple.rootFile, pem(apple.chain.root.der));
		for (const environment of ["Production", "Sandbox"]) {
			const server = http.createServer((req, res) => {
				const chunks = [];
				req.on("data", (chunk) => chunks.push(chunk));
				req.on("end", () => apple.take(environment, req, res,
				    Buffer.concat(chunks).toString()));
			});
			await new Promise((resolve) =>
			    server.listen(0, "127.0.0.1", resolve));
			apple.servers[environment] = server;
		}
		return apple;
	}

	async stop() {
		for (const server of Object.values(this.servers)) {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		}
		fs.rmSync(this.dir, { recursive: true, force: true });
	}

	url(environment) {
		return `http://127.0.0.1:${this.servers[environment].address().port}`;
	}

	/** The settings with which an instance asks here and trusts this chain. */
	get env() {
		return {
			RENDIO_ALLOW_PRIVATE_UPSTREAMS: "1",
			RENDIO_APPSTORE_URL: this.url("Production"),
			RENDIO_APPSTORE_SANDBOX_URL: this.url("Sandbox"),
			RENDIO_APPSTORE_KEY_ID: KEY_ID,
			RENDIO_APPSTORE_ISSUER_ID: ISSUER_ID,
			RENDIO_APPSTORE_KEY_FILE: path.resolve(KEY_FILE),
			RENDIO_APPLE_BUNDLE_ID: this.bundle,
			RENDIO_APPLE_APP_ID: String(this.appId),
			RENDIO_APPLE_ROOT_CA_FILE: this.rootFile,
		};
	}

	// --- the shop -----------------------------------------------------------

	/** No two signatures have the same date, whatever the clock does. */
	date() {
		this.lastDate_ms = Math.max(Date.now(), this.lastDate_ms + 1);
		return this.lastDate_ms;
	}

	/** A sale; `more` are members of the transaction that differ. */
	sell({ productId, quantity = 1, token, environment = "Production",
		payer = "somebody", ...more }) {
		const transactionId = String(++this.lastId);
		const sale = {
			transactionId,
			originalTransactionId: transactionId,
			bundleId: this.bundle,
			productId,
			purchaseDate: Date.now(),
			originalPurchaseDate: Date.now(),
			quantity,
			type: "Consumable",
			...(token === undefined ? {} : { appAccountToken: token }),
			inAppOwnershipType: "PURCHASED",
			environment,
			transactionReason: "PURCHASE",
			storefront: "USA",
			storefrontId: "143441",
			price: 1990 * quantity,
			currency: "USD",
			appTransactionId: "704000000000000001",
			...more,
		};
		this.sales.set(sale.transactionId, sale);
		this.payers.set(sale.transactionId, payer);
		return sale;
	}

	sign(payload) {
		return signJws(this.chain, { ...payload, signedDate: this.date() });
	}

	/** The transaction as it stands now; `more` differs for this once. */
	jws(transactionId, more = {}) {
		return this.sign({ ...this.sales.get(transactionId), ...more });
	}

	/**
	 * A notification's HTTP body; it is kept for the history.  result is how
	 * its sending went, renewal the payload of renewal info.
	 */
	notify(notificationType, transactionId, { subtype, result = "SUCCESS",
		renewal, environment = this.sales.get(transactionId)?.environment ??
		"Production", uuid = randomUUID(), ...data } = {}) {
		const payload = {
			notificationType,
			...(subtype === undefined ? {} : { subtype }),
			notificationUUID: uuid,
			version: "2.0",
			data: {
				...(environment === "Production" ?
				    { appAppleId: this.appId } : {}),
				bundleId: this.bundle,
				bundleVersion: "1",
				environment,
				...(transactionId === undefined ? {} :
				    { signedTransactionInfo: this.jws(transactionId) }),
				...(renewal === undefined ? {} :
				    { signedRenewalInfo: this.sign({ environment,
					...renewal }) }),
				...data,
			},
		};
		const signedPayload = this.sign(payload);
		this.sent.push({ signedPayload, environment, transactionId, result,
			notificationType, at_ms: this.lastDate_ms });
		return JSON.stringify({ signedPayload });
	}

	/** Takes a sale back and gives the notification that says so. */
	refund(transactionId, { percentage = WHOLE, ...more } = {}) {
		Object.assign(this.sales.get(transactionId), {
			revocationDate: this.date(),
			revocationReason: 0,
			revocationType: percentage === WHOLE ?
			    "REFUND_FULL" : "REFUND_PRORATED",
			revocationPercentage: percentage,
		});
		return this.notify("REFUND", transactionId, more);
	}

	reverse(transactionId, more) {
		const sale = this.sales.get(transactionId);
		for (const name of ["Date", "Reason", "Type", "Percentage"])
			delete sale[`revocation${name}`];
		return this.notify("REFUND_REVERSED", transactionId, more);
	}

	// --- what goes wrong ----------------------------------------------------

	/**
	 * The next calls fail: path (a RegExp, default any), environment (default
	 * any), times (default 1, Infinity), and how:
	 *	status, text, headers	this answer
	 *	hang: true		no answer at all
	 *	slow_ms			the right answer, late
	 *	drip_ms			a byte of the answer at a time
	 *	reset: true		the connection breaks
	 */
	fault(fault) {
		this.faults.push({ times: 1, ...fault });
	}

	heal() {
		this.faults = [];
	}

	nextFault(environment, url) {
		const fault = this.faults.find((f) => f.times > 0 &&
		    (f.path === undefined || f.path.test(url)) &&
		    (f.environment === undefined ||
			f.environment === environment));
		if (fault)
			fault.times--;
		return fault;
	}

	take(environment, req, res, text) {
		const fault = this.nextFault(environment, req.url);
		const call = { environment, method: req.method, path: req.url,
			headers: req.headers, at_ms: Date.now() };
		this.calls.push(call);
		if (fault?.hang)
			return;
		if (fault?.reset) {
			req.socket.destroy();
			return;
		}
		const [status, body = "", headers = {}] = fault?.status ?
		    [fault.status, fault.text, fault.headers] :
		    this.serve(environment, req, text, call);
		call.status = status;
		if (fault?.drip_ms) {
			this.drip(res, body, fault.drip_ms);
			return;
		}
		setTimeout(() => {
			res.writeHead(status, {
				...(body === "" ? {} :
				    { "content-type": "application/json" }),
				"content-length": Buffer.byteLength(body),
				...headers,
			});
			res.end(body);
		}, fault?.slow_ms ?? 0);
	}

	drip(res, text, drip_ms) {
		let at = 0;
		const timer = setInterval(() => {
			if (at === text.length || res.destroyed) {
				clearInterval(timer);
				res.end();
			} else
				res.write(text[at++]);
		}, drip_ms);
		res.writeHead(200, { "content-type": "application/json" });
		res.flushHeaders();
	}

	// --- the API ------------------------------------------------------------

	isAuthorized(environment, header) {
		const match = /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/
		    .exec(header ?? "");
		if (!match || (environment === "Production" && !this.released))
			return false;
		const [, head, claims, signature] = match;
		const now_s = Date.now() / 1000;
		try {
			const { alg, kid, typ } = decode(head);
			const { iss, iat, exp, aud, bid } = decode(claims);
			const bytes = Buffer.from(signature, "base64url");
			return alg === "ES256" && kid === KEY_ID && typ === "JWT" &&
			    iss === ISSUER_ID && aud === "appstoreconnect-v1" &&
			    bid === this.bundle && Number.isInteger(iat) &&
			    Number.isInteger(exp) && exp - iat <= HOUR_S &&
			    iat <= now_s + 60 && exp > now_s &&
			    bytes.length === 64 && verify("sha256",
				Buffer.from(`${head}.${claims}`),
				{ key: publicKey, dsaEncoding: "ieee-p1363" }, bytes);
		} catch {
			return false;
		}
	}

	serve(environment, req, text, call) {
		/* No JSON, as before an app's first release. */
		if (!this.isAuthorized(environment, req.headers.authorization))
			return [401, "Unauthenticated\n\nRequest ID: 7\n"];
		if (req.headers.accept !== "application/json" ||
		    (text !== "") !==
		    (req.headers["content-type"] === "application/json"))
			return error(400, 4000000, "Bad request.");
		const url = new URL(req.url, "http://x");
		const routes = [
			["GET", /^\/inApps\/v1\/transactions\/([^/]+)$/,
				this.transaction],
			["PUT", /^\/inApps\/v2\/transactions\/consumption\/([^/]+)$/,
				this.consumption],
			["GET", /^\/inApps\/v2\/refund\/lookup\/([^/]+)$/,
				this.refunds],
			["POST", /^\/inApps\/v1\/notifications\/history$/,
				this.history],
			["POST", /^\/inApps\/v1\/notifications\/test$/, this.test],
			["GET", /^\/inApps\/v1\/notifications\/test\/([^/]+)$/,
				this.testStatus],
		];
		for (const [method, pattern, serve] of routes) {
			const match = pattern.exec(url.pathname);
			if (match && req.method === method) {
				if (text !== "")
					call.body = JSON.parse(text);
				return serve.call(this, { environment, url,
					id: match[1], body: call.body });
			}
		}
		return [404];
	}

	find(environment, id) {
		const sale = this.sales.get(id);
		return sale?.environment === environment ? sale : undefined;
	}

	transaction({ environment, id }) {
		if (!/^\d+$/.test(id))
			return error(400, 4000006, "Invalid transaction id.");
		if (this.find(environment, id) === undefined)
			return error(404, 4040010, "Transaction id not found.");
		return [200, JSON.stringify({
			signedTransactionInfo: this.jws(id) })];
	}

	consumption({ environment, id, body }) {
		const sale = this.find(environment, id);
		const percentage = body.consumptionPercentage;
		if (sale === undefined)
			return error(404, 4040010, "Transaction id not found.");
		if (body.customerConsented !== true)
			return error(400, 4000035, "Invalid request. The customer " +
			    "consented field is invalid.");
		if (!/^(DELIVERED|UNDELIVERED_(QUALITY_ISSUE|WRONG_ITEM|SERVER_OUTAGE|OTHER))$/
		    .test(body.deliveryStatus))
			return error(400, 4000036, "Invalid delivery status.");
		if (typeof body.sampleContentProvided !== "boolean")
			return error(400, 4000041, "Invalid sample content.");
		if (percentage !== undefined &&
		    sale.type === "Auto-Renewable Subscription")
			return error(400, 4000209, "Percentage on subscription.");
		if (percentage !== undefined && (!Number.isInteger(percentage) ||
		    percentage < 0 || percentage > WHOLE ||
		    (percentage > 0 && body.deliveryStatus !== "DELIVERED")))
			return error(400, 4000000, "Percentage out of range.");
		if (![undefined, "DECLINE", "GRANT_FULL", "GRANT_PRORATED"]
		    .includes(body.refundPreference) ||
		    (body.refundPreference === "GRANT_PRORATED" &&
			!(percentage > 0 && percentage < WHOLE)))
			return error(400, 4000044, "Invalid refund preference.");
		this.consumptions.push({ environment, transactionId: id, ...body });
		return [202];
	}

	refunds({ environment, id, url }) {
		if (this.find(environment, id) === undefined)
			return error(404, 4040010, "Transaction id not found.");
		const payer = this.payers.get(id);
		const all = [...this.sales.values()].filter((sale) =>
		    sale.environment === environment &&
		    sale.revocationDate !== undefined &&
		    this.payers.get(sale.transactionId) === payer)
		    .sort((a, b) => a.revocationDate - b.revocationDate);
		/* A revision is where in time the next page begins. */
		const since_ms = Number(Buffer.from(
		    url.searchParams.get("revision") ?? "", "base64").toString());
		if (Number.isNaN(since_ms))
			return error(400, 4000005, "Invalid request revision.");
		const left = all.filter((sale) => sale.revocationDate > since_ms);
		const page = left.slice(0, PAGE);
		return [200, JSON.stringify({
			signedTransactions: page.map((sale) =>
			    this.jws(sale.transactionId)),
			revision: Buffer.from(String(page.at(-1)?.revocationDate ??
			    since_ms)).toString("base64"),
			hasMore: left.length > page.length,
		})];
	}

	history({ environment, url, body }) {
		const { startDate, endDate, onlyFailures, transactionId,
			notificationType } = body;
		if (!Number.isInteger(startDate) ||
		    startDate < Date.now() - HISTORY_MS)
			return error(400, 4000012, "Start date too far back.");
		if (!Number.isInteger(endDate) || endDate < startDate)
			return error(400, 4000013, "Start date after end date.");
		if (transactionId !== undefined && notificationType !== undefined)
			return error(400, 4000019, "Multiple filters.");
		const token = url.searchParams.get("paginationToken");
		/* A token belongs to the question that it was given for. */
		const question = JSON.stringify(body);
		let from = 0;
		if (token !== null) {
			const [at, asked] = Buffer.from(token, "base64").toString()
			    .split("|");
			if (asked !== question)
				return error(400, 4000014, "Invalid token.");
			from = Number(at);
		}
		const all = this.sent.filter((n) => n.environment === environment &&
		    n.at_ms >= startDate && n.at_ms < endDate &&
		    (!onlyFailures || n.result !== "SUCCESS") &&
		    (transactionId === undefined ||
			n.transactionId === transactionId) &&
		    (notificationType === undefined ||
			n.notificationType === notificationType));
		const page = all.slice(from, from + PAGE);
		const hasMore = from + PAGE < all.length;
		return [200, JSON.stringify({
			notificationHistory: page.map((n) => ({
				signedPayload: n.signedPayload,
				sendAttempts: [{ attemptDate: n.at_ms,
					sendAttemptResult: n.result }],
			})),
			hasMore,
			...(hasMore ? { paginationToken: Buffer.from(
			    `${from + PAGE}|${question}`).toString("base64") } : {}),
		})];
	}

	test({ environment }) {
		if (!this.hasUrl)
			return error(404, 4040007, "No notification URL.");
		this.notify("TEST", undefined, { environment });
		this.testToken = `${randomUUID()}_${Date.now()}`;
		return [200, JSON.stringify({
			testNotificationToken: this.testToken })];
	}

	testStatus({ id }) {
		const last = this.sent.findLast((n) =>
		    n.notificationType === "TEST");
		if (id !== this.testToken)
			return error(404, 4040008, "Test notification not found.");
		return [200, JSON.stringify({ signedPayload: last.signedPayload,
			sendAttempts: [{ attemptDate: last.at_ms,
				sendAttemptResult: last.result }] })];
	}

	/** How often something was asked. */
	count(pattern, environment) {
		return this.calls.filter((call) => pattern.test(call.path) &&
		    (environment === undefined ||
			call.environment === environment)).length;
	}
}

// SPDX-License-Identifier: MIT
// What the App Store signs, by the chain of the sandbox's own store, with any
// content: transactions, renewals and notifications of every kind and moment.

import assert from "node:assert/strict";
import { createPrivateKey, randomInt, randomUUID, sign, X509Certificate }
    from "node:crypto";
import fs from "node:fs";
import { appleChain, signJws } from "./apple-chain.mjs";

export const STARTER = "com.rendioai.credits.starter.25";
export const POPULAR = "com.rendioai.credits.popular.60";
export const BEST = "com.rendioai.credits.best.150";
export const APP_ID = 1234567;
export const DAY = 86_400_000;

const base64url = (value) => Buffer.from(JSON.stringify(value))
    .toString("base64url");

let last = BigInt(Date.now()) * 1_000_000n + BigInt(randomInt(1_000_000));

export function newId() {
	return String(++last);
}

export class AppStore {
	constructor(rendio, bundleId = "app.rendio.sandbox") {
		this.environment = "Sandbox";
		this.bundleId = bundleId;
		if (rendio === null)
			return;
		const pem = fs.readFileSync(
		    rendio.file("keys/sandbox-appstore.pem"), "utf8");
		this.key = createPrivateKey(pem);
		this.x5c = pem.match(
		    /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g)
		    .map((text) => new X509Certificate(text).raw
		        .toString("base64"));
	}

	/** A store with a root of its own, which sells for money. */
	static withOwnRoot() {
		const store = new AppStore(null);
		const chain = appleChain();

		store.environment = "Production";
		store.root = chain.root.der;
		store.sign = (payload) => signJws(chain, payload);
		return store;
	}

	sign(payload) {
		const text = `${base64url({ alg: "ES256", x5c: this.x5c })}.` +
		    base64url(payload);
		const signature = sign("sha256", Buffer.from(text),
		    { key: this.key, dsaEncoding: "ieee-p1363" });
		return `${text}.${signature.toString("base64url")}`;
	}

	/** A purchase of credits; `more` alters or adds members. */
	transaction(more = {}) {
		const transactionId = more.transactionId ?? newId();
		const now = Date.now();
		return { transactionId, originalTransactionId: transactionId,
			bundleId: this.bundleId, productId: STARTER,
			purchaseDate: now, originalPurchaseDate: now, quantity: 1,
			type: "Consumable", inAppOwnershipType: "PURCHASED",
			signedDate: now, environment: this.environment,
			transactionReason: "PURCHASE", storefront: "USA",
			storefrontId: "143441", price: 2990, currency: "USD",
			appTransactionId: "704" + transactionId.slice(-12), ...more };
	}

	/** A notification's body about a transaction as it stands. */
	notification(notificationType, transaction, { renewal, ...more } = {}) {
		const { subtype, notificationUUID = randomUUID(),
			signedDate = transaction?.signedDate ?? Date.now(),
			consumptionRequestReason } = more;
		return { signedPayload: this.sign({ notificationType, subtype,
			notificationUUID, version: "2.0", signedDate,
			data: { bundleId: this.bundleId, bundleVersion: "1",
				environment: this.environment,
				appAppleId: this.environment === "Production" ?
				    APP_ID : undefined, consumptionRequestReason,
				signedTransactionInfo: transaction === undefined ?
				    undefined : this.sign(transaction),
				signedRenewalInfo: renewal === undefined ?
				    undefined : this.sign(renewal),
				...more.data } }) };
	}
}

/** The transaction as Apple signs it that much later, with changes. */
export function later(transaction, ms, changes = {}) {
	return { ...transaction, ...changes,
		signedDate: transaction.signedDate + ms };
}

/** The same, refunded: in thousandths of a percent. */
export function refunded(transaction, ms, percentage = 100_000) {
	return later(transaction, ms, {
		revocationDate: transaction.signedDate + ms, revocationReason: 0,
		revocationType: percentage === 100_000 ? "REFUND_FULL" :
		    "REFUND_PRORATED",
		revocationPercentage: percentage });
}

export async function post(rendio, guest, body) {
	return await rendio.request("POST", "/functions/v1/update-credits",
	    { bearer: guest.access_token, body });
}

/** Posts a signed transaction that must be credited. */
export async function buy(rendio, guest, store, transaction) {
	const res = await post(rendio, guest,
	    { signed_transaction: store.sign(transaction) });
	assert.equal(res.status, 200, res.text);
	return JSON.parse(res.text);
}

export async function notify(rendio, body) {
	return await rendio.request("POST",
	    "/functions/v1/apple-server-notifications", { apikey: null, body });
}

export async function balanceOf(rendio, guest) {
	const res = await rendio.request("GET", "/functions/v1/get-user-credits",
	    { bearer: guest.access_token });
	assert.equal(res.status, 200, res.text);
	return JSON.parse(res.text).credits_remaining;
}

export async function profileOf(rendio, guest) {
	const res = await rendio.request("GET", "/functions/v1/get-user-profile",
	    { bearer: guest.access_token });
	assert.equal(res.status, 200, res.text);
	return JSON.parse(res.text);
}

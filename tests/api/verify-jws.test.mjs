// SPDX-License-Identifier: MIT
//
// `rendio verify-jws` beside Apple's official library: the same chains and
// payloads, made here with one thing wrong each, judged by both.  What a
// careful server must refuse we refuse, what is good we take; where we are
// stricter than the library the case says why.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { Environment, SignedDataVerifier }
    from "@apple/app-store-server-library";
import { appleChain, certificate, extension, INTERMEDIATE_MARKER, LEAF_MARKER,
	marker, newKey, oid, pem, signJws, tlv, x5cOf }
    from "./support/apple-chain.mjs";
import { build, plainEnv, root as sources } from "./support/instance.mjs";

const BUNDLE = "com.example";
const APP_ID = 1234;
const NOW = Date.now();
const DAY = 24 * 3600 * 1000;

let dir;
before(() => {
	dir = fs.mkdtempSync(path.join(os.tmpdir(), "verify-jws-"));
});
after(() => fs.rmSync(dir, { recursive: true, force: true }));

/** { status, out, err } of the command with these bytes on its input. */
function run(args, input) {
	return new Promise((resolve) => {
		const child = execFile(path.join(build, "rendio"),
		    ["verify-jws", ...args], { env: plainEnv() },
		    (error, out, err) => resolve({ status: error?.code ?? 0, out,
			err }));
		// It may refuse before it has read all.
		child.stdin.on("error", () => {});
		child.stdin.end(input);
	});
}

async function ours({ kind, jws, roots, environment, bundle, appId, lax }) {
	const files = roots.map((der, i) => {
		const file = path.join(dir, `root-${i}-${process.hrtime.bigint()}`);
		fs.writeFileSync(file, i % 2 === 0 ? pem(der) : der);
		return file;
	});
	const { status, out, err } = await run(["--kind", kind, "--root", ...files,
		"--bundle-id", bundle, "--environment", environment,
		...(appId === undefined ? [] : ["--app-id", String(appId)]),
		...(lax ? ["--no-x509-strict"] : [])], jws);
	assert.ok(status === 0 || status === 1, `${status} ${err}`);
	const { verdict, reason, payload } = JSON.parse(out);
	assert.equal(verdict, status === 0 ? "accept" : "reject");
	assert.equal(payload === null, verdict === "reject");
	return { verdict, reason };
}

const METHOD = {
	transaction: "verifyAndDecodeTransaction",
	renewal: "verifyAndDecodeRenewalInfo",
	notification: "verifyAndDecodeNotification",
	app_transaction: "verifyAndDecodeAppTransaction",
};

/** Offline, as we are: certificates are looked at when it was signed. */
async function apples({ kind, jws, roots, environment, bundle, appId }) {
	assert.ok(Object.values(Environment).includes(environment));
	const verifier = new SignedDataVerifier(roots, false, environment,
	    bundle, appId);
	try {
		const payload = await verifier[METHOD[kind]](jws);
		// The library leaves what is nested to its caller, who looks.
		for (const [name, nested] of [["signedTransactionInfo",
			"transaction"], ["signedRenewalInfo", "renewal"]])
			if (payload.data?.[name] !== undefined)
				await verifier[METHOD[nested]](payload.data[name]);
		return { verdict: "accept" };
	} catch (error) {
		return { verdict: "reject",
			reason: String(error.status ?? error) };
	}
}

const transaction = (more = {}) => ({
	transactionId: "2000000123456789",
	originalTransactionId: "2000000123456789",
	bundleId: BUNDLE,
	productId: "com.rendioai.credits.starter.25",
	purchaseDate: NOW - 5000,
	originalPurchaseDate: NOW - 5000,
	quantity: 1,
	type: "Consumable",
	appAccountToken: "7e3fb20b-4cdb-47cc-936d-99d65f608138",
	inAppOwnershipType: "PURCHASED",
	signedDate: NOW - 1000,
	environment: "Sandbox",
	transactionReason: "PURCHASE",
	storefront: "USA",
	storefrontId: "143441",
	price: 1990,
	currency: "USD",
	appTransactionId: "704000000000000001",
	...more,
});

const renewal = (more = {}) => ({
	originalTransactionId: "2000000123456789",
	productId: "premium",
	autoRenewProductId: "premium",
	autoRenewStatus: 1,
	isInBillingRetryPeriod: false,
	signedDate: NOW - 1000,
	environment: "Sandbox",
	recentSubscriptionStartDate: NOW - 5000,
	renewalDate: NOW + DAY,
	...more,
});

const notification = (data = {}, more = {}) => ({
	notificationType: "ONE_TIME_CHARGE",
	notificationUUID: "002e14d5-51f5-4503-b5a8-c3a1af68eb20",
	version: "2.0",
	signedDate: NOW - 1000,
	data: { bundleId: BUNDLE, bundleVersion: "1", environment: "Sandbox",
		...data },
	...more,
});

const appTransaction = (more = {}) => ({
	receiptType: "Sandbox",
	appAppleId: APP_ID,
	bundleId: BUNDLE,
	applicationVersion: "1",
	versionExternalIdentifier: 0,
	receiptCreationDate: NOW - 1000,
	originalPurchaseDate: NOW - 5000,
	originalApplicationVersion: "1",
	appTransactionId: "704000000000000001",
	originalPlatform: "iOS",
	...more,
});

const chain = appleChain();
const signed = (payload, options) => signJws(chain, payload, options);
const good = signed(transaction());
const [goodHead, goodBody, goodSignature] = good.split(".");
const b64 = (text) => Buffer.from(text).toString("base64url");
const x5c = x5cOf(chain);

/** The same chain in which one of the three was made in another way. */
function variant(which, options) {
	const other = appleChain({ below: which === "root" ? undefined :
	    chain.root, [which]: options });
	return { jws: signJws(other, transaction()), roots: [other.root.der] };
}

function rsaLeaf() {
	const { privateKey: key } = generateKeyPairSync("rsa",
	    { modulusLength: 2048 });
	return appleChain({ below: chain.root, leaf: { key } });
}

/** Below the right root, but no intermediate in between. */
function shortChain() {
	const leaf = certificate("Test Leaf", { by: chain.root, hash: "sha384",
		extensions: [marker(LEAF_MARKER)], from_ms: NOW - DAY,
		to_ms: NOW + DAY });
	return { ...chain, leaf };
}

/** One more intermediate than there may be: the leaf is two below. */
function longChain() {
	const first = appleChain({ below: chain.root,
		intermediate: { pathlen: undefined } });
	const second = appleChain({ below: first.intermediate });
	return { leaf: second.leaf, intermediate: second.intermediate,
		root: first.intermediate };
}

/** Explicit parameters of the right curve, in place of its name. */
function explicitSpki(key) {
	const hex = (text) => Buffer.from(text, "hex");
	const jwk = key.export({ format: "jwk" });
	const point = Buffer.concat([Buffer.from([4]),
		Buffer.from(jwk.x, "base64url"), Buffer.from(jwk.y, "base64url")]);
	const p = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
	const a = "ffffffff00000001000000000000000000000000fffffffffffffffffffffffc";
	const b = "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b";
	const g = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" +
	    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
	const n = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
	const parameters = tlv(0x30, tlv(0x02, Buffer.from([1])),
	    tlv(0x30, oid("1.2.840.10045.1.1"), tlv(0x02, hex(`00${p}`))),
	    tlv(0x30, tlv(0x04, hex(a)), tlv(0x04, hex(b))),
	    tlv(0x04, hex(g)), tlv(0x02, hex(`00${n}`)),
	    tlv(0x02, Buffer.from([1])));
	return tlv(0x30, tlv(0x30, oid("1.2.840.10045.2.1"), parameters),
	    tlv(0x03, Buffer.from([0]), point));
}

const otherChain = appleChain({ names: ["Foreign Root", "Foreign Intermediate",
	"Foreign Leaf"] });
/** Of the same names, and yet not ours. */
const twinChain = appleChain();

function hs256(secret) {
	const text = `${b64(JSON.stringify({ alg: "HS256", x5c }))}.${goodBody}`;
	const mac = createHmac("sha256", secret).update(text).digest("base64url");
	return `${text}.${mac}`;
}

/** r is as it was, s the other solution: valid, but another text. */
function malleated() {
	const n = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84" +
	    "f3b9cac2fc632551");
	const raw = Buffer.from(goodSignature, "base64url");
	const s = n - BigInt(`0x${raw.subarray(32).toString("hex")}`);
	const other = Buffer.concat([raw.subarray(0, 32),
		Buffer.from(s.toString(16).padStart(64, "0"), "hex")]);
	return `${goodHead}.${goodBody}.${other.toString("base64url")}`;
}

/** Sets a bit of the last letter that no byte needs. */
function looseBits(text) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" +
	    "0123456789-_";
	return text.slice(0, -1) + letters[letters.indexOf(text.at(-1)) | 1];
}

function paddedTo(rest) {
	for (let filler = ""; ; filler += "x") {
		const jws = signed(transaction({ filler }));
		if (jws.split(".")[1].length % 4 === rest)
			return jws;
	}
}

const text = JSON.stringify(transaction());
const production = { environment: "Production", appId: APP_ID };
const nested = (payload) => notification({
	signedTransactionInfo: signed(payload) });

/*
 * Each case: name, verdict we must come to, and what differs from a good
 * Sandbox transaction.  `stricter` says why we refuse what the library takes.
 */
const cases = [
	// --- good -------------------------------------------------------------
	{ name: "a transaction", must: "accept" },
	{ name: "a transaction of production", must: "accept", ...production,
		jws: signed(transaction({ environment: "Production" })) },
	{ name: "members and words nobody knows yet", must: "accept",
		jws: signed(transaction({ novelty: { deep: [1, { a: null }] },
		    type: "Rental", inAppOwnershipType: "ASSIGNED",
		    transactionReason: "GIFT" })) },
	{ name: "a header with kid and typ", must: "accept",
		jws: signed(transaction(), { header: { kid: "x", typ: "JWT" } }) },
	{ name: "a refunded transaction", must: "accept",
		jws: signed(transaction({ revocationDate: NOW - 2000,
		    revocationReason: 0, revocationType: "REFUND_PRORATED",
		    revocationPercentage: 50000 })) },
	{ name: "a transaction with little in it", must: "accept",
		jws: signed({ bundleId: BUNDLE, environment: "Sandbox",
		    signedDate: NOW }) },
	{ name: "text beyond ASCII", must: "accept",
		jws: signed(transaction({ offerIdentifier: "Frühling 🌷" })) },
	{ name: "white space between members", must: "accept",
		jws: signed(JSON.stringify(transaction(), null, "\t")) },
	{ name: "a date with a fraction", must: "accept",
		jws: signed(transaction({ signedDate: NOW - 1000.25 })) },
	{ name: "an old transaction below a leaf that is expired now",
		must: "accept", ...(() => {
			const old = appleChain({ below: chain.root, leaf: {
			    from_ms: NOW - 90 * DAY, to_ms: NOW - 30 * DAY } });
			return { jws: signJws(old, transaction({
			    signedDate: NOW - 60 * DAY })) };
		})() },
	{ name: "the other solution of the signature", must: "accept",
		jws: malleated() },
	{ name: "several roots, the right one last", must: "accept",
		roots: [otherChain.root.der, twinChain.root.der, chain.root.der] },
	{ name: "a third element that is another certificate", must: "accept",
		jws: signed(transaction(), { header: { x5c: [x5c[0], x5c[1],
		    otherChain.root.der.toString("base64")] } }) },
	{ name: "an RSA intermediate", must: "accept", ...(() => {
		const { privateKey: key } = generateKeyPairSync("rsa",
		    { modulusLength: 2048 });
		const other = appleChain({ below: chain.root,
			intermediate: { key }, leaf: { hash: "sha256" } });
		return { jws: signJws(other, transaction()) };
	})() },
	{ name: "renewal info", must: "accept", kind: "renewal",
		jws: signed(renewal()) },
	{ name: "a notification with a transaction and renewal info",
		must: "accept", kind: "notification",
		jws: signed(notification({ signedTransactionInfo: good,
		    signedRenewalInfo: signed(renewal()), status: 1 })) },
	{ name: "a notification of production", must: "accept",
		kind: "notification", ...production,
		jws: signed(notification({ environment: "Production",
		    appAppleId: APP_ID })) },
	{ name: "a notification of the sandbox with a number", must: "accept",
		kind: "notification",
		jws: signed(notification({ appAppleId: 99 })) },
	{ name: "a TEST notification", must: "accept", kind: "notification",
		jws: signed(notification({}, { notificationType: "TEST" })) },
	{ name: "a notification of an unknown type", must: "accept",
		kind: "notification", jws: signed(notification({},
		    { notificationType: "MIGRATE", subtype: "CREATED" })) },
	{ name: "a summary", must: "accept", kind: "notification",
		jws: signed(notification({}, { data: undefined,
		    notificationType: "RENEWAL_EXTENSION", subtype: "SUMMARY",
		    summary: { requestIdentifier: "r", environment: "Sandbox",
			appAppleId: APP_ID, bundleId: BUNDLE, productId: "p",
			storefrontCountryCodes: ["USA"], succeededCount: 5,
			failedCount: 2 } })) },
	{ name: "an external purchase token of the sandbox", must: "accept",
		kind: "notification", jws: signed(notification({}, {
		    data: undefined, externalPurchaseToken: {
			externalPurchaseId: "SANDBOX_1", tokenCreationDate: NOW,
			appAppleId: APP_ID, bundleId: BUNDLE } })) },
	{ name: "an app transaction", must: "accept", kind: "app_transaction",
		jws: signed(appTransaction()) },
	{ name: "an app transaction of production", must: "accept",
		kind: "app_transaction", ...production,
		jws: signed(appTransaction({ receiptType: "Production" })) },
	{ name: "no key identifiers, not strictly", must: "accept", lax: true,
		...variant("leaf", { bare: true }) },

	// --- the form ---------------------------------------------------------
	{ name: "nothing", must: "reject", jws: "" },
	{ name: "a.b.c", must: "reject", jws: "a.b.c" },
	{ name: "a.b.c.d", must: "reject", jws: "a.b.c.d" },
	{ name: "two parts", must: "reject", jws: `${goodHead}.${goodBody}` },
	{ name: "an empty signature", must: "reject",
		jws: `${goodHead}.${goodBody}.` },
	{ name: "an empty payload", must: "reject",
		jws: `${goodHead}..${goodSignature}` },
	{ name: "a fourth part", must: "reject", jws: `${good}.AAAA` },
	{ name: "padding", must: "reject", ...(() => {
		const [head, body, end] = paddedTo(2).split(".");
		return { jws: `${head}.${body}==.${end}` };
	})() },
	{ name: "padding behind the signature", must: "reject",
		jws: `${good}==` },
	{ name: "a blank inside", must: "reject",
		jws: `${goodHead} .${goodBody}.${goodSignature}` },
	{ name: "a line's end inside", must: "reject",
		jws: `${goodHead}.\n${goodBody}.${goodSignature}` },
	{ name: "a blank behind", must: "reject", jws: `${good} ` },
	{ name: "the standard alphabet", must: "reject", ...(() => {
		for (;;) {
			const jws = signed(transaction());
			const [head, body, end] = jws.split(".");
			if (/[-_]/.test(end))
				return { jws: `${head}.${body}.` + end
				    .replaceAll("-", "+").replaceAll("_", "/") };
		}
	})() },
	{ name: "loose bits at the signature's end", must: "reject",
		jws: looseBits(good), stricter: "one text stands for one JWS" },
	{ name: "a letter beyond ASCII", must: "reject",
		jws: good.replace(/.$/, "é") },
	{ name: "more than 256 KiB", must: "reject", jws: signed(transaction({
		filler: "x".repeat(256 * 1024) })),
		stricter: "a limit on what is read at all" },
	{ name: "a truncated signature", must: "reject", jws: good.slice(0, -4) },
	{ name: "a signature with a byte more", must: "reject",
		jws: `${goodHead}.${goodBody}.` + Buffer.concat([
		    Buffer.from(goodSignature, "base64url"),
		    Buffer.from([0])]).toString("base64url") },
	{ name: "a DER signature", must: "reject",
		jws: signed(transaction(), { dsaEncoding: "der" }) },
	{ name: "a signature of zeros", must: "reject",
		jws: `${goodHead}.${goodBody}.${"A".repeat(86)}` },
	{ name: "r of zero", must: "reject", jws: `${goodHead}.${goodBody}.` +
		Buffer.concat([Buffer.alloc(32), Buffer.from(goodSignature,
		    "base64url").subarray(32)]).toString("base64url") },
	{ name: "a signature of all ones", must: "reject",
		jws: `${goodHead}.${goodBody}.` +
		    Buffer.alloc(64, 0xff).toString("base64url") },

	// --- the header -------------------------------------------------------
	...["none", "None", "NONE", "", "es256", "ES384", "RS256", "HS256"].map(
	    (alg) => ({ name: `alg "${alg}"`, must: "reject",
		jws: signed(transaction(), { header: { alg } }) })),
	{ name: "alg none without a signature", must: "reject",
		jws: `${b64(JSON.stringify({ alg: "none", x5c }))}.${goodBody}.` },
	{ name: "no alg", must: "reject",
		jws: signed(transaction(), { header: { alg: undefined } }) },
	{ name: "alg as a list", must: "reject",
		jws: signed(transaction(), { header: { alg: ["ES256"] } }) },
	{ name: "HS256 with the leaf as the secret", must: "reject",
		jws: hs256(pem(chain.leaf.der)) },
	{ name: "HS256 with the leaf's DER as the secret", must: "reject",
		jws: hs256(chain.leaf.der) },
	{ name: "alg twice", must: "reject", jws: signed(transaction(), {
		header: `{"alg":"none","alg":"ES256","x5c":${JSON.stringify(x5c)}}` }),
		stricter: "parsers disagree about duplicates" },
	{ name: "x5c twice, the first one foreign", must: "reject",
		jws: signed(transaction(), { header:
		    `{"alg":"ES256","x5c":${JSON.stringify(x5cOf(otherChain))},` +
		    `"x5c":${JSON.stringify(x5c)}}` }),
		stricter: "parsers disagree about duplicates" },
	{ name: "crit", must: "reject", jws: signed(transaction(), {
		header: { crit: ["exp"], exp: 1 } }),
		stricter: "RFC 7515: what is critical must be understood" },
	{ name: "crit with b64", must: "reject", jws: signed(transaction(), {
		header: { crit: ["b64"], b64: false } }),
		stricter: "RFC 7797 is another signature" },
	{ name: "b64", must: "reject", jws: signed(transaction(), {
		header: { b64: true } }),
		stricter: "RFC 7797 is another signature" },
	{ name: "a header that is a list", must: "reject",
		jws: signed(transaction(), { header: "[]" }) },
	{ name: "a header with bytes behind it", must: "reject",
		jws: signed(transaction(), { header:
		    `${JSON.stringify({ alg: "ES256", x5c })}x` }) },
	{ name: "no x5c, but jwk", must: "reject", jws: signed(transaction(), {
		header: { x5c: undefined,
		    jwk: chain.leaf.key.export({ format: "jwk" }) } }) },
	{ name: "x5c as a text", must: "reject",
		jws: signed(transaction(), { header: { x5c: x5c[0] } }) },
	{ name: "x5c with a number", must: "reject",
		jws: signed(transaction(), { header: { x5c: [x5c[0], x5c[1], 7] } }),
		stricter: "three certificates are three certificates" },

	// --- the chain --------------------------------------------------------
	...[[], [0], [0, 1], [1, 2], [0, 1, 2, 2], [0, 0, 1, 2]].map((order) => ({
		name: `x5c of ${order.length}: ${order}`, must: "reject",
		jws: signed(transaction(), { header: {
		    x5c: order.map((i) => x5c[i]) } }) })),
	...[[1, 0, 2], [0, 2, 1], [2, 1, 0], [1, 1, 2], [0, 0, 2]].map(
	    (order) => ({
		name: `x5c in the order ${order}`, must: "reject",
		jws: signed(transaction(), { header: {
		    x5c: order.map((i) => x5c[i]) } }) })),
	{ name: "x5c in base64url", must: "reject", ...(() => {
		for (;;) {
			const other = appleChain({ below: chain.root });
			const list = x5cOf(other);
			if (/[+/]/.test(list[0]))
				return { jws: signJws(other, transaction(), {
				    header: { x5c: [list[0].replaceAll("+", "-")
					.replaceAll("/", "_"), list[1], list[2]] } }),
				stricter: "RFC 7515 says standard base64" };
		}
	})() },
	{ name: "x5c without padding", must: "reject", ...(() => {
		for (;;) {
			const other = appleChain({ below: chain.root });
			const list = x5cOf(other);
			if (list[0].endsWith("="))
				return { jws: signJws(other, transaction(), {
				    header: { x5c: [list[0].replaceAll("=", ""),
					list[1], list[2]] } }),
				stricter: "RFC 7515 says standard base64" };
		}
	})() },
	...[0, 1, 2].map((at) => ({
		name: `element ${at} is no certificate`, must: "reject",
		jws: signed(transaction(), { header: { x5c: x5c.map((c, i) =>
		    i === at ? "YWJj" : c) } }),
		...(at === 2 ? { stricter: "all three must be readable" } : {}) })),
	...[0, 1, 2].map((at) => ({
		name: `element ${at} has a byte behind it`, must: "reject",
		jws: signed(transaction(), { header: { x5c: x5c.map((c, i) =>
		    i !== at ? c : Buffer.concat([Buffer.from(c, "base64"),
			Buffer.from([0])]).toString("base64")) } }),
		stricter: "DER has one length" })),
	{ name: "a foreign root", must: "reject",
		jws: signJws(otherChain, transaction()) },
	{ name: "a foreign root of the same name", must: "reject",
		jws: signJws(twinChain, transaction()) },
	{ name: "a foreign chain that shows our root", must: "reject",
		jws: signJws(twinChain, transaction(), { header: {
		    x5c: [...x5cOf(twinChain).slice(0, 2), x5c[2]] } }) },
	{ name: "our leaf below a foreign intermediate", must: "reject",
		jws: signJws({ ...chain, intermediate: twinChain.intermediate },
		    transaction()) },
	{ name: "a foreign leaf below our intermediate", must: "reject",
		jws: signJws({ ...chain, leaf: twinChain.leaf }, transaction()) },
	{ name: "our chain, but a foreign key signed", must: "reject",
		jws: signed(transaction(), { key: twinChain.leaf.key }) },
	{ name: "our chain, but the intermediate signed", must: "reject",
		jws: signed(transaction(), { key: chain.intermediate.key }) },
	{ name: "a leaf directly below the root", must: "reject",
		jws: signJws(shortChain(), transaction()) },
	{ name: "a leaf two below", must: "reject",
		jws: signJws(longChain(), transaction()) },
	{ name: "the intermediate given as a root", must: "reject",
		roots: [chain.intermediate.der] },
	{ name: "the leaf without its mark", must: "reject",
		...variant("leaf", { extensions: [] }) },
	{ name: "the leaf with a similar mark", must: "reject",
		...variant("leaf",
		    { extensions: [marker("1.2.840.113635.100.6.11.2")] }) },
	{ name: "the intermediate without its mark", must: "reject",
		...variant("intermediate", { extensions: [] }) },
	{ name: "the intermediate with a similar mark", must: "reject",
		...variant("intermediate",
		    { extensions: [marker("1.2.840.113635.100.6.2.2")] }) },
	{ name: "the two marks exchanged", must: "reject",
		...(() => {
			const other = appleChain({ below: chain.root,
				leaf: { extensions: [marker(INTERMEDIATE_MARKER)] },
				intermediate: { extensions: [marker(LEAF_MARKER)] } });
			return { jws: signJws(other, transaction()) };
		})() },
	{ name: "an intermediate that is no CA", must: "reject",
		...variant("intermediate", { ca: false, pathlen: undefined,
		    usage: 0x06 }) },
	{ name: "an intermediate without basicConstraints", must: "reject",
		...variant("intermediate", { ca: null }) },
	{ name: "an intermediate that may not sign certificates",
		must: "reject", ...variant("intermediate", { usage: 0x80 }) },
	{ name: "a leaf that may not sign", must: "reject",
		...variant("leaf", { usage: 0x06, ca: false }),
		stricter: "RFC 5280, 4.2.1.3" },
	{ name: "an unknown critical extension in the leaf", must: "reject",
		...variant("leaf", { extensions: [marker(LEAF_MARKER),
		    extension("1.2.3.4", tlv(0x05), true)] }),
		stricter: "RFC 5280, 4.2: what is critical must be understood" },
	{ name: "a critical mark", must: "reject",
		...variant("leaf", { extensions: [marker(LEAF_MARKER, true)] }),
		stricter: "the same; Apple's Java library refuses it too" },
	{ name: "a leaf on P-384", must: "reject", ...(() => {
		const other = appleChain({ below: chain.root,
			leaf: { key: newKey("P-384") } });
		return { jws: signJws(other, transaction(), { hash: "sha256" }) };
	})() },
	{ name: "a leaf on P-384 that says ES384", must: "reject", ...(() => {
		const other = appleChain({ below: chain.root,
			leaf: { key: newKey("P-384") } });
		return { jws: signJws(other, transaction(), { hash: "sha384",
			header: { alg: "ES384" } }),
		stricter: "ES256 is fixed by the verifier" };
	})() },
	{ name: "a leaf on secp256k1", must: "reject", ...(() => {
		const other = appleChain({ below: chain.root,
			leaf: { key: newKey("secp256k1") } });
		return { jws: signJws(other, transaction()) };
	})() },
	{ name: "a leaf with RSA that says ES256", must: "reject",
		jws: signJws(rsaLeaf(), transaction()) },
	{ name: "a leaf with RSA that says RS256", must: "reject", ...(() => {
		const other = rsaLeaf();
		const body = `${b64(JSON.stringify({ alg: "RS256",
			x5c: x5cOf(other) }))}.${goodBody}`;
		return { jws: `${body}.` + sign("sha256", Buffer.from(body),
		    other.leaf.key).toString("base64url"),
		stricter: "ES256 is fixed by the verifier" };
	})() },
	{ name: "a leaf with explicit curve parameters", must: "reject",
		...(() => {
			const key = newKey();
			const other = appleChain({ below: chain.root,
				leaf: { key, spki: explicitSpki(key) } });
			return { jws: signJws(other, transaction()),
			stricter: "RFC 5480: the curve is named" };
		})() },
	{ name: "SHA-1 below the intermediate", must: "reject",
		...variant("leaf", { hash: "sha1" }),
		stricter: "SHA-1 is broken" },
	{ name: "SHA-1 below the root", must: "reject",
		...variant("intermediate", { hash: "sha1" }),
		stricter: "SHA-1 is broken" },
	{ name: "a leaf that names another issuer", must: "reject",
		...variant("leaf", { issuerName: "Somebody" }) },
	{ name: "an intermediate that names another issuer", must: "reject",
		...variant("intermediate", { issuerName: "Somebody" }) },
	{ name: "a leaf that was not yet valid", must: "reject",
		...variant("leaf", { from_ms: NOW + DAY }) },
	{ name: "a leaf that was no longer valid", must: "reject",
		...variant("leaf", { to_ms: NOW - DAY }) },
	{ name: "an intermediate that was no longer valid", must: "reject",
		...variant("intermediate", { to_ms: NOW - DAY }) },
	{ name: "a root that was no longer valid", must: "reject",
		...variant("root", { to_ms: NOW - DAY }) },
	{ name: "30 seconds past the leaf's end", must: "reject",
		...variant("leaf", { to_ms: NOW - 31_000 }),
		stricter: "the library allows a minute" },
	{ name: "signed before its leaf was made", must: "reject",
		jws: signed(transaction({ signedDate: NOW - 200 * DAY })) },
	{ name: "an expired leaf that says it signed later", must: "reject",
		...(() => {
			const old = appleChain({ below: chain.root, leaf: {
			    from_ms: NOW - 90 * DAY, to_ms: NOW - 30 * DAY } });
			return { jws: signJws(old, transaction()) };
		})() },

	{ name: "no key identifiers, strictly", must: "reject",
		...variant("leaf", { bare: true }),
		stricter: "RFC 5280, 4.2.1.1; RENDIO_APPLE_X509_STRICT=0 allows it" },

	// --- the payload ------------------------------------------------------
	{ name: "another payload", must: "reject", jws: `${goodHead}.` +
		`${b64(JSON.stringify(transaction({ quantity: 10 })))}.` +
		goodSignature },
	{ name: "another header", must: "reject", jws:
		`${b64(JSON.stringify({ alg: "ES256", x5c, kid: "1" }))}.` +
		`${goodBody}.${goodSignature}` },
	{ name: "null", must: "reject", jws: signed("null") },
	{ name: "a list", must: "reject", jws: signed("[]") },
	{ name: "a text", must: "reject", jws: signed("\"x\"") },
	{ name: "no JSON", must: "reject", jws: signed("{") },
	{ name: "bytes behind the object", must: "reject",
		jws: signed(`${text}{}`) },
	{ name: "a comma too many", must: "reject",
		jws: signed(text.replace(/}$/, ",}")) },
	{ name: "a byte order mark", must: "reject",
		jws: signed(`\ufeff${text}`) },
	{ name: "the bundle twice", must: "reject",
		jws: signed(text.replace("{", "{\"bundleId\":\"com.evil\",")),
		stricter: "parsers disagree about duplicates" },
	{ name: "the bundle twice, the other way round", must: "reject",
		jws: signed(text.replace(/}$/, ",\"bundleId\":\"com.evil\"}")) },
	{ name: "the quantity twice", must: "reject",
		jws: signed(text.replace(/}$/, ",\"quantity\":10}")),
		stricter: "parsers disagree about duplicates" },
	{ name: "a name twice by an escape", must: "reject",
		jws: signed(text.replace(/}$/, ",\"quantit\\u0079\":10}")),
		stricter: "parsers disagree about duplicates" },
	{ name: "invalid UTF-8", must: "reject", jws: signed(Buffer.concat([
		Buffer.from(text.slice(0, -1)), Buffer.from(",\"x\":\""),
		Buffer.from([0xc3, 0x28]), Buffer.from("\"}")])),
		stricter: "JSON is UTF-8" },
	{ name: "a bundle with NUL behind it", must: "reject",
		jws: signed(transaction({ bundleId: `${BUNDLE}\0.evil` })) },
	{ name: "NUL somewhere", must: "reject",
		jws: signed(transaction({ offerIdentifier: "a\0b" })),
		stricter: "no text of Apple's has it" },
	{ name: "depth of 40", must: "reject", jws: signed(transaction({
		x: JSON.parse("[".repeat(40) + "]".repeat(40)) })),
		stricter: "a limit on what is read at all" },
	{ name: "a number past all bounds", must: "reject",
		jws: signed(text.replace("\"quantity\":1", "\"quantity\":1e400")),
		stricter: "infinity is no quantity" },
	{ name: "a number of digits and nothing", must: "reject",
		jws: signed(text.replace("\"quantity\":1", "\"quantity\":01")) },
	...[["quantity", "1"], ["quantity", true], ["price", "1"],
		["transactionId", 1], ["bundleId", 7], ["productId", {}],
		["signedDate", "now"], ["type", 1], ["appAccountToken", 5],
		["isUpgraded", "no"], ["storefront", 7],
		["purchaseDate", "x"]].map(([name, value]) => ({
		name: `${name} as ${JSON.stringify(value)}`, must: "reject",
		jws: signed(transaction({ [name]: value })) })),
	...[["quantity", 0], ["quantity", -1], ["quantity", 11],
		["quantity", 1.5], ["quantity", 2 ** 53], ["price", -1],
		["price", 1e300], ["transactionId", ""],
		["transactionId", "12x"], ["transactionId", "1".repeat(33)],
		["originalTransactionId", "-1"], ["appAccountToken", "ada"],
		["purchaseDate", -1], ["expiresDate", 1e18],
		["revocationPercentage", 100001],
		["revocationPercentage", -1]].map(([name, value]) => ({
		name: `${name} of ${String(value).slice(0, 20)}`, must: "reject",
		jws: signed(transaction({ [name]: value })),
		stricter: "out of the bounds that Apple names" })),
	...[["null", null], ["0", 0], ["negative", -1],
		["in seconds", Math.floor(NOW / 1000)],
		["past 2100", 4102444800001], ["before 2017", 1499999999999],
	].map(([name, signedDate]) => ({
		name: `signedDate ${name}`, must: "reject",
		jws: signed(transaction({ signedDate })) })),
	...[["absent", undefined], ["huge", 1e300],
		["an hour ahead", NOW + 3600_000]].map(([name, signedDate]) => ({
		name: `signedDate ${name}`, must: "reject",
		jws: signed(transaction({ signedDate })),
		stricter: "when it was signed decides what was valid" })),

	// --- whose it is ------------------------------------------------------
	{ name: "another bundle", must: "reject",
		jws: signed(transaction({ bundleId: "com.example.x" })) },
	{ name: "a bundle in other letters", must: "reject",
		jws: signed(transaction({ bundleId: "com.EXAMPLE" })) },
	{ name: "BundleId", must: "reject", jws: signed(transaction({
		bundleId: undefined, BundleId: BUNDLE })) },
	{ name: "no bundle", must: "reject",
		jws: signed(transaction({ bundleId: undefined })) },
	{ name: "Sandbox where Production is wanted", must: "reject",
		...production },
	{ name: "Production where Sandbox is wanted", must: "reject",
		jws: signed(transaction({ environment: "Production" })) },
	{ name: "environment Xcode", must: "reject",
		jws: signed(transaction({ environment: "Xcode" })) },
	{ name: "environment sandbox in small letters", must: "reject",
		jws: signed(transaction({ environment: "sandbox" })) },
	{ name: "no environment", must: "reject",
		jws: signed(transaction({ environment: undefined })) },
	{ name: "Xcode asked for", must: "reject", environment: "Xcode",
		jws: signed(transaction({ environment: "Xcode" })),
		stricter: "the library then checks no signature at all" },
	{ name: "LocalTesting asked for", must: "reject",
		environment: "LocalTesting",
		jws: signed(transaction({ environment: "LocalTesting" })),
		stricter: "the library then checks no signature at all" },
	{ name: "renewal info of another environment", must: "reject",
		kind: "renewal", jws: signed(renewal({ environment: "Production" })) },
	{ name: "a notification of another bundle", must: "reject",
		kind: "notification",
		jws: signed(notification({ bundleId: "com.evil" })) },
	{ name: "a notification of production with another number",
		must: "reject", kind: "notification", ...production,
		jws: signed(notification({ environment: "Production",
		    appAppleId: APP_ID + 1 })) },
	{ name: "a notification of production without a number",
		must: "reject", kind: "notification", ...production,
		jws: signed(notification({ environment: "Production" })) },
	{ name: "a notification of the sandbox sent to production",
		must: "reject", kind: "notification", ...production,
		jws: signed(notification()) },
	{ name: "a notification without a body", must: "reject",
		kind: "notification",
		jws: signed(notification({}, { data: undefined })) },
	{ name: "a notification whose data is a text", must: "reject",
		kind: "notification",
		jws: signed(notification({}, { data: "x" })) },
	{ name: "a notification with two bodies", must: "reject",
		kind: "notification", jws: signed(notification({}, {
		    appData: { appAppleId: APP_ID, bundleId: "com.evil",
			environment: "Sandbox" } })),
		stricter: "a notification has exactly one body" },
	{ name: "an external purchase token of production", must: "reject",
		kind: "notification", jws: signed(notification({}, {
		    data: undefined, externalPurchaseToken: {
			externalPurchaseId: "1", tokenCreationDate: NOW,
			appAppleId: APP_ID, bundleId: BUNDLE } })) },
	{ name: "an app transaction of another environment", must: "reject",
		kind: "app_transaction", ...production,
		jws: signed(appTransaction()) },
	{ name: "an app transaction of another bundle", must: "reject",
		kind: "app_transaction",
		jws: signed(appTransaction({ bundleId: "com.evil" })) },
	{ name: "an app transaction of another number", must: "reject",
		kind: "app_transaction", ...production,
		jws: signed(appTransaction({ receiptType: "Production",
		    appAppleId: 5 })) },

	// --- one kind for another ---------------------------------------------
	{ name: "a transaction for a notification", must: "reject",
		kind: "notification" },
	{ name: "a transaction for renewal info", must: "reject",
		kind: "renewal",
		stricter: "renewal info names no bundle: this is another thing" },
	{ name: "a transaction for an app transaction", must: "reject",
		kind: "app_transaction" },
	{ name: "a notification for a transaction", must: "reject",
		jws: signed(notification()) },
	{ name: "renewal info for a transaction", must: "reject",
		jws: signed(renewal()) },
	{ name: "an app transaction for a transaction", must: "reject",
		jws: signed(appTransaction()) },

	// --- what is nested ---------------------------------------------------
	{ name: "nested: below a foreign root", must: "reject",
		kind: "notification", jws: signed(notification({
		    signedTransactionInfo: signJws(twinChain, transaction()) })) },
	{ name: "nested: another payload", must: "reject", kind: "notification",
		jws: signed(notification({ signedTransactionInfo: `${goodHead}.` +
		    `${b64(JSON.stringify(transaction({ quantity: 9 })))}.` +
		    goodSignature })) },
	{ name: "nested: of another bundle", must: "reject",
		kind: "notification",
		jws: signed(nested(transaction({ bundleId: "com.evil" }))) },
	{ name: "nested: of another environment", must: "reject",
		kind: "notification",
		jws: signed(nested(transaction({ environment: "Production" }))) },
	{ name: "nested: the two exchanged", must: "reject",
		kind: "notification", jws: signed(notification({
		    signedTransactionInfo: signed(renewal()),
		    signedRenewalInfo: good })) },
	{ name: "nested: of two different purchases", must: "reject",
		kind: "notification", jws: signed(notification({
		    signedTransactionInfo: good, signedRenewalInfo: signed(
			renewal({ originalTransactionId: "7" })) })),
		stricter: "renewal info proves nothing alone" },
	{ name: "nested: no JWS", must: "reject", kind: "notification",
		jws: signed(notification({ signedTransactionInfo: "x" })) },
	{ name: "nested: empty", must: "reject", kind: "notification",
		jws: signed(notification({ signedTransactionInfo: {} })) },
];

const names = new Set(cases.map(({ name }) => name));

test("there are at least sixty kinds of bad ones, each named once", () => {
	assert.equal(names.size, cases.length);
	assert.ok(cases.filter(({ must }) => must === "reject").length >= 60);
});

const vectors = path.join(sources, "tests/vectors/apple");
const vector = (...name) => fs.readFileSync(path.join(vectors, ...name));

test("Apple's own vectors come out as Apple says", async (t) => {
	const sandbox = { environment: "Sandbox" };
	const g3 = [vector("roots/AppleRootCA-G3.der")];
	for (const [name, kind, verdict, given] of [
		["testNotification", "notification", "accept", sandbox],
		["testNotification", "notification", "accept",
			{ ...sandbox, appId: 1234 }],
		["testNotification", "notification", "reject", production],
		["testNotification", "notification", "reject",
			{ ...production, appId: 1235 }],
		["testNotification", "notification", "reject",
			{ ...sandbox, roots: g3 }],
		["testNotification", "notification", "reject",
			{ ...sandbox, lax: false }],
		["transactionInfo", "transaction", "accept", sandbox],
		["transactionInfo", "transaction", "reject",
			{ ...sandbox, bundle: "com.example.x" }],
		["transactionInfo", "transaction", "reject", production],
		["transactionInfo", "renewal", "reject", sandbox],
		["renewalInfo", "renewal", "accept", sandbox],
		["renewalInfo", "transaction", "reject", sandbox],
		["wrongBundleId", "notification", "reject", sandbox],
		["missingX5CHeaderClaim", "notification", "reject", sandbox],
	])
		await t.test(`${name} as ${kind} ${JSON.stringify(given)}`,
		    async () => {
			const got = await ours({ kind, lax: true, bundle: BUNDLE,
			    roots: [vector("certs/testCA.der")],
			    jws: vector("mock_signed_data", name), ...given });
			assert.equal(got.verdict, verdict, got.reason);
		});
	for (const [name, kind] of [["transaction", "transaction"],
		["renewal-info", "renewal"],
		["app-transaction", "app_transaction"]])
		for (const environment of ["Xcode", "LocalTesting", "Sandbox",
			"Production"])
			await t.test(`Xcode's ${kind} as ${environment}`, async () => {
				const got = await ours({ kind, environment, roots: g3,
				    bundle: "com.example.naturelab.backyardbirds.example",
				    jws: vector("xcode", `xcode-signed-${name}`) });
				assert.equal(got.verdict, "reject");
			});
});

test("what is proven but lacks what a purchase must have says so", async () => {
	const lacking = (more) => ours({ kind: "transaction", bundle: BUNDLE,
		roots: [chain.root.der], environment: "Sandbox",
		jws: signed(transaction(more)) });

	assert.deepEqual(await lacking({}), { verdict: "accept", reason: "ok" });
	for (const name of ["transactionId", "originalTransactionId", "productId",
		"type", "inAppOwnershipType", "quantity", "purchaseDate"])
		assert.deepEqual(await lacking({ [name]: undefined }),
		    { verdict: "accept", reason: "incomplete" }, name);
});

test("wrong use is told apart from a bad JWS", async () => {
	const use = ["--kind", "transaction", "--bundle-id", BUNDLE,
		"--environment", "Sandbox"];
	const bad = path.join(dir, "no-root.pem");
	fs.writeFileSync(bad, "no certificate\n");

	for (const args of [[], use.slice(2), use.slice(0, 4),
		[...use.slice(0, 2), ...use.slice(4)], [...use, "--app-id", "0"],
		[...use, "--app-id", "x"], [...use, "--root"],
		[...use, "--root", bad], [...use, "--root", "/does/not/exist"],
		["--kind", "receipt", ...use.slice(2)],
		[...use.slice(0, 4), "--environment", "production"],
		[...use, "--unknown"]]) {
		const { status, out } = await run(args, good);
		assert.equal(status, 2, args.join(" "));
		assert.equal(out, "");
	}
	assert.equal((await run(["--help"], "")).status, 0);
	/* Without a root Apple's own is meant. */
	assert.equal((await run(use, good)).status, 1);
	/* A shell's line end is not part of the JWS; a second one would be. */
	const file = path.join(dir, "root.pem");
	fs.writeFileSync(file, pem(chain.root.der));
	assert.equal((await run([...use, "--root", file], `${good}\n`)).status, 0);
	assert.equal((await run([...use, "--root", file], `${good}\n\n`)).status,
	    1);
});

test("no bad one is taken and no good one refused, as Apple sees it",
    { concurrency: 2 }, async (t) => {
	for (const given of cases) {
		const c = { kind: "transaction", jws: good,
			roots: [chain.root.der], environment: "Sandbox",
			bundle: BUNDLE, ...given };
		await t.test(c.name, async () => {
			const our = await ours(c);
			const apple = await apples(c);
			const why = `${our.reason}, ${apple.reason}`;
			assert.equal(our.verdict, c.must, why);
			assert.equal(apple.verdict,
			    c.stricter === undefined ? c.must : "accept", why);
		});
	}
});

// SPDX-License-Identifier: MIT
//
// The App Store Server API's client, by the operator's commands over a fake
// that behaves as Apple does: the right answers, and each way to fail.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { AppStore } from "../fakes/appstore.mjs";
import { appleChain } from "./support/apple-chain.mjs";
import { build, plainEnv } from "./support/instance.mjs";

const PRODUCT = "com.rendioai.credits.starter.25";

let apple, env, dir, stateDir;

function rendio(...args) {
	return new Promise((resolve) => execFile(path.join(build, "rendio"), args,
	    { env }, (error, stdout, stderr) => resolve({
		status: error?.code ?? 0, stdout, stderr,
		get answer() {
			return JSON.parse(stdout);
		},
	    })));
}

/** What a look-up ends in, and its log. */
async function look(id) {
	const run = await rendio("appstore", "transaction", id);
	return { ...run.answer, status: run.status, log: run.stderr };
}

before(async () => {
	apple = await AppStore.start();
	dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-appstore-"));
	stateDir = path.join(dir, "var");
	env = { ...plainEnv(), ...apple.env, RENDIO_STATE_DIR: stateDir };
	const made = await rendio("init");
	assert.equal(made.status, 0, made.stderr);
});
after(async () => {
	await apple.stop();
	fs.rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
	apple.heal();
	apple.calls = [];
	apple.released = true;
	fs.rmSync(path.join(stateDir, "run/appstore-rate"), { force: true });
});

const forgetProduction = () => fs.rmSync(
    path.join(stateDir, "run/appstore-production"), { force: true });

test("a purchase is found where it was made, and its proof is kept", async () => {
	for (const environment of ["Production", "Sandbox"]) {
		const token = "7e3fb20b-4cdb-47cc-936d-99d65f608138";
		const sale = apple.sell({ productId: PRODUCT, quantity: 2, token,
			environment });
		const got = await look(sale.transactionId);

		assert.equal(got.outcome, "done", got.log);
		assert.equal(got.status, 0);
		assert.equal(got.environment, environment);
		assert.equal(got.product_id, PRODUCT);
		assert.equal(got.quantity, 2);
		assert.equal(got.app_account_token, token);
		assert.equal(got.signed_transaction.split(".").length, 3);
	}
	assert.equal(apple.count(/transactions/, "Production"), 2);
	assert.equal(apple.count(/transactions/, "Sandbox"), 1);
	for (const { headers } of apple.calls)
		assert.equal(headers["content-type"], undefined);
});

test("what nobody sold is not found, in both environments", async () => {
	const got = await look("77");

	assert.deepEqual([got.outcome, got.error_code, got.status],
	    ["not_found", 4040010, 1]);
	assert.equal(apple.count(/transactions/, "Production"), 1);
	assert.equal(apple.count(/transactions/, "Sandbox"), 1);
});

test("only digits are asked about", async () => {
	for (const id of ["", "7/8", "../x", "7?x", "a", "1".repeat(33)])
		assert.equal((await look(id)).outcome, "refused", id);
	assert.equal(apple.calls.length, 0);
});

test("before production knows the app its 401 means the sandbox", async () => {
	const sale = apple.sell({ productId: PRODUCT, environment: "Sandbox" });
	apple.released = false;
	forgetProduction();

	assert.equal((await look(sale.transactionId)).outcome, "done");
	assert.equal((await look("77")).outcome, "not_found");
	assert.equal(fs.existsSync(path.join(stateDir,
	    "run/appstore-production")), false);
});

test("once production has answered its 401 is our key's fault", async () => {
	const sale = apple.sell({ productId: PRODUCT, environment: "Sandbox" });

	forgetProduction();
	assert.equal((await look(sale.transactionId)).outcome, "done");
	apple.released = false;
	apple.calls = [];
	const got = await look(sale.transactionId);
	assert.deepEqual([got.outcome, got.http_status], ["unauthorized", 401]);
	assert.match(got.log, /"level":"error".*unauthorized/);
	assert.equal(apple.count(/./, "Sandbox"), 0);
});

test("production knows it not and the sandbox says 401: later", async () => {
	apple.fault({ environment: "Sandbox", status: 401, text: "Unauthenticated" });
	const got = await look(apple.sell({ productId: PRODUCT,
		environment: "Sandbox" }).transactionId);
	assert.equal(got.outcome, "try_later");
});

test("each failure of Apple's or of the network's has its outcome", async (t) => {
	const retryAt_ms = Date.now() + 120_000;
	const body = (errorCode) => JSON.stringify({ errorCode,
		errorMessage: "An error." });
	const cases = [
		["500", { status: 500, text: body(5000000) }, "try_later"],
		["5000001", { status: 500, text: body(5000001) }, "try_later"],
		["502 of a gateway", { status: 502, text: "<html>" }, "try_later"],
		["503 without a word", { status: 503 }, "try_later"],
		["404 that is to be asked again",
			{ status: 404, text: body(4040006) }, "try_later"],
		["garbage", { status: 200, text: "<html>OK</html>" }, "try_later"],
		["half an answer", { status: 200,
			text: "{\"signedTransactionInfo\":\"a.b.c\"" }, "try_later"],
		["another object", { status: 200, text: "{}" }, "try_later"],
		["an empty success", { status: 200 }, "try_later"],
		["a redirect", { status: 302,
			headers: { location: "http://127.0.0.1:1/" } }, "try_later"],
		["a broken connection", { reset: true }, "try_later"],
		["an unknown 400", { status: 400, text: body(9990000) }, "refused"],
		["429", { status: 429, text: body(4290000),
			headers: { "retry-after": String(retryAt_ms) } },
			"rate_limited"],
	];
	for (const [name, fault, outcome] of cases)
		await t.test(name, async () => {
			const { transactionId } = apple.sell({ productId: PRODUCT });
			apple.fault(fault);
			const got = await look(transactionId);
			assert.equal(got.outcome, outcome, got.log);
			assert.equal(got.status, 1);
			if (outcome === "rate_limited")
				assert.equal(Date.parse(got.retry_at), retryAt_ms);
			// One request, whatever happened.
			assert.equal(apple.calls.length, 1);
			apple.calls = [];
			assert.equal((await look(transactionId)).outcome, "done");
			apple.calls = [];
		});
});

test("an Apple that is slow is waited for five seconds at most", async () => {
	const { transactionId } = apple.sell({ productId: PRODUCT });

	apple.fault({ slow_ms: 500 });
	assert.equal((await look(transactionId)).outcome, "done");
	apple.fault({ hang: true });
	apple.fault({ drip_ms: 200 });
	const both = await Promise.all([look(transactionId),
		look(transactionId)]);
	assert.deepEqual(both.map(({ outcome }) => outcome),
	    ["try_later", "try_later"]);
});

test("an Apple that is down is one to ask later", async () => {
	const own = { ...env };
	env = { ...env, RENDIO_APPSTORE_URL: "http://127.0.0.1:1" };
	try {
		assert.equal((await look("77")).outcome, "try_later");
	} finally {
		env = own;
	}
});

test("an answer that proves nothing is not believed", async () => {
	const { transactionId } = apple.sell({ productId: PRODUCT });
	const other = apple.sell({ productId: PRODUCT });
	const foreign = appleChain();
	const own = apple.chain;
	const say = (jws) => apple.fault({ status: 200,
		text: JSON.stringify({ signedTransactionInfo: jws }) });

	apple.chain = foreign;
	const forged = apple.jws(transactionId);
	apple.chain = own;
	for (const jws of [forged, "a.b.c", apple.jws(other.transactionId),
		apple.jws(transactionId, { bundleId: "com.evil" }),
		apple.jws(transactionId, { environment: "Sandbox" }),
		apple.jws(transactionId, { quantity: undefined })]) {
		say(jws);
		const got = await look(transactionId);
		assert.equal(got.outcome, "try_later");
		assert.match(got.log, /"unproven"/);
	}
});

test("a key that is missing or wrong is an error, not a purchase lost",
    async () => {
	const { transactionId } = apple.sell({ productId: PRODUCT });
	const own = { ...env };

	assert.equal((await look(transactionId)).outcome, "done");
	for (const wrong of [{ RENDIO_APPSTORE_KEY_FILE: "/does/not/exist" },
		{ RENDIO_APPSTORE_KEY_ID: "OTHER" },
		{ RENDIO_APPSTORE_ISSUER_ID: "other" }]) {
		env = { ...own, ...wrong };
		try {
			const got = await look(transactionId);
			assert.equal(got.outcome, "unauthorized");
			assert.match(got.log, /"level":"error"/);
		} finally {
			env = own;
		}
	}
});

async function pages(...command) {
	const items = [];
	let cursor, count = 0;
	for (;;) {
		const { answer } = await rendio(...command, ...(cursor === undefined ?
		    [] : ["--cursor", cursor]));
		assert.equal(answer.outcome, "done");
		items.push(...answer.items);
		cursor = answer.cursor;
		count++;
		if (!answer.has_more)
			return { items, cursor, count };
	}
}

const payload = (jws) => JSON.parse(Buffer.from(jws.split(".")[1], "base64url"));

test("refunds are told page by page, and then only what is new", async () => {
	const sales = Array.from({ length: 45 }, () =>
	    apple.sell({ productId: PRODUCT, payer: "ada" }));
	const others = apple.sell({ productId: PRODUCT, payer: "bob" });
	const [first] = sales;
	for (const { transactionId } of [...sales, others])
		apple.refund(transactionId);

	const all = await pages("appstore", "refunds", first.transactionId);
	assert.equal(all.count, 3);
	assert.deepEqual(all.items.map((jws) => payload(jws).transactionId),
	    sales.map(({ transactionId }) => transactionId));
	const nothing = await rendio("appstore", "refunds", first.transactionId,
	    "--cursor", all.cursor);
	assert.deepEqual(nothing.answer.items, []);
	const late = apple.sell({ productId: PRODUCT, payer: "ada" });
	apple.refund(late.transactionId);
	const { answer } = await rendio("appstore", "refunds",
	    first.transactionId, "--cursor", nothing.answer.cursor);
	assert.deepEqual(answer.items.map((jws) => payload(jws).transactionId),
	    [late.transactionId]);
	/* The sandbox knows nothing of it. */
	assert.equal((await rendio("appstore", "refunds", first.transactionId,
	    "--environment", "Sandbox")).answer.outcome, "not_found");
});

test("notifications that got lost are told page by page", async () => {
	const sale = apple.sell({ productId: PRODUCT });
	const before = apple.sent.length;
	for (let i = 0; i < 61; i++)
		apple.notify("ONE_TIME_CHARGE", sale.transactionId,
		    { result: i % 3 === 0 ? "SUCCESS" : "TIMED_OUT" });

	const { items, count } = await pages("appstore", "notifications");
	assert.equal(count, 2);
	assert.deepEqual(items, apple.sent.slice(before)
	    .filter(({ result }) => result !== "SUCCESS")
	    .map(({ signedPayload }) => signedPayload));
	for (const call of apple.calls) {
		assert.equal(call.method, "POST");
		assert.equal(call.body.onlyFailures, true);
		assert.equal(call.headers["content-type"], "application/json");
	}
	const sandbox = await rendio("appstore", "notifications",
	    "--environment", "Sandbox");
	assert.deepEqual(sandbox.answer.items, []);
});

test("a test notification can be asked for, and how it went", async () => {
	const { answer } = await rendio("appstore", "test");
	assert.equal(answer.outcome, "done");
	fs.rmSync(path.join(stateDir, "run/appstore-rate"));
	const status = await rendio("appstore", "test", answer.token);
	assert.equal(status.answer.result, "SUCCESS");
	fs.rmSync(path.join(stateDir, "run/appstore-rate"));
	assert.equal((await rendio("appstore", "test", "a/b c")).answer.outcome,
	    "not_found");
	/* A POST without a body, and without the type of one. */
	const [post] = apple.calls;
	assert.equal(post.method, "POST");
	assert.equal(post.headers["content-type"], undefined);
	assert.equal(post.headers["content-length"] ?? "0", "0");

	fs.rmSync(path.join(stateDir, "run/appstore-rate"));
	apple.hasUrl = false;
	assert.deepEqual((({ outcome, error_code }) => [outcome, error_code])(
	    (await rendio("appstore", "test")).answer), ["not_found", 4040007]);
});

test("we hold ourselves to less than Apple allows", async () => {
	const first = await rendio("appstore", "test", "x");
	assert.equal(first.answer.outcome, "not_found");
	apple.calls = [];
	const second = await rendio("appstore", "test", "x");
	assert.equal(second.answer.outcome, "rate_limited");
	const wait_ms = Date.parse(second.answer.retry_at) - Date.now();
	assert.ok(wait_ms <= 2000, String(wait_ms));
	assert.equal(apple.calls.length, 0);
});

test("wrong use says so", async () => {
	for (const args of [["appstore"], ["appstore", "transaction"],
		["appstore", "refunds"], ["appstore", "test", "a", "b"],
		["appstore", "test", "--environment", "Xcode"],
		["appstore", "transaction", "1", "--environment", "Sandbox"]])
		assert.equal((await rendio(...args)).status, 2, args.join(" "));
});

test("the pretended store sells, refunds and is asked about it", async () => {
	const own = { ...env };
	env = { ...plainEnv(), RENDIO_STATE_DIR: stateDir };
	try {
		const user = "7e3fb20b-4cdb-47cc-936d-99d65f608138";
		const sold = await rendio("sandbox", "purchase", "--user", user,
		    "--product", PRODUCT, "--quantity", "2");
		assert.equal(sold.status, 0, sold.stderr);
		const jws = sold.stdout.trim();
		const { transactionId, ...rest } = payload(jws);
		assert.equal(rest.appAccountToken, user);
		assert.equal(rest.productId, PRODUCT);
		assert.equal(rest.quantity, 2);
		assert.equal(rest.environment, "Sandbox");
		assert.equal((await look(transactionId)).outcome, "done");

		/* By the transaction as printed, or by its id alone. */
		for (const given of [jws, transactionId]) {
			const refund = await rendio("sandbox", "refund", given,
			    "--percent", "50");
			assert.equal(refund.status, 0, refund.stderr);
			const { signedPayload } = refund.answer;
			const outer = payload(signedPayload);
			assert.equal(outer.notificationType, "REFUND");
			const inner = payload(outer.data.signedTransactionInfo);
			assert.equal(inner.transactionId, transactionId);
			assert.equal(inner.revocationPercentage, 50000);
		}
		const asked = await look(transactionId);
		assert.ok(Date.parse(asked.revoked_at) > 0);
		const subscription = await rendio("sandbox", "purchase",
		    "--product", "premium", "--type", "subscription");
		assert.ok(payload(subscription.stdout).expiresDate > Date.now());
		assert.equal(payload(subscription.stdout).appAccountToken,
		    undefined);

		assert.equal((await rendio("sandbox", "refund", "1")).status, 1);
		for (const args of [["purchase"], ["purchase", "--user", "x",
			"--product", PRODUCT], ["purchase", "--product", PRODUCT,
			"--quantity", "0"], ["purchase", "--product", PRODUCT,
			"--quantity", "11"], ["purchase", "--product", PRODUCT,
			"--type", "x"], ["refund"], ["refund", "1", "--percent",
			"101"]])
			assert.equal((await rendio("sandbox", ...args)).status, 2,
			    args.join(" "));
	} finally {
		env = own;
	}
});

test("nobody but Apple sells in live mode", async () => {
	const own = { ...env };
	env = { ...env, RENDIO_MODE: "live" };
	try {
		for (const args of [["purchase", "--product", PRODUCT],
			["refund", "1"]]) {
			const run = await rendio("sandbox", ...args);
			assert.equal(run.status, 1);
			assert.equal(run.stdout, "");
		}
	} finally {
		env = own;
	}
});

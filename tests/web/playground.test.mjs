// SPDX-License-Identifier: MIT
// The playground, by hand of a browser.  RENDIO_SCREENSHOTS=DIR keeps pictures.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { browser, open, picture } from "../api/support/browser.mjs";
import { description } from "../api/support/endpoints.mjs";
import { assertAuditClean, assertError } from "../api/support/expect.mjs";
import { root, start } from "../api/support/instance.mjs";

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844, scale: 2 };
const WAIT = { timeout: 90_000 };

let rendio, chromium;

before(async () => {
	[rendio, chromium] = await Promise.all([start(), browser()]);
});
after(async () => {
	await chromium.close();
	await rendio.stop();
});

/** A phone that nobody has used, on its first screen. */
async function visit(size, path = "/", at = rendio) {
	const page = await open(chromium, at.url, size);
	const res = await page.goto(at.url + path);

	assert.equal(res.status(), 200);
	return page;
}

async function enter(size) {
	const page = await visit(size);

	await page.click("#guest", WAIT);
	await page.waitForSelector("[data-signed=yes] .theme", WAIT);
	await page.waitForSelector("#light-stream.on", WAIT);
	await page.waitForSelector("#light-socket.on", WAIT);
	return page;
}

const credits = async (page) => Number(await page.textContent("#wallet .balance"));

async function waitForCredits(page, count) {
	await page.waitForFunction((n) => document.querySelector(
	    "#wallet .balance").textContent === n, String(count), WAIT);
}

async function order(page, { pace = 0, prompt } = {}) {
	if (prompt !== undefined)
		await page.fill("#prompt", prompt);
	await page.click(`#pace label:has([value="${pace}"])`);
	const before = await page.locator(".tile").count();
	await page.click("#generate");
	await page.waitForFunction((n) =>
	    document.querySelectorAll(".tile").length > n, before, WAIT);
}

/** Pushes a button backstage and gives its receipt. */
async function act(page, name) {
	const before = await page.evaluate(() => {
		for (const node of document.querySelectorAll(".receipts li"))
			node.dataset.seen = "yes";
	});
	assert.equal(before, undefined);
	await page.click(`[data-act=${name}]:enabled`, WAIT);
	const receipt = page.locator(
	    ".receipts li:not([data-seen]):not(.busy)").first();
	await receipt.waitFor(WAIT);
	const text = await receipt.textContent();
	assert.equal(await receipt.getAttribute("class"), "right", text);
	return text;
}

const verdict = (page) => page.waitForSelector("#books[data-state=right]", WAIT);

test("a guest orders a video, watches it, and finds it in the books",
    async () => {
	const page = await enter(DESKTOP);

	await picture(page, "1-create");
	await waitForCredits(page, 10);
	await page.click(".theme >> nth=1");
	assert.notEqual(await page.inputValue("#prompt"), "");
	await order(page, { pace: 10 });
	await waitForCredits(page, 6);
	await page.waitForSelector(".live-card.processing", WAIT);
	await picture(page, "2-live");
	await page.waitForSelector(".live-card.completed", WAIT);

	await page.click(".live-card .small");
	await page.waitForFunction(() => {
		const video = document.getElementById("video");
		return video.readyState >= 2 && video.videoWidth > 0 &&
		    video.currentTime > 0;
	}, undefined, WAIT);
	await picture(page, "3-player");
	await page.click(".tabs [data-go=wallet]");
	assert.match(await page.textContent("#ledger"), /Video.*−4.*Gift.*\+10/s);
	await verdict(page);
	// The stream and the websocket both told of the end.
	const wire = await page.textContent("#wire");
	assert.match(wire, /UPDATE [0-9a-f]{8} completed/);
	assert.match(wire, /job [0-9a-f]{8} completed/);

	// The page comes back as the same user, with what there is.
	const serial = await page.textContent("#serial");
	await page.reload();
	await page.waitForSelector("[data-signed=yes] .theme", WAIT);
	await waitForCredits(page, 6);
	assert.equal(await page.textContent("#serial"), serial);
	await page.waitForSelector(".tile .chip.completed",
	    { ...WAIT, state: "attached" });
	assert.deepEqual(page.faults, []);
	await page.context().close();
});

test("whatever button is pushed, the money stays right", async () => {
	const page = await enter(DESKTOP);

	assert.match(await act(page, "buy"), /25 credits.*brought nothing/);
	await waitForCredits(page, 35);
	await order(page, { pace: 30, prompt: "A sea" });
	await page.waitForSelector(".live-card.processing", WAIT);
	assert.match(await act(page, "fail"), /4 of 4 credits went back/);
	await waitForCredits(page, 35);

	await order(page, { pace: 10, prompt: "A lake" });
	await page.waitForSelector(".live-card.processing", WAIT);
	assert.match(await act(page, "kill"), /Process \d+ is gone.*completed/);
	await order(page, { pace: 10, prompt: "A river" });
	await page.waitForSelector(".live-card.processing", WAIT);
	assert.match(await act(page, "drop"), /completed, 4 credits, once/);
	assert.match(await act(page, "cut"), /came back by itself/);
	await waitForCredits(page, 27);

	// 25 bought, 8 spent, of the gift first or last: the rest of it goes.
	await act(page, "refund");
	const left = await credits(page);
	assert.ok(left >= 0 && left <= 10, String(left));
	await verdict(page);
	await picture(page, "4-backstage");
	assert.deepEqual(page.faults, []);
	await assertAuditClean(rendio);
	await page.context().close();
});

test("on a phone's width all of it is there, one screen at a time",
    async () => {
	const page = await enter(PHONE);

	for (const tab of ["create", "videos", "wallet", "backstage"]) {
		await page.click(`.tabs [data-go=${tab}]`);
		assert.ok(await page.isVisible(`#${tab}`), tab);
		assert.equal(await page.evaluate(() =>
		    document.documentElement.scrollWidth > innerWidth), false);
		await picture(page, `5-phone-${tab}`);
	}
	await page.click(".tabs [data-go=wallet]");
	await page.click(".pack >> nth=1");
	await waitForCredits(page, 70);
	await page.click(".tabs [data-go=create]");
	await order(page, { prompt: "A sea <b>[fail:content]</b>" });
	await page.waitForSelector(".live-card.failed", WAIT);
	await waitForCredits(page, 70);
	// What somebody typed is shown, not run.
	assert.match(await page.textContent(".live-card"), /A sea <b>/);
	await page.click(".tabs [data-go=backstage]");
	await verdict(page);
	assert.deepEqual(page.faults, []);
	await page.context().close();
});

test("an order without words, or without credits, is refused in words",
    async () => {
	const page = await enter(PHONE);

	await page.click("#generate");
	await page.waitForFunction(() => /Say what you want/.test(
	    document.getElementById("toast").textContent), undefined, WAIT);
	for (let i = 0; i < 2; i++)
		await order(page, { prompt: `A sea ${i}` });
	await waitForCredits(page, 2);
	await page.fill("#prompt", "A sea");
	await page.click("#generate");
	await page.waitForFunction(() => /Insufficient credits/.test(
	    document.getElementById("toast").textContent), undefined, WAIT);
	await page.context().close();
});

test("the page runs what is ours and talks to nobody else", async () => {
	const res = await rendio.request("GET", "/", { apikey: null });
	const policy = res.headers["content-security-policy"];

	assert.equal(res.headers["content-type"], "text/html; charset=utf-8");
	assert.equal(res.headers["cache-control"], "no-cache");
	assert.doesNotMatch(policy, /unsafe|\*|http/);
	assert.match(policy, /^default-src 'none'; script-src 'self'; /);
	assert.equal(res.headers["x-frame-options"], "DENY");
	assert.doesNotMatch(res.text, /<script>|<style|style=|\son\w+=|https?:/);
	// Answers of the API stay no pages.
	assert.equal((await rendio.request("GET", "/health"))
	    .headers["content-security-policy"],
	    "default-src 'none'; frame-ancestors 'none'");
	for (const [name, status] of [["backend.js", 200], ["", 200],
		["../anon-key", 404], ["vendor/", 403], ["x", 404]])
		assert.equal((await rendio.request("GET", `/playground/${name}`))
		    .status, status, name);
});

test("the client is the official one, as it was published", () => {
	const ours = path.join(root, "web/playground/vendor/supabase.js");
	const theirs = path.join(root, "tests/api/node_modules/@supabase",
	    "supabase-js/dist/umd/supabase.js");

	assert.ok(fs.readFileSync(ours).equals(fs.readFileSync(theirs)));
});

test("in live mode it is only there when switched on", () => {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "rendio-"));
	const to = path.join(dir, "nginx");
	const configure = (env) => {
		execFileSync(path.join(root, "deploy/nginx-config"), [to], {
			input: description("health"),
			env: { ...process.env, RENDIO_STATE_DIR: dir,
				RENDIO_ANON_KEY: "k", ...env },
		});
		return [...fs.readFileSync(path.join(to, "playground.conf"),
		    "utf8").matchAll(/^location (.*) \{$/gm)].map((m) => m[1]);
	};

	assert.deepEqual(configure({ RENDIO_MODE: "live" }), []);
	assert.deepEqual(configure({ RENDIO_MODE: "live",
		RENDIO_PLAYGROUND: "1" }), ["= /playground", "^~ /playground/"]);
	assert.deepEqual(configure({ RENDIO_MODE: "sandbox" }),
	    ["= /playground", "^~ /playground/", "= /"]);
	fs.rmSync(dir, { recursive: true });
});

test("in live mode a token opens it, and nothing can be pretended",
    async (t) => {
	const guest = await rendio.guest("token");
	await rendio.halt();
	const live = await start({ stateDir: rendio.stateDir,
		env: { RENDIO_MODE: "live", RENDIO_PLAYGROUND: "1" } });
	t.after(() => live.halt());

	assertError(await live.request("GET", "/"), 404, "not_found");
	assertError(await live.request("POST",
	    "/functions/v1/sandbox-backstage/device",
	    { body: { name: "x" } }), 404, "not_found");
	const page = await visit(DESKTOP, "/playground", live);
	await page.fill("#token", "nonsense", WAIT);
	await page.click("#token-form button");
	await page.waitForFunction(() => /Please sign in/.test(
	    document.getElementById("toast").textContent), undefined, WAIT);
	await page.fill("#token", (await live.cli("token", guest.user_id))
	    .stdout.trim());
	await page.click("#token-form button");
	await page.waitForSelector("#light-stream.on", WAIT);
	await page.waitForSelector("#light-socket.on", WAIT);
	await waitForCredits(page, 10);
	await verdict(page);
	await picture(page, "6-live");
	assert.equal(await page.isVisible("#acts-panel"), false);
	assert.equal(await page.isVisible("#packs"), false);
	assert.deepEqual(page.faults, []);
	await page.context().close();
});

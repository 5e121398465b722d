// SPDX-License-Identifier: MIT
// The admin pages, by hand of a browser: as docs/operations.md walks through
// them, at a desk and on a phone.  RENDIO_SCREENSHOTS=DIR keeps pictures.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { addAdmin, codeOf, PASSWORD } from "../api/support/admin.mjs";
import { AppStore, post } from "../api/support/appstore.mjs";
import { browser, open, picture } from "../api/support/browser.mjs";
import { id, sql } from "../api/support/database.mjs";
import { assertAuditClean } from "../api/support/expect.mjs";
import { start, until } from "../api/support/instance.mjs";
import { creditsOf, endOf, orderJob } from "../api/support/jobs.mjs";

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844, scale: 2 };
const WAIT = { timeout: 90_000 };
const HOSTILE = '<img src=x onerror="document.title=1"><script>fetch(' +
    '"https://evil.example")</script>"\'&{{7*7}}';

let rendio, chromium, root, ada, failed;

before(async () => {
	[rendio, chromium] = await Promise.all([start({ env:
	    { RENDIO_ADMIN_ADDRESSES: "127.0.0.0/25" } }), browser()]);
	root = await addAdmin(rendio, "root");
	ada = await rendio.guest("ada");
	const store = new AppStore(rendio);
	await post(rendio, ada, { signed_transaction: store.sign(
	    store.transaction({ price: 4990, currency: "USD" })) });
	failed = await orderJob(rendio, ada,
	    { prompt: `[fail:content] ${HOSTILE}` });
	const good = await orderJob(rendio, ada, { prompt: HOSTILE });
	await endOf(rendio, ada, failed);
	await endOf(rendio, ada, good);
	await sql(rendio, `UPDATE users SET email = '${HOSTILE
	    .replaceAll("'", "''")}' WHERE id = ${id(ada.user_id)}`);
	await sql(rendio, `UPDATE themes SET name = '${HOSTILE
	    .replaceAll("'", "''")}' WHERE id = (SELECT min(id) FROM themes)`);
});
after(async () => {
	await chromium.close();
	await rendio.stop();
});

/** A page on which somebody has signed in. */
async function enter(size) {
	const page = await open(chromium, rendio.url, size);
	const res = await page.goto(`${rendio.url}/admin`);

	assert.equal(res.status(), 200);
	await page.waitForSelector(".signin", WAIT);
	await sql(rendio, "UPDATE admins SET totp_step = 0");
	await page.fill("[name=name]", "root");
	await page.fill("[name=password]", PASSWORD);
	await page.fill("[name=code]", codeOf(root.secret));
	await page.click(".signin button");
	await page.waitForSelector(".tiles", WAIT);
	return page;
}

async function go(page, name) {
	await page.click(`nav a[data-view=${name}]`);
	await page.waitForSelector(`.page[data-view=${name}] h1`, WAIT);
}

/** Fills in the dialog that asks why. */
async function because(page, reason, fields = {}) {
	await page.waitForSelector("dialog[open]", WAIT);
	for (const [name, value] of Object.entries(fields))
		await page.fill(`dialog [name=${name}]`, value);
	await page.fill("dialog [name=reason]", reason);
	await page.click("dialog [type=submit]");
}

/** Nothing is cut off at the side, and nothing went wrong. */
async function assertFits(page) {
	const [inside, width] = await page.evaluate(() =>
	    [document.documentElement.scrollWidth, innerWidth]);
	assert.ok(inside <= width, `${inside} > ${width}`);
	assert.deepEqual(page.faults, []);
}

test("the pages run nothing but their own, and talk to nobody else",
    async () => {
	for (const path of ["/admin", "/admin/", "/admin/app.js"]) {
		const { status, headers } = await rendio.request("GET", path,
		    { apikey: null });
		assert.equal(status, 200, path);
		const policy = headers["content-security-policy"];
		for (const part of ["default-src 'none'", "script-src 'self'",
			"connect-src 'self'", "frame-ancestors 'none'",
			"require-trusted-types-for 'script'"])
			assert.ok(policy.includes(part), part);
		assert.doesNotMatch(policy, /unsafe|https?:|\*/);
		assert.equal(headers["x-content-type-options"], "nosniff");
	}
	const { text } = await rendio.request("GET", "/admin");
	assert.doesNotMatch(text, /<script>|<style|style=|onclick=|https?:/);
	assert.equal((await rendio.request("GET", "/admin/../keys/jwt"))
	    .status, 404);
});

test("from an address that is not allowed not even the pages come",
    async () => {
	for (const path of ["/admin", "/admin/", "/admin/app.js"])
		assert.equal((await rendio.request("GET", path,
		    { localAddress: "127.0.0.200" })).status, 403, path);
});

test("a wrong code keeps one out, and says no more than that", async () => {
	const page = await open(chromium, rendio.url, DESKTOP);

	await page.goto(`${rendio.url}/admin`);
	await page.fill("[name=name]", "root");
	await page.fill("[name=password]", "not the password");
	await page.fill("[name=code]", "000000");
	await picture(page, "admin-signin");
	await page.click(".signin button");
	await page.waitForFunction(() => document.querySelector(".problem")
	    .textContent.includes("not right"), null, WAIT);
	assert.deepEqual(page.faults, []);
	await page.context().close();
});

for (const [name, size] of Object.entries({ desktop: DESKTOP,
	phone: PHONE })) {
	test(`an owner settles a user's question, ${name}`, async () => {
		const page = await enter(size);
		const before = await creditsOf(rendio, ada);
		await picture(page, `admin-dashboard-${name}`);
		// Today's revenue and margin.
		const tiles = await page.locator(".tile").allTextContents();
		assert.ok(tiles.some((text) => text.includes("$4.99")), tiles);
		assert.ok(tiles.some((text) => /Margin.*\$\d/.test(text)), tiles);
		assert.equal(await page.locator(".plot canvas").count(), 4);
		await assertFits(page);

		// The user, by the id of the job that was asked about.
		await go(page, "users");
		await page.fill("[name=q]", failed);
		await page.click(".search button");
		await page.waitForFunction(() => document.querySelectorAll(
		    "a.item").length === 1, null, WAIT);
		await picture(page, `admin-users-${name}`);
		await page.click("a.item");
		await page.waitForSelector(".timeline .what.failed", WAIT);
		// What was written by others is text.
		assert.equal(await page.textContent("h1"), HOSTILE);
		await picture(page, `admin-user-${name}`);
		await assertFits(page);

		// Why it failed, and that it was given back.
		await page.click(`.event.job a[href$="${failed}"]`);
		await page.waitForSelector(".verdict", WAIT);
		assert.match(await page.textContent(".verdict"),
		    /refused the prompt.*credits went back/);
		assert.ok((await page.textContent(".prompt")).endsWith(HOSTILE));
		await picture(page, `admin-job-${name}`);
		await assertFits(page);

		// Five credits.
		await page.goBack();
		await page.click("text=Give credits");
		await because(page, `sorry ${HOSTILE.slice(0, 60)}`,
		    { credits: "5" });
		await page.waitForFunction((n) => document.querySelector(
		    ".balance strong")?.textContent === n, String(before + 5), WAIT);
		assert.equal(await creditsOf(rendio, ada), before + 5);
		await page.click("text=Verify ledger");
		await page.waitForSelector("text=ledger is whole", WAIT);
		// And back.
		await page.click(".event.admin button");
		await because(page, "the wrong one");
		await page.waitForFunction((n) => document.querySelector(
		    ".balance strong")?.textContent === n, String(before), WAIT);

		// A model off and on.
		await go(page, "catalog");
		await picture(page, `admin-catalog-${name}`);
		await page.click(".entry:not(:has(.chip.busy)) button.danger");
		await page.waitForSelector("summary button.primary", WAIT);
		const [{ n }] = await sql(rendio, `SELECT COUNT(*) AS n FROM models
		    WHERE state = 'disabled'`);
		assert.ok(n >= 1);
		await page.locator("details.entry").nth(1).locator("summary div")
		    .first().click();
		await picture(page, `admin-editor-${name}`);
		await assertFits(page);
		await page.click("summary button.primary");

		// The machine, its books, the log.
		await go(page, "system");
		await page.click("text=Verify everything");
		await page.waitForSelector("text=all is well", WAIT);
		await picture(page, `admin-system-${name}`);
		await assertFits(page);
		await go(page, "jobs");
		await page.waitForSelector("a.item", WAIT);
		await picture(page, `admin-jobs-${name}`);
		await assertFits(page);
		assert.doesNotMatch(await page.title(), /^1$/);
		await page.context().close();
		await assertAuditClean(rendio);
	});
}

test("jobs under way are seen as they go, without a reload", async () => {
	const page = await enter(DESKTOP);
	await go(page, "jobs");
	const job = await orderJob(rendio, ada,
	    { prompt: "[slow:3] A lake", settings: { duration: 4 } });
	await page.waitForSelector(`a[href$="${job}"]`, WAIT);
	await endOf(rendio, ada, job);
	await page.waitForFunction((href) => [...document.querySelectorAll(
	    "section:last-of-type a.item")].some((link) =>
	    link.href.endsWith(href)), job, WAIT);
	assert.deepEqual(page.faults, []);
	await page.context().close();
});

test("maintenance is closed and opened with the switch", async () => {
	const page = await enter(PHONE);
	await go(page, "system");
	await page.click("button:text-is('Begin')");
	await because(page, "a new disk");
	await page.waitForSelector("button:text-is('End')", WAIT);
	const state = async () => (await sql(rendio,
	    "SELECT is_on FROM switches"))[0].is_on;
	assert.equal(await state(), 1);
	await page.click("button:text-is('End')");
	await because(page, "done");
	assert.ok(await until(async () => await state() === 0, 30_000));
	await page.context().close();
});

test("an old session ends at the sign-in, and signing out there too",
    async () => {
	const page = await enter(DESKTOP);
	await sql(rendio, `UPDATE admin_sessions
	    SET used_at_ms = used_at_ms - 900000`);
	await page.click("nav a[data-view=jobs]");
	await page.waitForSelector(".signin", WAIT);
	assert.match(await page.textContent(".problem"), /session ends/);
	await page.context().close();

	const other = await enter(DESKTOP);
	await other.click("text=Sign out");
	await other.waitForSelector(".signin", WAIT);
	assert.equal(await other.evaluate(() => sessionStorage.length), 0);
	assert.deepEqual(await other.context().cookies(), []);
	await other.reload();
	await other.waitForSelector(".signin", WAIT);
	await other.context().close();
});

// SPDX-License-Identifier: MIT
// Debian's Chromium without a window, for the pages.

import path from "node:path";
import { chromium } from "playwright-core";

/* It looks for nobody outside: neither updates nor names. */
const QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run",
	"--disable-background-networking", "--disable-component-update",
	"--disable-sync", "--disable-dev-shm-usage"];

/** A browser of its own; close() when done. */
export async function browser() {
	return await chromium.launch({
		executablePath: "/usr/bin/chromium",
		headless: true,
		// Root's Chromium has no sandbox to put itself in.
		chromiumSandbox: process.getuid() !== 0,
		args: QUIET,
	});
}

/**
 * A page that keeps what went wrong in it: `page.faults` has the errors of
 * programs, what the content security policy stopped, and requests to others
 * than `origin`.
 */
export async function open(of, origin, size) {
	const context = await of.newContext({ viewport: size,
		ignoreHTTPSErrors: true, deviceScaleFactor: size.scale ?? 1,
		reducedMotion: "reduce" });
	const page = await context.newPage();

	page.faults = [];
	page.on("pageerror", (error) => page.faults.push(String(error)));
	page.on("console", (message) => {
		if (/Content Security Policy|Refused to/i.test(message.text()))
			page.faults.push(message.text());
	});
	page.on("request", (request) => {
		if (!request.url().startsWith(origin) &&
		    !/^(data|blob):/.test(request.url()))
			page.faults.push(`asked ${request.url()}`);
	});
	return page;
}

/** A picture for people: where RENDIO_SCREENSHOTS says, else nowhere. */
export async function picture(page, name) {
	const dir = process.env.RENDIO_SCREENSHOTS;

	if (dir)
		await page.screenshot({ path: path.join(dir, `${name}.png`) });
}

// SPDX-License-Identifier: MIT
//
// From a clean Debian to a live server, to the next release under load, back,
// and to a clean Debian again; started by tests/package/run.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { until } from "../api/support/instance.mjs";
import { creditsOf, endOf, historyOf, orderJob, remove, statusOf }
    from "../api/support/jobs.mjs";
import { Stream } from "../api/support/streams.mjs";
import { Phones } from "../faults/phones.mjs";
import { Installed, Machine } from "./installed.mjs";

const PHONES = 3;
const machine = new Machine(process.env.RENDIO_PACKAGE_ROOT);
const rendio = new Installed(machine, "localhost");
let before_install;

before(() => machine.boot());
after(() => machine.powerOff());

const apt = (...words) => machine.must("apt-get", "-q", "-y",
    "--no-install-recommends", ...words);

const exists = (name) => fs.existsSync(path.join(machine.root, name));

/** Every file of the machine, but what each call of apt changes. */
async function files() {
	const all = await machine.must("find", "/", "-xdev",
	    "(", "-path", "/var/lib/dpkg", "-o", "-path", "/var/cache",
	    "-o", "-path", "/var/lib/apt", "-o", "-path", "/var/log/apt",
	    "-o", "-path", "/var/log/journal", "-o", "-path", "/root",
	    "-o", "-path", "/tmp", "-o", "-path", "/var/tmp", ")", "-prune",
	    "-o", "-print");
	const run = await machine.must("find", "/run", "-name", "*rendio*");
	return new Set((all + run).split("\n"));
}

async function running() {
	return (await machine.must("readlink",
	    "/usr/lib/rendio/current")).trim();
}

test("what it depends on comes from Debian", async () => {
	const plan = await machine.must("apt-get", "-s", "-y",
	    "--no-install-recommends", "install", "/root/this.deb");
	const names = plan.split("\n").filter((line) => line.startsWith("Inst "))
	    .map((line) => line.split(" ")[1]).filter((name) => name !== "rendio");

	await apt("install", ...names);
	before_install = await files();
});

test("the package installs, and starts nothing before it is set up",
    async () => {
	await apt("install", "/root/this.deb");
	assert.equal((await machine.run("systemctl", "is-active",
	    "rendio.target")).stdout.trim(), "inactive");
	assert.equal(await running(), "release");
});

test("rendio setup makes it a server, and can be repeated", async (t) => {
	const setup = ["rendio", "setup", "--yes", "--mode", "sandbox",
		"--domain", "localhost"];
	for (const set of ["RENDIO_GRANT_CREDITS=10000",
		"RENDIO_JOBS_OPEN_MAX_FREE=10000",
		...["GENERATE_GUEST_PER_H", "GENERATE_FREE_PER_H",
			"GENERATE_PREMIUM_PER_H", "GENERATE_PER_MIN"]
		    .map((name) => `RENDIO_LIMIT_${name}=1000000`)])
		setup.push("--set", set);
	await machine.must(...setup);
	await machine.must(...setup);
	rendio.open();
	assert.equal((await rendio.request("GET", "/health")).status, 200);
	const doctor = await rendio.cli("doctor", "--offline");
	t.diagnostic(doctor.stdout);
	assert.doesNotMatch(doctor.stdout, /^database +(?!whole)/m);
});

test("the whole way of an app: a phone, a picture, a video, a purchase, the end",
    async () => {
	const ada = await rendio.guest("ada");
	const bearer = ada.access_token;
	assert.equal(ada.credits_remaining, 10000);
	const { themes: [theme] } = (await rendio.request("GET",
	    "/functions/v1/get-themes")).json();
	const stream = await Stream.open(rendio, "/functions/v1/user-events",
	    { bearer });

	const job_id = await orderJob(rendio, ada, { theme_id: theme.id,
		prompt: theme.prompt, settings: theme.default_settings });
	const status = await endOf(rendio, ada, job_id);
	assert.equal(status.status, "completed");
	assert.ok(await until(() => stream.messages.some((message) =>
	    message.event === "job" && message.data.job_id === job_id &&
	    message.data.status === "completed"), 30_000));
	stream.close();
	assert.equal(await creditsOf(rendio, ada), 10000 - status.credits_used);
	const link = status.video_url.slice(rendio.url.length);
	const video = await rendio.request("GET", link, { apikey: null });
	assert.equal(video.headers["content-type"], "video/mp4");
	assert.equal(video.bytes.length,
	    Number(video.headers["content-length"]));
	assert.equal((await rendio.request("GET", link, { apikey: null,
		headers: { range: "bytes=0-99" } })).status, 206);

	const bad = await orderJob(rendio, ada,
	    { prompt: "A calm sea [fail:provider]" });
	assert.equal((await endOf(rendio, ada, bad)).credits_refunded, 4);
	const bought = (await rendio.cli("sandbox", "purchase", "--user",
	    ada.user_id, "--product", "com.rendioai.credits.popular.60")).stdout;
	const credited = await rendio.request("POST",
	    "/functions/v1/update-credits", { bearer,
		body: { signed_transaction: bought.trim() } });
	assert.equal(credited.status, 200, credited.text);
	assert.ok((await historyOf(rendio, ada)).entries.some((entry) =>
	    entry.reason === "purchase"));

	const renewed = await rendio.request("POST",
	    "/auth/v1/token?grant_type=refresh_token",
	    { body: { refresh_token: ada.refresh_token } });
	assert.equal(renewed.status, 200, renewed.text);
	assert.equal((await remove(rendio, ada, job_id)).status, 200);
	assert.equal((await statusOf(rendio, ada, job_id)).status, 404);
	const gone = await rendio.request("POST",
	    "/functions/v1/delete-account", { bearer,
		body: { confirm: true } });
	assert.equal(gone.status, 200, gone.text);
});

test("who starts the worker does so, whether or not there is a cron",
    async () => {
	const leaves = async (pid) => await until(async () =>
	    (await machine.run("kill", "-0", pid)).code !== 0, 30_000);
	const workers = (await machine.must("pgrep", "rendio-worker"))
	    .trim().split("\n");

	for (const pid of workers) {
		await machine.run("kill", pid);
		assert.ok(await leaves(pid));
	}
	assert.ok(await until(async () => (await machine.run("pgrep",
	    "rendio-worker")).code === 0, 90_000), "no worker comes");
});

test("to the next release under load and back: nothing fails", async (t) => {
	const phones = await Phones.start(rendio, PHONES);
	const version = async () => (await machine.must("dpkg-query", "-W",
	    "-f", "${Version}", "rendio")).trim();
	const first = await version();

	try {
		t.diagnostic(await apt("install", "/root/next.deb"));
		assert.equal(await running(), "release");
		assert.notEqual(await version(), first);
		t.diagnostic(await machine.must("rendio-upgrade", "back"));
		assert.equal(await running(), "kept");
		t.diagnostic(await machine.must("rendio-upgrade"));
		assert.equal(await running(), "release");
	} finally {
		await phones.rest();
	}
	t.diagnostic(phones.summary());
	if (phones.failures.length > 0)
		t.diagnostic(await machine.must("journalctl", "-p", "warning",
		    "--no-pager"));
	phones.assertWell();
	const audit = await rendio.cli("audit");
	assert.equal(audit.code, 0, audit.stdout);
});

test("what is restarted too often comes again", async () => {
	for (let i = 0; i < 8; i++)
		await machine.must("systemctl", "restart",
		    "rendio@get-models.service");
	assert.equal((await rendio.request("GET",
	    "/functions/v1/get-models")).status, 200);
});

test("removed, the configuration and the data stay, and nginx goes on",
    async () => {
	await apt("remove", "rendio");
	for (const name of ["etc/rendio/rendio.conf", "var/lib/rendio/rendio.db",
		"var/lib/rendio/keys"])
		assert.ok(exists(name), name);
	assert.equal((await machine.run("pgrep", "-f", "rendio")).stdout, "");
	assert.equal((await machine.must("systemctl", "is-active",
	    "nginx")).trim(), "active");
});

test("purged, nothing is left", async () => {
	await apt("purge", "rendio");
	const left = [...await files()].filter((name) =>
	    !before_install.has(name) && !/^\/var\/log\/nginx\/|^$/.test(name));
	assert.deepEqual(left, []);
	assert.ok(!exists("var/log/nginx/rendio.log"));
	for (const name of ["passwd", "group", "shadow"])
		assert.doesNotMatch(fs.readFileSync(path.join(machine.root,
		    "etc", name), "utf8"), /rendio/);
	assert.doesNotMatch(await machine.must("systemctl", "list-units", "--all",
	    "--no-legend", "rendio*"), /rendio/);
});

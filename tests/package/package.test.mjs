// SPDX-License-Identifier: MIT
//
// From a clean Debian to a live server, to the next release under load, back,
// and to a clean Debian again; started by tests/package/run.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { until } from "../api/support/instance.mjs";
import { creditsOf, endOf, historyOf, order, orderJob, remove, statusOf }
    from "../api/support/jobs.mjs";
import { Stream } from "../api/support/streams.mjs";
import { Phones } from "../faults/phones.mjs";
import { Authority } from "./authority.mjs";
import { Installed, Machine } from "./installed.mjs";

const PHONES = 3;

// What others have written since, the end of a list, and the backups, which
// are what is left of a mistake.
const MEANWHILE = new RegExp("^$|^/var/log/nginx/|^/var/backups/rendio|" +
    "^/(etc|var/lib|var/log)/letsencrypt");

const machine = new Machine(process.env.RENDIO_PACKAGE_ROOT);
const rendio = new Installed(machine, "rendio.test");
let before_install;

before(() => machine.boot());
after(() => machine.powerOff());

const apt = (...words) => machine.must("apt-get", "-q", "-y",
    "--no-install-recommends", ...words);

const page = fs.readFileSync(new URL("../../docs/operations.md",
    import.meta.url), "utf8").replaceAll(/\s+/g, " ");

/**
 * Runs what docs/operations.md tells an owner to type, which must stand there
 * word by word; values are for what only the owner knows.
 */
async function asWritten(lines, values = {}) {
	assert.ok(page.includes(lines.join(" ")), lines.join(" "));
	return await machine.must("sh", "-ec", lines.map((line) =>
	    Object.entries(values).reduce((text, [word, value]) =>
		text.replaceAll(word, value), line)).join("\n"));
}

/** A program that is not ours has the database open, with this begun. */
async function hold(statements) {
	return await machine.run("sh", "-c", `mkfifo /run/hold
	    sqlite3 /var/lib/rendio/rendio.db < /run/hold &
	    exec 3> /run/hold
	    rm /run/hold
	    echo '${statements}' >&3
	    wait`);
}

/** Who holds the lock of the mode at one of the bytes, as the page finds it. */
async function holder(mode, byte) {
	const { stdout } = await machine.run("sh", "-c",
	    "lslocks | grep rendio.db-shm");
	return stdout.split("\n").map((line) => line.match(
	    `^(\\S+) +(\\d+) .* ${mode} .* (${byte}) +\\3 `))
	    .find((found) => found?.[1] === "sqlite3")?.[2];
}

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

	await apt("install", ...names, "certbot", "sqlite3");
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
		"--domain", "rendio.test"];
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

test("a certificate comes by ACME, and is renewed", async () => {
	const authority = await Authority.start();
	const serial = () => machine.must("openssl", "x509", "-noout", "-serial",
	    "-in", "/etc/rendio/tls/cert.pem");

	try {
		await machine.must("sh", "-c", `mkdir -p /etc/letsencrypt
		    printf 'server = %s\\nno-verify-ssl = true\\n' \
			${authority.url} > /etc/letsencrypt/cli.ini`);
		await machine.must("rendio", "setup", "--yes", "--acme",
		    "owner@example.com");
		rendio.ca = await authority.root();
		rendio.agents.get("127.0.0.1").destroy();
		assert.ok(await until(async () => await rendio.request("GET",
		    "/health").catch(() => false), 30_000));
		const first = await serial();
		await machine.must("certbot", "renew", "--force-renewal",
		    "--no-random-sleep-on-renew");
		assert.notEqual(await serial(), first);
	} finally {
		await authority.stop();
	}
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
	const first = await machine.pids("rendio-worker");

	assert.ok(first.length > 0);
	await machine.signal("TERM", first);
	assert.ok(await until(async () => {
		const present = await machine.pids("rendio-worker");
		return present.length > 0 &&
		    first.every((pid) => !present.includes(pid));
	}, 120_000), "no worker comes");
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

test("streams that hang are started anew", async () => {
	const [hanging] = await machine.pids("rendio-realtime");

	await machine.signal("STOP", [hanging]);
	assert.ok(await until(async () => {
		const present = await machine.pids("rendio-realtime");
		return present.length > 0 && !present.includes(hanging);
	}, 120_000), "nobody noticed");
});

test("what is restarted too often comes again", async () => {
	for (let i = 0; i < 8; i++)
		await machine.must("systemctl", "restart",
		    "rendio@get-models.service");
	assert.equal((await rendio.request("GET",
	    "/functions/v1/get-models")).status, 200);
});

test("who locks the database is found and ended, and writing goes on",
    async () => {
	const eve = await rendio.guest("eve");
	assert.ok(page.includes(" lslocks | grep rendio.db-shm names "));
	for (const [statements, mode, byte, status] of [
		["BEGIN IMMEDIATE;", "WRITE", "120", 503],
		["BEGIN; SELECT count(*) FROM users;", "READ", "12[3-7]", 200],
	]) {
		const held = hold(statements);
		const pid = await until(() => holder(mode, byte), 30_000);
		assert.ok(pid, statements);
		const meanwhile = await order(rendio, eve,
		    { settings: { duration: 4 } });
		assert.equal(meanwhile.status, status, meanwhile.text);
		await asWritten(["kill PID"], { PID: pid });
		await held;
		await endOf(rendio, eve, await orderJob(rendio, eve,
		    { settings: { duration: 4 } }));
	}
});

test("the worker and who starts it are found", async () => {
	assert.match(await asWritten(
	    ["systemctl list-units 'rendio-worker@*'"]),
	    /rendio-worker@\d\d\.service/);
	assert.match(await asWritten(["grep rendio /etc/cron.d/rendio"]),
	    /start-worker/);
	await asWritten(["journalctl -t rendio-worker"]);
	await asWritten(["journalctl --vacuum-size=100M"]);
	await asWritten(["apt-get clean"]);
});

test("a certificate that has expired is seen, and another one put in place",
    async () => {
	const certificate = async () => JSON.parse((await rendio.cli("doctor",
	    "--offline", "--json")).stdout).checks
	    .find(({ check }) => check === "certificate");
	const health = () => {
		rendio.agents.get("127.0.0.1").destroy();
		rendio.agents.delete("127.0.0.1");
		return rendio.request("GET", "/health").then((res) => res.status,
		    (error) => error.code);
	};
	const install = "/usr/lib/rendio/current/install-certificate CHAIN KEY";
	const put = (name, key = name) => asWritten([install],
	    { CHAIN: `/root/${name}.crt`, KEY: `/root/${key}.key` });

	await machine.must("sh", "-ec", `cd /root
		for name in old new; do
			openssl req -newkey ec -nodes -keyout $name.key \
			    -pkeyopt ec_paramgen_curve:prime256v1 \
			    -subj /CN=rendio.test -out $name.csr \
			    -addext subjectAltName=DNS:rendio.test
			openssl x509 -req -in $name.csr -copy_extensions copy \
			    -signkey $name.key -out $name.crt \
			    -days $([ $name = old ] && echo -1 || echo 90)
		done`);
	rendio.ca = ["old", "new"].map((name) => fs.readFileSync(path.join(
	    machine.root, `root/${name}.crt`)));
	await put("old");
	assert.ok(await until(async () =>
	    await health() === "CERT_HAS_EXPIRED", 30_000));
	assert.equal((await certificate()).level, "error");
	await assert.rejects(put("new", "old"), /is not of the key/);
	await put("new");
	assert.ok(await until(async () => await health() === 200, 30_000));
	assert.equal((await certificate()).level, "ok");
});

test("where a user's credits are is told, and what is missing given",
    async () => {
	const frank = await rendio.guest("frank");
	const ID = frank.user_id;
	const bad = await orderJob(rendio, frank,
	    { prompt: "A calm sea [fail:provider]" });
	await endOf(rendio, frank, bad);
	const told = await asWritten(["rendio user timeline ID"], { ID });
	for (const what of ["ledger  grant", "job  ordered", "ledger  hold",
		"job  failed", "ledger  release"])
		assert.ok(told.includes(what), `${what} in ${told}`);
	const credits = await creditsOf(rendio, frank);
	await asWritten(["rendio user grant ID CREDITS --reason R"],
	    { ID, CREDITS: "3", "reason R": "reason patience" });
	assert.equal(await creditsOf(rendio, frank), credits + 3);
});

test("moving to a new server, word by word", async () => {
	const bob = await rendio.guest("bob");
	const job_id = await orderJob(rendio, bob, { settings: { duration: 4 } });
	await endOf(rendio, bob, job_id);
	const credits = await creditsOf(rendio, bob);

	const [file] = (await asWritten(["systemctl stop rendio.target",
		"rendio backup /var/backups/rendio"])).split(" ");
	// The new server has the package, and of the old one what is brought.
	await machine.must("sh", "-ec", `
		find /etc/rendio -mindepth 1 -maxdepth 1 \
		    ! -name backup-passphrase ! -name tls -exec rm -r {} +
		rm -rf /var/lib/rendio/*
		rm -f /etc/nginx/sites-enabled/rendio.conf
		systemd-tmpfiles --create rendio.conf`);
	await asWritten(["rendio restore rendio-….tar", "rendio setup"],
	    { "rendio-….tar": file });
	assert.equal((await rendio.request("GET", "/health")).status, 200);
	assert.equal(await creditsOf(rendio, bob), credits);
	const status = (await statusOf(rendio, bob, job_id)).json();
	assert.equal((await rendio.request("GET", status.video_url
	    .slice(rendio.url.length), { apikey: null })).status, 200);
	const next = await orderJob(rendio, bob, { settings: { duration: 4 } });
	assert.equal((await endOf(rendio, bob, next)).status, "completed");
	assert.equal((await rendio.cli("audit", "--files")).code, 0);
});

test("going back to yesterday, word by word", async () => {
	const carol = await rendio.guest("carol");
	const credits = await creditsOf(rendio, carol);
	const backups = "/var/backups/rendio";
	assert.equal((await machine.must("systemctl", "is-active",
	    "rendio-backup.timer")).trim(), "active");
	await machine.must("systemctl", "start", "rendio-backup.service");
	const file = path.join(backups, fs.readdirSync(path.join(machine.root,
	    backups)).sort().at(-1));
	await orderJob(rendio, carol, { settings: { duration: 4 } });

	await asWritten(["systemctl stop rendio.target", "mkdir /root/before",
		"mv /var/lib/rendio/rendio.db* /var/lib/rendio/media " +
		"/root/before/",
		"rendio restore rendio-….tar",
		"systemctl start rendio.target"], { "rendio-….tar": file });
	assert.equal(await creditsOf(rendio, carol), credits);
	assert.equal((await rendio.cli("audit", "--files")).code, 0);
});

test("keys are changed, and no request fails", async () => {
	const phones = await Phones.start(rendio, 1);
	const restart =
	    "systemctl restart 'rendio@*.service' rendio-realtime";

	await asWritten(["cd /var/lib/rendio/keys",
		'echo "k2 $(openssl rand -hex 32)" >> jwt', restart,
		"cp -p jwt jwt.new && tac jwt > jwt.new && mv jwt.new jwt",
		restart]);
	await phones.rest();
	phones.assertWell();
	const [phone] = phones.all;
	const credits = () => rendio.request("GET",
	    "/functions/v1/get-user-credits",
	    { bearer: phone.guest.access_token });
	assert.equal((await credits()).status, 200);
	assert.ok(page.includes("`sed -i 1q jwt`"));
	await machine.must("sh", "-ec", `cd /var/lib/rendio/keys
		sed -i 1q jwt
		${restart}`);
	assert.equal((await credits()).status, 401);
	assert.equal((await rendio.guest("grace")).is_new, true);
	assert.equal(await machine.must("stat", "-c", "%U %a",
	    "/var/lib/rendio/keys/jwt"), "rendio 600\n");
});

test("removed, the configuration and the data stay, and nginx goes on",
    async () => {
	await apt("remove", "rendio");
	for (const name of ["etc/rendio/rendio.conf", "var/lib/rendio/rendio.db",
		"var/lib/rendio/keys"])
		assert.ok(exists(name), name);
	assert.deepEqual(await machine.pids("rendio"), []);
	assert.equal((await machine.must("systemctl", "is-active",
	    "nginx")).trim(), "active");
});

test("purged, nothing is left", async () => {
	await apt("purge", "rendio");
	const left = [...await files()].filter((name) =>
	    !before_install.has(name) && !MEANWHILE.test(name));
	assert.deepEqual(left, []);
	assert.ok(!exists("var/log/nginx/rendio.log"));
	assert.notDeepEqual(fs.readdirSync(path.join(machine.root,
	    "var/backups/rendio")), []);
	for (const name of ["passwd", "group", "shadow"])
		assert.doesNotMatch(fs.readFileSync(path.join(machine.root,
		    "etc", name), "utf8"), /rendio/);
	assert.doesNotMatch(await machine.must("systemctl", "list-units", "--all",
	    "--no-legend", "rendio*"), /rendio/);
});

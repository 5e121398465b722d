// SPDX-License-Identifier: MIT
// GET /functions/v1/export-account: all of one's own, nothing of another's.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { AppStore, buy, notify, post } from "./support/appstore.mjs";
import { id, sql } from "./support/database.mjs";
import { assertError, assertPersonal, assertStatements, DATE } from "./support/expect.mjs";
import { identityToken, merge, signedIn } from "./support/identity.mjs";
import { build, start } from "./support/instance.mjs";
import { endOf, orderJob, remove } from "./support/jobs.mjs";
import { claimsOf } from "./support/tokens.mjs";

const TARGET = "/functions/v1/export-account";
const SECTIONS = ["users", "merged_accounts", "sessions", "devices",
	"apple_consents", "jobs", "attempts", "requests", "ledger_entries",
	"credit_lots", "purchases", "consumption_requests", "limit_violations",
	"subscriptions",
	"purchase_lookups", "consents", "push_tokens", "admin_acts", "objects",
	"hold_lots", "events"];

/** Tables under another name in the document, and what is nobody's data. */
const NAMES = { idempotency_records: "requests",
	apple_tokens: "apple_consents", admin_log: "admin_acts" };
const NOBODYS = ["models", "model_options", "model_prices", "themes",
	"products", "subscription_products", "sqlite_sequence",
	// What Apple told and is to be asked, by its own ids of transactions.
	"apple_notifications", "payers", "repairs",
	"breakers", "provider_spend", "storage_level",
	// It repeats of an attempt what the attempt says, for a week.
	"provider_reports",
	// Admins are no users.
	"admins", "admin_sessions", "switches",
	// What the operator watches and is told, without names.
	"alarms", "notices", "notice_channel", "upstreams", "watches",
	"backup_state", "audit_state", "error_minutes", "schema_state",
	// It repeats of a job and a phone what they say, for an hour.
	"pushes",
	// Steps exist only of who can no longer ask.
	"deletion_steps",
	// Keyed hashes that name nobody and end by themselves.
	"limit_windows", "rate_limits", "used_identity_tokens"];

/** Columns that stand there under another name. */
const COLUMNS = { grant_state: "grant", is_hidden: "is_deleted",
	key: "idempotency_key", granted_user_id: "free_credits_given",
	accounts_count: "accounts_opened", bit_changes_count: "changes_seen",
	rejections_count: "rejections", account_token: "app_account_token",
	// What Apple calls a phone; nobody but us can use it.
	token: "phone" };

/** What only proves something, opens a door, or is our own clockwork. */
const LEFT_OUT = {
	users: ["ledger_number", "ledger_hash", "merged_into_id"],
	sessions: ["user_id", "refresh_salt", "refresh_counter"],
	devices: ["id_hash", "user_id", "is_marking", "grant_bit"],
	apple_tokens: ["user_id", "sealed"],
	jobs: ["user_id", "due_at_ms", "deadline_at_ms", "queue_position",
		"turn_at_ms", "wish"],
	attempts: ["id", "status_url", "result_url", "cancel_url", "video_url",
		"video_bytes", "calls_count", "cost_micro_usd", "is_ended"],
	idempotency_records: ["user_id", "fingerprint", "credits_remaining"],
	ledger_entries: ["previous_hash", "hash"],
	credit_lots: ["user_id", "burn_rank"],
	purchases: ["user_id", "signed_at_ms", "notified_at_ms",
		"next_try_at_ms"],
	consumption_requests: ["next_try_at_ms", "tries_count", "http_status",
		"error_code"],
	subscriptions: ["user_id", "renewal_signed_at_ms"],
	purchase_lookups: ["user_id", "next_try_at_ms"],
	consents: ["user_id"],
	push_tokens: [],
	limit_violations: ["subject"],
	admin_log: ["number", "admin_id", "actor", "address", "user_id",
		"field", "old_value", "new_value", "undoes_number"],
	objects: ["user_id", "sha256"],
	hold_lots: [],
	events: ["id"],
};

/** A sanitiser keeps much memory for itself. */
const MEMORY_KB_MAX = path.basename(build) === "build" ? 24_000 : 400_000;

let rendio, ada, bob, seen, deleted;

before(async () => {
	rendio = await start();
	ada = await rendio.guest("ada");
	const phone = await rendio.request("POST",
	    "/functions/v1/register-push-token", { bearer: ada.access_token,
	    body: { token: "ab".repeat(32), environment: "production" } });
	assert.equal(phone.status, 200, phone.text);
	bob = await rendio.guest("bob");
	for (const who of [ada, bob])
		await rendio.cli("user", "grant", who.user_id, "90",
		    "--reason", `canary of ${who.user_id}`);
	seen = await orderJob(rendio, ada, { prompt: "canary ada seen",
		settings: { duration: 4 } });
	deleted = await orderJob(rendio, ada, { prompt: "canary ada deleted",
		settings: { duration: 4 } });
	await orderJob(rendio, bob, { prompt: "canary bob",
		settings: { duration: 4 } });
	for (const job of [seen, deleted])
		await endOf(rendio, ada, job);
	await remove(rendio, ada, deleted);
	await subscribe();
});
after(() => rendio.stop());

/** Ada has a subscription, has consented, and shown an id of nothing. */
async function subscribe() {
	const store = new AppStore(rendio);
	const period = store.transaction({ productId: "monthly",
		type: "Auto-Renewable Subscription",
		expiresDate: Date.now() + 86_400_000 });

	await sql(rendio,
	    "INSERT INTO subscription_products VALUES ('monthly', 0)");
	await buy(rendio, ada, store, period);
	await notify(rendio, store.notification("CONSUMPTION_REQUEST", period));
	await rendio.request("POST", "/functions/v1/update-consumption-consent",
	    { bearer: ada.access_token,
		body: { consent: true, text_version: "1" } });
	await post(rendio, ada, { transaction_id: "1" });
	await sql(rendio, "INSERT INTO limit_violations VALUES" +
	    ` (${Date.now()}, 'generate', ${id(ada.user_id)}, 1, ${Date.now()})`);
}

async function get(options = {}) {
	return await rendio.request("GET", TARGET,
	    { bearer: ada.access_token, ...options });
}

test("the document holds everything", async () => {
	const res = await get();
	const body = assertPersonal(res);
	assert.equal(res.headers["content-disposition"],
	    'attachment; filename="account.json"');
	assert.deepEqual(Object.keys(body), ["exported_at", ...SECTIONS]);
	assert.match(body.exported_at, DATE);
	await assertStatements(rendio, res, 2 + SECTIONS.length);

	const [user] = body.users;
	assert.equal(body.users.length, 1);
	assert.equal(user.id, ada.user_id);
	assert.equal(user.grant, "granted");
	assert.equal(user.is_guest, true);
	assert.deepEqual(body.sessions.map((session) => session.id),
	    [claimsOf(ada.access_token).session_id]);
	assert.equal(body.devices.length, 1);
	assert.equal(body.devices[0].free_credits_given, true);
	assert.deepEqual(body.jobs.map((job) => [job.id, job.prompt,
		job.is_deleted, job.state]), [
		[seen, "canary ada seen", false, "completed"],
		[deleted, "canary ada deleted", true, "completed"]]);
	assert.deepEqual(body.attempts.map((attempt) => attempt.job_id),
	    [seen, deleted]);
	assert.equal(body.requests.length, 2);
	assert.equal(user.credits_remaining, body.ledger_entries
	    .reduce((sum, entry) => sum + entry.change, 0));
	assert.equal(user.credits_remaining, body.credit_lots
	    .reduce((sum, lot) => sum + lot.remaining_credits, 0));
	assert.ok(body.ledger_entries.some((entry) =>
	    entry.reason === `canary of ${ada.user_id}`));
	assert.ok(body.objects.some((object) => object.job_id === seen &&
	    object.name === `${ada.user_id}/${seen}.mp4`));
	assert.ok(body.events.length >= 4);
	for (const job of body.jobs)
		assert.match(job.created_at, DATE);
});

test("every column of every table is in it, or is no one's data", async () => {
	const columns = await sql(rendio, "SELECT m.name AS \"table\"," +
	    " c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c" +
	    " WHERE m.type = 'table' ORDER BY m.name, c.cid");
	const body = (await get()).json();
	// Nothing of the kind is here: the members are known from elsewhere.
	body.apple_consents = [{ client_id: "", created_at: "" }];

	for (const { table, name } of columns) {
		if (NOBODYS.includes(table))
			continue;
		assert.ok(LEFT_OUT[table], `${table} is new: export it`);
		if (LEFT_OUT[table].includes(name))
			continue;
		const [row] = body[NAMES[table] ?? table];
		assert.ok(row, table);
		assert.ok((COLUMNS[name] ?? name.replace(/_ms$/, "")) in row,
		    `${table}.${name}`);
	}
});

test("what was merged is in it, under the account of then", async () => {
	const owner = await signedIn(rendio, "heir");
	const guest = await rendio.guest("merged");
	const job = await orderJob(rendio, guest,
	    { prompt: "canary merged", settings: { duration: 4 } });
	await endOf(rendio, guest, job);
	const res = await merge(rendio, guest,
	    { identity_token: await identityToken(rendio, "heir") });
	assert.equal(res.status, 200, res.text);

	const body = assertPersonal(await get(
	    { bearer: res.json().access_token }));
	assert.deepEqual(body.merged_accounts.map((account) => account.id),
	    [guest.user_id]);
	assert.deepEqual(body.jobs.map(({ prompt }) => prompt),
	    ["canary merged"]);
	assert.equal(body.devices.length, 1);
	const kinds = (user_id) => body.ledger_entries
	    .filter((entry) => entry.user_id === user_id)
	    .map((entry) => entry.kind);
	assert.deepEqual(kinds(guest.user_id).slice(0, 3),
	    ["grant", "hold", "capture"]);
	assert.ok(kinds(owner.user.id).length > 0);
	assert.ok(body.events.some((event) => event.user_id === guest.user_id));
	assert.equal(body.users[0].apple_sub, "heir");
});

test("no other's canary, no secret", async () => {
	const { text } = await get();
	assert.ok(!text.includes("canary bob"));
	assert.ok(!text.includes(bob.user_id));
	assert.ok(!text.includes(ada.device_id));
	const [row] = await sql(rendio, "SELECT hex(id_hash) AS hash," +
	    " hex(refresh_salt) AS salt FROM devices d JOIN sessions s" +
	    " ON s.user_id = d.user_id" +
	    ` WHERE d.user_id = ${id(ada.user_id)}`);
	for (const secret of [row.hash, row.salt, ada.refresh_token,
		ada.access_token, createHash("sha256").update(ada.device_id)
		    .digest("hex")])
		assert.ok(!text.toLowerCase().includes(secret.toLowerCase()));
	for (const member of ["hash", "salt", "key", "token"])
		assert.doesNotMatch(text, new RegExp(`"\\w*${member}":`
		    .replace("\\w*key", "(?!idempotency)\\w*key")
		    .replace("\\w*token", "(?!app_account)\\w*token")), member);
});

test("a document larger than other answers comes whole", async () => {
	const many = 1500;
	const prompt = "𝄞".repeat(1200);	/* 4,800 bytes each */

	await sql(rendio, "PRAGMA foreign_keys = OFF; BEGIN;" +
	    " INSERT INTO jobs (id, user_id, model_id, model_name, company," +
	    " prompt, duration_s, resolution, aspect_ratio, has_audio," +
	    " cost_credits, state, deadline_at_ms, is_hidden, created_at_ms," +
	    " completed_at_ms) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL" +
	    ` SELECT i + 1 FROM n WHERE i < ${many}) SELECT randomblob(16),` +
	    ` ${id(bob.user_id)}, randomblob(16), 'm', 'fal', '${prompt}', 4,` +
	    " 'r', 'a', 1, 1, 'failed', 1, 1, 1, 1 FROM n; COMMIT;");
	const res = await get({ bearer: bob.access_token });
	const body = assertPersonal(res);
	assert.ok(res.bytes.length > 6 << 20);
	assert.equal(body.jobs.length, many + 1);
	assert.deepEqual(Object.keys(body), ["exported_at", ...SECTIONS]);
	// It waited in a file that has no name, and only a part in memory.
	assert.deepEqual(fs.readdirSync(rendio.file("tmp")), []);
	for (const pid of rendio.pids("export-account"))
		assert.ok(Number(/VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(
		    `/proc/${pid}/status`, "utf8"))[1]) < MEMORY_KB_MAX);
	// Without a place to wait it is not half a document, but none.
	fs.renameSync(rendio.file("tmp"), rendio.file("tmp-away"));
	assertError(await get({ bearer: bob.access_token }), 503,
	    "service_unavailable");
	fs.renameSync(rendio.file("tmp-away"), rendio.file("tmp"));
	assert.equal((await get({ bearer: bob.access_token })).bytes.length,
	    res.bytes.length);
	// And the next one is small again.
	assert.ok((await get()).bytes.length < 100_000);
});

test("only one's own", async () => {
	for (const bearer of [undefined, rendio.anonKey, "x"])
		assertError(await get({ bearer }), 401, "unauthorized");
	for (const user_id of [bob.user_id, randomUUID(), "x"])
		assertError(await rendio.request("GET",
		    `${TARGET}?user_id=${user_id}`,
		    { bearer: ada.access_token }), 403, "forbidden");
	// A body would be refused before the method.
	assertError(await rendio.request("POST", TARGET,
	    { bearer: ada.access_token }), 405, "method_not_allowed");
	assertError(await get({ apikey: null }), 401, "invalid_api_key");
});

// SPDX-License-Identifier: MIT
// /realtime/v1/websocket: the official clients, and what they never send.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DATE, stopClean } from "./support/expect.mjs";
import { start, until } from "./support/instance.mjs";
import { endOf, orderJob, startWorker, statusOf, stopWorker }
    from "./support/jobs.mjs";
import { Phoenix } from "./support/phoenix.mjs";
import { expiredToken, flipBit, forge } from "./support/tokens.mjs";

const CLIENTS = ["@supabase/supabase-js", "supabase-js-2.78"];
const VERSIONS = ["1.0.0", "2.0.0"];

let rendio, ada, bob;

before(async () => {
	rendio = await start({ env: { RENDIO_STREAMS_PER_ADDRESS_MAX: "3" } });
	[ada, bob] = await Promise.all(["ada", "bob"]
	    .map((name) => rendio.guest(name)));
	for (const guest of [ada, bob])
		await rendio.cli("user", "grant", guest.user_id, "400",
		    "--reason", "x");
});
after(async () => {
	for (const client of clients)
		client.realtime.disconnect();
	await stopClean(rendio);
});

/** An official client, whose timers end with the tests. */
const clients = [];
async function official(session, name) {
	clients.push(await rendio.supabase(session, name));
	return clients.at(-1);
}

/** A channel of an official client, and what it was told. */
async function subscribe(client, topic, filter, wanted = "SUBSCRIBED") {
	const got = [];
	const states = [];
	const channel = client.channel(topic).on("postgres_changes", {
		event: "UPDATE", schema: "public", table: "video_jobs", filter,
	}, (payload) => got.push(payload));
	channel.subscribe((state, error) => states.push([state,
	    error?.message]));
	assert.ok(await until(() => states.some(([state]) =>
	    state === wanted), 15_000), JSON.stringify(states));
	return { channel, got, states };
}

for (const name of CLIENTS) {
	test(`${name} is told of its user's jobs and no others`, async () => {
		const client = await official(ada, name);
		const stranger = await official(bob, name);
		const nobody = await official(null, name);
		await stopWorker(rendio);
		const jobId = await orderJob(rendio, ada);
		const filters = { job: `job_id=eq.${jobId}`,
			user: `user_id=eq.${ada.user_id}` };
		const [byJob, byUser, all, foreignJob, foreignUser, anon] =
		    await Promise.all([
			subscribe(client, "by-job", filters.job),
			subscribe(client, "by-user", filters.user),
			subscribe(client, "all", undefined),
			subscribe(stranger, "by-job", filters.job),
			subscribe(stranger, "by-user", filters.user),
			subscribe(nobody, "by-user", filters.user),
		    ]);
		const theirs = await orderJob(rendio, bob);
		await startWorker(rendio);
		await endOf(rendio, ada, jobId);
		await endOf(rendio, bob, theirs);

		for (const { got } of [byJob, byUser, all]) {
			assert.ok(await until(() => got.some((p) =>
			    p.new.status === "completed")));
			const last = got.at(-1);
			assert.equal(last.eventType, "UPDATE");
			assert.equal(last.table, "video_jobs");
			assert.match(last.commit_timestamp, DATE);
			assert.deepEqual(last.old, { job_id: jobId });
			const status = (await statusOf(rendio, ada,
			    jobId)).json();
			const { user_id, ...row } = last.new;
			assert.equal(user_id, ada.user_id);
			assert.equal(typeof row.model_name, "string");
			// Links are made anew each time; a row has no balance.
			row.video_url = status.video_url;
			row.thumbnail_url = status.thumbnail_url;
			delete status.credits_remaining;
			assert.deepEqual(row, status);
			assert.ok(got.every((p) => p.new.job_id === jobId));
		}
		for (const { got } of [foreignJob, foreignUser, anon])
			assert.deepEqual(got, []);
		for (const each of [client, stranger, nobody])
			await each.removeAllChannels();
	});

	test(`${name}: no token that is bad, expired or revoked joins`,
	    async () => {
		const guest = await rendio.guest("gone");
		await rendio.request("POST", "/auth/v1/logout?scope=global",
		    { bearer: guest.access_token });
		for (const bad of [guest.access_token,
			expiredToken(rendio, ada),
			flipBit(ada.access_token, 2)]) {
			const client = await official(null, name);
			client.realtime.setAuth(bad);
			const { got, channel } = await subscribe(client,
			    "refused", undefined, "CHANNEL_ERROR");
			assert.deepEqual(got, []);
			await client.removeChannel(channel);
		}
	});

	test(`${name} finds back after the engine's death`, async () => {
		const client = await official(ada, name);
		const { got, states } = await subscribe(client, "back",
		    `user_id=eq.${ada.user_id}`);
		const joined = states.length;

		process.kill(rendio.supervised("realtime"), "SIGKILL");
		assert.ok(await until(() => states.slice(joined).some(
		    ([state]) => state === "SUBSCRIBED"), 20_000));
		const jobId = await orderJob(rendio, ada);
		assert.ok(await until(() => got.some((p) =>
		    p.new.job_id === jobId)));
		await endOf(rendio, ada, jobId);
		await client.removeAllChannels();
	});
}

for (const vsn of VERSIONS) {
	test(`the envelope of ${vsn}: refs are strings, payloads objects`,
	    async () => {
		const client = await Phoenix.open(rendio, { vsn });
		const topic = "realtime:envelope";

		const beat = await client.ask("phoenix", "heartbeat", {}, null);
		assert.deepEqual(beat, { join_ref: null, ref: "1",
			topic: "phoenix", event: "phx_reply",
			payload: { status: "ok", response: {} } });
		const filter = `user_id=eq.${ada.user_id.toUpperCase()}`;
		const joined = await client.join(topic, ada.access_token,
		    { filter });
		assert.deepEqual(joined.payload, { status: "ok", response: {
			postgres_changes: [{ id: 1, event: "UPDATE",
				schema: "public", table: "video_jobs",
				filter }] } });
		const system = await client.wait((m) => m.event === "system");
		assert.deepEqual(system, { join_ref: "1", ref: null, topic,
			event: "system", payload: {
				extension: "postgres_changes", status: "ok",
				message: "Subscribed to PostgreSQL",
				channel: "envelope" } });
		await orderJob(rendio, ada);
		const told = await client.wait((m) =>
		    m.event === "postgres_changes");
		assert.equal(told.ref, null);
		assert.deepEqual(told.payload.ids, [1]);
		assert.equal(told.payload.data.errors, null);
		for (const { name, type } of told.payload.data.columns) {
			assert.ok(name in told.payload.data.record, name);
			assert.equal(typeof type, "string");
		}
		assert.deepEqual(told.payload.data.columns.map((c) => c.name)
		    .sort(), Object.keys(told.payload.data.record).sort());

		const left = await client.ask(topic, "phx_leave");
		assert.equal(left.payload.status, "ok");
		const closed = await client.wait((m) =>
		    m.event === "phx_close");
		assert.deepEqual([closed.join_ref, closed.ref, closed.payload],
		    ["1", "1", {}]);
		const before = client.changes(topic).length;
		await orderJob(rendio, ada);
		assert.equal((await client.ask("phoenix", "heartbeat"))
		    .payload.status, "ok");
		assert.equal(client.changes(topic).length, before);
		assert.ok(!client.isBinary);
		client.close();
	});
}

test("a null token says nothing, a new one takes the old one's place",
    async () => {
	const client = await Phoenix.open(rendio);
	const topic = "realtime:token";
	const brief = forge(rendio, ada,
	    { exp: Math.floor(Date.now() / 1000) + 2 });
	await client.join(topic, brief);

	client.send(topic, "access_token", { access_token: null });
	client.send(topic, "access_token", {});
	client.send(topic, "access_token", { access_token: brief });
	client.send(topic, "access_token", { access_token: ada.access_token });
	await sleep(3000);
	await orderJob(rendio, ada);
	await client.wait((m) => m.event === "postgres_changes");
	assert.ok(client.got.every((m) => m.event !== "phx_close"));

	// Another user's token: then it is another user's channel.
	client.send(topic, "access_token", { access_token: bob.access_token });
	await client.ask("phoenix", "heartbeat");
	const before = client.changes(topic).length;
	await orderJob(rendio, bob);
	await until(() => client.changes(topic).length > before);
	assert.ok(client.changes(topic).slice(before).every((change) =>
	    change.record.user_id === bob.user_id));
	client.close();
});

test("an expired, bad or revoked token closes its channel alone", async () => {
	const guest = await rendio.guest("closing");
	const client = await Phoenix.open(rendio);
	await client.join("realtime:stays", ada.access_token);
	await client.join("realtime:expires", forge(rendio, ada,
	    { exp: Math.floor(Date.now() / 1000) + 1 }));
	await client.join("realtime:revoked", guest.access_token);
	await client.join("realtime:bad", ada.access_token);
	client.send("realtime:bad", "access_token",
	    { access_token: flipBit(ada.access_token, 2) });
	await rendio.request("POST", "/auth/v1/logout?scope=global",
	    { bearer: guest.access_token });

	for (const name of ["expires", "revoked", "bad"]) {
		const topic = `realtime:${name}`;
		await client.wait((m) => m.event === "phx_close" &&
		    m.topic === topic);
		const system = client.got.find((m) => m.topic === topic &&
		    m.event === "system" && m.payload.status === "error");
		assert.equal(system.payload.extension, "system");
		assert.equal(system.payload.channel, name);
	}
	await orderJob(rendio, ada);
	await client.wait((m) => m.topic === "realtime:stays" &&
	    m.event === "postgres_changes");
	client.close();
});

test("what is not served is refused in words", async () => {
	const client = await Phoenix.open(rendio);
	const refused = async (...message) => {
		const reply = await client.ask(...message);
		assert.equal(reply.payload.status, "error");
		assert.equal(typeof reply.payload.response.reason, "string");
	};
	const change = (more) => ({ config: { postgres_changes: [{
		event: "UPDATE", schema: "public", table: "video_jobs",
		...more }] } });

	await refused("room:1", "phx_join", {});
	await refused("realtime:", "phx_join", {});
	await refused("phoenix", "phx_join", {});
	await refused("realtime:never", "shout", {});
	await refused("realtime:p", "phx_join", { config: { private: true } });
	await refused("realtime:p", "phx_join", { config: {
		postgres_changes: "all" } });
	await refused("realtime:p", "phx_join", change({ filter: 1 }));
	await refused("realtime:p", "phx_join",
	    change({ filter: `job_id=eq.${"x".repeat(57)}` }));
	await refused("realtime:p", "phx_join", { config: {
		postgres_changes: Array(17).fill({}) } });
	await refused("realtime:p", "phx_join", { access_token: "x" });
	for (const more of [{ event: "INSERT" }, { event: "DELETE" },
		{ schema: "auth" }, { table: "users" },
		{ filter: "status=eq.completed" },
		{ filter: `job_id=neq.${randomUUID()}` },
		{ filter: `job_id=in.(${randomUUID()})` },
		{ filter: "job_id=eq.1" }, { filter: "job_id" },
		{ filter: "" }]) {
		const topic = `realtime:${JSON.stringify(more).slice(0, 90)}`;
		const reply = await client.ask(topic, "phx_join",
		    { ...change(more), access_token: ada.access_token });
		// The clients compare the list that comes back.
		assert.equal(reply.payload.status, "ok");
		const system = await client.wait((m) => m.topic === topic &&
		    m.event === "system");
		assert.equal(system.payload.status, "error");
		await client.ask(topic, "phx_leave");
	}
	assert.equal((await client.ask("realtime:b", "phx_join", {}))
	    .payload.status, "ok");
	for (const event of ["broadcast", "presence"])
		assert.equal((await client.ask("realtime:b", event, {}))
		    .payload.status, "ok");
	await refused("realtime:b", "shout", {});
	await orderJob(rendio, ada);
	await sleep(300);
	assert.ok(client.got.every((m) => m.event !== "postgres_changes"));
	client.close();
});

test("a connection has 32 channels, and joining one again replaces it",
    async () => {
	const client = await Phoenix.open(rendio);
	for (let i = 0; i < 32; i++)
		assert.equal((await client.join(`realtime:${i}`,
		    ada.access_token)).payload.status, "ok");

	assert.equal((await client.join("realtime:one more", ada.access_token))
	    .payload.status, "error");
	assert.equal((await client.join("realtime:0", ada.access_token))
	    .payload.status, "ok");
	await client.ask("realtime:1", "phx_leave");
	assert.equal((await client.join("realtime:one more", ada.access_token))
	    .payload.status, "ok");
	await orderJob(rendio, ada);
	await until(() => client.changes("realtime:0").length > 0);
	await sleep(200);
	// Once an event, not once a join.
	const stamps = client.changes("realtime:0")
	    .map((change) => change.commit_timestamp);
	assert.equal(stamps.length, new Set(stamps).size);
	client.close();
});

test("a user has eight connections", async () => {
	const guest = await rendio.guest("eight");
	const clients = [];
	for (let i = 0; i < 9; i++)
		clients.push(await Phoenix.open(rendio));
	for (const client of clients.slice(0, 8))
		assert.equal((await client.join("realtime:x",
		    guest.access_token)).payload.status, "ok");

	const reply = await clients[8].join("realtime:x", guest.access_token);
	assert.equal(reply.payload.status, "error");
	assert.match(reply.payload.response.reason, /Too many/);
	assert.equal((await clients[8].join("realtime:y", ada.access_token))
	    .payload.status, "ok");
	clients[0].close();
	assert.ok(await until(async () => (await clients[8].join("realtime:x",
	    guest.access_token)).payload.status === "ok"));
	clients.forEach((client) => client.close());
});

test("no later token makes a ninth one", async () => {
	const guest = await rendio.guest("later");
	const topic = "realtime:later";
	const clients = [];
	for (let i = 0; i < 9; i++) {
		const client = await Phoenix.open(rendio);
		clients.push(client);
		await client.join(topic);
		client.send(topic, "access_token",
		    { access_token: guest.access_token });
		await client.ask("phoenix", "heartbeat");
	}

	await clients[8].wait((m) => m.event === "phx_close");
	const system = clients[8].got.find((m) => m.event === "system" &&
	    m.payload.status === "error");
	assert.match(system.payload.message, /^ConnectionRateLimitReached: /);
	// The eighth may take on its next token, and is told.
	clients[7].send(topic, "access_token",
	    { access_token: guest.access_token });
	await orderJob(rendio, guest);
	await clients[7].wait((m) => m.event === "postgres_changes");
	assert.ok(clients.slice(0, 8).every((client) =>
	    client.got.every((m) => m.event !== "phx_close")));
	clients.forEach((client) => client.close());
});

test("an address has as many connections as it may", async () => {
	const from = { localAddress: "127.0.0.4" };
	const clients = [];
	for (let i = 0; i < 3; i++)
		clients.push(await Phoenix.open(rendio, from));

	const fourth = await Phoenix.open(rendio, from).catch((error) => error);
	assert.equal(fourth.status ?? await fourth.closed, 429);
	clients.forEach((client) => client.close());
});

test("a message of 64 KiB is read, a longer one ends the connection",
    async () => {
	const max = 64 * 1024;
	const message = (bytes) => {
		const text = JSON.stringify([null, "long", "phoenix",
			"heartbeat", { x: "" }]);
		return text.replace('""', `"${"x".repeat(bytes -
		    text.length)}"`);
	};
	const client = await Phoenix.open(rendio);

	assert.equal(message(max).length, max);
	for (const bytes of [max - 1, max]) {
		client.got = [];
		client.ws.send(message(bytes));
		await client.wait((m) => m.ref === "long");
	}
	client.ws.send(message(max + 1));
	assert.equal(await client.closed, 1009);
});

test("what is no message ends the connection and no other", async () => {
	const other = await Phoenix.open(rendio);
	for (const [what, code] of [["x", 1007], ["{}", 1007], ["[]", 1007],
		["null", 1007], ['["1","2","t","e",null]', 1007],
		['["1",2,"t","e",{}]', 1007],
		['["1","2","t","e",{},1]', 1007],
		[`["1","2","${"t".repeat(256)}","e",{}]`, 1007],
		[`["1","${"2".repeat(32)}","t","e",{}]`, 1007],
		['{"topic":"t","event":"e","payload":{},"ref":"1"}', 1007],
		[Buffer.from([0xff, 0xfe]), 1003], [Buffer.from("{}"), 1003]]) {
		const client = await Phoenix.open(rendio);
		client.ws.send(what);
		assert.equal(await client.closed, code, String(what));
	}
	const old = await Phoenix.open(rendio, { vsn: "1.0.0" });
	old.ws.send('["1","2","t","e",{}]');
	assert.equal(await old.closed, 1007);
	assert.equal((await other.ask("phoenix", "heartbeat")).payload.status,
	    "ok");
	other.close();
});

test("two hundred messages in ten seconds are enough", async () => {
	const client = await Phoenix.open(rendio);

	for (let i = 0; i < 201; i++)
		client.send("phoenix", "heartbeat", {}, null);
	assert.equal(await client.closed, 1008);
	assert.equal(client.got.length, 200);
});

test("the handshake wants the key and a version that we know", async () => {
	const status = async (options) => (await Phoenix.open(rendio, options)
	    .catch((error) => error));

	for (const options of [{ apikey: "x" }, { query: "" },
		{ query: "?vsn=2.0.0" }]) {
		const { status: got, text } = await status(options);
		assert.equal(got, 401);
		assert.equal(JSON.parse(text).code, "invalid_api_key");
	}
	assert.equal((await status({ vsn: "3.0.0" })).status, 400);
	const plain = await rendio.request("GET",
	    `/realtime/v1/websocket?apikey=${rendio.anonKey}`);
	assert.equal(plain.status, 400);
	const post = await rendio.request("POST", "/realtime/v1/websocket");
	assert.equal(post.status, 405);
	assert.equal(post.headers.allow, "GET");
	const old = await Phoenix.open(rendio,
	    { query: `?apikey=${rendio.anonKey}`, vsn: "1.0.0" });
	assert.equal((await old.ask("phoenix", "heartbeat")).payload.status,
	    "ok");
	old.close();
});

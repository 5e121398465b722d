// SPDX-License-Identifier: MIT
//
// What a phone says to the backend: the public API by supabase-js, the stream
// of the user's events, and the websocket.  Nothing here draws.

/* Where the browser keeps which phone it pretends to be. */
const DEVICE_KEY = "rendio-playground-device";

/* The stream comes back after this, spread so that not all come at once. */
const RETRY_MS_MIN = 2000;
const RETRY_MS_SPREAD = 1500;

export class Refusal extends Error {
	constructor(status, code, text) {
		super(text);
		this.status = status;
		this.code = code;
	}
}

export class Backend {
	/** `tell(kind, text, isBad)` hears of all that goes over the wire. */
	constructor(config, tell) {
		this.key = config.anon_key;
		this.isSandbox = config.mode === "sandbox";
		this.tell = tell;
		this.client = this.makeClient({ auth: {
			detectSessionInUrl: false, storageKey: "rendio-playground",
		} });
	}

	makeClient(options) {
		return window.supabase.createClient(location.origin, this.key,
		    options);
	}

	/** One function; an error of its own is thrown as a Refusal. */
	async call(method, path, body, headers = {}, isQuiet = false) {
		const began = performance.now();
		const { data, error, response } = await this.client.functions
		    .invoke(path, { method, body, headers });
		const status = response?.status ?? error?.context?.status ?? 0;
		const said = error?.context instanceof Response ?
		    await error.context.json().catch(() => ({})) : {};

		if (!isQuiet || error)
			this.tell("http", [method, path.split("?")[0],
				status || "no answer", said.code ?? "",
				`${Math.round(performance.now() - began)} ms`]
			    .join(" "), Boolean(error));
		if (error)
			throw new Refusal(status, said.code ?? "unreachable",
			    said.error ?? "The server cannot be reached");
		return data;
	}

	act(name, body = {}) {
		return this.call("POST", `sandbox-backstage/${name}`, body);
	}

	/** The session that this browser still has, if it is still good. */
	async resume() {
		const { data } = await this.client.auth.getSession();
		if (!data.session)
			return false;
		const { error } = await this.client.auth.getUser();
		return !error && this.enter();
	}

	/** A pretended phone opens the app. */
	async signInAsGuest() {
		const device_id = localStorage.getItem(DEVICE_KEY) ??
		    crypto.randomUUID();
		const { device_token } = await this.act("device",
		    { name: device_id });
		const guest = await this.call("POST", "device-check",
		    { device_id, device_token });

		localStorage.setItem(DEVICE_KEY, device_id);
		const { error } = await this.client.auth.setSession(guest);
		if (error)
			throw new Refusal(error.status, error.code, error.message);
		await this.enter();
		return guest;
	}

	/** For a backend in live mode: a token that its operator minted. */
	async signInWithToken(token) {
		this.client = this.makeClient({ accessToken: async () => token });
		await this.enter();
	}

	async enter() {
		this.user = await this.call("GET", "get-user-profile");
		return true;
	}

	async forgetPhone() {
		this.close();
		localStorage.removeItem(DEVICE_KEY);
		await this.client.auth.signOut({ scope: "local" });
	}

	// --- what happens ------------------------------------------------------

	/**
	 * Keeps the stream and the websocket open.  on.snapshot, on.job,
	 * on.deleted, on.balance get what the server says; on.light(which, isOn).
	 */
	watch(on) {
		this.on = on;
		this.isWatching = true;
		this.openStream();
		this.openSocket();
	}

	close() {
		this.isWatching = false;
		this.stream?.close();
		clearTimeout(this.retry);
		this.client.removeAllChannels();
	}

	/** The network drops the stream; it comes back by itself. */
	cut() {
		this.tell("sse", "cut off by hand", true);
		this.again();
	}

	again() {
		this.stream?.close();
		this.on.light("stream", false);
		clearTimeout(this.retry);
		if (this.isWatching)
			this.retry = setTimeout(() => this.openStream(),
			    RETRY_MS_MIN + Math.random() * RETRY_MS_SPREAD);
	}

	/* EventSource sends no headers, so each opening takes a ticket. */
	async openStream() {
		let ticket;
		try {
			({ ticket } = await this.call("POST", "stream-ticket", {}));
		} catch {
			this.again();
			return;
		}
		const query = new URLSearchParams({ ticket, apikey: this.key });
		if (this.lastEventId)
			query.set("last_event_id", this.lastEventId);
		const stream = new EventSource(
		    `/functions/v1/user-events?${query}`);

		this.stream = stream;
		stream.onopen = () => this.on.light("stream", true);
		stream.onerror = () => {
			this.tell("sse", "cut off, coming back", true);
			this.again();
		};
		for (const name of ["snapshot", "job", "deleted", "balance", "end"])
			stream.addEventListener(name, (event) => {
				this.lastEventId = event.lastEventId ||
				    this.lastEventId;
				this.hear(name, JSON.parse(event.data));
			});
	}

	hear(name, data) {
		const what = { snapshot: () => `${data.jobs.length} jobs`,
			job: () => `${short(data.job_id)} ${stateOf(data)}`,
			deleted: () => short(data.job_id),
			balance: () => `${data.credits_remaining}`,
			end: () => data.reason }[name]();

		this.tell("sse", `${name} ${what}`);
		if (name === "end")
			this.again();
		else
			this.on[name](data);
	}

	openSocket() {
		this.client.channel("playground").on("postgres_changes", {
			event: "UPDATE", schema: "public", table: "video_jobs",
			filter: `user_id=eq.${this.user.id}`,
		}, ({ new: job }) => {
			this.tell("ws", `UPDATE ${short(job.job_id)} ${stateOf(job)}`);
			this.on.job(job);
		}).subscribe((status) => {
			this.on.light("socket", status === "SUBSCRIBED");
			this.tell("ws", status.toLowerCase().replace("_", " "),
			    status !== "SUBSCRIBED");
		});
	}
}

export const short = (id) => id.slice(0, 8);

export function stateOf(job) {
	if (job.status === "pending" && job.queue_position > 0)
		return `pending, ${job.queue_position} before it`;
	return job.status;
}

/* Links name the public address; the page may be open under another. */
export function local(url) {
	if (!url)
		return null;
	const { pathname, search } = new URL(url, location.origin);
	return pathname + search;
}

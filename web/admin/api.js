// SPDX-License-Identifier: MIT
// Speaking with the backend.  The session's token lives as long as this tab;
// no browser sends it by itself, so no other site can.

const KEY = "rendio-admin";

let ended = () => {};

export class ApiError extends Error {
	constructor(status, body) {
		super(body.error ?? `The server answered ${status}`);
		this.status = status;
		this.code = body.code;
	}
}

/** Called when the session is over. */
export function onEnd(callback) {
	ended = callback;
}

export const hasSession = () => sessionStorage.getItem(KEY) !== null;

export function forget() {
	sessionStorage.removeItem(KEY);
}

async function send(method, path, body, headers) {
	const res = await fetch(`/functions/v1/${path}`, { method,
		headers: body === undefined ? headers :
		    { ...headers, "content-type": "application/json" },
		body: body === undefined ? undefined : JSON.stringify(body),
		cache: "no-store", credentials: "omit", redirect: "error" });
	const answer = await res.json().catch(() => ({}));
	if (!res.ok)
		throw new ApiError(res.status, answer);
	return answer;
}

export async function call(method, path, body) {
	try {
		return await send(method, path, body,
		    { authorization: `Bearer ${sessionStorage.getItem(KEY)}` });
	} catch (error) {
		if (error instanceof ApiError && error.status === 401) {
			forget();
			ended();
		}
		throw error;
	}
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);

export async function signIn(name, password, code) {
	const session = await send("POST", "admin-session",
	    { name, password, code: code.replace(/\s/g, "") });
	sessionStorage.setItem(KEY, session.token);
	return session;
}

export async function signOut() {
	await call("DELETE", "admin-session", {}).catch(() => {});
	forget();
	ended();
}

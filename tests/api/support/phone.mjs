// SPDX-License-Identifier: MIT
// A phone that opens the app, with a DeviceCheck token of tests/fakes.

import { randomUUID } from "node:crypto";

/** POST device-check as it is. */
export async function check(rendio, device_id, device_token, options = {}) {
	return await rendio.request("POST", "/functions/v1/device-check", {
		body: { device_id, device_token, ...options.body },
		...options.request,
	});
}

/** A pretended phone; reinstalling the app gives it another device id. */
export class Phone {
	constructor(rendio, apple, name) {
		Object.assign(this, { rendio, apple, name });
		this.reinstall();
	}

	reinstall(device_id = randomUUID()) {
		this.device_id = device_id;
		return this;
	}

	async check(options) {
		return await check(this.rendio, this.device_id,
		    this.apple.token(this.name), options);
	}

	/** The same, and it must succeed: the body. */
	async enter(options) {
		const res = await this.check(options);
		if (res.status !== 200)
			throw new Error(`device-check: ${res.status} ${res.text}`);
		return res.json();
	}
}

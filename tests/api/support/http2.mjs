// SPDX-License-Identifier: MIT
// HTTP/2, which phones speak.

import http2 from "node:http2";

/** One request over a connection of its own, as Instance.request() has it. */
export async function askHttp2(rendio, method, path,
    { headers = {}, body } = {}) {
	const client = http2.connect(rendio.url, { ca: rendio.ca });

	try {
		return await new Promise((resolve, reject) => {
			const req = client.request({ ":method": method,
				":path": path, apikey: rendio.anonKey,
				...headers });
			let got, text = "";
			client.on("error", reject);
			req.on("response", (all) => { got = all; });
			req.setEncoding("utf8").on("data", (part) => {
				text += part;
			});
			req.on("error", reject);
			req.on("end", () => resolve({ status: got[":status"],
				headers: got, text, bytes: Buffer.from(text),
				json: () => JSON.parse(text) }));
			req.end(body);
		});
	} finally {
		client.close();
	}
}

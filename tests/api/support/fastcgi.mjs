// SPDX-License-Identifier: MIT
// A request as the router would hand it to an endpoint's process.

import net from "node:net";

const BEGIN = 1, PARAMS = 4, STDIN = 5, STDOUT = 6;

function record(type, content) {
	const head = Buffer.alloc(8);
	head.writeUInt8(1, 0);
	head.writeUInt8(type, 1);
	head.writeUInt16BE(1, 2);
	head.writeUInt16BE(content.length, 4);
	return Buffer.concat([head, content]);
}

function param(name, value) {
	const bytes = [Buffer.from(name), Buffer.from(value)];
	const lengths = bytes.map(({ length }) => {
		const long = Buffer.alloc(4);
		long.writeUInt32BE((length | 0x80000000) >>> 0);
		return long;
	});
	return Buffer.concat([...lengths, ...bytes]);
}

/** Sends the parameters and body; gives { status, headers, text }. */
export async function fastcgi(socketPath, params, body = "") {
	const bytes = await new Promise((resolve, reject) => {
		const chunks = [];
		const socket = net.connect(socketPath, () => {
			// A responder, whose connection is not kept.
			const begin = Buffer.from([0, 1, 0, 0, 0, 0, 0, 0]);
			const all = Object.entries(params)
			    .map(([name, value]) => param(name, String(value)));
			socket.write(Buffer.concat([
				record(BEGIN, begin),
				record(PARAMS, Buffer.concat(all)),
				record(PARAMS, Buffer.alloc(0)),
				...body === "" ? [] : [record(STDIN, Buffer.from(body))],
				record(STDIN, Buffer.alloc(0)),
			]));
		});
		socket.on("data", (chunk) => chunks.push(chunk));
		socket.on("close", () => resolve(Buffer.concat(chunks)));
		socket.on("error", reject);
	});

	let out = "";
	for (let at = 0; at + 8 <= bytes.length;) {
		const length = bytes.readUInt16BE(at + 4);
		if (bytes[at + 1] === STDOUT)
			out += bytes.toString("utf8", at + 8, at + 8 + length);
		at += 8 + length + bytes[at + 6];
	}
	const [head, ...rest] = out.split("\r\n\r\n");
	const headers = Object.fromEntries(head.split("\r\n").map((line) => {
		const colon = line.indexOf(":");
		return [line.slice(0, colon).toLowerCase(),
			line.slice(colon + 1).trim()];
	}));
	return { status: parseInt(headers.status, 10), headers,
		text: rest.join("\r\n\r\n") };
}

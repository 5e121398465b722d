// SPDX-License-Identifier: MIT
//
// A certificate authority that speaks ACME, as Let's Encrypt does: Debian's
// pebble, to which every name is this machine.

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import https from "node:https";
import os from "node:os";
import path from "node:path";
import { until } from "../api/support/instance.mjs";

const START_MS_MAX = 30_000;
const DNS = "127.0.0.1:8053";
const PORT = 14000, MANAGEMENT_PORT = 15000;

export class Authority {
	url = `https://127.0.0.1:${PORT}/dir`;

	static async start() {
		const authority = new Authority();
		const dir = authority.dir = fs.mkdtempSync(path.join(os.tmpdir(),
		    "rendio-acme-"));
		const config = path.join(dir, "pebble.json");

		execFileSync("openssl", ["req", "-x509", "-newkey", "ec",
			"-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
			"-subj", "/CN=pebble", "-keyout", `${dir}/key.pem`,
			"-out", `${dir}/cert.pem`], { stdio: "ignore" });
		fs.writeFileSync(config, JSON.stringify({ pebble: {
			listenAddress: `127.0.0.1:${PORT}`,
			managementListenAddress: `127.0.0.1:${MANAGEMENT_PORT}`,
			certificate: `${dir}/cert.pem`,
			privateKey: `${dir}/key.pem`,
			httpPort: 80, tlsPort: 443,
		} }));
		authority.children = [
			spawn("pebble-challtestsrv", ["-defaultIPv4", "127.0.0.1",
				"-defaultIPv6", "", "-dns01", DNS, "-http01", "",
				"-https01", "", "-tlsalpn01", "",
				"-management", "127.0.0.1:8055"],
			    { stdio: "ignore" }),
			spawn("pebble", ["-config", config, "-dnsserver", DNS],
			    { stdio: "ignore", env: { ...process.env,
				PEBBLE_VA_NOSLEEP: "1",
				PEBBLE_WFE_NONCEREJECT: "0" } }),
		];
		if (!await until(() => authority.root().catch(() => null),
		    START_MS_MAX))
			throw new Error("pebble does not answer");
		return authority;
	}

	/** What phones that believe it have: its root. */
	async root() {
		return await new Promise((resolve, reject) => https.get({
			host: "127.0.0.1", port: MANAGEMENT_PORT,
			path: "/roots/0", rejectUnauthorized: false, agent: false,
		}, (res) => {
			let text = "";
			res.setEncoding("utf8");
			res.on("data", (part) => { text += part; });
			res.on("end", () => resolve(text));
		}).on("error", reject));
	}

	async stop() {
		for (const child of this.children)
			child.kill();
		fs.rmSync(this.dir, { recursive: true, force: true });
	}
}

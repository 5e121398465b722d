// SPDX-License-Identifier: MIT
//
// A machine of its own: Debian booted by systemd in a container, which shares
// this process's network, and Rendio as its package installs it.

import { execFile, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { Instance, until } from "../api/support/instance.mjs";

const BOOT_MS_MAX = 180_000;

export class Machine {
	constructor(root) {
		this.root = root;
	}

	async boot() {
		this.console = fs.openSync(`${this.root}.console`, "w");
		this.child = spawn("systemd-nspawn", ["-q", "-D", this.root,
			"--register=no", "--keep-unit", "-b"],
		    { stdio: ["ignore", this.console, this.console] });
		this.ended = new Promise((resolve) =>
		    this.child.once("exit", resolve));
		const pid = this.child.pid;
		const booted = await until(async () => {
			const children = fs.readFileSync(
			    `/proc/${pid}/task/${pid}/children`, "utf8");
			this.init = children.trim().split(" ").at(-1);
			return this.init !== "" && /running|degraded/.test((await
			    this.run("systemctl", "is-system-running")).stdout);
		}, BOOT_MS_MAX);
		if (!booted)
			throw new Error(`no boot, see ${this.root}.console`);
	}

	async powerOff() {
		await this.run("systemctl", "poweroff");
		await this.ended;
		fs.closeSync(this.console);
	}

	/** Runs a program in the machine, as root. */
	async run(...words) {
		return await this.runWith("", ...words);
	}

	async runWith(input, ...words) {
		return await new Promise((resolve) => {
			const child = execFile("nsenter", ["-t", this.init,
				"-m", "-u", "-i", "-p", "--", "env", "-i",
				"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
				"HOME=/root", "DEBIAN_FRONTEND=noninteractive",
				...words],
			    { maxBuffer: 64 * 1024 * 1024 },
			    (error, stdout, stderr) => resolve({
				code: error ? error.code : 0, stdout, stderr }));
			child.stdin.on("error", () => {});
			child.stdin.end(input);
		});
	}

	/** The same, for what must go well; gives what it printed. */
	async must(...words) {
		const { code, stdout, stderr } = await this.run(...words);
		if (code !== 0)
			throw new Error(`${words.join(" ")}: exit status ` +
			    `${code}\n${stdout}\n${stderr}`);
		return stdout;
	}

	/** By the shell: so small a Debian has no program kill. */
	async signal(name, pids) {
		await this.must("sh", "-c", `kill -s ${name} ${pids.join(" ")}`);
	}

	/** Of the programs that run there, those whose path has this in it. */
	async pids(part) {
		const links = await this.run("find", "/proc", "-maxdepth", "2",
		    "-name", "exe", "-lname", `*${part}*`);
		return links.stdout.split("\n").filter((line) => line !== "")
		    .map((line) => line.split("/")[2]);
	}
}

/** The backend in a machine, for the helpers of the API tests. */
export class Installed extends Instance {
	constructor(machine, host) {
		super(443, path.join(machine.root, "var/lib/rendio"), {});
		this.machine = machine;
		this.host = host;
		this.url = `https://${host}`;
	}

	/** After `rendio setup`. */
	open() {
		const read = (name) => fs.readFileSync(path.join(
		    this.machine.root, name));

		this.ca = read("etc/rendio/tls/cert.pem");
		this.anonKey = read("var/lib/rendio/anon-key").toString().trim();
	}

	async cliWith({ input = "" }, ...args) {
		return await this.machine.runWith(input, "rendio", ...args);
	}
}

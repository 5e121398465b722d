// SPDX-License-Identifier: MIT
// The frame of the admin pages: signing in, where one is, and going there.

import { forget, get, hasSession, onEnd, signIn, signOut } from "./api.js";
import { fill, h } from "./dom.js";
import { catalog } from "./catalog.js";
import { dashboard } from "./dashboard.js";
import { job, jobs } from "./jobs.js";
import { system } from "./system.js";
import { user, users } from "./users.js";

const root = document.getElementById("root");

/** Views take their container, the rest of the address, and a signal that
 * tells when they are left. */
const views = {
	dashboard: { title: "Dashboard", icon: "M4 20V10m6 10V4m6 16v-7m4 7H2",
		show: dashboard },
	users: { title: "Users", icon: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-8 8" +
	    "a8 8 0 0 1 16 0", show: users, one: user },
	jobs: { title: "Jobs", icon: "M4 5h16v14H4zM10 9l5 3-5 3z", show: jobs,
		one: job },
	catalog: { title: "Catalogue", icon: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4z" +
	    "M13 13h7v7h-7z", show: catalog },
	system: { title: "System", icon: "M3 12h4l3-8 4 16 3-8h4", show: system },
};

const SVG = "http://www.w3.org/2000/svg";

function icon(path) {
	const svg = document.createElementNS(SVG, "svg");
	const line = document.createElementNS(SVG, "path");
	svg.setAttribute("viewBox", "0 0 24 24");
	svg.setAttribute("aria-hidden", "true");
	line.setAttribute("d", path);
	svg.append(line);
	return svg;
}

let leaving = new AbortController();

function showSignIn(message) {
	leaving.abort();
	const text = (name, label, props) => h("label", {}, label,
	    h("input", { name, required: true, ...props }));
	const problem = h("p", { class: "problem", role: "alert" }, message ?? "");
	const button = h("button", { class: "primary", type: "submit" },
	    "Sign in");
	const form = h("form", { class: "card signin", async onsubmit(event) {
		event.preventDefault();
		button.disabled = true;
		problem.textContent = "";
		const { name, password, code } = Object.fromEntries(
		    new FormData(form));
		try {
			await signIn(name.trim(), password, code);
			await enter();
		} catch (error) {
			problem.textContent = error.status === 401 ?
			    "Name, password or code is not right. A code counts" +
			    " once: wait for the next one." : error.message;
			form.elements.code.value = "";
		} finally {
			button.disabled = false;
		}
	} }, h("img", { src: "/admin/icon.svg", alt: "", width: 48, height: 48 }),
	    h("h1", {}, "Rendio admin"),
	    text("name", "Name", { autocomplete: "username", autocapitalize: "none",
		    spellcheck: "false", autofocus: true }),
	    text("password", "Password", { type: "password",
		    autocomplete: "current-password" }),
	    text("code", "One-time code", { inputmode: "numeric",
		    autocomplete: "one-time-code", maxlength: 7,
		    placeholder: "123 456" }),
	    problem, button);
	fill(root, h("main", { class: "gate" }, form));
	form.elements.name.focus();
}

function route() {
	const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
	return [Object.hasOwn(views, name) ? name : "dashboard",
		rest.map(decodeURIComponent)];
}

async function go() {
	const [name, [id]] = route();
	const view = views[name];
	const content = document.getElementById("content");

	leaving.abort();
	leaving = new AbortController();
	const { signal } = leaving;
	for (const link of document.querySelectorAll("nav a"))
		if (link.dataset.view === name)
			link.setAttribute("aria-current", "page");
		else
			link.removeAttribute("aria-current");
	document.title = `${view.title} \u2013 Rendio admin`;
	const page = h("div", { class: "page", "data-view": name },
	    h("p", { class: "empty" }, "Loading\u2026"));
	fill(content, page);
	try {
		await (id && view.one ? view.one(page, id, signal) :
		    view.show(page, signal));
	} catch (error) {
		if (!signal.aborted)
			fill(page, h("p", { class: "problem" }, error.message));
	}
}

async function enter() {
	const session = await get("admin-session");
	fill(root, h("div", { class: "frame" },
	    h("header", {}, h("a", { class: "brand", href: "#/dashboard" },
		h("img", { src: "/admin/icon.svg", alt: "", width: 28,
			height: 28 }), h("span", {}, "Rendio")),
	    h("nav", { "aria-label": "Main" },
		Object.entries(views).map(([name, { title, icon: path }]) =>
		    h("a", { href: `#/${name}`, "data-view": name }, icon(path),
			h("span", {}, title)))),
	    h("div", { class: "who" }, h("span", {}, session.name),
		h("button", { type: "button", class: "quiet",
			onclick: () => signOut() }, "Sign out"))),
	    h("main", { id: "content" })));
	await go();
}

onEnd(() => showSignIn("Signed out. A session ends after 15 idle minutes."));
addEventListener("hashchange", () => {
	if (document.getElementById("content"))
		go();
});

if (hasSession())
	enter().catch((error) => {
		forget();
		showSignIn(error.status === 401 ? "" : error.message);
	});
else
	showSignIn();

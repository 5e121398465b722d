// SPDX-License-Identifier: MIT
// Models and themes: what is offered, at which price.

import { get, post } from "./api.js";
import { action, askReason, card, chip, count, dollars, fill, h, toast } from "./dom.js";

const KEY = { model: "model_id", theme: "theme_id" };

/** Fields that were changed, as the server wants them; null when none was. */
function changes(form, before) {
	const set = {};
	for (const [name, old] of Object.entries(before)) {
		const field = form.elements[name];
		const value = field.type === "checkbox" ? field.checked :
		    field.value;
		if (value !== (typeof old === "boolean" ? old : String(old ?? "")))
			set[name] = value;
	}
	return Object.keys(set).length > 0 ? set : null;
}

/**
 * A form for some fields of a model or theme: [name, label, value, how], how
 * being "text", "long", "flag", "number" or a list of values.
 */
function editor(kind, id, fields, reload) {
	const before = Object.fromEntries(fields.map(([name, , value, how]) =>
	    [name, how === "flag" ? Boolean(value) : value]));
	const field = ([name, label, value, how]) => {
		if (how === "flag")
			return h("label", { class: "check" }, h("input",
			    { type: "checkbox", name, checked: Boolean(value) }),
			label);
		if (how === "long")
			return h("label", { class: "wide" }, label, h("textarea",
			    { name, rows: 3, value: value ?? "" }));
		if (Array.isArray(how))
			return h("label", {}, label, h("select", { name },
			    how.map((option) => h("option", { value: option,
				selected: option === value }, option))));
		return h("label", {}, label, h("input", { name,
			type: how === "number" ? "number" : "text", min: 0,
			value: value ?? "", autocomplete: "off" }));
	};
	const form = h("form", { class: "fields", async onsubmit(event) {
		event.preventDefault();
		const set = changes(form, before);
		if (set === null) {
			toast("Nothing was changed.", "wait");
			return;
		}
		try {
			await post("admin-catalog", { [KEY[kind]]: id, set });
			toast("Saved.");
			await reload();
		} catch (error) {
			toast(error.message, "bad");
		}
	} }, fields.map(field), h("div", { class: "row end wide" },
	    h("button", { type: "submit", class: "primary" }, "Save")));
	return form;
}

function sound(price) {
	return price.has_audio ? "audio" : "silent";
}

function model(one, prices, reload) {
	const fields = [["name", "Name", one.name, "text"],
		["state", "State", one.state, ["available", "disabled",
			"retired"]],
		["is_active", "The standard model", one.is_active, "flag"],
		["is_featured", "Featured", one.is_featured, "flag"],
		["description", "Description", one.description, "long"],
		["thumbnail_url", "Picture", one.thumbnail_url, "text"]];
	if (!one.is_priced_by_second)
		fields.push(["cost_per_generation", "Credits",
			one.cost_per_generation, "number"]);
	for (const price of prices) {
		const of = `${price.resolution}.${sound(price)}`;
		fields.push([`price.${of}`, `Millicredits/s, ${of}`,
			price.millicredits_per_second, "number"]);
		fields.push([`cost.${of}`, `Our cost \u00b5$/s, ${of}`,
			price.provider_micro_usd_per_second, "number"]);
	}
	fields.push(["spend_cap_micro_usd_per_day", "Cap \u00b5$/day",
		one.spend_cap_micro_usd_per_day, "number"]);
	const flip = one.state === "available" ? "disabled" : "available";
	return h("details", { class: "entry" },
	    h("summary", {}, h("div", {}, h("strong", {}, one.name),
		h("small", {}, `${one.company} \u00b7 ${one.endpoint}`)),
	    h("div", { class: "tags" }, chip(one.state),
		one.is_active && chip("standard", "busy"),
		one.is_featured && chip("featured", "dim")),
	    h("div", { class: "end" }, h("strong", {},
		`${count(one.cost_per_generation)} credits`),
	    one.spend_cap_micro_usd_per_day !== null && h("small", {},
		`cap ${dollars(one.spend_cap_micro_usd_per_day)}/day`)),
	    one.state !== "retired" && action(flip === "disabled" ? "Disable" :
		"Enable", async () => {
		// Orders that name no model go to the standard one.
		if (one.is_active && await askReason("Disable the standard model?",
		    "Apps that name no model are refused until you make another" +
		    " one the standard.", { confirm: "Disable", danger: true,
			isReasonless: true }) === null)
			return;
		await post("admin-catalog", { model_id: one.id,
			set: { state: flip } });
		toast(`${one.name} is ${flip}.`);
		await reload();
	    }, { class: flip === "disabled" ? "danger small" :
		"primary small" })),
	    editor("model", one.id, fields, reload));
}

function theme(one, reload) {
	return h("details", { class: "entry" },
	    h("summary", {}, h("div", {}, h("strong", {}, one.name),
		h("small", {}, one.description ?? "")),
	    h("div", { class: "tags" }, chip(one.is_available ? "available" :
		"disabled"), one.is_featured && chip("featured", "dim"))),
	    editor("theme", one.id, [["name", "Name", one.name, "text"],
		["is_available", "Shown", one.is_available, "flag"],
		["is_featured", "Featured", one.is_featured, "flag"],
		["description", "Description", one.description, "long"],
		["prompt", "Prompt", one.prompt, "long"],
		["thumbnail_url", "Picture", one.thumbnail_url, "text"],
		["default_duration_s", "Seconds", one.default_duration_s,
			"number"],
		["default_resolution", "Resolution", one.default_resolution,
			"text"],
		["default_aspect_ratio", "Aspect ratio",
			one.default_aspect_ratio, "text"]], reload));
}

export async function catalog(page, signal) {
	const reload = async () => {
		const data = await get("admin-catalog");
		if (signal.aborted)
			return;
		fill(page, h("div", { class: "head" }, h("h1", {}, "Catalogue")),
		    card("Models", data.models.map((one) => model(one,
			data.prices.filter(({ model_id }) => model_id === one.id),
			reload))),
		    card("Themes", data.themes.map((one) => theme(one, reload))),
		    card("Products", h("div", { class: "list" },
			data.products.map((one) => h("div", { class: "item" },
			    h("div", {}, h("code", {}, one.id)),
			    h("div", { class: "tags" }, chip(one.is_available ?
				"available" : "disabled")),
			    h("div", { class: "end" }, h("strong", {},
				`${count(one.credits)} credits`)))))));
	};
	await reload();
}

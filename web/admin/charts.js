// SPDX-License-Identifier: MIT
// Days as bars and lines, by uPlot (vendor/).

/* global uPlot */

const DAY_S = 86_400;

/** Steps of an axis without fractions. */
const WHOLE = Array.from({ length: 8 }, (_, i) => [1, 2, 5]
    .map((n) => n * 10 ** i)).flat();

/** A value for each day from `since` until today: of(row) or 0. */
export function byDay(rows, since, of) {
	const first = Date.parse(since) / 1000;
	const length = Math.floor(Date.now() / 1000 / DAY_S) - first / DAY_S + 1;
	const values = new Array(length).fill(0);
	for (const row of rows) {
		const at = Math.round((Date.parse(row.day) / 1000 - first) / DAY_S);
		if (at >= 0 && at < length)
			values[at] += of(row);
	}
	return values;
}

function colour(name) {
	return getComputedStyle(document.documentElement)
	    .getPropertyValue(`--${name}`).trim();
}

const dayText = new Intl.DateTimeFormat("en", { month: "short",
	day: "numeric", timeZone: "UTC" });

/**
 * Draws into an element; series: [{ label, values, colour, line }], bars one
 * upon the other in their order; format: a value as text; isWhole: there is
 * nothing between 0 and 1.
 */
export function chart(element, since, series, format, signal,
    isWhole = false) {
	const first = Date.parse(since) / 1000;
	const days = series[0].values.map((_, i) => first + i * DAY_S);
	// Bars lie upon each other: the sum is drawn first, its parts over it.
	const bars = series.filter(({ line }) => !line);
	const tops = bars.map((_, i) => days.map((_, day) =>
	    bars.slice(0, i + 1).reduce((sum, { values }) => sum + values[day],
		0)));
	const drawn = [...bars.map((one, i) => ({ ...one, top: tops[i] }))
	    .reverse(), ...series.filter(({ line }) => line)
	    .map((one) => ({ ...one, top: one.values }))];
	const legend = document.createElement("p");
	const plotted = document.createElement("div");

	const say = (at) => {
		legend.replaceChildren(...[at === null ? "" :
		    `${dayText.format(days[at] * 1000)}  `, ...series.flatMap(
		    (one) => {
			const key = document.createElement("i");
			key.style.background = colour(one.colour);
			const sum = one.values.reduce((a, b) => a + b, 0);
			return [key, `${one.label} ` +
			    format(at === null ? sum : one.values[at]) + "  "];
		})]);
	};
	const size = () => ({ width: Math.max(240, element.clientWidth),
		height: 180 });
	const axis = { stroke: colour("dim"), grid: { stroke: colour("line"),
		width: 1 }, ticks: { show: false }, font: "11px system-ui" };
	legend.className = "legend";
	element.replaceChildren(legend, plotted);
	const plot = new uPlot({
		...size(),
		padding: [8, 8, 0, 0],
		legend: { show: false },
		cursor: { y: false, drag: { setScale: false, x: false, y: false },
			points: { show: false } },
		tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "UTC"),
		scales: { x: { range: () => [first - DAY_S / 2,
			days.at(-1) + DAY_S / 2] },
			y: { range: (_, low, high) => [Math.min(0, low ?? 0),
				Math.max(high ?? 0, 1e-9) * 1.08] } },
		axes: [{ ...axis, grid: { show: false },
			values: (_, ticks) => ticks.map((s) =>
			    dayText.format(s * 1000)), space: 64, size: 28 },
		{ ...axis, size: 58, incrs: isWhole ? WHOLE : undefined,
			values: (_, ticks) => ticks.map(format) }],
		series: [{}, ...drawn.map((one) => ({
			stroke: colour(one.colour),
			fill: one.line ? undefined : colour(one.colour),
			width: one.line ? 2 : 0,
			points: { show: one.line && days.length < 3 },
			paths: one.line ? undefined :
			    uPlot.paths.bars({ size: [0.7, 48], radius: 0.15 }),
		}))],
		hooks: { setCursor: [({ cursor }) => say(cursor.idx ?? null)] },
	}, [days, ...drawn.map(({ top }) => top)], plotted);
	say(null);
	const watch = new ResizeObserver(() => plot.setSize(size()));
	watch.observe(element);
	signal.addEventListener("abort", () => {
		watch.disconnect();
		plot.destroy();
	});
}

// The expression box, and the answer as a table or a graph. The address holds what is shown, in
// the parameters that links to Prometheus's own page use.

import { ask } from "./api.js";
import { element, series } from "./dom.js";
import { drawGraph } from "./graph.js";

const UNITS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };
const MOST_SERIES = 200;
const MOST_ROWS = 1000;
const METRICS_OFFERED = 20000;

const $ = (id) => document.getElementById(id);
let running = null;
let timer = 0;
let tab = "table";

/** Brings the view to life. */
export function startQuery() {
  readAddress();
  $("query").addEventListener("submit", (event) => { event.preventDefault(); run(); });
  $("expression").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); run(); }
  });
  for (const name of ["table", "graph"]) $(`tab-${name}`).addEventListener("click", () => { choose(name); run(); });
  document.querySelector(".tabs").addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    choose(tab === "table" ? "graph" : "table");
    $(`tab-${tab}`).focus();
    run();
  });
  for (const id of ["time", "range", "end", "step", "from-zero", "again"]) $(id).addEventListener("change", run);
  $("metric").addEventListener("change", insertMetric);
  $("metric").addEventListener("focus", offerMetrics, { once: true });
  choose(tab);
  run();
}

function readAddress() {
  const address = new URLSearchParams(location.search);
  const get = (name) => address.get(`g0.${name}`);
  $("expression").value = get("expr") ?? "up";
  tab = ["1", "table"].includes(get("tab") ?? "table") ? "table" : "graph";
  const range = get("range_input");
  if (range) {
    if (![...$("range").options].some((option) => option.value === range)) $("range").append(element("option", {}, range));
    $("range").value = range;
  }
  if (get("step_input")) $("step").value = get("step_input");
  if (get("end_input")) $("end").value = get("end_input").replace(" ", "T");
}

function writeAddress() {
  const address = new URLSearchParams({ "g0.expr": $("expression").value, "g0.tab": tab });
  if (tab === "graph") address.set("g0.range_input", $("range").value);
  if (tab === "graph" && $("step").value) address.set("g0.step_input", $("step").value);
  if (tab === "graph" && $("end").value) address.set("g0.end_input", $("end").value.replace("T", " "));
  history.replaceState(null, "", `query?${address}`);
}

function choose(name) {
  tab = name;
  for (const each of ["table", "graph"]) {
    const chosen = each === name;
    $(`tab-${each}`).setAttribute("aria-selected", chosen);
    $(`tab-${each}`).tabIndex = chosen ? 0 : -1;
    $(`${each}-controls`).hidden = !chosen;
  }
  $("answer").setAttribute("aria-labelledby", `tab-${name}`);
}

async function run() {
  clearTimeout(timer);
  running?.abort();
  running = new AbortController();
  writeAddress();
  const begun = performance.now();
  $("cost").textContent = "…";
  try {
    const body = tab === "table" ? await askInstant(running.signal) : await askRange(running.signal);
    const took = Math.round(performance.now() - begun);
    const samples = body.stats?.samples?.totalQueryableSamples ?? 0;
    const count = Array.isArray(body.data.result) ? body.data.result.length : 0;
    $("cost").textContent = `${count} series, ${samples.toLocaleString()} samples, ${took} ms`;
    showNotes([...(body.warnings ?? []), ...(body.infos ?? [])]);
  } catch (error) {
    if (error.name === "AbortError") return;
    $("cost").textContent = "";
    $("answer").replaceChildren();
    showNotes([error.message], "error");
  }
  const seconds = Number($("again").value);
  if (seconds > 0) timer = setTimeout(run, seconds * 1000);
}

function showNotes(notes, kind = "") {
  $("notes").replaceChildren(...notes.map((note) => element("p", { class: `note ${kind}` }, note)));
}

async function askInstant(signal) {
  const parameters = { query: $("expression").value, stats: "true" };
  if ($("time").value) parameters.time = Date.parse($("time").value) / 1000;
  const body = await ask("query", parameters, signal);
  body.stats = body.data.stats;
  $("answer").replaceChildren(table(body.data));
  return body;
}

async function askRange(signal) {
  const end = $("end").value ? Date.parse($("end").value) / 1000 : Date.now() / 1000;
  const range = seconds($("range").value) ?? 3600;
  const step = seconds($("step").value) ?? Math.max(1, Math.round(range / 250));
  const parameters = { query: $("expression").value, start: end - range, end, step, stats: "true", limit: MOST_SERIES };
  const body = await ask("query_range", parameters, signal);
  body.stats = body.data.stats;
  const lines = body.data.result.filter((line) => line.values);
  const options = { start: end - range, end, step, fromZero: $("from-zero").checked };
  $("answer").replaceChildren(lines.length ? drawGraph(lines, options) : nothing(body.data.result.length));
  return body;
}

function nothing(histograms) {
  const text = histograms ? "Native histograms cannot be drawn; use histogram_quantile() or the table." : "No data.";
  return element("p", { class: "note" }, text);
}

/** `1h30m` or a number of seconds; null for anything else. */
function seconds(text) {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) || null;
  const parts = [...text.matchAll(/(\d+)([smhdwy])/g)];
  if (!parts.length || parts.map(([part]) => part).join("") !== text) return null;
  return parts.reduce((sum, [, amount, unit]) => sum + amount * UNITS[unit], 0);
}

function table(data) {
  if (data.resultType === "scalar" || data.resultType === "string") {
    return rows([[document.createTextNode(data.resultType), data.result[1]]]);
  }
  if (!data.result.length) return element("p", { class: "note" }, "No data.");
  const found = data.result.slice(0, MOST_ROWS).map((line) => [series(line.metric), valueOf(line)]);
  const rest = data.result.length - found.length;
  const more = rest > 0 ? [element("p", { class: "note" }, `${rest} more series are not shown.`)] : [];
  return element("div", {}, rows(found), ...more);
}

function valueOf(line) {
  if (line.value) return line.value[1];
  if (line.histogram) return histogramText(line.histogram[1]);
  const points = [...(line.values ?? []), ...(line.histograms ?? [])];
  return points.map(([time, value]) => `${value.count ? histogramText(value) : value} @${time}`).join("\n");
}

function histogramText({ count, sum, buckets = [] }) {
  const closed = { 0: ["(", "]"], 1: ["[", ")"], 2: ["(", ")"], 3: ["[", "]"] };
  const lines = buckets.map(([rule, low, high, number]) => `${closed[rule][0]}${low}, ${high}${closed[rule][1]}: ${number}`);
  return [`count ${count}, sum ${sum}`, ...lines].join("\n");
}

function rows(pairs) {
  const body = pairs.map(([name, value]) => element("tr", {},
    element("td", { class: "series" }, name),
    element("td", { class: "value" }, ...value.split("\n").flatMap((line, at) => at ? [element("br"), line] : [line]))));
  const head = element("tr", {}, element("th", { scope: "col" }, "Series"), element("th", { scope: "col", class: "value" }, "Value"));
  return element("div", { class: "scroll" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

async function offerMetrics() {
  try {
    const { data } = await ask("label/__name__/values", { limit: METRICS_OFFERED });
    $("metrics").replaceChildren(...data.map((value) => element("option", { value })));
  } catch { /* Finding metrics by name is a convenience: the box works without it. */ }
}

function insertMetric() {
  const box = $("expression");
  const plain = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test($("metric").value);
  const text = plain ? $("metric").value : `{${JSON.stringify($("metric").value)}}`;
  box.setRangeText(text, box.value === "up" ? 0 : box.selectionStart, box.value === "up" ? 2 : box.selectionEnd, "end");
  $("metric").value = "";
  box.focus();
}

// Targets, and facts about the server.

import { ask } from "./api.js";
import { element, series } from "./dom.js";

/** Targets by job, those that fail first. */
export async function showTargets(section) {
  await show(section, async () => {
    const { data } = await ask("targets");
    const pools = Map.groupBy
      ? Map.groupBy(data.activeTargets, (target) => target.scrapePool)
      : groupBy(data.activeTargets, (target) => target.scrapePool);
    if (!pools.size) return [element("p", { class: "note" }, "There are no targets.")];
    return [...pools].flatMap(([pool, targets]) => {
      const up = targets.filter((target) => target.health === "up").length;
      const title = element("h2", {}, `${pool} `, element("small", {}, `${up} of ${targets.length} up`));
      const order = { down: 0, unknown: 1, up: 2 };
      targets.sort((a, b) => order[a.health] - order[b.health]);
      return [title, table(["Endpoint", "State", "Labels", "Last scrape", "Took", "Error"], targets.map(targetRow))];
    });
  });
}

function groupBy(values, key) {
  const groups = new Map();
  for (const value of values) {
    if (!groups.has(key(value))) groups.set(key(value), []);
    groups.get(key(value)).push(value);
  }
  return groups;
}

function targetRow(target) {
  const never = target.lastScrape.startsWith("0001");
  return [
    element("a", { href: target.scrapeUrl, rel: "noreferrer" }, target.scrapeUrl),
    element("span", { class: `health-${target.health}` }, target.health),
    series(target.labels),
    never ? "never" : `${((Date.now() - Date.parse(target.lastScrape)) / 1000).toFixed(1)} s ago`,
    never ? "" : `${(target.lastScrapeDuration * 1000).toFixed(1)} ms`,
    target.lastError,
  ];
}

/** Build, process, store, flags, configuration. */
export async function showStatus(section) {
  await show(section, async () => {
    const pairs = async (title, path) => {
      const { data } = await ask(path);
      return [element("h2", {}, title), table(["Name", "Value"], Object.entries(data).map(([name, value]) => [name, String(value)]))];
    };
    const parts = [
      pairs("Build", "status/buildinfo"),
      pairs("Process", "status/runtimeinfo"),
      ask("status/tsdb").then(({ data }) => storeTables(data)),
      pairs("Flags", "status/flags"),
      ask("status/config").then(({ data }) => [element("h2", {}, "Configuration"), element("pre", { class: "scroll" }, data.yaml)]),
    ];
    const settled = await Promise.allSettled(parts);
    return settled.flatMap((part) => part.status === "fulfilled" ? part.value : [element("p", { class: "note error" }, part.reason.message)]);
  });
}

function storeTables(data) {
  const shown = (name, value) => name.endsWith("Time") && Math.abs(value) < 8.64e15 ? new Date(value).toLocaleString() : value.toLocaleString();
  const head = Object.entries(data.headStats).map(([name, value]) => [name, shown(name, value)]);
  const list = (title, counts) => [
    element("h2", {}, title),
    table(["Name", "Count"], counts.map(({ name, value }) => [element("code", {}, name), value.toLocaleString()])),
  ];
  return [
    element("h2", {}, "Head"),
    table(["Name", "Value"], head),
    ...list("Series by metric", data.seriesCountByMetricName),
    ...list("Values by label", data.labelValueCountByLabelName),
    ...list("Series by label and value", data.seriesCountByLabelValuePair),
  ];
}

async function show(section, make) {
  try {
    section.replaceChildren(...await make());
  } catch (error) {
    section.replaceChildren(element("p", { class: "note error" }, error.message));
  }
}

function table(names, rows) {
  const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell ?? ""))));
  return element("div", { class: "scroll" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

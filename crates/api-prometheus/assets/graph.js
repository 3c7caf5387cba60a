// Lines over time as SVG, with a cursor that reads the values off.

import { element, series, svg } from "./dom.js";

const [WIDTH, HEIGHT] = [960, 360];
const PAD = { left: 64, right: 12, top: 12, bottom: 26 };
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 1209600, 2419200];

/** Draws the lines of a matrix. `options`: start, end and step in seconds, and fromZero. */
export function drawGraph(lines, options) {
  const plots = lines.map((line, at) => ({
    line,
    color: color(at),
    points: line.values.map(([time, value]) => [time, Number(value)]).filter(([, value]) => Number.isFinite(value)),
  }));
  const scale = scales(plots, options);
  const picture = svg("svg", { class: "graph", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${lines.length} series over time` });
  picture.append(...axes(scale, options));
  for (const plot of plots) {
    plot.shape = shape(plot, scale, options.step);
    picture.append(plot.shape);
  }
  const legend = element("ul", { class: "legend" }, ...plots.map((plot) => entry(plot, plots)));
  follow(picture, plots, scale);
  return element("figure", {}, picture, element("figcaption", {}, legend));
}

/** Neighbours on the list lie far apart on the circle of colours. */
function color(at) {
  return `oklch(64% 0.15 ${Math.round((at * 137.508 + 40) % 360)})`;
}

function scales(plots, { start, end, fromZero }) {
  let [low, high] = [fromZero ? 0 : Infinity, fromZero ? 0 : -Infinity];
  for (const { points } of plots) {
    for (const [, value] of points) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) [low, high] = [0, 1];
  const margin = high > low ? (high - low) * 0.05 : Math.abs(high) * 0.1 || 1;
  [low, high] = [low === 0 ? 0 : low - margin, high + margin];
  const inner = { width: WIDTH - PAD.left - PAD.right, height: HEIGHT - PAD.top - PAD.bottom };
  return {
    low, high, start, end,
    x: (time) => PAD.left + ((time - start) / (end - start)) * inner.width,
    y: (value) => PAD.top + (1 - (value - low) / (high - low)) * inner.height,
    time: (x) => start + ((x - PAD.left) / inner.width) * (end - start),
  };
}

function axes(scale, { start, end }) {
  const parts = [];
  for (const value of ticks(scale.low, scale.high)) {
    const y = scale.y(value);
    parts.push(svg("line", { class: "grid", x1: PAD.left, x2: WIDTH - PAD.right, y1: y, y2: y }));
    parts.push(svg("text", { class: "tick", x: PAD.left - 6, y: y + 4, "text-anchor": "end" }, short(value)));
  }
  const step = STEPS.find((step) => (end - start) / step <= 8) ?? STEPS.at(-1);
  const offset = new Date(end * 1000).getTimezoneOffset() * 60;
  for (let time = Math.ceil((start - offset) / step) * step + offset; time <= end; time += step) {
    const x = scale.x(time);
    parts.push(svg("line", { class: "grid", x1: x, x2: x, y1: PAD.top, y2: HEIGHT - PAD.bottom }));
    parts.push(svg("text", { class: "tick", x, y: HEIGHT - 8, "text-anchor": "middle" }, clock(time, step)));
  }
  return parts;
}

/** Some five round numbers. */
function ticks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const distance = (step) => Math.abs(Math.log(step / rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).reduce((a, b) => (distance(b) < distance(a) ? b : a));
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high && found.length < 20; at += 1) found.push(at * step);
  return found;
}

function short(value) {
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-3 || magnitude >= 1e15)) return value.toExponential(1);
  return new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 }).format(value);
}

function clock(time, step) {
  const date = new Date(time * 1000);
  if (step >= 86400) return date.toLocaleDateString([], { month: "short", day: "numeric" });
  const seconds = step < 60 ? { second: "2-digit" } : {};
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...seconds });
}

/** A line that breaks where samples are missing; a point that stands alone is a dot. */
function shape({ points, color }, scale, step) {
  const group = svg("g", {});
  let run = [];
  const flush = () => {
    if (run.length === 1) {
      group.append(svg("circle", { class: "dot", cx: scale.x(run[0][0]), cy: scale.y(run[0][1]), r: 2, fill: color }));
    } else if (run.length) {
      const path = run.map(([time, value], at) => `${at ? "L" : "M"}${scale.x(time).toFixed(1)} ${scale.y(value).toFixed(1)}`).join("");
      group.append(svg("path", { class: "plot", d: path, stroke: color }));
    }
    run = [];
  };
  for (const point of points) {
    if (run.length && point[0] - run.at(-1)[0] > step * 1.5) flush();
    run.push(point);
  }
  flush();
  return group;
}

function entry(plot, plots) {
  const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.background = plot.color;
  plot.at = element("span", { class: "at" }, last(plot));
  const button = element("button", { type: "button", "aria-pressed": "true" }, swatch, series(plot.line.metric), plot.at);
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", shown);
    plot.shape.style.display = shown ? "" : "none";
  });
  const single = (on) => plots.forEach((other) => other.shape.classList.toggle("faded", on && other !== plot));
  for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => single(true));
  for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => single(false));
  return element("li", {}, button);
}

function last({ line }) {
  return line.values.at(-1)?.[1] ?? "";
}

/** The cursor: values at its time stand in the legend. */
function follow(picture, plots, scale) {
  const cursor = svg("line", { class: "cursor", y1: PAD.top, y2: HEIGHT - PAD.bottom, visibility: "hidden" });
  picture.append(cursor);
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const time = scale.time(x);
    const inside = time >= scale.start && time <= scale.end;
    cursor.setAttribute("visibility", inside ? "visible" : "hidden");
    if (!inside) return;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    for (const plot of plots) plot.at.textContent = nearest(plot.line.values, time);
  });
  picture.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    for (const plot of plots) plot.at.textContent = last(plot);
  });
}

function nearest(values, time) {
  let [low, high] = [0, values.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle][0] <= time) low = middle;
    else high = middle;
  }
  const [a, b] = [values[low], values[high]];
  const [at, value] = Math.abs(a[0] - time) <= Math.abs(b[0] - time) ? a : b;
  return `${value} at ${new Date(at * 1000).toLocaleTimeString()}`;
}

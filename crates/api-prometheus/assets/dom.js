// Elements made of text: nothing that the server says is ever read as HTML.

/** Makes an element with attributes and children; `on…` attributes are listeners. */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/** A label set, with the metric's name before the braces. */
export function series(labels) {
  const { __name__: name = "", ...rest } = labels;
  const pairs = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const braces = pairs.length || !name ? `{${pairs.join(", ")}}` : "";
  return element("span", { class: "series" }, element("span", { class: "name" }, name), braces);
}

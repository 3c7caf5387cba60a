// Shows the view that the path names, and whether the server is ready.

import { element } from "./dom.js";
import { startQuery } from "./query.js";
import { showStatus, showTargets } from "./lists.js";

const views = { query: startQuery, targets: showTargets, status: showStatus };

const name = location.pathname.split("/").pop();
const view = views[name] ? name : "query";
for (const link of document.querySelectorAll("nav a")) {
  if (link.getAttribute("href") === view) link.setAttribute("aria-current", "page");
}
const section = document.getElementById(`view-${view}`);
section.hidden = false;
views[view](section);

try {
  const answer = await fetch("-/ready");
  document.getElementById("state").textContent = answer.ok ? "ready" : "starting…";
} catch {
  document.getElementById("main").prepend(element("p", { class: "note error" }, "The server does not answer."));
}

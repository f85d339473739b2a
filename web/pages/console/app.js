// The console: who is let in, which part is shown, and the readings that all parts share.

import { Api } from "./api.js";
import { Catalog } from "./catalog.js";
import { DeadLetters } from "./dead.js";
import { make } from "./dom.js";
import { Readings } from "./figures.js";
import { Lists } from "./lists.js";
import { Model } from "./model.js";
import { Overview } from "./overview.js";
import { retell } from "./parts.js";
import { Rules } from "./rules.js";
import { Users } from "./users.js";

const EVERY_MS = 2_000;
const HEALTH_EVERY = 3; // readings
const PARTS = { overview: Overview, model: Model, lists: Lists, users: Users, rules: Rules, catalog: Catalog, dead: DeadLetters };
const NAMES = { overview: "Overview", model: "Model", lists: "Lists", users: "Users", rules: "Rules", catalog: "Catalog", dead: "Dead letters" };

const id = (name) => document.getElementById(name);
const api = new Api();
const readings = new Readings();
let parts = null; // one of each, from the first look until whoever looks leaves
let turn = 0;
let waiting = null;

api.refused = () => leave("The server does not take this key.");

id("ways").append(make("ul", {}, ...Object.entries(NAMES).map(([name, text]) => make("li", {}, make("a", { href: `#${name}`, text })))));
id("sign").addEventListener("submit", async (event) => {
  event.preventDefault();
  api.use(id("key").value.trim());
  id("wrong").textContent = "";
  try {
    await api.get("/v1/console");
    enter();
    id("main").focus();
  } catch (error) {
    if (error.status !== 401) leave(error.message);
  }
});
id("leave").addEventListener("click", () => leave(""));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names a part, not a place on the page
  id("main").focus();
});
addEventListener("hashchange", () => {
  if (parts) route(true);
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && parts) look();
});

function enter() {
  id("key").value = "";
  for (const name of ["ways", "leave"]) id(name).hidden = false;
  id("sign").hidden = true;
  parts = Object.fromEntries(Object.entries(PARTS).map(([name, Part]) => [name, new Part({ api, readings })]));
  id("view").replaceChildren(...Object.entries(parts).map(([name, { element }]) => {
    element.id = `part-${name}`;
    element.hidden = true;
    return element;
  }));
  route(false);
  look();
}

function leave(words) {
  api.forget();
  clearTimeout(waiting);
  parts = null;
  id("view").replaceChildren();
  for (const name of ["ways", "leave", "health"]) id(name).hidden = true;
  id("sign").hidden = false;
  id("wrong").textContent = words;
  id("key").focus();
}

/** What the address names: #users/u1 is the part and what it is to show. */
function route(moved) {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const chosen = Object.hasOwn(parts, name) ? name : "overview";
  for (const link of id("ways").querySelectorAll("a")) {
    const here = link.hash === `#${chosen}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (here) link.scrollIntoView({ block: "nearest", inline: "center" }); // the edge is faded
  }
  for (const [each, { element }] of Object.entries(parts)) element.hidden = each !== chosen;
  document.title = `${NAMES[chosen]} · Shunxi console`;
  if (moved) {
    scrollTo(0, 0);
    id("main").focus({ preventScroll: true });
  }
  parts[chosen].open(rest.map(decodeURIComponent).join("/"));
}

/** One reading, and the next one after it. A hidden page does not ask. */
async function look() {
  clearTimeout(waiting);
  const mine = parts;
  try {
    const reading = await api.get("/v1/console");
    if (parts !== mine || !parts) return;
    readings.add(reading);
    for (const part of Object.values(parts)) part.read?.(reading);
    retell(id("view"), reading.at);
    if (turn++ % HEALTH_EVERY === 0) health(await api.get("/health/ready"));
  } catch (error) {
    if (parts !== mine || !parts) return;
    health({ status: "away", checks: { console: error.message } });
  }
  if (parts === mine && !document.hidden) waiting = setTimeout(look, EVERY_MS);
}

function health({ status, checks = {} }) {
  const wrong = Object.entries(checks).filter(([, said]) => said !== "ok");
  id("health").hidden = false;
  id("health").dataset.state = status === "ready" ? "ready" : "wrong";
  const words = status === "ready" ? "All parts answer" : wrong.map(([name, said]) => (name === "console" ? said : `${name}: ${said}`)).join(" · ");
  if (id("health-words").textContent !== words) id("health-words").textContent = words;
}

if (api.known) enter();
else {
  id("sign").hidden = false;
  id("key").focus();
}

// The shop: one connection for all of its pages, and the view that the address asks for.

import { again, askUntil } from "./ask.js";
import { Cart, cartView } from "./cart.js";
import { make } from "./dom.js";
import { feedView, isStory, storyView } from "./feed.js";
import { departmentView, home, nowhere, nowhereView } from "./home.js";
import { Panel } from "./panel.js";
import { productView } from "./product.js";
import { routing } from "./router.js";
import { searchField, searchView } from "./search.js";
import { acts, client, kindOf, leaving, noteTitle, render, titleOf, who } from "./start.js";

const byId = (id) => document.getElementById(id);
const departments = askUntil(client, "/demo/categories");

const cart = new Cart(client);
const front = home({ lead: byId("lead"), beside: byId("beside") });
byId("for-you").addEventListener("shunxi-slate", ({ detail }) => front.arrived(detail));
if (byId("for-you").slate) front.arrived(byId("for-you").slate); // it was faster than this script
new Panel(byId("panel"), { who, client, titleOf, kindOf, told: front.told, renewed: () => { cart.empty(); front.reset(); patient(); go("/"); } });
cart.addEventListener("change", count);
count();

/** A live list as tiles: attributes of <shunxi-list>, which of its items, how many of those. */
function list(attributes, pick, most = Infinity) {
  const tiles = make("shunxi-list", { className: "tiles", ...attributes });
  tiles.render = render;
  if (pick) tiles.pick = (item, _, items) => pick(item) && items.filter(pick).indexOf(item) < most;
  return tiles;
}

/** The page of an item: a product, or something to read or to watch. */
async function itemView(view) {
  const item = await who.get(`/v1/items/${encodeURIComponent(view.argument)}`);
  return (isStory(item) ? storyView : productView)({ ...view, item });
}

const VIEWS = { product: itemView, read: itemView, feed: feedView, department: departmentView, cart: cartView, search: searchView, nowhere: nowhereView };
const UNSEEN = { seen: false }; // how a view ends that was never shown: nobody has looked at anything
let [ended, turn] = [() => {}, 0];

async function show(route, back = false) {
  const mine = (turn += 1);
  const make_ = VIEWS[route.name];
  const open = () => make_({ ...route, back, who, client, cart, list, acts, leaving, noteTitle, visited: front.visited, go: (...where) => go(...where) });
  let made = { title: "", nodes: [] };
  try {
    if (make_) made = await open();
  } catch (error) {
    made = error.temporary ? away(open, () => mine === turn, (found) => mount(found, route, true)) : nowhere("Not here", error.message);
  }
  if (mine !== turn) return made.end?.(UNSEEN); // somewhere else was gone to meanwhile
  mount(made, route, back);
  await made.ready;
}

function mount(made, route, back) {
  const [main, view] = [byId("home"), byId("view")];
  const other = Boolean(VIEWS[route.name]);
  ended();
  ended = made.end ?? (() => {});
  byId("search").elements.q.value = route.name === "search" ? (route.query.get("q") ?? "") : "";
  main.hidden = other;
  view.hidden = !other;
  view.replaceChildren(...made.nodes);
  document.title = [made.title, "Shunxi Shop"].filter(Boolean).join(" – ");
  markDepartment();
  if (!back) (other ? view : main).querySelector("h1")?.focus({ preventScroll: true });
}

/** Instead of a view that cannot be had right now: it is opened as soon as it can be. */
function away(open, wanted, mount_) {
  let asking = false;
  const retry = async () => {
    if (asking) return;
    asking = true;
    try {
      const found = await open();
      if (wanted()) mount_(found);
      else found.end?.(UNSEEN);
    } catch (error) {
      if (!error.temporary && wanted()) mount_(nowhere("Not here", error.message));
    }
    asking = false;
  };
  const heading = make("h1", { tabindex: "-1", text: "Back in a moment" });
  const lead = make("p", { className: "lead", text: "The shop cannot be reached right now. It is tried again by itself." });
  const button = make("button", { type: "button", className: "plain more", text: "Try again", on: { click: retry } });
  return { title: heading.textContent, nodes: [heading, lead, button], end: again(client, retry) };
}

function markDepartment() {
  const row = byId("departments");
  for (const link of [byId("feed-link"), ...row.children]) {
    const here = link.pathname === location.pathname;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (here && row.contains(link)) row.scrollLeft = link.offsetLeft - (row.clientWidth - link.offsetWidth) / 2; // where it does not fit
  }
}

function count() {
  byId("cart-count").textContent = String(cart.count);
  byId("cart-link").setAttribute("aria-label", `Cart, ${cart.count} ${cart.count === 1 ? "product" : "products"}`);
}

document.addEventListener("click", ({ target }) => {
  for (const why of document.querySelectorAll("details[open]")) if (!why.contains(target)) why.open = false;
});
addEventListener("keydown", ({ key }) => {
  const why = key === "Escape" ? document.querySelector("details[open]") : null;
  if (!why?.contains(document.activeElement)) return;
  why.open = false;
  why.querySelector("summary").focus();
});
// A list that does not come although the page is there: said after a while.
const PATIENCE_MS = 3_000;
let impatient = 0;
client.addEventListener("slate", calm);
function calm() {
  clearTimeout(impatient);
  byId("away").textContent = "";
}
function patient() {
  calm();
  impatient = setTimeout(() => (byId("away").textContent = "Lists come back in a moment."), PATIENCE_MS);
}
if (!byId("for-you").slate) patient();

const go = routing(show);

const { categories, search, generated, reading } = await departments;
byId("feed-link").hidden = !reading;
if (reading) byId("departments").append(make("a", { href: "/feed", className: "apart", text: "Read and watch" }));
byId("departments").append(...categories.map(({ name }) => make("a", { href: `/department/${encodeURIComponent(name)}`, text: name })));
byId("generated").hidden = !generated;
markDepartment(); // the page may have been there first
if (search) searchField(byId("search"), { client, go });
else byId("search").hidden = true;
byId("search").classList.remove("waiting");

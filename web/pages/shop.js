// The shop: one connection for all of its pages, and the view that the address asks for.

import { defineList, Shunxi } from "/shunxi.js";
import { Cart, cartView } from "./cart.js";
import { tilesOf } from "./card.js";
import { make } from "./dom.js";
import { departmentView, home, nowhereView } from "./home.js";
import { Panel } from "./panel.js";
import { productView } from "./product.js";
import { routing } from "./router.js";
import { searchField, searchView } from "./search.js";
import { Who } from "./who.js";

const byId = (id) => document.getElementById(id);
const titles = new Map();
const noteTitle = (id, title) => title && titles.set(id, title);
const titleOf = (id) => titles.get(id);

const who = new Who("shop", { fresh: true });
const client = new Shunxi({ token: () => who.token(), key: "shunxi.shop" });
client.addEventListener("slate", ({ detail }) => detail.items.forEach(({ item_id: id, item }) => noteTitle(id, item?.title)));
defineList(client);

const cart = new Cart(client);
const front = home({ lead: byId("lead"), beside: byId("beside") });
const hide = (item, { currentTarget }) => client.act("not_interested", currentTarget.closest("shunxi-list").slate, item.item_id);
const render = tilesOf({ hide, titleOf });
for (const tiles of document.querySelectorAll("shunxi-list.tiles")) tiles.render = render;
byId("for-you").addEventListener("shunxi-slate", ({ detail }) => front.arrived(detail));
new Panel(byId("panel"), { who, client, titleOf, renewed: () => { cart.empty(); front.reset(); go("/"); } });
cart.addEventListener("change", count);
count();

/** A live list as tiles: attributes of <shunxi-list>, which of its items, how many of those. */
function list(attributes, pick, most = Infinity) {
  const tiles = make("shunxi-list", { className: "tiles", ...attributes });
  tiles.render = render;
  if (pick) tiles.pick = (item, _, items) => pick(item) && items.filter(pick).indexOf(item) < most;
  return tiles;
}

const VIEWS = { product: productView, department: departmentView, cart: cartView, search: searchView, nowhere: nowhereView };
let [ended, turn, department] = [() => {}, 0, ""];

async function show(route, back = false) {
  const mine = (turn += 1);
  const [main, view] = [byId("home"), byId("view")];
  const make_ = VIEWS[route.name];
  let made = { title: "", nodes: [], end: undefined };
  if (make_) {
    try {
      made = await make_({ ...route, back, who, client, cart, list, noteTitle, visited: front.visited });
    } catch (error) {
      made = { title: "Not here", nodes: [make("h1", { tabindex: "-1", text: "Not here" }), make("p", { className: "lead", text: error.message })] };
    }
    if (mine !== turn) return made.end?.(); // somewhere else was gone to meanwhile
  }
  ended();
  ended = made.end ?? (() => {});
  byId("search").elements.q.value = route.name === "search" ? (route.query.get("q") ?? "") : "";
  main.hidden = Boolean(make_);
  view.hidden = !make_;
  view.replaceChildren(...made.nodes);
  document.title = [made.title, "Shunxi Shop"].filter(Boolean).join(" – ");
  department = route.name === "department" ? route.argument : "";
  markDepartment();
  if (!back) (make_ ? view : main).querySelector("h1")?.focus({ preventScroll: true });
}

function markDepartment() {
  for (const link of byId("departments").children) {
    if (link.textContent === department) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function count() {
  byId("cart-count").textContent = String(cart.count);
  byId("cart-link").setAttribute("aria-label", `Cart, ${cart.count} ${cart.count === 1 ? "product" : "products"}`);
}

document.addEventListener("click", ({ target }) => {
  for (const why of document.querySelectorAll("details[open]")) if (!why.contains(target)) why.open = false;
});
const go = routing(show);
client.start();

const response = await fetch("/demo/categories");
const { categories, search } = response.ok ? await response.json() : { categories: [], search: false };
byId("departments").append(...categories.map(({ name }) => make("a", { href: `/department/${encodeURIComponent(name)}`, text: name })));
markDepartment(); // the page may have been there first
if (search) searchField(byId("search"), { client, go });

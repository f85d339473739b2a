// The first page: lists that follow the shopper. And departments, which follow nobody.

import { money } from "/shunxi.js";
import { ask } from "./ask.js";
import { pathOf, picture } from "./card.js";
import { make } from "./dom.js";
import { composition } from "./words.js";

const SHELF = 24;

/** Bring the home page to life; gives what is to be called when a product was looked at, and for somebody new. */
export function home({ lead, beside }) {
  const [what, list] = [beside.querySelector("a"), beside.querySelector("shunxi-list")];
  const first = lead.textContent;
  let [begun, moved] = [false, 0]; // what was there when the page came has followed nobody before their eyes
  return {
    visited(card) {
      what.textContent = card.title;
      what.href = pathOf(card.item_id);
      list.setAttribute("item-id", card.item_id);
      beside.hidden = false;
    },
    /** What the server keeps of the shopper: whether the list is everybody's still. */
    told({ events, consent }) {
      if (moved === 0) lead.textContent = events && consent !== "denied" ? "This list is yours: it follows what you did here." : first;
    },
    arrived(slate) {
      const here = begun;
      begun = true;
      if (!here || slate.cause?.kind !== "event") return;
      moved += 1;
      const [most] = composition(slate.items);
      const picked = slate.items.filter(({ item }) => !item?.sponsored).length;
      const times = moved === 1 ? "once" : `${moved} times`;
      if (most) lead.textContent = `Your list has followed you ${times}. ${most[1]} of ${picked} are ${most[0]} now.`;
    },
    reset() {
      [begun, moved] = [false, 0];
      lead.textContent = first;
      beside.hidden = true;
      list.removeAttribute("item-id");
    },
  };
}

export async function departmentView({ argument: name, noteTitle }) {
  const shelf = make("ul");
  const more = make("button", { type: "button", className: "plain more", text: "Show more", on: { click: add } });
  const told = make("p", { className: "note told", role: "status" });
  let total = await load();
  if (!shelf.children.length) return nowhere(`There is no department “${name}”`, "Above are those that there are.");
  const lead = make("p", { className: "lead", text: "A plain shelf, the same for everybody. Open something, and your own list follows." });
  return { title: name, nodes: [make("h1", { tabindex: "-1", text: name }), lead, make("div", { className: "tiles" }, shelf), told, more] };

  async function load() {
    const at = shelf.children.length;
    const { items, total } = await ask(`/demo/items?${new URLSearchParams({ category: name, limit: SHELF, offset: at })}`);
    shelf.append(...items.map(tile));
    for (const { item_id: id, title } of items) noteTitle(id, title);
    more.hidden = !items.length || shelf.children.length >= total;
    return total;
  }

  async function add() {
    if (more.ariaDisabled) return;
    more.ariaDisabled = "true"; // not disabled, which would lose the focus
    const at = shelf.children.length;
    try {
      total = await load();
      told.textContent = `${shelf.children.length} of ${total} products.`;
      if (more.hidden) shelf.children[at]?.querySelector("a").focus();
    } catch (error) {
      told.textContent = error.temporary ? "That did not come. Try again in a moment." : error.message;
    }
    more.ariaDisabled = null;
  }
}

function tile(card) {
  return make(
    "li",
    {},
    make(
      "a",
      { href: pathOf(card.item_id), className: "tile open" },
      make("span", { className: "frame" }, picture(card, 240)),
      make("span", { className: "brand", text: card.brand ?? "" }),
      make("span", { className: "title", text: card.title }),
      make("span", { className: "price", text: money(card.price, card.currency) }),
    ),
  );
}

/** The page of an address that is none of the shop's. */
export function nowhereView() {
  return nowhere("There is no such page", "The address may be misspelt, or the page is gone.");
}

export function nowhere(title, text) {
  const way = make("a", { href: "/", text: "Go to the first page" });
  return { title, nodes: [make("h1", { tabindex: "-1", text: title }), make("p", { className: "lead" }, `${text} `, way, ".")] };
}

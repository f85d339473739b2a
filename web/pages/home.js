// The first page: lists that follow the shopper. And departments, which follow nobody.

import { money } from "/shunxi.js";
import { pathOf, picture } from "./card.js";
import { make } from "./dom.js";
import { composition } from "./words.js";

const SHELF = 24;

/** Bring the home page to life; gives what is to be called when a product was looked at, and for somebody new. */
export function home({ lead, beside }) {
  const [what, list] = [beside.querySelector("a"), beside.querySelector("shunxi-list")];
  const first = lead.textContent;
  let moved = 0;
  return {
    visited(card) {
      what.textContent = card.title;
      what.href = pathOf(card.item_id);
      list.setAttribute("item-id", card.item_id);
      beside.hidden = false;
    },
    arrived(slate) {
      if (slate.cause?.kind !== "event") return;
      moved += 1;
      const [most] = composition(slate.items);
      const times = moved === 1 ? "once" : `${moved} times`;
      lead.textContent = most ? `Your list has followed you ${times}. ${most[1]} of ${slate.items.length} are ${most[0]} now.` : first;
    },
    reset() {
      moved = 0;
      lead.textContent = first;
      beside.hidden = true;
      list.removeAttribute("item-id");
    },
  };
}

export async function departmentView({ argument: name, noteTitle }) {
  const query = new URLSearchParams({ category: name, limit: SHELF });
  const response = await fetch(`/demo/items?${query}`);
  const { items = [], error } = await response.json();
  if (response.ok && !items.length) return nowhere(`There is no department “${name}”`, "Above are those that there are.");
  const tiles = items.map((card) => {
    noteTitle(card.item_id, card.title);
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
  });
  const lead = error?.message ?? "A plain shelf, the same for everybody. Open something, and your own list follows.";
  const nodes = [make("h1", { tabindex: "-1", text: name }), make("p", { className: "lead", text: lead }), make("div", { className: "tiles" }, make("ul", {}, ...tiles))];
  return { title: name, nodes };
}

/** The page of an address that is none of the shop's. */
export function nowhereView() {
  return nowhere("There is no such page", "The address may be misspelt, or the page is gone.");
}

function nowhere(title, text) {
  const way = make("a", { href: "/", text: "Go to the first page" });
  return { title, nodes: [make("h1", { tabindex: "-1", text: title }), make("p", { className: "lead" }, `${text} `, way, ".")] };
}

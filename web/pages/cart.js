// The cart: what lies in it stays in this browser, for all of its tabs; each change is an event.

import { money } from "/shunxi.js";
import { pathOf, picture } from "./card.js";
import { make } from "./dom.js";

const KEY = "shunxi.shop.cart";

export class Cart extends EventTarget {
  #client; #lines = new Map(); #alone = false;

  constructor(client) {
    super();
    this.#client = client;
    this.#look();
    addEventListener("storage", ({ key }) => {
      if (key !== KEY) return;
      this.#look();
      this.dispatchEvent(new Event("change"));
    });
  }

  get count() { return [...this.#lines.values()].reduce((sum, { quantity }) => sum + quantity, 0); }
  get lines() { return [...this.#lines.values()]; }
  get total() { return Math.round(100 * this.lines.reduce((sum, { card, quantity }) => sum + (card.price ?? 0) * quantity, 0)) / 100; }
  has(id) { return this.#lines.has(id); }

  /** `card`: item_id and what a slate says of the item. */
  add(card) {
    this.#look();
    const line = this.#lines.get(card.item_id) ?? { card, quantity: 0 };
    line.quantity += 1;
    this.#lines.set(card.item_id, line);
    this.#client.track("add_to_cart", { items: [goods(card, 1)], ...currencyOf(card) });
    this.#changed();
  }

  remove(id) {
    this.#look();
    const line = this.#lines.get(id);
    this.#lines.delete(id);
    if (line) this.#client.track("remove_from_cart", { items: [goods(line.card, line.quantity)] }); // else another tab did
    this.#changed();
  }

  /** The lines that were bought; none if another tab has emptied the cart. */
  buy() {
    this.#look();
    const lines = this.lines;
    if (lines.length) this.#client.track("purchase", {
      items: lines.map(({ card, quantity }) => goods(card, quantity)), transaction_id: crypto.randomUUID(), value: this.total,
      ...currencyOf(lines[0].card),
    });
    this.empty();
    return lines;
  }

  empty() {
    this.#lines.clear();
    this.#changed();
  }

  /** What another tab has made of it. */
  #look() {
    if (!this.#alone) this.#lines = new Map(read() ?? this.#lines);
  }

  #changed() {
    try {
      localStorage.setItem(KEY, JSON.stringify([...this.#lines]));
    } catch {
      this.#alone = true; // a browser may keep nothing: then the cart lasts as long as the page
    }
    this.dispatchEvent(new Event("change"));
  }
}

/** The page of the cart. */
export function cartView({ cart, list }) {
  const lines = make("ul", { className: "cart-lines" });
  const sum = make("p", { className: "sum" });
  const buy = make("button", { type: "button", className: "main", text: "Buy", on: { click: bought } });
  const empty = make("p", { className: "lead", text: "Nothing in it yet." });
  const done = make("p", { className: "lead thanks", role: "status" });
  const heading = make("h1", { tabindex: "-1", text: "Your cart" });
  const till = make("div", { className: "till" }, sum, buy);
  const also = make("h2");
  const live = list({ placement: "cart", n: "4" });
  const after = make("section", {}, also, live);
  live.addEventListener("shunxi-slate", name);
  draw();
  cart.addEventListener("change", draw);
  return { title: "Cart", nodes: [heading, done, empty, lines, till, after], end: () => cart.removeEventListener("change", draw) };

  function draw() {
    const focused = lines.contains(document.activeElement);
    lines.replaceChildren(...cart.lines.map(lineOf));
    const none = cart.lines.length === 0;
    empty.hidden = !none || done.textContent !== "";
    till.hidden = none;
    name();
    sum.textContent = none ? "" : `Together ${money(cart.total, cart.lines[0].card.currency)}`;
    if (focused) (lines.querySelector("button") ?? heading).focus();
  }

  /** What the list is, by its reasons: what is like the cart's things does not go with them. */
  function name() {
    const goes = live.slate?.items.length && live.slate.items.every(({ reason }) => reason?.kind === "goes_with");
    also.textContent = cart.lines.length === 0 ? "For you" : goes ? "Goes with your cart" : "You may also like";
  }

  function lineOf({ card, quantity }) {
    return make(
      "li",
      {},
      picture(card, 64),
      make("a", { href: pathOf(card.item_id), text: card.title ?? card.item_id }),
      make("span", { className: "times", text: quantity > 1 ? `${quantity} ×` : "" }),
      make("span", { className: "price", text: money(card.price, card.currency) }),
      make("button", { type: "button", className: "plain", text: "Remove", "aria-label": `Remove ${card.title ?? card.item_id}`, on: { click: () => cart.remove(card.item_id) } }),
    );
  }

  function bought() {
    const count = cart.buy().reduce((sum, { quantity }) => sum + quantity, 0);
    if (count) done.textContent = `Bought ${count} ${count === 1 ? "product" : "products"}. Nothing was charged: this is a demo. They have left your lists.`;
    draw();
    heading.focus();
  }
}

function goods(card, quantity) {
  return { item_id: card.item_id, quantity, ...(typeof card.price === "number" ? { price: card.price } : {}) };
}

const currencyOf = (card) => (card.currency ? { currency: card.currency } : {});

/** The kept lines, [[id, {card, quantity}]]; null where there are none of ours. */
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(kept) ? kept.filter((line) => line?.[1]?.card?.item_id && line[1].quantity > 0) : null;
  } catch {
    return null;
  }
}

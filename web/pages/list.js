// The list: one element a product, kept as long as it is listed, so that a move is a move on the screen too (FLIP:
// First, Last, Invert, Play). Focus stays on the product that had it.

import { calm, make } from "./dom.js";
import { moveText, price, reasonText } from "./words.js";

const MOVE = { duration: 520, easing: "cubic-bezier(.2,.8,.2,1)" };
const COME = { duration: 380, easing: "ease-out" };
const TOGETHER_MS = 1_200; // lists that follow each other faster than this are one change to the eye

export class LiveList {
  #list; #acts; #titleOf; #rows = new Map(); #ranks = new Map(); #base = new Map(); #shownAt = 0;
  #impressions;

  /** `acts`: {open, cart, hide}, each called with (slate item, index). */
  constructor(list, { acts, titleOf, impressions }) {
    this.#list = list;
    this.#acts = acts;
    this.#titleOf = titleOf;
    this.#impressions = impressions;
  }

  show(items) {
    const focused = this.#focused();
    const before = new Map([...this.#rows].map(([id, row]) => [id, row.element.getBoundingClientRect()]));
    const first = this.#rows.size === 0;
    const now = performance.now();
    if (now - this.#shownAt > TOGETHER_MS) this.#base = this.#ranks;
    this.#shownAt = now;
    const listed = new Set(items.map((item) => item.item_id));
    for (const [id, row] of this.#rows) {
      if (listed.has(id)) continue;
      this.#impressions.forget(row.element);
      row.element.remove();
      this.#rows.delete(id);
    }
    items.forEach((item, index) => this.#place(item, index, first));
    this.#ranks = new Map(items.map((item, index) => [item.item_id, index]));
    if (first) this.#base = this.#ranks;
    this.#refocus(focused);
    if (!calm()) this.#play(before, first);
  }

  reset() {
    this.#rows.clear();
    this.#ranks = new Map();
    this.#shownAt = 0;
    this.#list.replaceChildren();
  }

  /** Show which products lie in the cart. */
  mark(cart) {
    for (const [id, row] of this.#rows) {
      row.cart.textContent = cart.has(id) ? "In cart" : "+ Cart";
      row.cart.setAttribute("aria-label", `${cart.has(id) ? "In cart" : "Add to cart"}: ${row.title}`);
      row.cart.disabled = cart.has(id);
    }
  }

  #place(item, index, first) {
    const known = this.#rows.get(item.item_id);
    const row = known ?? this.#row(item);
    row.item = item;
    row.index = index;
    row.rank.textContent = String(index + 1);
    row.reason.textContent = reasonText(item.reason, this.#titleOf);
    row.reason.title = row.reason.textContent;
    const move = first ? moveText(index, index) : moveText(this.#base.get(item.item_id), index);
    row.move.dataset.kind = move.kind;
    row.sign.textContent = move.sign;
    row.heard.textContent = move.words;
    if (this.#list.children[index] !== row.element) this.#list.insertBefore(row.element, this.#list.children[index] ?? null);
    if (!known) this.#impressions.watch(row.element);
  }

  #row(item) {
    const card = item.item ?? {};
    const title = card.title || item.item_id;
    const row = { item, title, index: 0 };
    const act = (name) => () => this.#acts[name](row.item, row.index);
    row.rank = make("span", { className: "rank" });
    row.reason = make("p", { className: "reason" });
    row.sign = make("span", { "aria-hidden": "true" });
    row.heard = make("span", { className: "unseen" });
    row.move = make("span", { className: "move" }, row.sign, row.heard);
    row.cart = make("button", { type: "button", className: "to-cart", text: "+ Cart", on: { click: act("cart") } });
    const meta = [card.brand, card.category].filter(Boolean).join(" · ");
    row.element = make(
      "li",
      { className: "card", "data-id": item.item_id, "data-category": card.category },
      row.rank,
      make("img", { src: card.image_url || undefined, alt: "", width: "64", height: "64", loading: "lazy" }),
      make(
        "div",
        { className: "what" },
        make("button", { type: "button", className: "title", text: title, title, on: { click: act("open") } }),
        make("p", { className: "meta" }, make("b", { text: price(card) }), ` ${meta}`),
        row.reason,
      ),
      row.move,
      make(
        "div",
        { className: "acts" },
        row.cart,
        make("button", {
          type: "button", className: "hide", text: "✕", title: "Not interested", "aria-label": `Not interested in ${title}`,
          on: { click: act("hide") },
        }),
      ),
    );
    this.#rows.set(item.item_id, row);
    return row;
  }

  #focused() {
    const control = document.activeElement;
    const card = control?.closest?.(".card");
    if (!card || !this.#list.contains(card)) return null;
    return { control, id: card.dataset.id, index: this.#ranks.get(card.dataset.id) ?? 0 };
  }

  #refocus(focused) {
    if (!focused || document.activeElement === focused.control) return;
    if (this.#rows.has(focused.id)) focused.control.focus({ preventScroll: true });
    else this.#list.children[Math.min(focused.index, this.#list.children.length - 1)]?.querySelector(".title")?.focus({ preventScroll: true });
  }

  #play(before, first) {
    for (const [id, { element }] of this.#rows) {
      element.getAnimations().forEach((animation) => animation.cancel());
      const last = element.getBoundingClientRect();
      const start = before.get(id);
      if (!start) {
        if (!first) element.animate([{ opacity: 0, transform: "translateX(-10px)" }, { opacity: 1, transform: "none" }], COME);
        continue;
      }
      const [x, y] = [start.left - last.left, start.top - last.top];
      if (Math.abs(x) > 1 || Math.abs(y) > 1) {
        element.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], MOVE);
      }
    }
  }
}

// Cards of a live list, as <shunxi-list> asks for them: one row of the two-shoppers page, one tile of the shop.

import { money, safeUrl } from "/shunxi.js";
import { make } from "./dom.js";
import { moveText, reasonText } from "./words.js";

const TOGETHER_MS = 1_200; // lists that follow each other faster than this are one change to the eye

/** What happened to each place since the lists before, for `move`; one for each list. */
export class Moves {
  #base = new Map(); #ranks = new Map(); #slate = null; #at = 0;

  /** {sign, words, kind} for an item at `index` of `slate`. */
  of(item, index, slate, now = performance.now()) {
    if (this.#slate !== slate.slate_id) {
      const first = this.#slate === null;
      const ranks = new Map(slate.items.map(({ item_id: id }, at) => [id, at]));
      if (first) this.#base = ranks;
      else if (now - this.#at > TOGETHER_MS) this.#base = this.#ranks;
      this.#ranks = ranks;
      this.#slate = slate.slate_id;
      this.#at = now;
    }
    return moveText(this.#base.get(item.item_id), index);
  }

  reset() {
    this.#slate = null;
  }
}

const parts = new WeakMap(); // card → the parts of it that change

const TINTS = 6;

/** A product's picture; without one, or where it does not load, the first letter of its title on a tint of its own. */
export function picture(card, size) {
  const src = safeUrl(card.image_url);
  if (!src) return initial(card, size);
  const image = make("img", { src, alt: "", width: size, height: size, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(initial(card, size)), { once: true });
  return image;
}

function initial({ title, item_id: id }, size) {
  const name = title || id || "?";
  const letter = name.match(/[\p{L}\p{N}]/u)?.[0] ?? [...name][0];
  const tint = [...name].reduce((sum, one) => (sum * 31 + one.codePointAt(0)) % 65_521, 7) % TINTS;
  return make("span", { className: "initial", "aria-hidden": "true", "data-size": size, "data-tint": tint, text: letter.toLocaleUpperCase() });
}

/** `picture` of an item of a slate. */
export const pictureOf = (item, size) => picture({ ...item.item, item_id: item.item_id }, size);

/** `acts`: {cart, hide}, each called with a slate item; `inCart(id)`; `titleOf(id)`. */
export function rowsOf({ acts, inCart, titleOf, moves }) {
  return (item, { index, slate, known }) => {
    const row = known ?? makeRow(item, acts);
    const { rank, reason, move, sign, heard, cart } = parts.get(row);
    rank.textContent = String(index + 1);
    reason.textContent = reason.title = reasonText(item.reason, titleOf);
    const moved = moves.of(item, index, slate);
    move.dataset.kind = moved.kind;
    sign.textContent = moved.sign;
    heard.textContent = moved.words;
    const has = inCart(item.item_id);
    cart.textContent = has ? "In cart" : "+ Cart";
    cart.setAttribute("aria-label", `${has ? "In cart" : "Add to cart"}: ${titleText(item)}`);
    cart.disabled = has;
    return row;
  };
}

function makeRow(item, acts) {
  const card = item.item ?? {};
  const title = titleText(item);
  const part = {
    rank: make("span", { className: "rank" }), reason: make("p", { className: "reason" }),
    sign: make("span", { "aria-hidden": "true" }), heard: make("span", { className: "unseen" }),
    cart: make("button", { type: "button", className: "to-cart", on: { click: () => acts.cart(item) } }),
  };
  part.move = make("span", { className: "move" }, part.sign, part.heard);
  const hide = make("button", {
    type: "button", className: "hide", text: "✕", title: "Not interested", "aria-label": `Not interested in ${title}`,
    on: { click: () => acts.hide(item) },
  });
  const row = make(
    "div",
    { className: "card", "data-id": item.item_id, "data-category": card.category },
    part.rank,
    pictureOf(item, 64),
    make(
      "div",
      { className: "about" },
      make("button", { type: "button", className: "title", text: title, title, "data-shunxi-click": "" }),
      make("p", { className: "meta" }, make("b", { text: money(card.price, card.currency) }), ` ${[card.brand, card.category].filter(Boolean).join(" · ")}`),
      part.reason,
    ),
    part.move,
    make("div", { className: "acts" }, part.cart, hide),
  );
  parts.set(row, part);
  return row;
}

/**
 * Tiles of the shop: a link, what it costs, why it is here, and a way to send it away. `hide(item, event)`, `titleOf(id)`;
 * `face(item)`: the link, or what is above the reason, where it is not that of a product.
 */
export function tilesOf({ hide, titleOf, face = goods }) {
  return (item, { index, slate, known }) => {
    const tile = known ?? makeTile(item, hide, face);
    const { reason, why, facts } = parts.get(tile);
    reason.textContent = reasonText(item.reason, titleOf);
    facts.replaceChildren(...explained(item, index, slate, titleOf));
    why.setAttribute("aria-label", `Why this: ${titleText(item)}`);
    return tile;
  };
}

function makeTile(item, hide, face) {
  const card = item.item ?? {};
  const title = titleText(item);
  const part = {
    reason: make("p", { className: "reason" }),
    why: make("summary", { text: "Why this" }),
    facts: make("dl", { className: "facts" }),
  };
  const no = make("button", {
    type: "button", className: "no", text: "Not interested", "aria-label": `Not interested in ${title}`, on: { click: (event) => hide(item, event) },
  });
  const tile = make(
    "article",
    { className: "tile", "data-category": card.category, "data-sponsored": card.sponsored ? "" : null },
    ...[face(item)].flat(),
    part.reason,
    make("details", { className: "why", name: "why" }, part.why, part.facts, no),
  );
  parts.set(tile, part);
  return tile;
}

/** A product. An ad says so in its link, too: who goes from link to link hears it first. */
function goods(item) {
  const card = item.item ?? {};
  const ad = card.sponsored ? [make("span", { className: "ad", text: "Sponsored" })] : [];
  return make(
    "a",
    { href: hrefOf(item), className: "open", rel: card.sponsored ? "sponsored" : null },
    ...ad,
    make("span", { className: "frame" }, pictureOf(item, 240)),
    make("span", { className: "brand", text: card.brand ?? "" }),
    make("span", { className: "title", text: titleText(item) }),
    make("span", { className: "price", text: money(card.price, card.currency) }),
  );
}

/** Where an item leads: an ad to its product, or to where its advertiser says. */
export function hrefOf({ item_id: id, item: { leads_to: product, sponsored, url, kind } = {} }) {
  if (sponsored && !product) return safeUrl(url) ?? "#";
  return pathOf(product ?? id, kind);
}

const PAID = [
  ["Reason", "Sponsored: an advertiser pays for a click"],
  ["Chosen by", "your interests (not while paused), the page, clicks so far, what is paid"],
];

/** Everything that the slate says of an item's place. */
function explained(item, index, slate, titleOf) {
  if (item.item?.sponsored) return said([...PAID, ["Place", `${index + 1} of ${slate.items.length}, kept for an ad`]]);
  const facts = [
    ["Reason", reasonText(item.reason, titleOf)],
    ["Found by", SOURCES[item.source] ?? item.source],
    ["Place", `${index + 1} of ${slate.items.length}, score ${item.score.toPrecision(3)}`],
    ["Shown with chance", item.propensity === null || item.propensity === undefined ? null : item.propensity.toPrecision(3)],
    ["Model", `${slate.model_version}, strategy ${slate.strategy}`],
  ];
  return said(facts);
}

function said(facts) {
  return facts.filter(([, text]) => text).flatMap(([name, text]) => [make("dt", { text: name }), make("dd", { text })]);
}

const SOURCES = {
  sequence: "the sequence model", rules: "what people do next", knn: "what goes together", history: "your own history",
  content: "likeness of the text", interest: "your interests", popular: "popularity",
};

/** A line of the panel's small list. */
export function line(item, { known }) {
  if (known) return known;
  const words = item.item?.sponsored ? `Sponsored: ${titleText(item)}` : titleText(item);
  return make("a", { href: hrefOf(item), className: "line" }, pictureOf(item, 32), make("span", { text: words }));
}

export const titleText = (item) => item.item?.title || item.item_id;
export const pathOf = (id, kind) => `/${kind === "article" || kind === "video" ? "read" : "product"}/${encodeURIComponent(id)}`;

// One shopper of the two: a connection, a live list, a shelf to click on, and what the clicks came to.

import { Shunxi } from "/shunxi.js";
import { Moves, rowsOf } from "./card.js";
import { make } from "./dom.js";
import { badge, Bars, Sight } from "./sees.js";
import { Shelf } from "./shelf.js";
import { Ticker } from "./ticker.js";
import { Who } from "./who.js";
import { composition, learnedAgo } from "./words.js";

export class Shopper extends EventTarget {
  clicks = 0;
  slate = null;

  #client; #who; #titles; #cart = new Map(); #find; #list; #ticker; #bars; #sight; #shelf; #moves = new Moves();

  /** `side`: "left" or "right"; `titles`: Map of item_id → title shared by the page. */
  constructor({ side, name, panel, titles }) {
    super();
    this.#titles = titles;
    this.#who = new Who(side);
    this.#client = new Shunxi({ token: () => this.#who.token(), key: `shunxi.${side}` });
    const find = (this.#find = (selector) => panel.querySelector(selector));
    panel.dataset.side = side;
    panel.setAttribute("aria-label", `${name}, ${side}`);
    find(".avatar").textContent = name[0];
    find("h2").textContent = name;
    find(".list-head h3").textContent = `${name}'s list`;
    find(".restart").addEventListener("click", () => this.restart());
    find(".buy").addEventListener("click", () => this.#buy());
    const titleOf = (id) => titles.get(id);
    this.#ticker = new Ticker(find(".lines"), this.#client, { words: (event) => this.#words(event) });
    this.#bars = new Bars(find(".bars"), 3);
    this.#sight = new Sight(this.#who, this.#client, ({ interests, half_life_s: halfLife }) => {
      this.#bars.draw(interests);
      find(".half-life").textContent = `halves in ${Math.round(halfLife / 60)} min`;
    });
    badge(find(".link"), this.#client);
    this.#shelf = new Shelf({
      chips: find(".chips"), input: find(".find input"), shelf: find(".shelf"),
      open: (card, button) => {
        button.classList.add("clicked");
        this.#open(card);
      },
      known: (card) => titles.set(card.item_id, card.title),
    });
    this.#list = find("shunxi-list");
    this.#list.client = this.#client;
    const acts = {
      cart: (item) => this.#addToCart(item),
      hide: (item) => this.#client.act("not_interested", this.slate, item.item_id),
    };
    this.#list.render = rowsOf({ acts, titleOf, inCart: (id) => this.#cart.has(id), moves: this.#moves });
    this.#list.addEventListener("shunxi-click", ({ detail: { item } }) => {
      this.clicks += 1; // the list itself tells select_item; here its page would open
      this.#client.act("view_item", this.slate, item.item_id);
    });
    this.#client.addEventListener("slate", ({ detail }) => this.#learn(detail));
    this.#list.addEventListener("shunxi-slate", ({ detail }) => this.#arrived(detail));
  }

  get client() { return this.#client; }

  browse(categories, first) {
    return this.#shelf.start(categories, first);
  }

  start() {
    this.#client.start();
  }

  /** Be somebody new: nothing is known of them, and the list is everybody's. */
  restart() {
    this.#client.stop({ forget: true });
    this.#list.client = this.#client; // an empty list: what is on it was somebody else's
    this.#sight.drop();
    this.clicks = 0;
    this.slate = null;
    this.#cart.clear();
    this.#showCart();
    this.#moves.reset();
    this.#bars.draw([]);
    this.#ticker.reset();
    this.dispatchEvent(new Event("change"));
    this.#who.forget();
    this.#ticker.note("started over as somebody new");
    this.#client.start();
  }

  // ------------------------------------------------------------------ what the shopper does
  #open(card) {
    this.clicks += 1;
    this.#client.track("view_item", { items: [card.item_id] });
    this.dispatchEvent(new Event("change"));
  }

  #addToCart(item) {
    this.#cart.set(item.item_id, item.item ?? {});
    this.#client.act("add_to_cart", this.slate, item.item_id, { item: { quantity: 1, ...priceOf(item.item) } });
    this.#showCart();
  }

  #buy() {
    const cards = [...this.#cart];
    this.#cart.clear();
    const value = Math.round(100 * cards.reduce((sum, [, card]) => sum + (card.price ?? 0), 0)) / 100;
    const currency = cards[0]?.[1].currency;
    this.#client.track("purchase", {
      items: cards.map(([id, card]) => ({ item_id: id, quantity: 1, ...priceOf(card) })),
      transaction_id: crypto.randomUUID(), value, ...(currency && { currency }),
    });
    this.#showCart();
  }

  #words({ items }) {
    return items.length > 1 ? `${items.length} products` : this.#titles.get(items[0]?.item_id) ?? items[0]?.item_id ?? "";
  }

  // ------------------------------------------------------------------ what comes back
  #learn(slate) {
    for (const { item_id: id, item } of slate.items) if (item?.title) this.#titles.set(id, item.title);
  }

  #arrived(slate) {
    this.slate = slate;
    this.#learn(slate);
    const learned = slate.learned_through ? ` · ${learnedAgo(slate.learned_through, Date.now())}` : "";
    this.#find(".version").textContent = `list v${slate.version} · model ${slate.model_version}${learned}`;
    const mix = composition(slate.items).map(([category, count]) => make("span", { text: `${category} ${count}` }));
    this.#find(".mix").replaceChildren(...mix.slice(0, 5));
    this.dispatchEvent(new Event("change"));
  }

  #showCart() {
    this.#find(".cart").hidden = this.#cart.size === 0;
    this.#find(".cart-count").textContent = `Cart ${this.#cart.size}`;
    if (this.#list.slate) this.#list.show(this.#list.slate);
  }
}

const priceOf = (card) => (typeof card?.price === "number" ? { price: card.price } : {});

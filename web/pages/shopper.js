// One shopper on the page: a connection, a list, a shelf to click on, and what the clicks came to.

import { Client } from "./client.js";
import { make } from "./dom.js";
import { uuid7 } from "./ids.js";
import { Impressions } from "./impressions.js";
import { Interests } from "./interests.js";
import { LiveList } from "./list.js";
import { Shelf } from "./shelf.js";
import { Ticker } from "./ticker.js";
import { composition, learnedAgo } from "./words.js";

const SIGNS = { connecting: "◌", connected: "●", reconnecting: "◌", recovered: "✓", stopped: "■" };

export class Shopper extends EventTarget {
  clicks = 0;
  slate = null;
  versions = 0; // lists since the first one

  #side; #client = null; #titles; #cart = new Map(); #session = uuid7(); #parts; #list; #shelf; #ticker; #interests; #impressions;

  /** `side`: "left" or "right"; `titles`: Map of item_id → title shared by the page. */
  constructor({ side, name, panel, titles }) {
    super();
    this.#side = side;
    this.#titles = titles;
    const find = (selector) => panel.querySelector(selector);
    this.#parts = {
      link: find(".link"), sign: find(".sign"), state: find(".state"), more: find(".more"), version: find(".version"), mix: find(".mix"), cart: find(".cart"),
      cartCount: find(".cart-count"), list: find(".list"),
    };
    panel.dataset.side = side;
    panel.setAttribute("aria-label", `${name}, ${side}`);
    find(".avatar").textContent = name[0];
    find("h2").textContent = name;
    find(".list-head h3").textContent = `${name}'s list`;
    this.#parts.list.setAttribute("aria-label", `${name}'s list`);
    find(".restart").addEventListener("click", () => this.restart());
    find(".buy").addEventListener("click", () => this.#buy());
    this.#ticker = new Ticker(find(".lines"));
    this.#interests = new Interests(find(".bars"));
    this.#impressions = new Impressions((cards) => this.#seen(cards));
    this.#list = new LiveList(this.#parts.list, {
      acts: {
        open: (item, index) => this.#open({ item_id: item.item_id, ...item.item }, index),
        cart: (item, index) => this.#addToCart({ item_id: item.item_id, ...item.item }, index),
        hide: (item, index) => this.#act(["not_interested"], { item_id: item.item_id, ...item.item }, index),
      },
      titleOf: (id) => this.#titles.get(id),
      impressions: this.#impressions,
    });
    this.#shelf = new Shelf({
      chips: find(".chips"), input: find(".find input"), shelf: find(".shelf"),
      open: (card, button) => {
        button.classList.add("clicked");
        this.#open(card);
      },
      known: (card) => this.#titles.set(card.item_id, card.title),
    });
    this.#interests.draw();
    setInterval(() => this.#interests.draw(), 5_000);
  }

  browse(categories, first) {
    return this.#shelf.start(categories, first);
  }

  start() {
    const client = new Client({ url: `${location.origin.replace(/^http/, "ws")}/v1/ws`, token: () => this.#token() });
    this.#client = client;
    client.addEventListener("state", ({ detail }) => this.#state(detail));
    client.addEventListener("slate", ({ detail }) => this.#arrived(detail));
    client.addEventListener("refused", ({ detail }) => detail.forEach((one) => this.#ticker.note(`refused: ${one.message}`)));
    client.start();
  }

  /** Be somebody new: nothing is known of them, and the list is everybody's. */
  async restart() {
    this.#client?.stop();
    this.#forget();
    try {
      const { shopper } = await this.#ask({ shopper: this.#side, fresh: true });
      localStorage.setItem(this.#key, shopper);
      this.#ticker.note("started over as somebody new");
    } catch (error) {
      this.#ticker.note(`could not start over: ${error.message}`);
    }
    this.start();
  }

  #forget() {
    this.#session = uuid7();
    this.clicks = this.versions = 0;
    this.slate = null;
    this.#cart.clear();
    this.#showCart();
    this.#impressions.reset();
    this.#list.reset();
    this.#interests.reset();
    this.#ticker.reset();
    this.#parts.version.textContent = "";
    this.#parts.mix.replaceChildren();
    this.dispatchEvent(new Event("change"));
  }

  // ------------------------------------------------------------------ what the shopper does
  #open(card, index) {
    this.clicks += 1;
    this.#act(["select_item", "view_item"], card, index);
  }

  #addToCart(card, index) {
    this.#cart.set(card.item_id, card);
    this.#act(["add_to_cart"], card, index);
    this.#showCart();
  }

  #buy() {
    const cards = [...this.#cart.values()];
    this.#cart.clear();
    const event = this.#event("purchase", cards.map((card) => goods(card)));
    event.transaction_id = event.event_id;
    event.value = Math.round(100 * cards.reduce((sum, card) => sum + (card.price ?? 0), 0)) / 100;
    if (cards[0]?.currency) event.currency = cards[0].currency;
    this.#send([event], `${cards.length} ${cards.length === 1 ? "product" : "products"}`);
    for (const card of cards) this.#interests.add("purchase", card.category);
    this.#showCart();
  }

  /** `index`: its place on the list, if it was clicked there; then the events name the list. */
  #act(names, card, index) {
    const events = names.map((name) =>
      this.#event(name, [name === "add_to_cart" ? goods(card, index) : thing(card, index)], index !== undefined),
    );
    for (const name of names) this.#interests.add(name, card.category);
    this.#send(events, card.title ?? card.item_id);
  }

  #seen(cards) {
    const ranked = cards.filter((card) => card.isConnected && this.slate);
    if (!ranked.length) return;
    const index = (card) => [...this.#parts.list.children].indexOf(card);
    const items = ranked.map((card) => ({ item_id: card.dataset.id, index: index(card) }));
    this.#client?.track([this.#event("view_item_list", items, true)]);
  }

  #event(name, items, fromList = false) {
    const attribution = { slate_id: this.slate?.slate_id, version: this.slate?.version };
    return {
      event: name, event_id: uuid7(), user_id: this.userId, session_id: this.#session,
      client_ts: new Date().toISOString(), items,
      ...(fromList && this.slate ? { attribution } : {}),
    };
  }

  #send(events, what) {
    this.#ticker.sent(events.at(-1), what);
    this.#client?.track(events);
    this.dispatchEvent(new Event("change"));
  }

  // ------------------------------------------------------------------ what comes back
  #arrived(slate) {
    if (this.slate) this.versions += 1;
    this.slate = slate;
    for (const { item_id: id, item } of slate.items) if (item?.title) this.#titles.set(id, item.title);
    this.#list.show(slate.items);
    this.#list.mark(this.#cart);
    this.#ticker.arrived(slate);
    const learned = slate.learned_through ? ` · ${learnedAgo(slate.learned_through, Date.now())}` : "";
    this.#parts.version.textContent = `list v${slate.version} · model ${slate.model_version}${learned}`;
    const mix = composition(slate.items).map(([category, count]) => make("span", { text: `${category} ${count}` }));
    this.#parts.mix.replaceChildren(...mix.slice(0, 5));
    this.dispatchEvent(new Event("change"));
  }

  #state(detail) {
    const { link, sign, state, more } = this.#parts;
    const words = detail.state === "stopped" ? `stopped: ${detail.reason}` : detail.state;
    link.dataset.state = detail.state;
    sign.textContent = SIGNS[detail.state];
    if (state.textContent !== words) state.textContent = words; // said aloud once a state, not once a try
    const waiting = detail.state === "reconnecting" ? this.#client.waiting : 0;
    const wait = detail.wait ? `in ${detail.wait.toFixed(1)} s` : "";
    more.textContent = [wait, waiting ? `(${waiting} events wait)` : ""].filter(Boolean).join(" ");
  }

  #showCart() {
    this.#parts.cart.hidden = this.#cart.size === 0;
    this.#parts.cartCount.textContent = `Cart ${this.#cart.size}`;
    this.#list.mark(this.#cart);
  }

  // ------------------------------------------------------------------ who it is
  get #key() {
    return `shunxi.shopper.${this.#side}`;
  }

  async #token() {
    const body = await this.#ask({ shopper: localStorage.getItem(this.#key) ?? this.#side });
    this.userId = body.user_id;
    return body;
  }

  async #ask(body) {
    const response = await fetch("/demo/token", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error?.message ?? `status ${response.status}`);
    return answer;
  }
}

function thing(card, index) {
  return { item_id: card.item_id, ...(index === undefined ? {} : { index }) };
}

function goods(card, index) {
  return { ...thing(card, index), quantity: 1, ...(typeof card.price === "number" ? { price: card.price } : {}) };
}

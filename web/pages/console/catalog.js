// The catalog: find a product by its words, look at all of it.

import { make } from "./dom.js";
import { badge, button, empty, facts, json, section, show, table, tell, whole } from "./parts.js";

const PAUSE_MS = 200;
const PAGE = 50;

export class Catalog {
  #api; #find; #said; #rows = make("div"); #more; #items = []; #next = null; #asked = 0; #waiting;
  element = make("div");

  constructor({ api }) {
    this.#api = api;
    this.#find = make("input", { type: "search", id: "catalog-find", placeholder: "Id, title, brand or category", autocomplete: "off", spellcheck: "false", maxlength: 200, on: { input: () => {
      clearTimeout(this.#waiting);
      this.#waiting = setTimeout(() => this.#load(), PAUSE_MS);
    } } });
    this.#said = make("p", { className: "about", role: "status" });
    this.#more = button("More", () => this.#load(true));
    this.element.append(make("h1", { className: "unseen", text: "Catalog" }),
      section("Catalog", { more: [make("label", { className: "unseen", for: "catalog-find", text: "Find products" }), this.#find] }, this.#said, this.#rows, make("p", { className: "acts" }, this.#more)));
  }

  open(item) {
    if (item) this.#openById(item);
    if (!this.#items.length) this.#load();
  }

  async #load(further = false) {
    const turn = ++this.#asked;
    try {
      const body = await this.#api.get("/v1/items", { q: this.#find.value.trim(), n: PAGE, after: further ? this.#next : undefined });
      if (turn !== this.#asked) return;
      this.#items = further ? [...this.#items, ...body.items] : body.items;
      this.#next = body.next;
      this.#more.hidden = !body.next;
      const [shown, all] = [this.#items.length, body.total].map(whole);
      this.#said.textContent = this.#find.value.trim() ? `${shown}${body.next ? " and more" : ""} of ${all} products have these words.` : `${body.next ? `The first ${shown}` : shown} of ${all} products, by id.`;
      show(this.#rows, JSON.stringify(this.#items), () => this.#table(body.total), { asked: true });
    } catch (error) {
      this.#more.hidden = true;
      show(this.#rows, error.message, () => empty(error.message), { asked: true });
    }
  }

  #table(total) {
    if (!this.#items.length) return empty(total ? "No product has these words in its id, title, brand or category." : "The catalog is empty. Fill it: rec catalog import FILE, or PUT /v1/items.");
    return table("Products", [
      ["Title", (item) => make("span", { className: "product" }, picture(item), button(item.title, () => open(item), { kind: "link" })), { wide: true }],
      ["Id", ({ item_id: id }) => make("code", { text: id })],
      ["Brand", ({ brand = "" }) => brand],
      ["Category", ({ category = "" }) => category],
      ["Price", ({ price, currency = "" }) => (price === undefined || price === null ? "–" : `${price.toFixed(2)} ${currency}`), { number: true }],
      ["State", (item) => state(item)],
    ], this.#items);
  }

  async #openById(id) {
    try {
      open(await this.#api.get(`/v1/items/${encodeURIComponent(id)}`));
    } catch (error) {
      tell(id, empty(error.message));
    }
  }
}

function state({ flagged, in_stock: stocked = true }) {
  if (flagged) return badge("flagged", "warn");
  return stocked ? make("span", { className: "soft", text: "can be listed" }) : badge("out of stock");
}

/** Pictures of this server alone: the page loads nothing from elsewhere. */
function picture({ image_url: url = "" }) {
  const own = /^\/(?!\/)/.test(url);
  return own ? make("img", { src: url, alt: "", width: 28, height: 28, loading: "lazy" }) : make("span", { className: "no-picture", "aria-hidden": "true" });
}

function open(item) {
  const { title, item_id: id, description, price, currency, category, brand, kind, url, image_url: image, attributes = {}, image_vector: vector } = item;
  tell(title, facts([["Id", make("code", { text: id })], ["State", state(item)], ["Category", category], ["Brand", brand], ["Price", price === undefined || price === null ? null : `${price} ${currency ?? ""}`],
    ["Kind", kind ?? "product"], ["Description", description], ["Address", url], ["Picture", image], ["Picture's vector", vector ? "there" : null]]),
  ...(Object.keys(attributes).length ? [make("h3", { text: "Attributes" }), json(attributes)] : []));
}

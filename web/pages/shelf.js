// Something to click on: departments as chips, a field to find products by their words, and a row of what was found.

import { money } from "/shunxi.js";
import { ask } from "./ask.js";
import { picture } from "./card.js";
import { make } from "./dom.js";

const TYPING_MS = 180;
const AGAIN_MS = 3_000;
const LIMIT = 16;

export class Shelf {
  #chips; #input; #shelf; #open; #known; #category = null; #typing = 0; #turn = 0;

  /** `open(card)` when a product is clicked; `known(card)` for each that is shown. */
  constructor({ chips, input, shelf, open, known }) {
    this.#chips = chips;
    this.#input = input;
    this.#shelf = shelf;
    this.#open = open;
    this.#known = known;
    input.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#load(), TYPING_MS);
    });
  }

  /** Offer the departments, and show one of them. */
  async start(categories, { category, find = "" }) {
    this.#chips.replaceChildren(
      ...categories.map(({ name }) =>
        make("button", {
          type: "button", className: "chip", text: name, "aria-pressed": "false", "data-category": name,
          on: { click: () => this.#choose(name) },
        }),
      ),
    );
    this.#input.value = find;
    this.#category = categories.some(({ name }) => name === category) ? category : (categories[0]?.name ?? null);
    this.#press();
    await this.#load();
  }

  #choose(category) {
    this.#category = this.#category === category ? null : category;
    this.#input.value = "";
    this.#press();
    this.#load();
  }

  #press() {
    for (const chip of this.#chips.children) {
      chip.setAttribute("aria-pressed", String(chip.dataset.category === this.#category));
    }
  }

  async #load() {
    const turn = (this.#turn += 1);
    const query = new URLSearchParams({ q: this.#input.value.trim(), limit: LIMIT });
    if (this.#category) query.set("category", this.#category);
    let items;
    try {
      ({ items } = await ask(`/demo/items?${query}`));
    } catch (error) {
      // The server is away: the badge says so; the shelf keeps what it has, and asks again unless it is asked something else.
      if (error.temporary) setTimeout(() => turn === this.#turn && this.#load(), AGAIN_MS);
      return;
    }
    if (turn !== this.#turn) return; // something newer was asked for meanwhile
    this.#shelf.replaceChildren(...items.map((card) => this.#thing(card)));
    this.#shelf.scrollTo({ left: 0 });
    if (!items.length) this.#shelf.append(make("li", { className: "nothing", text: "Nothing by that name here." }));
  }

  #thing(card) {
    this.#known(card);
    const button = make(
      "button",
      { type: "button", title: card.title, on: { click: () => this.#open(card, button) } },
      picture(card, 72),
      make("span", { className: "name", text: card.title }),
      make("span", { className: "price", text: money(card.price, card.currency) }),
    );
    return make("li", { "data-id": card.item_id }, button);
  }
}

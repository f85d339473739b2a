// One product, and the two lists beside it: what is like it, and what goes with it.

import { money } from "/shunxi.js";
import { picture } from "./card.js";
import { make } from "./dom.js";

const BESIDE = "product";

export async function productView({ argument: id, who, client, cart, list, noteTitle, visited }) {
  const { item_id, title, price, currency, image_url, url, brand, category, description, in_stock } = await who.get(`/v1/items/${encodeURIComponent(id)}`);
  const card = { item_id, title, price, currency, image_url, url, brand, category };
  noteTitle(id, title);
  client.track("view_item", { items: [{ item_id: id, ...(typeof price === "number" ? { price } : {}) }] });
  visited(card);
  const add = make("button", { type: "button", className: "main", on: { click: () => cart.add(card) } });
  const told = make("span", { className: "note", role: "status" });
  const draw = () => {
    add.textContent = in_stock ? "Add to cart" : "Out of stock";
    add.disabled = !in_stock;
    told.textContent = cart.has(id) ? "In your cart." : "";
  };
  draw();
  cart.addEventListener("change", draw);
  const about = make(
    "div",
    { className: "product" },
    make("div", { className: "frame" }, picture(card, 480)),
    make(
      "div",
      {},
      make("p", { className: "crumb" }, make("a", { href: `/department/${encodeURIComponent(category)}`, text: category })),
      make("h1", { tabindex: "-1", text: title }),
      make("p", { className: "brand", text: brand }),
      make("p", { className: "price", text: money(price, currency) }),
      make("p", { className: "description", text: description }),
      make("p", { className: "buying" }, add, told),
    ),
  );
  const [with_, similar] = [
    beside("Goes with it", ({ reason }) => reason?.kind === "goes_with"),
    beside("Similar", ({ reason }) => reason?.kind !== "goes_with"),
  ];
  return { title, nodes: [about, with_, similar], end: () => cart.removeEventListener("change", draw) };

  /** A part of the product's list; hidden while nothing is in it. */
  function beside(words, pick) {
    const live = list({ placement: BESIDE, n: "16", "item-id": id }, pick, 8);
    const section = make("section", { hidden: "" }, make("h2", { text: words }), live);
    live.addEventListener("shunxi-slate", () => (section.hidden = live.querySelector("li") === null));
    return section;
  }
}

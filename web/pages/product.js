// One product, and the lists beside it: what goes with it, and what is like it.

import { money } from "/shunxi.js";
import { picture } from "./card.js";
import { make } from "./dom.js";

const BESIDE = "product";
const LOOK_MS = 400;
const MOST = 4; // of a kind

export function productView({ item, client, cart, list, noteTitle, visited }) {
  const { item_id: id, title, price, currency, image_url, url, brand, category, description, in_stock = true } = item;
  const card = { item_id: id, title, price, currency, image_url, url, brand, category };
  noteTitle(id, title);
  visited(card);
  // Once its lists are there, so that what the look does to them can be seen; soon in any case.
  const look = () => {
    if (!waiting) return;
    clearTimeout(waiting);
    waiting = 0;
    client.track("view_item", { items: [{ item_id: id, ...(typeof price === "number" ? { price } : {}) }] });
  };
  let waiting = setTimeout(look, LOOK_MS);
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
      make("p", { className: "crumb" }, ...(category ? [make("a", { href: `/department/${encodeURIComponent(category)}`, text: category })] : [])),
      make("h1", { tabindex: "-1", text: title || id }),
      make("p", { className: "brand", text: brand }),
      make("p", { className: "price", text: money(price, currency) }),
      make("p", { className: "description", text: description }),
      make("p", { className: "buying" }, add, told),
    ),
  );
  const sections = [
    beside("Goes with it", (kind) => kind === "goes_with"),
    beside("Similar", (kind) => kind === "similar"),
    beside("You may also like", (kind) => kind !== "goes_with" && kind !== "similar"),
  ];
  const end = ({ seen = true } = {}) => {
    if (seen) look();
    else clearTimeout(waiting);
    cart.removeEventListener("change", draw);
  };
  return { title, nodes: [about, ...sections], end };

  /** A part of the product's list; hidden while nothing is in it. */
  function beside(words, pick) {
    const live = list({ placement: BESIDE, n: "20", "item-id": id }, ({ reason }) => pick(reason?.kind), MOST);
    const section = make("section", { hidden: "" }, make("h2", { text: words }), live);
    live.addEventListener("shunxi-slate", () => {
      section.hidden = live.querySelector("li") === null;
      look();
    });
    return section;
  }
}

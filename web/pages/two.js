// The page: two shoppers in one shop, and a line that says what has just been proved.

import { ShunxiList } from "/shunxi.js";
import { Shopper } from "./shopper.js";
import { composition } from "./words.js";

const SHOPPERS = [
  { side: "left", name: "Lena", first: { category: "Camping", find: "tent" } },
  { side: "right", name: "Ravi", first: { category: "Books" } },
];
const GOAL = 3;
const coach = document.getElementById("coach");
const titles = new Map();

customElements.define("shunxi-list", ShunxiList); // each of the two has a client of its own

const shoppers = SHOPPERS.map(({ side, name }) => {
  const panel = document.getElementById("panel").content.cloneNode(true).firstElementChild;
  document.getElementById("shoppers").append(panel);
  const shopper = new Shopper({ side, name, panel, titles });
  shopper.addEventListener("change", guide);
  shopper.start();
  return shopper;
});

const response = await fetch("/demo/categories");
const { categories } = response.ok ? await response.json() : { categories: [] };
await Promise.all(shoppers.map((shopper, at) => shopper.browse(categories, SHOPPERS[at].first)));

/** The words under the heading: what to do next, then what happened. Said once a step, not once a list. */
function guide() {
  const [left, right] = shoppers;
  if (!left?.slate || !left.clicks) return;
  const [most] = composition(left.slate.items);
  const other = right.clicks ? "" : ` ${SHOPPERS[1].name}'s list has not moved.`;
  const words =
    left.clicks < GOAL
      ? `${left.clicks} of ${GOAL}: keep clicking tents in Lena’s list.`
      : most && `${SHOPPERS[0].name}'s list is now ${most[1]} of ${left.slate.items.length} ${most[0]}.${other}`;
  if (words && coach.textContent !== words) coach.textContent = words;
}

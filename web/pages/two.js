// The page: two shoppers in one shop, and a line that says what has just been proved.

import { ShunxiList } from "/shunxi.js";
import { askUntil } from "./ask.js";
import { Shopper } from "./shopper.js";
import { composition } from "./words.js";

const SHOPPERS = [{ side: "left", name: "Lena" }, { side: "right", name: "Ravi" }];
const TENTS = { what: "tents", turn: "turn to camping", firsts: [{ category: "Camping", find: "tent" }, { category: "Books" }] };
const GOAL = 3;
const coach = document.getElementById("coach");
const titles = new Map();
let what = "products";

customElements.define("shunxi-list", ShunxiList); // each of the two has a client of its own

const shoppers = SHOPPERS.map(({ side, name }) => {
  const panel = document.getElementById("panel").content.cloneNode(true).firstElementChild;
  document.getElementById("shoppers").append(panel);
  const shopper = new Shopper({ side, name, panel, titles });
  shopper.addEventListener("change", guide);
  shopper.start();
  return shopper;
});

const { categories, generated } = await askUntil(shoppers[0].client, "/demo/categories");
const story = generated ? TENTS : storyOf(categories);
what = story.what;
document.getElementById("what").textContent = what;
document.getElementById("turn").textContent = story.turn;
document.getElementById("generated").hidden = !generated;
await Promise.all(shoppers.map((shopper, at) => shopper.browse(categories, story.firsts[at])));

/** What to do in a shop that is not ours: its two largest departments, one for each shopper. */
function storyOf(departments) {
  const [first, second = first] = [...departments].sort((a, b) => b.count - a.count);
  if (!first) return { what: "products", turn: "follow", firsts: [{}, {}] };
  return { what: `products of ${first.name}`, turn: `turn to ${first.name}`, firsts: [{ category: first.name }, { category: second.name }] };
}

/** The words under the heading: what to do next, then what happened. Said once a step, not once a list. */
function guide() {
  const [left, right] = shoppers;
  if (!left?.slate || !left.clicks) return;
  const [most] = composition(left.slate.items);
  const other = right.clicks ? "" : ` ${SHOPPERS[1].name}'s list has not moved.`;
  const words =
    left.clicks < GOAL
      ? `${left.clicks} of ${GOAL}: keep clicking ${what} in Lena’s list.`
      : most && `${SHOPPERS[0].name}'s list is now ${most[1]} of ${left.slate.items.length} ${most[0]}.${other}`;
  if (words && coach.textContent !== words) coach.textContent = words;
}

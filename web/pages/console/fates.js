// Where each of the best candidates of a list fell out, and why: state → candidates → scores → policy steps → list.

import { make } from "./dom.js";
import { badge, empty, plain, table, whole } from "./parts.js";

const KEPT_OFF = {
  flagged: "flagged in the catalog", out_of_stock: "out of stock", on_the_page: "the item on the page", in_cart: "in the cart",
  bought: "bought a short while ago", not_interested: "told “not interested”", seen: "seen before (REC_SEEN=exclude)",
  tired: "shown often and left alone", audience: "not for this age or region", rule: "a rule of the shop excludes it",
  kind: "another kind than this placement shows",
};
const FELL = {
  rank: "ranked too low", weigh: "buried by a rule or the mix", pin: "its place is pinned", calibrate: "calibrated to interests",
  diversify: "too like another", share: "exposure was shared out", spread: "too many of its category", cold: "a new item has its place",
  explore: "not drawn", listed: "on the list",
};

/** `found`: what GET /v1/users/{user_id}/candidates answers; `link(id)` makes an item's link, `bar(share, text)` a bar. */
export function fates({ fates: all, candidates, slate }, link, bar) {
  if (!all.length) return empty("Nothing spoke for any item: the list is popular and new items alone.");
  const most = Math.max(...all.map(({ score }) => score), 1e-9);
  const chance = new Map(slate.items.map(({ item_id: id, propensity }) => [id, propensity]));
  const out = all.filter(({ fate }) => fate !== "listed").length;
  return make("div", {}, make("p", { className: "about", text: `${whole(candidates)} candidates for ${whole(slate.items.length)} places. These are the ${whole(all.length)} best by the ranker, those that were kept off included; ${whole(out)} of them are not on the list.` }),
    table("What became of the candidates", [
      ["Rank", ({ rank }) => rank + 1, { number: true }],
      ["Item", ({ item_id: id }) => link(id), { wide: true }],
      ["Score", ({ score }) => bar(score / most, plain(score, 3))],
      ["What spoke for it", ({ says, source }) => spoke(says, source), { wide: true }],
      ["Steps", ({ rank, places }) => way(rank, places), { wide: true }],
      ["What became of it", (one) => became(one, chance.get(one.item_id))],
    ], all, { tall: true }));
}

/** The sources that say anything, the strongest for the ranker marked. */
function spoke(says, source) {
  const named = Object.keys(says);
  if (!named.includes(source)) named.unshift(source);
  return make("span", {}, ...named.flatMap((name) => [badge(says[name] === undefined ? name : `${name} ${plain(says[name], 2)}`, name === source ? "accent" : ""), " "]));
}

/** Where it stood, told only where a step moved it: 3 → 8 spread → 7. */
function way(rank, places) {
  const stations = Object.entries(places);
  if (!stations.length) return "–";
  let last = stations[0][1];
  const words = [String(last + 1)];
  for (const [step, place] of stations.slice(1)) {
    if (place !== last) words.push(`${step} → ${place + 1}`);
    last = place;
  }
  return words.length === 1 ? `stays ${words[0]}` : words.join(", ");
}

function became({ fate, place, because }, propensity) {
  if (fate === "listed") return make("span", {}, badge(`place ${place + 1}`, "good"), ...(propensity < 1 ? [` chance ${Math.round(100 * propensity)} %`] : []));
  if (fate === "filter") return make("span", {}, badge("kept off", "warn"), ` ${because.map((name) => KEPT_OFF[name] ?? name).join(", ")}`);
  return make("span", {}, badge(fate), ` ${FELL[fate] ?? ""}`);
}

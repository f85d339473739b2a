// What there is to read and to watch, as a live list; and one article or film, with the time spent on it.

import { hrefOf, tilesOf, picture, pictureOf, titleText } from "./card.js";
import { make } from "./dom.js";
import { film } from "./film.js";
import { Stay } from "./stay.js";
import { lengthText } from "./words.js";

const FIRST_MS = 1_500; // for the list, when one comes back and wants to be where one was
const LOOK_MS = 400;
const BESIDE = "reading";

export const isStory = ({ kind }) => kind === "article" || kind === "video";

/** Cards of the feed: what kind, how long, of what; as the shop's tiles they say why, and can be sent away. */
export const storiesOf = (acts) => tilesOf({ ...acts, face: story });

function story(item) {
  const card = item.item ?? {};
  return [
    make("span", { className: "frame" }, pictureOf(item, 160)),
    make(
      "a",
      { href: hrefOf(item), className: "open story", rel: card.sponsored ? "sponsored" : null }, // its style has it cover the picture, too
      ...(card.sponsored ? [make("span", { className: "ad", text: "Sponsored" })] : []),
      make("span", { className: "kind", text: [kindLine(card), card.category].filter(Boolean).join(" · ") }),
      make("span", { className: "title", text: titleText(item) }),
    ),
  ];
}

function kindLine({ kind, length_s: length }) {
  const name = { article: "Article", video: "Film" }[kind] ?? "";
  return [name, lengthText(length, kind)].filter(Boolean).join(" · ");
}

function stories(shop, attributes, wanted) {
  const tiles = shop.list(attributes);
  tiles.classList.add("stories");
  tiles.render = storiesOf(shop.acts);
  if (wanted) tiles.pick = wanted;
  return tiles;
}

export function feedView(shop) {
  const tiles = stories(shop, { placement: "feed", n: "18" });
  const ready = new Promise((resolve) => {
    tiles.addEventListener("shunxi-slate", resolve, { once: true });
    setTimeout(resolve, FIRST_MS);
  });
  const nothing = make("p", { className: "lead", hidden: "", text: "There is nothing to read here, or you have read it all." });
  tiles.addEventListener("shunxi-slate", ({ detail }) => (nothing.hidden = detail.items.length > 0));
  const lead = make("p", { className: "lead", text: "Articles and films about what the shop sells. What you read to its end says more than what you click, and this list follows it." });
  return { title: "Read and watch", nodes: [make("h1", { tabindex: "-1", text: "Read and watch" }), lead, nothing, tiles], ready };
}

/** One article or film. `item`: what the catalog says of it. */
export function storyView({ item, ...shop }) {
  const { client, noteTitle } = shop;
  const { item_id: id, title, kind, category, description, attributes = {} } = item;
  const length = typeof attributes.length_s === "number" ? attributes.length_s : 0;
  noteTitle(id, title, kind);
  const look = once(() => client.track("view_item", { items: [id] }));
  const looking = setTimeout(look, LOOK_MS);
  const shown = kind === "video" && attributes.scenes?.length ? film({ title, scenes: attributes.scenes, changed: () => stay.step() }) : null;
  const count = make("span", { className: "figure" });
  const counted = make("p", { className: "note counted" }, make("span", { className: "sign", "aria-hidden": "true", text: "●" }), shown ? " Counted while it plays: " : " Counted while you are here: ", count);
  const stay = new Stay({
    length,
    leaving: shop.leaving,
    counts: shown?.playing ?? null,
    // The SDK names the list that it was clicked on.
    tell: (seconds) => client.track("dwell", { items: [id], value: seconds }),
    shown: (seconds, on) => {
      count.textContent = `${Math.floor(seconds)} s`;
      counted.dataset.on = String(on);
    },
  });
  const text = make("div", { className: "text" }, ...(shown ? [] : paragraphs(attributes.sections)));
  const body = make(
    "article",
    { className: `piece ${kind}` },
    make("p", { className: "crumb" }, make("a", { href: "/feed", text: "Read and watch" }), ...(category ? [" · ", make("a", { href: `/department/${encodeURIComponent(category)}`, text: category })] : [])),
    make("h1", { tabindex: "-1", text: title || id }),
    make("p", { className: "kind", text: kindLine({ kind, length_s: length || undefined }) }),
    make("p", { className: "lead", text: description }),
    shown?.element ?? make("div", { className: "frame" }, picture(item, 480)),
    text,
    counted,
  );
  const goods = shop.list({ placement: BESIDE, n: "4", "item-id": id });
  const end = ({ seen = true } = {}) => {
    clearTimeout(looking);
    if (seen) look();
    stay.end({ seen });
    shown?.end();
  };
  const more = stories(shop, { placement: "feed", n: "5" }, ((left) => (one, index, items) => one.item_id !== id && items.filter(left).indexOf(one) < 4)((one) => one.item_id !== id));
  return { title, nodes: [body, section("Go on with", more), section("In the shop", goods)], end };
}

/** A live list under a heading; hidden while nothing is in it. */
function section(words, live) {
  const part = make("section", { hidden: "" }, make("h2", { text: words }), live);
  live.addEventListener("shunxi-slate", () => (part.hidden = live.querySelector("li") === null));
  return part;
}

function paragraphs(sections = []) {
  return sections.flatMap(({ heading, text }) => [...(heading ? [make("h2", { text: heading })] : []), make("p", { text })]);
}

function once(act) {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}

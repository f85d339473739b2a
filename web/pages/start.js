// What the first list needs, and no more: it is asked for while the rest of the shop still comes over the network.

import { defineList, money, Shunxi } from "/shunxi.js";
import { line, tilesOf } from "./card.js";
import { Who } from "./who.js";

const titles = new Map();
const kinds = new Map();
/** `kind`: of what is read or watched. */
export const noteTitle = (id, title, kind) => {
  if (title) titles.set(id, title);
  if (kind) kinds.set(id, kind);
};
export const kindOf = (id) => kinds.get(id);
export const titleOf = (id) => titles.get(id);

export const who = new Who("shop");
export const client = new Shunxi({ token: () => who.token(), key: "shunxi.shop" });
client.addEventListener("slate", ({ detail }) => detail.items.forEach(({ item_id: id, item }) => noteTitle(id, item?.title, item?.kind)));
defineList(client);

const hide = (item, { currentTarget }) => client.act("not_interested", currentTarget.closest("shunxi-list").slate, item.item_id);
export const acts = { hide, titleOf };
export const render = tilesOf(acts);
for (const tiles of document.querySelectorAll("shunxi-list.tiles")) tiles.render = render;
for (const small of document.querySelectorAll("shunxi-list.small")) small.render = line;

// What is told as the page ends has to be told before the SDK sends its last: listeners of a window hear in the order in
// which they came, and the SDK's comes with its start.
export const leaving = new Set();
addEventListener("pagehide", () => leaving.forEach((act) => act()));

client.start(); // before any view, which may have questions of its own
setTimeout(() => money(0, "EUR")); // the first format of a price is dear: made while the token is on its way, not with the first cards

// What people read: reasons, moves, ages, events.

const ABOUT_ITEM = {
  because_you_viewed: ["because you viewed", "something like it"],
  because_you_carted: ["because your cart has", "something like it"],
  because_you_bought: ["because you bought", "something like it"],
  goes_with: ["goes with", "something you saw"],
  similar: ["like", "something you saw"],
};

const ABOUT_VALUE = {
  interest_category: (value) => `because you like ${value}`,
  interest_brand: (value) => `because you like ${value}`,
  popular_in_category: (value) => `popular in ${value}`,
  matches: (value) => `matches “${value}”`,
  means: (value) => `close to “${value}”`,
  chosen_for: (value) => `others chose it for “${value}”`,
  because_you_searched: (value) => `because you searched for ${value}`,
};

const PLAIN = {
  seen_before: "you looked at this before",
  next_step: "what you may want next",
  popular: "popular right now",
  new: "new here",
  exact_match: "exactly what you typed",
  pinned: "picked by the shop",
  for_you: "for you",
  sponsored: "sponsored",
};

/** How long it takes to read or to watch: "1 min", "30 s"; nothing for what does not say. */
export function lengthText(seconds, kind) {
  if (!(seconds > 0)) return "";
  const takes = seconds < 55 && kind === "video" ? `${Math.round(seconds)} s` : `${Math.max(1, Math.round(seconds / 60))} min`;
  return kind === "video" ? takes : `${takes} to read`;
}

/** Seconds as a clock: "0:07". */
export const clockText = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** A reason as a person says it; `titleOf` knows the titles of cards seen on this page. */
export function reasonText(reason, titleOf) {
  if (!reason) return "";
  const about = ABOUT_ITEM[reason.kind];
  if (about) return `${about[0]} ${titleOf(reason.item_id) ?? about[1]}`;
  const named = ABOUT_VALUE[reason.kind];
  if (named && reason.value) return named(reason.value);
  return PLAIN[reason.kind] ?? String(reason.kind ?? "").replaceAll("_", " ");
}

/** What has happened to a place on the list: the sign for the eye, and the words for the ear. */
export function moveText(before, now) {
  if (before === undefined) return { sign: "new", words: "new on the list", kind: "new" };
  if (before > now) return { sign: `▲${before - now}`, words: `up ${before - now}`, kind: "up" };
  if (before < now) return { sign: `▼${now - before}`, words: `down ${now - before}`, kind: "down" };
  return { sign: "", words: "", kind: "same" };
}

/** The departments of a list, largest first: [["Camping", 8], …]. */
export function composition(items) {
  const counts = new Map();
  for (const { item } of items) {
    if (item?.category && !item.sponsored) counts.set(item.category, (counts.get(item.category) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** How old the newest event is that the model has learned from: "learned 4 s ago". */
export function learnedAgo(through, now) {
  const seconds = Math.max(0, Math.round((now - Date.parse(through)) / 1000));
  if (seconds < 120) return `learned ${seconds} s ago`;
  return seconds < 7200 ? `learned ${Math.round(seconds / 60)} min ago` : `learned ${Math.round(seconds / 3600)} h ago`;
}

const DONE = {
  view_item_list: "saw", select_item: "clicked", view_item: "looked at", add_to_cart: "put in the cart",
  remove_from_cart: "took out of the cart", purchase: "bought", not_interested: "not interested in", search: "searched for",
};

const SPENT = { article: "read", video: "watched" };

/** An event as a person says it: "looked at Trail tent". `kindOf(id)`: article, video, or nothing. */
export function eventText(event, titleOf, kindOf = () => undefined) {
  if (event.event === "search" && !event.search_term) {
    return event.consent?.personalization_storage === "denied" ? "paused personalization" : "resumed personalization";
  }
  const [first] = event.items;
  const what = event.items.length > 1 ? `${event.items.length} ${event.items.every(({ item_id: id }) => kindOf(id)) ? "pieces" : "products"}` : titleOf(first?.item_id) ?? first?.item_id ?? event.search_term ?? "";
  if (event.event === "dwell" && event.value !== undefined) return `${SPENT[kindOf(first?.item_id)] ?? "stayed"} for ${Math.round(event.value)} s: ${what}`;
  return `${DONE[event.event] ?? event.event} ${what}`.trim();
}

// Search: a field with suggestions, and a page of what was found. Only on a server that has search.

import { again } from "./ask.js";
import { make } from "./dom.js";
import { facetRow, filtersOf } from "./facets.js";

const TYPING_MS = 120;
const PAGE = 24;
const MOST = 200; // in one answer

/** Bring the field to life. `go(path)` opens the page of a query, or of a product. */
export function searchField(form, { client, go }) {
  const input = form.elements.q;
  const box = form.querySelector("[role=listbox]");
  let [typing, asking, chosen, options] = [0, null, -1, []];
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const picked = options[chosen];
    const words = (picked?.text ?? input.value).trim();
    close();
    if (picked?.item_id) go(`/product/${encodeURIComponent(picked.item_id)}`);
    else if (words) go(`/search?${new URLSearchParams({ q: words })}`);
    if (words) input.value = words;
  });
  input.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(suggest, TYPING_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || box.hidden) return;
    event.preventDefault();
    choose((chosen + step + options.length + 1) % (options.length + 1));
  });
  form.addEventListener("focusout", ({ relatedTarget }) => form.contains(relatedTarget) || close());

  async function suggest() {
    asking?.abort();
    const words = input.value.trim();
    if (!words) return close();
    asking = new AbortController();
    try {
      const { suggestions } = await client.suggest(words, { signal: asking.signal });
      open(suggestions);
    } catch {
      // Something newer was typed, or the server is away: the field works without.
    }
  }

  function open(found) {
    options = found;
    box.replaceChildren(
      ...found.map(({ text, kind }, at) =>
        make(
          "li",
          { id: `suggestion-${at}`, role: "option", "aria-selected": "false", on: { pointerdown: (event) => { event.preventDefault(); choose(at); form.requestSubmit(); } } },
          make("span", { text }),
          make("small", { text: { query: "", word: "" }[kind] ?? kind }),
        ),
      ),
    );
    box.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(!box.hidden));
    choose(found.length);
  }

  /** `at` past the last one: none, what was typed counts. */
  function choose(at) {
    chosen = at < options.length ? at : options.length;
    [...box.children].forEach((option, index) => option.setAttribute("aria-selected", String(index === chosen)));
    if (options[chosen]) input.setAttribute("aria-activedescendant", `suggestion-${chosen}`);
    else input.removeAttribute("aria-activedescendant");
  }

  function close() {
    clearTimeout(typing);
    asking?.abort();
    open([]);
  }
}

const shownOf = new Map(); // address → how many products were on its page: so many are there again when one comes back

/**
 * The page of a query; `ready` once it is as long as it was. `back`: the shopper comes back to it, or its address was opened; that is no new search. `go(path,
 * {quiet})` notes an address that this view shows by itself.
 */
export function searchView({ query, back, client, list, noteTitle, go }) {
  const q = query.get("q") ?? "";
  let filters = filtersOf(query);
  const pages = make("div", { className: "pages" });
  const heading = make("h1", { tabindex: "-1", text: `“${q}”` });
  const lead = make("p", { className: "lead", role: "status", text: "Searching …" });
  const more = make("button", { type: "button", className: "plain more", text: "Show more", hidden: "", on: { click: () => load() } });
  const facets = facetRow(filters, narrow);
  let [next, shown, turn, waiting, stale, calm] = [undefined, 0, 0, false, false, null];
  const view = { title: q, nodes: [heading, facets.form, lead, pages, more], end: () => { turn += 1; quiet(); } };
  if (!q.trim()) {
    lead.textContent = "Type what you are looking for.";
    facets.form.hidden = true;
    return view;
  }
  return { ...view, ready: load(!back, back ? shownOf.get(address()) : undefined) };

  function address() {
    return `/search?${new URLSearchParams({ q, ...filters })}`;
  }

  function quiet() {
    calm?.();
    calm = null;
  }

  function narrow(wanted) {
    filters = wanted;
    go(address(), { quiet: true });
    turn += 1;
    [next, shown, waiting, stale] = [undefined, 0, false, true];
    load();
  }

  async function load(track = false, upTo = shown + PAGE) {
    if (waiting) return;
    const mine = turn;
    waiting = true;
    more.setAttribute("aria-disabled", "true"); // not disabled, which would lose the focus
    try {
      do {
        const slate = await client.search(q, { n: Math.min(MOST, Math.max(PAGE, upTo - shown)), page: next, track, ...filters });
        if (mine !== turn) return;
        quiet();
        await append(slate);
        track = false;
      } while (next && shown < upTo);
      more.textContent = "Show more";
    } catch (error) {
      if (mine !== turn) return;
      lead.textContent = error.temporary ? "Search is away for a moment. It is tried again by itself." : error.message;
      more.hidden = !error.temporary;
      more.textContent = "Try again";
      if (error.temporary) calm ??= again(client, () => load(false, upTo));
      else quiet();
    }
    waiting = false;
    more.removeAttribute("aria-disabled");
  }

  /** Each page is a list of its own, so that a click names the one it was made on. */
  async function append(slate) {
    const focused = document.activeElement === more;
    const found = list({}, undefined, Infinity);
    for (const { item_id: id, item } of slate.items) noteTitle(id, item?.title);
    if (stale) pages.replaceChildren();
    stale = false;
    pages.append(found);
    await 0; // an element that comes to the page begins empty
    found.show(slate);
    shown += slate.items.length;
    shownOf.set(address(), shown);
    next = slate.search?.next;
    more.hidden = !next;
    if (focused && !next) found.querySelector("a")?.focus();
    facets.told(slate.search ?? {});
    lead.textContent = foundText({ total: shown, ...slate.search, q, close: slate.items.length > 0 && slate.items.every(({ reason }) => reason?.kind === "means") }, shown);
  }
}

/** What was found, and how much of it is here. */
function foundText({ total, understood, fallback, close, q }, shown) {
  if (fallback === "nothing_matches") return "Nothing has these words. This is what you might like instead.";
  if (fallback === "filters_exclude_all") return "Nothing is left with these filters. This is what there is without them.";
  const soldOut = fallback === "out_of_stock" ? "What you are looking for is sold out. " : "";
  if (soldOut && !total) return `${soldOut}This is what you might like instead.`;
  const products = `${total} ${total === 1 ? "product" : "products"}`;
  const count = shown < total ? `${shown} of ${products}.` : `${products}.`;
  if (soldOut) return `${soldOut}What comes close to it: ${count}`;
  if (close) return `Nothing here is called “${understood ?? q}”. What comes close to it: ${count}`;
  return understood ? `Showing results for “${understood}”. ${count}` : count;
}

// Search: a field with suggestions, and a page of what was found. Only on a server that has search.

import { make } from "./dom.js";

const TYPING_MS = 120;

/** Bring the field to life. `go(path)` opens the page of a query, or of a product. */
export function searchField(form, { client, go }) {
  const input = form.elements.q;
  const box = form.querySelector("[role=listbox]");
  let [typing, asking, chosen, options] = [0, null, -1, []];
  form.hidden = false;
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

/** The page of a query. */
export async function searchView({ query, client, list }) {
  const q = query.get("q") ?? "";
  const found = list({}, undefined, Infinity);
  const heading = make("h1", { tabindex: "-1", text: `“${q}”` });
  const lead = make("p", { className: "lead", role: "status", text: "Searching …" });
  const view = { title: q, nodes: [heading, lead, found] };
  if (!q.trim()) {
    lead.textContent = "Type what you are looking for.";
    return view;
  }
  view.ready = client.search(q, { n: 24 }).then(
    (slate) => {
      found.show(slate);
      const total = slate.search?.total ?? slate.items.length;
      lead.textContent = slate.search?.fallback ? "Nothing has these words. This is what you might like instead." : `${total} ${total === 1 ? "product" : "products"}`;
    },
    (error) => (lead.textContent = error.message),
  );
  return view;
}

// What narrows a search: category, brand, price, what is in stock, and the order. Kept in the address.

import { make } from "./dom.js";

const SORTS = [
  ["", "Best match"], ["price_asc", "Price, low first"], ["price_desc", "Price, high first"], ["newest", "Newest"], ["popular", "Popular"],
];
const NAMES = ["category", "brand", "price_min", "price_max", "in_stock", "sort"];

/** The filters of an address, as the server names them; what is no number is no price. */
export function filtersOf(query) {
  const found = Object.fromEntries(NAMES.map((name) => [name, query.get(name)]).filter(([, value]) => value));
  for (const name of ["price_min", "price_max"]) {
    found[name] = Number(found[name] ?? NaN);
    if (!(found[name] >= 0 && found[name] < Infinity)) delete found[name];
  }
  if (found.in_stock === "false") found.in_stock = false;
  else delete found.in_stock;
  if (!SORTS.some(([name]) => name === found.sort)) delete found.sort;
  return found;
}

/** A row of fields. `changed(filters)` is called when the shopper chose something else; `told(facts)` fills in counts. */
export function facetRow(filters, changed) {
  const category = select("Category", "category");
  const brand = select("Brand", "brand");
  const [low, high] = [price("Price from", "price_min"), price("to", "price_max")];
  const stock = make("input", { type: "checkbox", name: "in_stock" });
  const missing = make("span");
  const sort = select("Sort by", "sort");
  sort.field.append(...SORTS.map(([value, text]) => make("option", { value, text })));
  const clear = make("button", { type: "button", className: "plain", text: "Clear", on: { click: () => choose({ ...(filters.sort && { sort: filters.sort }) }) } });
  const form = make(
    "form",
    { className: "facets", "aria-label": "Narrow the search", on: { submit: (event) => event.preventDefault(), change } },
    category.label, brand.label, make("span", { className: "range" }, low.label, high.label),
    make("label", { className: "check" }, stock, " In stock only", missing), clear, sort.label,
  );
  draw();
  return { form, told };

  function choose(wanted) {
    filters = wanted;
    draw();
    changed(filters);
  }

  function change() {
    const wanted = { category: category.field.value, brand: brand.field.value, price_min: low.field.value, price_max: high.field.value, sort: sort.field.value };
    const [from, to] = [Number(wanted.price_min), Number(wanted.price_max)];
    if (wanted.price_min && wanted.price_max && from > to) [wanted.price_min, wanted.price_max] = [wanted.price_max, wanted.price_min];
    choose(filtersOf(new URLSearchParams({ ...wanted, in_stock: String(stock.checked) })));
  }

  function draw() {
    for (const { field } of [low, high]) field.value = filters[field.name] ?? "";
    stock.checked = filters.in_stock !== false;
    sort.field.value = filters.sort ?? "";
    clear.hidden = Object.keys(filters).every((name) => name === "sort");
    if (clear.hidden && clear === document.activeElement) category.field.focus();
    for (const { field } of [category, brand]) if (!field.options.length) options(field, {});
  }

  /** Counts of what was found; what is chosen is there in any case. */
  function told({ categories, brands, prices, stock: found }) {
    options(category.field, categories ?? {});
    options(brand.field, brands ?? {});
    missing.textContent = found?.out_of_stock ? ` (${found.out_of_stock} sold out)` : "";
    if (prices) [low.field.placeholder, high.field.placeholder] = [String(Math.floor(prices[0])), String(Math.ceil(prices[1]))];
  }

  function options(field, counts) {
    const chosen = filters[field.name] ?? "";
    const names = Object.keys(counts);
    const known = names.find((name) => name.toLowerCase() === chosen.toLowerCase()) ?? chosen; // a filter goes by any case
    if (known && !names.includes(known)) names.unshift(known);
    field.replaceChildren(
      make("option", { value: "", text: "All" }),
      ...names.map((name) => make("option", { value: name, text: counts[name] === undefined ? name : `${name} (${counts[name]})` })),
    );
    field.value = known;
  }
}

function select(text, name) {
  const field = make("select", { name });
  return { field, label: make("label", {}, make("span", { text }), field) };
}

function price(text, name) {
  const field = make("input", { type: "number", name, min: "0", step: "any", inputmode: "decimal" });
  return { field, label: make("label", {}, make("span", { text }), field) };
}

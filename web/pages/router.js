// Addresses of the shop: links open views without leaving the page, so that the connection stays; back and forward work.

const ROUTES = [
  ["home", /^\/$/], ["product", /^\/product\/([^/]+)$/], ["department", /^\/department\/([^/]+)$/], ["cart", /^\/cart$/],
  ["search", /^\/search$/], ["feed", /^\/feed$/], ["read", /^\/read\/([^/]+)$/],
];

/** The view of an address: {name, argument, query}; null for an address that is not the shop's. */
export function routeOf(url) {
  for (const [name, pattern] of ROUTES) {
    const found = url.pathname.match(pattern);
    if (found) return { name, argument: found[1] === undefined ? null : plain(found[1]), query: url.searchParams };
  }
  return null;
}

function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // half a letter: nothing has such a name
  }
}

/** Where the page is. A server that knows no such address sends the shop, too. */
function here() {
  const url = new URL(location.href);
  return routeOf(url) ?? { name: "nowhere", argument: url.pathname, query: url.searchParams };
}

/**
 * `show(route, back)` is called for each address, at first for that of the page. `back`: nobody has just asked for it, the
 * address was opened anew or come back to. Gives a function that goes elsewhere; with `quiet`, to an address of the view
 * that is shown, which shows it by itself.
 */
export function routing(show) {
  const places = new Map(); // history entry → how far it was scrolled
  const address = () => location.pathname + location.search;
  let [entry, shown] = [history.state?.entry ?? 0, address()];
  history.scrollRestoration = "manual";

  const go = (url, { quiet = false } = {}) => {
    const route = routeOf(url);
    if (!route) return false;
    places.set(entry, scrollY);
    if (url.href !== location.href) history.pushState({ entry: (entry += 1) }, "", url);
    shown = address();
    if (quiet) return true;
    show(route);
    scrollTo(0, 0);
    return true;
  };
  addEventListener("popstate", async ({ state }) => {
    if (address() === shown) return history.replaceState({ entry }, ""); // a place on the page that is shown
    shown = address();
    places.set(entry, scrollY);
    entry = state?.entry ?? 0;
    await show(here(), true);
    scrollTo(0, places.get(entry) ?? 0);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (!link || !plain || event.defaultPrevented || link.origin !== location.origin || link.hash || link.target) return;
    if (go(new URL(link.href))) event.preventDefault();
  });
  show(here(), true);
  return (path, how) => go(new URL(path, location.href), how);
}

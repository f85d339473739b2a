// Types of shunxi.js, and what each part of it does. A longer text with examples: docs/browser.md.

/** What is known of an item, to draw a card of it. A shop may send more. */
export interface Card {
  title?: string;
  price?: number | null;
  currency?: string;
  image_url?: string;
  url?: string;
  brand?: string;
  category?: string;
}

/** Why an item is on the list: "because_you_viewed" (item_id), "interest_category" (value), "popular", … */
export interface Reason {
  kind: string;
  item_id?: string;
  value?: string;
}

export interface SlateItem {
  item_id: string;
  score: number;
  source: string;
  reason?: Reason | null;
  propensity?: number | null;
  item?: Card;
}

/** A list. `version` only grows inside an `epoch`; times are ISO 8601. */
export interface Slate {
  slate_id: string;
  user_id: string;
  placement: string;
  epoch: string;
  version: number;
  cause?: { kind: string; event_id?: string };
  model_version: string;
  strategy: string;
  events_through?: string | null;
  learned_through?: string | null;
  created_at: string;
  items: SlateItem[];
  /** The words that were searched for: only on what `search` gave. */
  query?: string;
  search?: SearchFacts;
}

/** What else a search has to say: counts are of everything found, `next` is the `page` after this one. */
export interface SearchFacts {
  query: string;
  total: number;
  /** How the query was read, where that is not as it was typed. */
  understood?: string;
  /** Whether words that no product has were taken for others. */
  corrected?: boolean;
  categories?: Record<string, number>;
  brands?: Record<string, number>;
  prices?: [number, number];
  /** How many were found of each, whether what is sold out was asked for or not. */
  stock?: { in_stock: number; out_of_stock: number };
  next?: string;
  /** Why the items are not what was asked for. */
  fallback?: "nothing_matches" | "out_of_stock" | "filters_exclude_all";
  /** The filters that let nothing through and were left out; `q` is the price that the query says. */
  ignored?: string[];
}

export type EventName =
  | "view_item_list" | "select_item" | "view_item" | "add_to_cart" | "remove_from_cart" | "add_to_wishlist" | "purchase"
  | "search" | "not_interested" | "dwell" | "share";

export interface EventItem {
  item_id: string;
  /** 0-based place in the list. */
  index?: number;
  /** Per unit. */
  price?: number;
  quantity?: number;
}

export interface Consent {
  personalization_storage?: "granted" | "denied";
  analytics_storage?: "granted" | "denied";
  ad_storage?: "granted" | "denied";
  ad_personalization?: "granted" | "denied";
}

export interface EventFields {
  items?: (string | EventItem)[];
  /** The list it was done on; the event then names it. */
  slate?: Slate;
  search_term?: string;
  value?: number;
  currency?: string;
  transaction_id?: string;
  consent?: Consent;
  context?: Record<string, unknown>;
}

/** An event as it is sent. `event_id` is a UUIDv7, made once: no two events of the installation have the same. */
export interface BehaviorEvent extends Omit<EventFields, "items" | "slate"> {
  event: EventName;
  event_id: string;
  session_id: string;
  client_ts: string;
  user_id?: string;
  visitor_id?: string;
  items: EventItem[];
  attribution?: { slate_id: string; version: number };
}

export interface Refusal {
  index: number;
  code: string;
  message: string;
  event: BehaviorEvent;
}

/** "recovered" lasts 4 s after a reconnect, then it is "connected"; "stopped" is for good, until `start`. */
export type State = "idle" | "connecting" | "connected" | "reconnecting" | "recovered" | "stopped";

/**
 * What the server answered, or why it could not be asked (`unavailable`), or why its answer says nothing (`unreadable`: a
 * proxy's page, say). `temporary`: trying again may help, after `retryAfter` s.
 */
export declare class ShunxiError extends Error {
  readonly code: string;
  readonly temporary: boolean;
  readonly retryAfter?: number;
  readonly field?: string;
}

export interface Options {
  /**
   * Gives what POST /v1/tokens answered to your backend, or the token alone. Asked at each connect, and again before the
   * token runs out; never twice at once. If it throws, it is asked again with back-off.
   */
  token: () => string | { token: string; expires_in?: number } | Promise<string | { token: string; expires_in?: number }>;
  /** The server's origin; the page's own unless given. */
  url?: string;
  /** Begins the names under which the browser keeps session, clicks and unsent events. "shunxi" unless given. */
  key?: string;
  /** A choice made earlier; goes out with every event. */
  consent?: Consent;
}

interface ShunxiEvents {
  /** The connection; `wait` is the back-off in seconds. */
  state: CustomEvent<{ state: State; wait?: number; reason?: string }>;
  /** A newer list of any placement. */
  slate: CustomEvent<Slate>;
  /** An event was queued. */
  track: CustomEvent<BehaviorEvent>;
  /** Events that the server does not take, or no frame holds (`too_large`); they are not sent again. */
  refused: CustomEvent<Refusal[]>;
  /** More than 1,000 events wait: the oldest were given up. */
  dropped: CustomEvent<BehaviorEvent[]>;
  /** A placement that could not be subscribed to. */
  error: CustomEvent<ShunxiError & { placement: string }>;
}

/**
 * One user in one tab. A message can be lost, a list cannot: after every reconnect the newest comes, and one that is not
 * newer than what is shown is dropped. An event is sent, again if need be and with the same event_id, until acknowledged.
 */
export declare class Shunxi extends EventTarget {
  constructor(options: Options);
  readonly state: State;
  /** Who the token names; undefined before the first one. */
  readonly userId: string | undefined;
  /** Events without their acknowledgement. */
  readonly waiting: number;

  /** Connect, and stay connected: back-off with full jitter, 0.5 to 20 s; close codes 4500 to 4999 stop it. */
  start(): this;
  /**
   * Disconnect. Events that wait are sent once more and kept for this user's next page, a day at most; with `forget`
   * nothing is kept, what is tracked until the next `start` is nobody's, and that one may be somebody else.
   */
  stop(options?: { forget?: boolean }): void;

  /**
   * Show a placement: `listener` gets each newer list, and the one at hand. `itemId`: the list beside that product; a
   * placement shows one product at a time, and is as long as its longest `n`. The function that comes back ends it.
   */
  subscribe(placement: string, options?: { n?: number; itemId?: string | null }, listener?: (slate: Slate) => void): () => void;

  /** Queue an event. Without `slate` it is credited to the list whose click led to all of its items within 30 min. */
  track(name: EventName, fields?: EventFields): BehaviorEvent;
  /**
   * Something done with one item of a list: the event names list, place and the words that found it, but not those of a
   * fallback, which found nothing. `item`: its price and quantity.
   */
  act(name: EventName, slate: Slate, itemId: string, fields?: Omit<EventFields, "items" | "slate"> & { item?: Partial<EventItem> }): BehaviorEvent;
  /** `act("select_item", …)`. */
  click(slate: Slate, itemId: string): BehaviorEvent;
  /**
   * A choice of Google's consent mode. What is new goes out at once; all of it goes out with every event after it, those of
   * the shopper's other tabs included.
   */
  setConsent(consent: Consent): void;

  /** Tell `view_item_list` once half of the element was visible for a second: once an item and list. Call for each list. */
  observe(element: Element, slate: Slate, itemId: string): void;
  /** The element is gone, or shows something else. */
  unobserve(element: Element): void;

  /**
   * Items for these words (1 to 1,024 characters), as a slate; clicks on it name it and the words. Give `slate.search.next`
   * as `page` for the items after these. `track: false`: no `search` event, as for the next page or when a shopper comes
   * back to a result. A filter that is undefined or null is none.
   */
  search(q: string, options?: { n?: number; track?: boolean; [filter: string]: unknown }): Promise<Slate>;
  /** Completions of what was typed so far: the answer of GET /v1/suggest. */
  suggest(q: string, options?: { n?: number; signal?: AbortSignal }): Promise<{ suggestions: { text: string; kind: string; item_id?: string }[] }>;

  addEventListener<K extends keyof ShunxiEvents>(type: K, listener: (event: ShunxiEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}

export interface RenderContext {
  /** The place among what this element shows. */
  index: number;
  slate: Slate;
  /** The element that was made for the item before, while nothing of the item changed; give it back to keep it. */
  known?: HTMLElement;
}

/**
 * `<shunxi-list placement="home" n="12" item-id="…">`: `ol > li[data-item-id]` in the page's own style. Impressions and
 * clicks on links (and on `[data-shunxi-click]`) are told by itself. A move in the list is a move on the screen, unless
 * motion is unwelcome; focus stays on its item; a change is said politely. Without `placement` it shows what `show` gets.
 * `data-state` is "waiting" until the first list has come, then "shown" or "empty".
 */
export declare class ShunxiList extends HTMLElement {
  /** Whose lists; that of `defineList` unless set. Setting it, even to the same, empties the element. */
  get client(): Shunxi;
  set client(client: Shunxi);
  readonly slate: Slate | null;
  /** Makes the card of an item. Texts of the default one are set as text; its link is never a script. */
  render: (item: SlateItem, context: RenderContext) => HTMLElement;
  /** Which items of the list this element shows. */
  pick: (item: SlateItem, index: number, items: SlateItem[]) => boolean;
  /** Draw a slate now. */
  show(slate: Slate): void;
}

/** Define the element for a client. "shunxi-click" ({item, slate}, cancelable) and "shunxi-slate" bubble from it. */
export declare function defineList(client: Shunxi, name?: string): typeof ShunxiList;

/**
 * Pass on what the page tells Google Analytics 4 through `dataLayer`, what is there already included, and updates of
 * consent (never a default, which nobody chose). `skip`: names that are not passed on, select_item and view_item_list
 * unless given, which the element tells itself. The function that comes back ends it.
 */
export declare function bridgeDataLayer(client: Shunxi, options?: { layer?: unknown[]; skip?: string[] }): () => void;

/** A UUIDv7 (RFC 9562). `now`: milliseconds since 1970. */
export declare function uuid7(now?: number): string;
/** The address if a link or picture may have it (relative, http or https), else null. */
export declare function safeUrl(url: string | null | undefined): string | null;
/** A price in the page's language; "" for none. */
export declare function money(price: number | null | undefined, currency?: string): string;

declare global {
  interface HTMLElementTagNameMap {
    "shunxi-list": ShunxiList;
  }
}

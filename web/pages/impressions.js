// What was really seen: half of a card on the screen for a second (the MRC's viewability rule), told once a card.

const SEEN_MS = 1_000;
const GATHER_MS = 2_000;

export class Impressions {
  #told = new Set(); #since = new Map(); #ready = []; #gather = 0; #report; #observer;

  /** `report(cards)`: elements that were seen since the last report. */
  constructor(report) {
    this.#report = report;
    this.#observer = new IntersectionObserver((entries) => this.#look(entries), { threshold: 0.5 });
  }

  watch(element) {
    this.#observer.observe(element);
  }

  forget(element) {
    this.#observer.unobserve(element);
    clearTimeout(this.#since.get(element));
    this.#since.delete(element);
  }

  reset() {
    this.#observer.disconnect();
    for (const timer of this.#since.values()) clearTimeout(timer);
    clearTimeout(this.#gather);
    this.#since.clear();
    this.#told.clear();
    this.#ready = [];
    this.#gather = 0;
  }

  #look(entries) {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) {
        clearTimeout(this.#since.get(target));
        this.#since.delete(target);
      } else if (!this.#told.has(target.dataset.id) && !this.#since.has(target)) {
        this.#since.set(target, setTimeout(() => this.#seen(target), SEEN_MS));
      }
    }
  }

  #seen(target) {
    this.#since.delete(target);
    if (document.visibilityState !== "visible" || this.#told.has(target.dataset.id)) return;
    this.#told.add(target.dataset.id);
    this.#ready.push(target);
    this.#gather ||= setTimeout(() => {
      this.#gather = 0;
      this.#report(this.#ready.splice(0));
    }, GATHER_MS);
  }
}

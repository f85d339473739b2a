// Two readings of GET /v1/console → rates and quantiles. Pure: no clock, no page. What one process counted is compared
// with what the same process had counted before, so processes may come, go and begin anew.

/** What tells one process from all others. */
export const id = ({ role, name }) => `${role} ${name}`;

/** What happened between two readings: {rates: metric → label → a second, buckets: metric → {bounds, counts, sum}, own: id of a
 * process → its own buckets}. */
export function between(before, after) {
  const earlier = new Map(before.processes.map((process) => [id(process), process]));
  const rates = {};
  const buckets = {};
  const own = {};
  for (const process of after.processes) {
    const base = baseOf(earlier.get(id(process)), process, before.at);
    if (!base) continue;
    const seconds = process.at - base.at;
    for (const [metric, values] of Object.entries(process.counters)) {
      const sums = (rates[metric] ??= {});
      for (const [label, value] of Object.entries(values)) {
        const gained = Math.max(0, value - (base.counters[metric]?.[label] ?? 0));
        sums[label] = (sums[label] ?? 0) + gained / seconds;
      }
    }
    const mine = (own[id(process)] = {});
    for (const [metric, now] of Object.entries(process.histograms)) {
      for (const kept of [buckets, mine]) add(kept, metric, now, base.histograms[metric]);
    }
  }
  return { rates, buckets, own };
}

/** What to compare a process with: its own report of before, or nothing counted where it has begun since. */
function baseOf(same, process, readAt) {
  if (same && same.began === process.began) return process.at > same.at ? same : null;
  if (process.began >= readAt && process.at > process.began) return { at: process.began, counters: {}, histograms: {} };
  return null; // it was there, and we have not heard of it: nobody knows what happened when
}

function add(buckets, metric, now, was) {
  const same = was && was.bounds.length === now.bounds.length && was.bounds.every((bound, n) => bound === now.bounds[n]);
  const counts = now.counts.map((count, n) => Math.max(0, count - (same ? was.counts[n] : 0)));
  const sum = now.sum - (same ? was.sum : 0);
  const known = buckets[metric];
  if (!known) buckets[metric] = { bounds: now.bounds, counts, sum };
  else if (known.counts.length === counts.length) {
    known.counts = known.counts.map((count, n) => count + counts[n]);
    known.sum += sum;
  }
}

/** A quantile of cumulative buckets, as Prometheus' histogram_quantile has it: linear within a bucket. Seconds.
 * null: nothing came. Beyond the last bound nobody knows how far; the answer is that bound. */
export function quantile(q, histogram) {
  const total = histogram?.counts.at(-1) ?? 0;
  if (!total) return null;
  const { bounds, counts } = histogram;
  const rank = q * total;
  const at = counts.findIndex((count) => count >= rank);
  if (at >= bounds.length) return bounds.at(-1);
  const [below, low] = at ? [counts[at - 1], bounds[at - 1]] : [0, 0];
  return counts[at] === below ? bounds[at] : low + ((bounds[at] - low) * (rank - below)) / (counts[at] - below);
}

/** All of a metric's labels together. */
export const total = (values) => Object.values(values ?? {}).reduce((sum, value) => sum + value, 0);

/** A gauge over all processes that have it, each summed over its labels; null where none has. */
export function gauge(reading, metric, together = (values) => values.reduce((a, b) => a + b, 0)) {
  const found = reading.processes.filter(({ gauges }) => metric in gauges).map(({ gauges }) => total(gauges[metric]));
  return found.length ? together(found) : null;
}

export const largest = (values) => Math.max(...values);

/** Counts since each process began, over all of them: label → count. */
export function counted(reading, metric) {
  const sums = {};
  for (const { counters } of reading.processes) {
    for (const [label, value] of Object.entries(counters[metric] ?? {})) sums[label] = (sums[label] ?? 0) + value;
  }
  return sums;
}

/** The last minutes of readings. */
export class Readings {
  #kept = [];
  #seconds;

  constructor(seconds = 600) { this.#seconds = seconds; }

  get last() { return this.#kept.at(-1); }
  get count() { return this.#kept.length; }

  add(reading) {
    if (this.last && reading.at < this.last.at - 5) this.#kept = []; // another server's clock, or one that was set
    this.#kept.push(reading);
    while (this.#kept[0].at < reading.at - this.#seconds) this.#kept.shift();
  }

  /** What happened in the last `seconds`, as far as we have looked on; null before the second reading. */
  over(seconds) {
    const { last } = this;
    const before = this.#kept.find(({ at }) => at >= last.at - seconds);
    return before && before !== last ? between(before, last) : null;
  }
}

"""Before everything else: how often somebody may come. Token buckets, pure but for their own counts.

Invariant: memory is bounded by the addresses (or users) seen within one refill, however many there are over time.
"""

from __future__ import annotations


class Bucket:
    """A token bucket that starts full: `burst` at once, `rate` a second in the long run."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst, self._tokens, self._at = rate, burst, burst, now

    def take(self, now: float) -> float:
        """Take one token: 0.0, or the seconds until there is one. `now` is in seconds and never goes back.

        >>> bucket = Bucket(rate=2, burst=1, now=0)
        >>> bucket.take(0), bucket.take(0), bucket.take(0.5)
        (0.0, 0.5, 0.0)
        """
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate

    def full(self, now: float) -> bool:
        """Whether a new bucket would be just the same."""
        return self._tokens + (now - self._at) * self._rate >= self._burst


class Buckets:
    """A bucket for each address, or user; those that have filled up again are dropped."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, max(1.0, burst)
        self._buckets: dict[str, Bucket] = {}
        self._prune_above = 1_024

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, address: str, now: float) -> float:
        """As `Bucket.take`, for this address."""
        bucket = self._buckets.get(address)
        if bucket is None:
            if len(self._buckets) >= self._prune_above:
                self._buckets = {a: b for a, b in self._buckets.items() if not b.full(now)}
                self._prune_above = max(1_024, 2 * len(self._buckets))
            bucket = self._buckets[address] = Bucket(self._rate, self._burst, now)
        return bucket.take(now)

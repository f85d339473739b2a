"""Lost connection → **back-off** → next try. Pure: the dice are an argument."""

from __future__ import annotations

import random

MAX_STEP = 16  # 2**16 exceeds any sensible ratio of high to low; bounds the power


class Backoff:
    """Exponential back-off with full jitter, never below `low_s` (AWS builders' library; Centrifugo's SDKs).

    The k-th delay is uniform in [low_s, min(high_s, low_s * 2**k)] seconds, k = 1, 2, …

    >>> backoff = Backoff(0.5, 20.0, random.Random(7))
    >>> delays = [backoff.next_delay() for _ in range(50)]
    >>> min(delays) >= 0.5, max(delays) <= 20.0, delays[0] <= 1.0
    (True, True, True)
    """

    def __init__(self, low_s: float, high_s: float, rng: random.Random) -> None:
        self._low, self._high, self._rng = low_s, high_s, rng
        self._step = 0

    def next_delay(self) -> float:
        """Seconds to wait before the next try."""
        self._step = min(self._step + 1, MAX_STEP)
        return self._rng.uniform(self._low, max(self._low, min(self._high, self._low * 2.0**self._step)))

    def reset(self) -> None:
        """The last try held: begin small again."""
        self._step = 0

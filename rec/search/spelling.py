"""a word nobody sells anything under → **what was meant**. Typos, and words written together or apart. Pure.

Only a word that no item has is taken for another one: a rare word is a rare word. Distances are optimal string
alignment (a swap of neighbours is one step), as in Damerau 1964, over the vocabulary of the index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import OSA

SHORTEST = 4  # letters; of shorter words too many others are near
TWO_STEPS_FROM = 8  # letters from which two typos are forgiven
GUESSES = 3
PER_STEP = 0.6  # what a guess counts, for each step it is away


class Guess(NamedTuple):
    """A word of the vocabulary that may have been meant, and how much it counts."""

    word: str
    weight: float


class Speller:
    """`counts`: word → in how many items; read at every call, so it may change meanwhile. `renew` after it did."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = counts
        self._by_length: dict[int, list[str]] = {}
        self._generation = -1

    def renew(self, generation: int) -> None:
        """Look at the vocabulary again, unless it is of the generation that was looked at last."""
        if generation != self._generation:
            by_length: dict[int, list[str]] = {}
            for word in list(self._counts):  # another thread may be changing them
                if len(word) >= SHORTEST - 1 and word.isalpha():
                    by_length.setdefault(len(word), []).append(word)
            self._by_length, self._generation = by_length, generation

    def guesses(self, word: str) -> list[Guess]:
        """The nearest words, of equally near ones the most common first; none for a known, short or numeric word.

        >>> speller = Speller({"tent": 9, "tend": 1, "lantern": 3}); speller.renew(1)
        >>> [guess.word for guess in speller.guesses("tetn")], speller.guesses("tent")
        (['tent'], [])
        """
        if word in self._counts or len(word) < SHORTEST or not word.isalpha():
            return []
        steps = 2 if len(word) >= TWO_STEPS_FROM else 1
        near: list[tuple[str, float]] = []
        for length in range(len(word) - steps, len(word) + steps + 1):
            if choices := self._by_length.get(length):
                found = process.extract(word, choices, scorer=OSA.distance, score_cutoff=steps, limit=50)
                near += [(match, distance) for match, distance, _ in found]
        if not near:
            return []
        least = min(distance for _, distance in near)
        best = sorted((w for w, d in near if d == least), key=lambda w: self._unlikely(w, word))
        return [Guess(match, PER_STEP**least) for match in best[:GUESSES]]

    def _unlikely(self, guess: str, typed: str) -> tuple[bool, bool, int, str]:
        """Sorts guesses: people rarely miss the first letter, and swap or hit another key more than they leave out."""
        return guess[0] != typed[0], len(guess) != len(typed), -self._counts.get(guess, 0), guess

    def apart(self, word: str) -> list[str]:
        """Two known words that were written together; [] if there are none.

        >>> Speller({"deck": 3, "over": 5}).apart("deckover")
        ['deck', 'over']
        """
        if word in self._counts or not word.isalpha():
            return []
        cuts = [(word[:at], word[at:]) for at in range(3, len(word) - 2)]
        known = [cut for cut in cuts if cut[0] in self._counts and cut[1] in self._counts]
        return list(max(known, key=lambda cut: min(map(self._counts.__getitem__, cut)))) if known else []

    def together(self, words: Sequence[str]) -> list[str]:
        """Known words that two neighbours of the query make when written together.

        >>> Speller({"deckover": 2}).together(["deck", "over", "paint"])
        ['deckover']
        """
        joined = [a + b for a, b in zip(words, words[1:], strict=False) if a.isalpha() and b.isalpha()]
        return [word for word in joined if word in self._counts]

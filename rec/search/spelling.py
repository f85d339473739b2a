"""a word nobody sells anything under → **what was meant**. Typos, and words written together or apart. Pure.

Only a word that no item has is taken for another one, and none that is `known` to be a word: a shop without jackets has
no jackets, not packets. Distances are optimal string
alignment (a swap of neighbours is one step), as in Damerau 1964, over the vocabulary of the index.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import OSA

SHORTEST = 4  # letters; of shorter words too many others are near
TWO_STEPS_FROM = 8  # letters from which two typos are forgiven
GUESSES = 3
PER_STEP = 0.6  # what a guess counts, for each step it is away
SECOND = 0.4  # ... of that, if it is not the likeliest: less than half, so it is not what was found


class Guess(NamedTuple):
    """A word of the vocabulary that may have been meant, and how much it counts."""

    word: str
    weight: float


class Speller:
    """`counts`: word → in how many items; read at every call, so it may change meanwhile. `renew` after it did.
    `known`: words of the language, whether anything is called so or not."""

    def __init__(self, counts: Mapping[str, int], known: Container[str] = frozenset()) -> None:
        self._counts, self.known = counts, known
        self._seen: set[str] = set()  # of the vocabulary; those that may be guessed are in the lists below
        self._by_length: dict[int, dict[str, str]] = {}
        self._by_start: dict[tuple[str, int], dict[str, dict[str, None]]] = {}
        self._generation = self._followed = -1

    def renew(self, generation: int) -> None:
        """The vocabulary is of this generation now. It is looked at when a guess is wanted: most queries need none."""
        self._generation = generation

    def _follow(self) -> None:
        """The words that have come, and those that have gone."""
        if self._generation == self._followed:
            return
        self._followed = self._generation
        words = set(self._counts)  # in one step: another thread may be changing them
        for word in filter(_guessed, self._seen - words):
            del self._by_length[len(word)][word]
            for start, begun in self._cached(word):
                del begun[start][word]
        for word in filter(_guessed, sorted(words - self._seen)):
            self._by_length.setdefault(len(word), {})[word] = word
            for start, begun in self._cached(word):
                begun.setdefault(start, {})[word] = None
        self._seen = words

    def _cached(self, word: str) -> list[tuple[str, dict[str, dict[str, None]]]]:
        """The beginnings of a word for which there are lists already, and these."""
        lengths = [length for length in range(1, len(word) + 1) if (word[0], length) in self._by_start]
        return [(word[:length], self._by_start[word[0], length]) for length in lengths]

    def guesses(self, word: str) -> list[Guess]:
        """The nearest words, of equally near ones the most common first; none for a known, short or numeric word. Of a
        short one the first letter is taken to be right, or to have changed places with the second.

        >>> speller = Speller({"tent": 9, "tend": 1, "lantern": 3}); speller.renew(1)
        >>> [guess.word for guess in speller.guesses("tetn")], speller.guesses("tent")
        (['tent'], [])
        """
        if word in self._counts or word in self.known or len(word) < SHORTEST or not word.isalpha():
            return []
        self._follow()
        steps = 2 if len(word) >= TWO_STEPS_FROM else 1
        near: list[tuple[str, float]] = []
        for length in range(len(word) - steps, len(word) + steps + 1):
            if choices := self._by_length.get(length):
                found = process.extract(word, choices, scorer=OSA.distance, score_cutoff=steps, limit=50)
                near += [(match, distance) for match, distance, _ in found if steps > 1 or _begins(match, word)]
        if not near:
            return []
        least = min(distance for _, distance in near)
        best = sorted((w for w, d in near if d == least), key=lambda w: self._unlikely(w, word))
        return [Guess(match, PER_STEP**least * (SECOND if at else 1)) for at, match in enumerate(best[:GUESSES])]

    def _unlikely(self, guess: str, typed: str) -> tuple[bool, bool, int, str]:
        """Sorts guesses: people rarely miss the first letter, and swap or hit another key more than they leave out."""
        return guess[0] != typed[0], len(guess) != len(typed), -self._counts.get(guess, 0), guess

    def beginnings(self, start: str, n: int) -> list[str]:
        """The n most common words that begin almost like this: one step away; none for a short or numeric start.

        >>> speller = Speller({"headphones": 9, "heather": 2}); speller.renew(1); speller.beginnings("hedph", 3)
        ['headphones']
        """
        if len(start) < SHORTEST or not start.isalpha():
            return []
        self._follow()
        found: dict[str, None] = {}
        for length in (len(start) + 1, len(start), len(start) - 1):
            starts = self._starts(start[0], length)
            near = process.extract(start, list(starts), scorer=OSA.distance, score_cutoff=1, limit=50)
            found.update(dict.fromkeys(word for match, _, _ in near for word in starts[match]))
        return sorted(found, key=lambda word: (-self._counts.get(word, 0), word))[:n]

    def _starts(self, letter: str, length: int) -> dict[str, dict[str, None]]:
        """The beginnings of this length with this first letter → the words that begin so."""
        starts = self._by_start.get((letter, length))
        if starts is None:
            starts = self._by_start[letter, length] = {}
            for at, words in self._by_length.items():
                if at >= length:
                    for word in words:
                        if word[0] == letter:
                            starts.setdefault(word[:length], {})[word] = None
        return starts

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

    def joined(self, one: str, other: str) -> str | None:
        """The known word that two neighbours of the query make when written together.

        >>> Speller({"deckover": 2}).joined("deck", "over")
        'deckover'
        """
        both = one + other
        return both if one.isalpha() and other.isalpha() and both in self._counts else None


def _guessed(word: str) -> bool:
    return len(word) >= SHORTEST - 1 and word.isalpha()


def _begins(guess: str, typed: str) -> bool:
    return guess[0] == typed[0] or (len(guess) > 1 and guess[:2] == typed[1::-1])
